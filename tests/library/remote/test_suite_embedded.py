"""The embedded index does what the common suite says too, so that one can stand for the other."""

from __future__ import annotations

from pathlib import Path

from suite_vectors import SPACE, VectorIndexSuite

from mainspring.library.embed.protocol import Space
from mainspring.library.index import open_index
from mainspring.library.index.protocol import VectorIndex


class TestEmbedded(VectorIndexSuite):
    recall = 0.8  # it keeps a byte a number

    def open(self, folder: Path, space: Space = SPACE) -> VectorIndex:
        return open_index(folder / "index", space)
