"""A few of this project's own pages, for a look and for the tests: nothing is fetched, the figures say nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.library.build import Entry, Made, digest_of
from benchmarks.library.documents import Piece

DOCS = Path(__file__).resolve().parents[2] / "docs"
#: Short ones.
NAMES = ("approvals", "effects", "outputs", "rates", "secrets", "skills", "sources", "working-copies")


def make(home: Path) -> list[Made]:
    """The documents, copied below `home`."""
    folder = home / "set-quick" / "test"
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name in NAMES:
        file = folder / f"{name}.md"
        shutil.copyfile(DOCS / file.name, file)
        text = file.read_text(encoding="utf-8")
        title = next(line.strip("# ") for line in text.splitlines() if line.startswith("# "))
        piece = Piece(file.name, "test", "mainspring", "en", "", "")
        found.append(Made(piece, file, (digest_of(text),), (text,), (Entry(0, title, 0, 0.0),)))
    return found
