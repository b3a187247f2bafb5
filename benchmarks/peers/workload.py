"""The work that every system does in the loop benchmark, and the clock that times it.

Imports nothing but the standard library, because it runs inside each peer's own environment. A step is one
model call that asks for page `n`, and one tool call that returns about 2 KB of text. The model is a few lines
inside the same process, and looks only at the last message, so that what is measured is the system around it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

TASK = "Look up every page, one after another, and say done when there are no more."
INSTRUCTIONS = "You look up pages with the tool look_up, one at a time."
GO_ON = "Go on where you were interrupted."
RESULT_BYTES = 2_000

_WORDS = tuple("ledger tide harbour copper winter signal orchard velvet engine paper river stone".split())  # noqa: SIM905
_TEXT = " ".join(random.Random(7).choices(_WORDS, k=12_000))
_PAGE = re.compile(r"page (\d+) \[")


def marker(page: int) -> str:
    """A text that stands in the result of this page and nowhere else."""
    return hashlib.sha256(f"page {page}".encode()).hexdigest()[:24]


def page_text(page: int) -> str:
    """The tool's answer: about 2 KB that differ from page to page."""
    head = f"page {page} [{marker(page)}]\n"
    start = (page * 1_237) % (len(_TEXT) - RESULT_BYTES)
    return head + _TEXT[start : start + RESULT_BYTES - len(head)]


def last_page(text: str) -> int | None:
    """The page whose answer `text` is, or None when it is no answer."""
    found = _PAGE.search(text[:40])
    return int(found.group(1)) if found else None


class Workload:
    """One execution of the work: what the model says next, the tool's answer, and the stamps of both.

    Args:
        steps: pages to look up.
        report: where the figures are written.
        kill_in: page whose tool call kills this process with SIGKILL before it answers, or None.
        resuming: True when an earlier process did the first pages.
    """

    def __init__(self, steps: int, report: Path, *, kill_in: int | None = None, resuming: bool = False) -> None:
        self.steps = steps
        self.report = report
        self.kill_in = kill_in
        self.resuming = resuming
        self.cpu_ns: list[int] = []
        self.wall_ns: list[int] = []
        self.pages: list[int] = []
        self.kept: bool | None = None
        self.resumed_at_ns = 0
        self.facts: dict[str, object] = {}

    def next_page(self, last: str, context: Callable[[], str]) -> int | None:
        """The model: which page to look up after the message `last`; None when the work is done.

        `context` gives all that the model sees as text; it is asked once, after a resume, and not timed.
        """
        self.cpu_ns.append(time.process_time_ns())
        self.wall_ns.append(time.perf_counter_ns())
        page = last_page(last)
        if self.resuming and self.kept is None:
            seen = context()
            interrupted = self.kill_in or 1
            self.kept = marker(interrupted - 1) in seen
            if page is None:  # told to go on by a new message: the last page is further up
                page = max((int(p) for p in _PAGE.findall(seen)), default=-1)
        following = 0 if page is None else page + 1
        return following if following < self.steps else None

    def look_up(self, page: int) -> str:
        """The tool: the text of a page."""
        self.pages.append(page)
        if page == self.kill_in and not self.resuming:
            self.write()
            os.kill(os.getpid(), signal.SIGKILL)
        return page_text(page)

    def write(self) -> None:
        """Write the stamps and facts to the report."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        value = {
            "cpu_ns": self.cpu_ns,
            "wall_ns": self.wall_ns,
            "pages": self.pages,
            "kept": self.kept,
            "resumed_at_ns": self.resumed_at_ns,
            "children_cpu_s": children.ru_utime + children.ru_stime,
            **self.facts,
        }
        with self.report.open("w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())


def bytes_on_disk(folder: Path) -> int:
    """Size of all files under `folder`, after every SQLite database's log was folded into it."""
    files = [f for f in sorted(folder.rglob("*")) if f.is_file()]
    for file in files:
        with contextlib.suppress(OSError), file.open("rb") as opened:
            if opened.read(15) != b"SQLite format 3":
                continue
            with contextlib.closing(sqlite3.connect(file)) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def main(
    packages: list[str],
    run: Callable[[Path, str, Workload], None],
    resume: Callable[[Path, str, Workload], None] | None,
) -> None:
    """Command line of one system's child process.

    `run(folder, name, work)` does the work from the start; `resume(folder, name, work)` goes on after a kill
    and sets `work.resumed_at_ns` when it starts to. A run with `--warm-up` does a short one first in the same
    folder, so that modules imported and tables made at the first step do not count as the cost of a step.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["run", "resume"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--warm-up", type=int, default=0)
    parser.add_argument("--kill-in", type=int)
    options = parser.parse_args()
    work = Workload(options.steps, options.report, kill_in=options.kill_in, resuming=options.mode == "resume")
    work.facts["versions"] = {name: version(name) for name in packages}
    if options.mode == "resume":
        if resume is None:
            sys.exit("this system cannot resume")
        resume(options.folder, "measured", work)
    else:
        if options.warm_up:
            run(options.folder, "warm-up", Workload(options.warm_up, options.report))
        work.facts["bytes_before"] = bytes_on_disk(options.folder)
        run(options.folder, "measured", work)
    work.write()
