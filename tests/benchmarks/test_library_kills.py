"""Processes that write to an index are killed; nothing that was acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.library import kills
from mainspring.library.index import open_index


def test_nothing_is_lost_by_kills(tmp_path: Path) -> None:
    figures = kills.run(tmp_path, 60, seed=3)
    assert figures.said == []
    assert (figures.lost, figures.broken, figures.kills) == (0, 0, 60)
    assert figures.changes > 0
    assert sum(figures.caught.values()) > 0


@pytest.mark.slow
def test_nothing_is_lost_by_many_kills(tmp_path: Path) -> None:
    figures = kills.run(tmp_path, 240, seed=4)
    assert (figures.lost, figures.broken, figures.said) == (0, 0, [])
    assert figures.caught.keys() == {"add", "remove", "compact"}


def test_the_judge_of_the_kills_sees_a_loss(tmp_path: Path) -> None:
    """What says that nothing is lost must be able to say the opposite."""
    index = open_index(tmp_path / "index", kills.SPACE)
    index.add([(1, kills.vectors(1, 1)), (2, kills.vectors(2, 1))])
    index.close()
    (tmp_path / "log").write_text("")
    figures = kills.Figures()
    truth = {1: 1, 2: 2, 3: 1}
    kills._judge(tmp_path / "index" / "..", tmp_path / "log", truth, figures, thorough=True)
    assert sorted(figures.said) == ["page 2 is not the version that was written", "page 3 is missing"]
    assert figures.lost == 2
