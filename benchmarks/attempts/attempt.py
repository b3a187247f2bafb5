"""Attempts at one bug, one after another, each in a fresh copy and under seeds of its own."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.repair import arms
from benchmarks.repair.arms import TASK, Budget
from benchmarks.repair.bugs import Bug, mutation_of
from benchmarks.repair.packages import source as source_of
from mainspring.code import RepairPlanner, repair_agent
from mainspring.code.breaking.sdist import Source, fetch
from mainspring.code.repair.tracing import is_test_file
from mainspring.errors import MainspringError
from mainspring.model import Model

#: Seeds that one attempt may use before it meets those of the next; as `mainspring.engineer` counts them.
SEEDS = 10_000

Row = dict[str, Any]


def attempts(
    scratch: Path,
    model: str | Model,
    bug: Bug,
    most: int,
    budget: Budget,
    rows: list[Row],
    add: Callable[[Row], None],
    source: Source | None = None,
) -> Iterator[Row]:
    """Attempts 1, 2, ... until one is verified or there were `most`: their rows, those known before included.

    Args:
        scratch: a folder for copies and for the journal.
        model: a name, or an object.
        budget: of each attempt.
        rows: of this bug from an earlier call; such attempts are not made again.
        add: called with each new row.
        source: the release; found by the bug's package and version when None.

    Raises:
        MainspringError: the model itself failed, or the package cannot be had.
    """
    known = {row["attempt"]: row for row in rows}
    for number in range(1, most + 1):
        row = known.get(number)
        if row is None:
            row = {"bug": bug["id"], "attempt": number}
            row |= attempt(scratch, model, bug, number, budget, source or source_of(bug["package"], bug["version"]))
            add(row)
        yield row
        if row["verified"]:
            return


def attempt(scratch: Path, model: str | Model, bug: Bug, number: int, budget: Budget, source: Source) -> Row:
    """One attempt, verified by itself and judged by the benchmark.

    *verified* is what decides in use whether another attempt is made: the run ended as done, which the harness allows
    only after the whole suite has passed in the attempt's own copy, and no test file differs from the release's.
    *solved* is the benchmark's word: the suite passes in another fresh copy that got the attempt's code files only.

    Raises:
        MainspringError: the model itself failed, or the package cannot be had.
    """
    place = Path(tempfile.mkdtemp(dir=scratch))
    try:
        folder = fetch(source, place / source.name)
        mutation_of(bug).apply(folder)
        tests = test_files(folder)
        agent = repair_agent(
            model,
            None,
            source.test_command,
            name="attempt",
            tries=1000,
            seconds=budget.seconds,
            tokens=budget.tokens,
            seed=(number - 1) * SEEDS,
            limits={"seconds": budget.seconds * 1.2 + 20},
        )
        started = time.monotonic()
        run = agent.run_sync(TASK, workspace=folder, home=scratch / "home")
        seconds = time.monotonic() - started
        reason = run.reason or ""
        if run.status == "failed" and not re.search(r"gave up|cannot be|nothing to mend|limit", reason):
            raise MainspringError(f"the model itself failed, which says nothing of the attempt: {reason}")
        now = test_files(folder)
        untouched = all(now.get(name) == digest for name, digest in tests.items())
        verified = run.status == "done" and untouched
        solved = verified and arms.judge(source, folder, bug, place / "judge")
        planner = agent.models[0]
        assert isinstance(planner, RepairPlanner)
        # A planner that gives up in the middle of a step has spent more than the run's journal knows.
        usage = planner.usage.get(run.id, run.usage)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return {
        "verified": verified,
        "solved": solved,
        "tests_touched": not untouched,
        "reason": reason[:300],
        "steps": run.steps,
        "calls": usage.calls,
        "tokens": usage.tokens - usage.cache_read_tokens,
        "cached_tokens": usage.cache_read_tokens,
        "seconds": round(seconds, 1),
        "version": arms.version("harness"),
    }


def test_files(folder: Path) -> dict[str, str]:
    """Digest of each file that holds tests or serves them."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if is_test_file(name) and "__pycache__" not in name and path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
