"""A process that indexes is killed at random moments: nothing that was done is lost, and nothing is there twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.library import kills_ingest


@pytest.mark.parametrize(
    ("kills", "seed"), [(8, 7), pytest.param(60, 8, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_kills_lose_nothing(tmp_path: Path, kills: int, seed: int) -> None:
    figures = kills_ingest.run(tmp_path, kills, seed)
    assert figures.said == []
    assert (figures.kills, figures.lost, figures.doubled, figures.apart) == (kills, 0, 0, 0)
    assert figures.looks >= 1


def test_the_look_would_see_what_is_wrong(tmp_path: Path) -> None:
    docs, home = tmp_path / "docs", tmp_path / "library"
    docs.mkdir()
    home.mkdir()
    (docs / "1.md").write_text("# One\n\nsome words\n")
    with kills_ingest.Here(home, kills_ingest.Words()) as library:
        library.index(docs)
        with library.catalog.transaction() as db:
            db.execute("UPDATE texts SET text = 'other words'")
    figures = kills_ingest.Figures()
    kills_ingest._look(docs, home, figures, 0)
    assert figures.lost > 0
    assert "1 pages, and 1 were expected" in figures.said[0]
