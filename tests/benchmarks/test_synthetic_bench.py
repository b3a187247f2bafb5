"""The synthetic pages are the same however they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.library import synthetic_data as data


def test_pages_that_are_made_anew_are_those_that_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = data.Size(100, 20)
    data.write(size, tmp_path / "vectors.f32")
    written = data.opened(size, tmp_path / "vectors.f32")
    queries = data.World(size).queries(3)
    scores = data.exact(written, queries)

    monkeypatch.setattr(data, "WRITTEN", 0)
    data.write(size, tmp_path / "none.f32")
    assert not (tmp_path / "none.f32").exists()
    made = data.opened(size, tmp_path / "none.f32")
    assert (len(made), made.shape) == (len(written), written.shape)
    for begin, end in ((0, 100), (3, 5), (15, 17), (16, 32), (90, 200)):
        assert np.array_equal(made[begin:end], written[begin:end])
    assert np.array_equal(data.exact(made, queries), scores)
