"""Kills processes that write to an index, at random moments, and looks for what is lost.

    python -m benchmarks.library.kills --kills 10000

Each turn forks a writer, which adds, replaces, removes and compacts, and, every other turn, a process that compacts
beside it. Before and after each change the writer notes it in a file. Both are killed with SIGKILL after a random time.
Then the index is opened: every change that was noted as done must be there, the one under way wholly or not at all.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.output import emit, note
from mainspring.library.embed.protocol import Space
from mainspring.library.index import cascade, maintain, open_index

DIM = 16
PAGES = 400
SPACE = Space("kills", "1", DIM)
#: Small, so that every few adds make a segment and every few segments are joined.
TOKENS = 400
LONGEST_S = 0.15


@dataclass(slots=True)
class Figures:
    """What happened."""

    kills: int = 0
    changes: int = 0
    lost: int = 0
    broken: int = 0
    caught: dict[str, int] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


def vectors(page: int, version: int) -> Any:
    """The vectors of a version of a page; 1 to 20 of them."""
    chance = np.random.default_rng([page, version])
    made = chance.standard_normal((int(chance.integers(1, 21)), DIM)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def run(folder: Path, kills: int, seed: int, progress: bool = False) -> Figures:
    """Kill so many times in one folder, and check after each."""
    figures = Figures()
    chance = random.Random(seed)
    truth: dict[int, int] = {}
    log = folder / "log"
    small = cascade.SEGMENT_TOKENS, maintain.FEW
    cascade.SEGMENT_TOKENS, maintain.FEW = TOKENS, 50
    started = time.monotonic()
    try:
        open_index(folder / "index", SPACE).close()
        for turn in range(kills):
            log.write_bytes(b"")
            children = [_fork(lambda turn=turn: _write(folder, log, dict(truth), seed * 1_000_003 + turn))]
            if turn % 2:
                children.append(_fork(lambda: _compact(folder)))
            time.sleep(chance.uniform(0.0, LONGEST_S))
            for child in children:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            figures.kills += 1
            _judge(folder, log, truth, figures, thorough=turn % 10 == 0 or turn == kills - 1)
            if figures.lost or figures.broken:
                break  # what comes after a loss says nothing
            if progress and (turn + 1) % 250 == 0:
                note(f"{turn + 1} kills, {(turn + 1) / (time.monotonic() - started):.1f} a second, lost {figures.lost}")
    finally:
        cascade.SEGMENT_TOKENS, maintain.FEW = small
    return figures


def _fork(work: Any) -> int:
    child = os.fork()
    if child:
        return child
    with contextlib.suppress(BaseException):
        work()
    os._exit(1)


def _write(folder: Path, log: Path, truth: dict[int, int], seed: int) -> None:
    chance = random.Random(seed)
    index = open_index(folder / "index", SPACE)
    fd = os.open(log, os.O_WRONLY | os.O_APPEND)
    version = seed
    while True:
        version += 1
        what = chance.choices(("add", "remove", "compact"), (6, 2, 1))[0]
        pages = sorted(chance.sample(range(PAGES), chance.choice((1, 3, 60))))
        if what == "remove":
            pages = [page for page in pages if page in truth]
        change = {"what": what, "pages": [] if what == "compact" else pages, "version": version}
        os.write(fd, (json.dumps({"begin": change}) + "\n").encode())
        if what == "add":
            index.add([(page, vectors(page, version)) for page in pages])
        elif what == "remove":
            index.remove(pages)
        else:
            index.compact()
        _apply(truth, change)
        os.write(fd, (json.dumps({"done": version}) + "\n").encode())


def _compact(folder: Path) -> None:
    index = open_index(folder / "index", SPACE)
    while True:
        index.compact()
        time.sleep(0.002)


def _apply(truth: dict[int, int], change: dict[str, Any]) -> None:
    for page in change["pages"]:
        if change["what"] == "add":
            truth[page] = change["version"]
        else:
            truth.pop(page, None)


def _judge(folder: Path, log: Path, truth: dict[int, int], figures: Figures, *, thorough: bool) -> None:
    """Bring `truth` up to date from the log, and compare the index with it."""
    under_way: dict[str, Any] | None = None
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        if "begin" in entry:
            under_way = entry["begin"]
        elif under_way is not None:
            _apply(truth, under_way)
            figures.changes += 1
            under_way = None
    if under_way is not None:
        figures.caught[under_way["what"]] = figures.caught.get(under_way["what"], 0) + 1
    try:
        index = open_index(folder / "index", SPACE)
    except Exception as error:
        figures.broken += 1
        figures.lost += len(truth)  # none of them can be reached any more
        figures.said.append(f"cannot be opened after {figures.kills} kills: {error}")
        return
    try:
        before, after = dict(truth), dict(truth)
        if under_way is not None:
            _apply(after, under_way)
        wrong = _differs(index, before)
        if wrong and after != before:
            now_wrong = _differs(index, after)
            if not now_wrong:
                truth.clear()
                truth.update(after)
                wrong = []
        if wrong:
            figures.lost += len(wrong)
            figures.said += wrong[:3]
        if thorough:
            found = index.check()
            figures.broken += len(found)
            figures.said += found[:3]
            leftovers = len(list((folder / "index").glob("segment-*.vec"))) - int(index.stats()["segments"])
            if leftovers:
                figures.broken += 1
                figures.said.append(f"{leftovers} segment files that nobody names")
    except Exception as error:
        figures.broken += 1
        figures.said.append(f"cannot be read: {error}")
    finally:
        index.close()


def _differs(index: Any, expected: dict[int, int]) -> list[str]:
    """Which pages are not as they should be."""
    there = set(index.ids().tolist())
    wrong = [f"page {page} is missing" for page in expected.keys() - there]
    wrong += [f"page {page} should not be there" for page in there - expected.keys()]
    for page in expected.keys() & there:
        kept, wanted = index.vectors(page), vectors(page, expected[page])
        if kept.shape != wanted.shape or float(np.abs(kept - wanted).max()) > 0.02:
            wrong.append(f"page {page} is not the version that was written")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; the exit status is 1 when anything was lost or broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.library.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=1_000, help="how many times (default 1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args(arguments)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mainspring-kills-") as folder:
        figures = run(Path(folder), chosen.kills, chosen.seed, progress=True)
    for line in figures.said[:20]:
        note(line)
    caught = " ".join(f"{what}={count}" for what, count in sorted(figures.caught.items()))
    seconds = time.monotonic() - started
    if chosen.json:
        emit(
            {
                "kills": figures.kills,
                "changes": figures.changes,
                "lost": figures.lost,
                "broken": figures.broken,
                "caught": figures.caught,
                "seconds": round(seconds, 1),
            }
        )
    else:
        print(
            f"kills={figures.kills} changes={figures.changes} caught in the middle: {caught} "
            f"lost={figures.lost} broken={figures.broken} seconds={seconds:.0f}"
        )
    return 1 if figures.lost or figures.broken else 0


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())
