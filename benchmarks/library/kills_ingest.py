"""Kills a process that indexes a folder, at random moments, and looks for what is lost, doubled or out of step.

    python -m benchmarks.library.kills_ingest --kills 10000

Each turn changes some files, then forks a process that indexes the folder (in one of ten turns it compacts first) and
notes each document as done when the catalog has said so. It is killed with SIGKILL after a random time. Then whatever
was noted as done must be in the catalog. Every twenty turns the folder is indexed to its end, and each file must be
there once, with the pages that it has now, found by its words and by its vectors, and catalog and index must agree.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.output import emit, note
from mainspring import Library, lexical
from mainspring.label import Label
from mainspring.library.catalog import writing
from mainspring.library.embed.protocol import Encoded, Item, Space
from mainspring.library.ingest import encoding
from mainspring.library.page import Where
from mainspring.library.read import open_file
from mainspring.library.read.protocol import Reading, ReadLimits

FILES = 25
LONGEST_S = 0.25
#: The folder is indexed to its end and looked through after so many kills.
LOOK_EVERY = 20


@dataclass(slots=True)
class Figures:
    """What happened: `done` counts documents that were noted as done by processes that were killed."""

    kills: int = 0
    looks: int = 0
    done: int = 0
    cut: int = 0
    lost: int = 0
    doubled: int = 0
    apart: int = 0
    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        if len(self.said) < 100:
            self.said.append(text)


class Words:
    """A vector a word, made from its letters: nothing to load, and the same in every process."""

    space = Space("kills", "1", 16)

    def documents(self, items: Sequence[Item]) -> list[Encoded]:
        return [Encoded(self._vectors(item)) for item in items]

    queries = documents

    def close(self) -> None:
        return None

    def _vectors(self, item: Item) -> Any:
        assert isinstance(item, str)
        made = [self._vector(word) for word in lexical.words(item)]
        return np.stack(made) if made else np.zeros((0, self.space.dim), np.float32)

    def _vector(self, word: str) -> Any:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        vector = np.random.default_rng(seed).standard_normal(self.space.dim).astype(np.float32)
        return vector / np.linalg.norm(vector)


class Here(Library):
    """A library that reads files in its own process: what is killed here is the indexing."""

    def _open_file(self, path: Path, limits: ReadLimits, label: Label | None = None) -> Reading:
        return open_file(path, limits, isolated=False)


def run(folder: Path, kills: int, seed: int, progress: bool = False) -> Figures:
    """Kill so many times, and look through the library in between and at the end."""
    figures = Figures()
    chance = random.Random(seed)
    before = writing._BATCH, encoding.BATCH
    # Small batches, so that kills come between the pieces of a document, and between those of the vectors.
    writing._BATCH, encoding.BATCH = 2, 4
    try:
        _run(folder, kills, chance, figures, progress)
    finally:
        writing._BATCH, encoding.BATCH = before
    return figures


def _run(folder: Path, kills: int, chance: random.Random, figures: Figures, progress: bool) -> None:
    docs, home = folder / "docs", folder / "home" / "library" / "default"
    docs.mkdir()
    home.mkdir(parents=True)
    told = time.monotonic()
    for turn in range(kills):
        _change(docs, chance)
        done = _killed(docs, home, chance)
        figures.kills += 1
        figures.done += len(done)
        with contextlib.closing(Here(home, Words())) as library:
            for uri, digest in done:
                known = library.catalog.known(uri)
                if known is None or (known.digest, known.state) != (digest, "ready"):
                    figures.lost += 1
                    figures.say(f"turn {turn}: {uri} was done and is {known}")
            figures.cut += sum(1 for d in library.documents() if not d.digest)
        if (turn + 1) % LOOK_EVERY == 0 or turn == kills - 1:
            _look(docs, home, figures, turn)
        if progress and time.monotonic() - told > 30:
            told = time.monotonic()
            note(f"{figures.kills} kills, lost {figures.lost}, doubled {figures.doubled}, apart {figures.apart}")


def _change(docs: Path, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        file = docs / f"{chance.randrange(FILES)}.md"
        if chance.random() < 0.15:
            file.unlink(missing_ok=True)
            continue
        sections = [f"# Part {n}\n\n{_words(chance)}\n" for n in range(chance.randint(1, 6))]
        if file.exists() and chance.random() < 0.5:  # some of its pages stay
            sections = file.read_text().split("\f")[: chance.randint(0, 4)] + sections
        file.write_text("\f".join(sections))


def _words(chance: random.Random) -> str:
    return " ".join(f"w{chance.randrange(3_000)}" for _ in range(chance.randint(5, 300)))


def _killed(docs: Path, home: Path, chance: random.Random) -> list[tuple[str, str]]:
    """Index in another process and kill it. Returns the documents that it noted as done, as they were last."""
    after, compacts = chance.uniform(0.0, LONGEST_S), chance.random() < 0.1
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.close(read)
            _indexes(docs, home, write, compacts)
        os._exit(0)
    os.close(write)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with os.fdopen(read) as notes:
        lines = [line.split("\t") for line in notes.read().splitlines()]
    return list({line[0]: line[1] for line in lines}.items())


def _indexes(docs: Path, home: Path, write: int, compacts: bool) -> None:
    finish = writing.Writing.finish

    def noted(self: writing.Writing, problem: str = "", *, failed: bool = False) -> Any:
        document = finish(self, problem, failed=failed)
        os.write(write, f"{document.uri}\t{document.digest}\n".encode())
        return document

    writing.Writing.finish = noted  # type: ignore[method-assign]
    with contextlib.closing(Here(home, Words())) as library:
        if compacts:
            library.compact()
        library.index(docs, ocr="off", jobs=2)


def _look(docs: Path, home: Path, figures: Figures, turn: int) -> None:
    figures.looks += 1
    with contextlib.closing(Here(home, Words())) as library:
        library.index(docs, ocr="off", jobs=2)
        for complaint in library.check():
            figures.apart += 1
            figures.say(f"turn {turn}: {complaint}")
        there = {str(file): file for file in docs.iterdir()}
        held = {document.uri: document for document in library.documents()}
        for uri in there.keys() ^ held.keys():
            figures.lost += 1
            figures.say(f"turn {turn}: {uri} is only in the {'folder' if uri in there else 'library'}")
        for uri in there.keys() & held.keys():
            _compare(library, held[uri].id, there[uri], figures, turn)
        every = [int(n) for n in library.catalog.among(Where())]
        for stored in random.Random(turn).sample(library.catalog.pages(every), min(5, len(every))):
            for mode in ("text", "meaning"):
                hits = library.search(stored.page.text[:2_000], k=5, mode=mode)
                if stored.id not in {p.id for hit in hits for p in (hit.page, *hit.also)}:
                    figures.lost += 1
                    figures.say(f"turn {turn}: page {stored.id} is not found by {mode}")


def _compare(library: Library, document: int, file: Path, figures: Figures, turn: int) -> None:
    with contextlib.closing(open_file(file, isolated=False)) as reading:
        wanted = [page.text for page in reading.pages()]
    found = [page.page.text for page in library.catalog.pages_of(document)]
    if found != wanted:
        figures.doubled += len(found) > len(wanted)
        figures.lost += len(found) <= len(wanted)
        figures.say(f"turn {turn}: {file.name} has {len(found)} pages, and {len(wanted)} were expected")


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; the exit status is 1 when anything was lost, doubled or out of step."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.library.kills_ingest", description=__doc__)
    parser.add_argument("--kills", type=int, default=1_000, help="how many times (default 1000)")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mainspring-kills-") as folder:
        figures = run(Path(folder), chosen.kills, chosen.seed, progress=True)
    for text in figures.said[:20]:
        note(text)
    bad = figures.lost + figures.doubled + figures.apart
    emit(
        {
            "benchmark": "library_kills_ingest", "kills": figures.kills, "seed": chosen.seed, "looks": figures.looks,
            "documents_done": figures.done, "documents_cut": figures.cut, "lost": figures.lost,
            "doubled": figures.doubled, "apart": figures.apart, "seconds": round(time.monotonic() - began, 1),
        }
    )  # fmt: skip
    return 1 if bad else 0


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())
