"""One attempt at one bug by one arm, judged by the benchmark itself."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.repair import bare
from benchmarks.repair.bugs import Bug, mutation_of
from benchmarks.repair.packages import source as source_of
from mainspring import Run
from mainspring.code import RepairPlanner, repair, repair_agent
from mainspring.code.breaking.demo import whole_suite
from mainspring.code.breaking.sdist import Source, fetch
from mainspring.code.repair.tracing import is_test_file
from mainspring.errors import MainspringError
from mainspring.models import resolve
from mainspring.tools.runners import run_tests

ARMS = ("bare", "harness")
TASK = "A mistake in one function of this package makes tests fail. Mend it, until all tests pass. Change no test."


@dataclass(frozen=True, slots=True)
class Budget:
    """What one arm may spend on one bug: tokens read anew and written, and seconds."""

    tokens: int
    seconds: float


def attempt(scratch: Path, model: str, arm: str, bug: Bug, budget: Budget) -> dict[str, Any]:
    """Break a fresh copy, let one arm work on it, and see with the whole suite whether it is mended.

    The suite runs in another fresh copy that got the attempt's code files only, so that nothing else which the
    attempt did to the folder can make it pass.

    Raises:
        MainspringError: the model itself failed, or the package cannot be had.
    """
    source = source_of(bug["package"], bug["version"])
    place = Path(tempfile.mkdtemp(dir=scratch))
    try:
        folder = fetch(source, place / source.name)
        mutation_of(bug).apply(folder)
        tests = _tests(folder)
        started = time.monotonic()
        work = _harness if arm == "harness" else _bare
        done, result = work(scratch / "home", model, folder, source, budget)
        seconds = time.monotonic() - started
        untouched = _untouched(folder, tests)
        solved = untouched and judge(source, folder, bug, place / "judge")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return {
        "solved": solved,
        "claimed": done,
        "false_done": done and not solved,
        "tests_touched": not untouched,
        "seconds": round(seconds, 1),
        "version": version(arm),
        **result,
    }


def version(arm: str) -> str:
    """A digest of the code that makes an arm what it is, so that rows of different versions are not taken for one."""
    files = sorted(Path(repair.__file__).parent.glob("*.py")) if arm == "harness" else [Path(bare.__file__)]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:8]


def judge(source: Source, worked: Path, bug: Bug, place: Path) -> bool:
    """Whether the package's whole suite passes with the code files of `worked`; run in a fresh copy at `place`."""
    fresh = fetch(source, place)
    mutation_of(bug).apply(fresh)
    for name in source.files(fresh):
        file = worked / name
        if file.is_file() and not file.is_symlink():
            shutil.copyfile(file, fresh / name)
        else:
            return False
    passed, _ = whole_suite(fresh, source.test_command)
    return passed


def _harness(home: Path, model: str, folder: Path, source: Source, budget: Budget) -> tuple[bool, dict[str, Any]]:
    """The repair harness."""
    agent = repair_agent(
        model,
        None,
        source.test_command,
        name="harness",
        tries=1000,
        seconds=budget.seconds,
        tokens=budget.tokens,
        limits={"seconds": budget.seconds * 1.2 + 20},
    )
    run = agent.run_sync(TASK, workspace=folder, home=home)
    reason = run.reason or ""
    if run.status == "failed" and not re.search(r"gave up|cannot be|nothing to mend|limit", reason):
        raise MainspringError(f"{model} itself failed, which says nothing of the arm: {reason}")
    planner = agent.models[0]
    assert isinstance(planner, RepairPlanner)
    # A planner that gives up in the middle of a step has spent more than the run's journal knows.
    usage = planner.usage.get(run.id, run.usage)
    return run.status == "done", {
        "reason": reason[:300],
        "tries": _edits(run),
        "steps": run.steps,
        "calls": usage.calls,
        "tokens": usage.tokens - usage.cache_read_tokens,
        "cached_tokens": usage.cache_read_tokens,
    }


def _bare(home: Path, model: str, folder: Path, source: Source, budget: Budget) -> tuple[bool, dict[str, Any]]:
    """The bare loop."""
    command = f"{source.test_command} -q --tb=short"
    report = run_tests(folder, None, "", source.test_command, 120)
    first = min(report.failures, key=lambda f: len(f.text()), default=None)
    failing = f"{report.failed} tests fail now."
    if first is not None:
        failing = f"{report.failed} tests fail now, for instance {first.id}:\n{first.message[:300]}"
    inner = resolve(model)
    done = asyncio.run(bare.work(inner, folder, command, failing, tokens=budget.tokens, seconds=budget.seconds))
    return done.submitted, {
        "reason": done.reason,
        "tries": len(done.commands),
        "steps": done.usage.calls,
        "calls": done.usage.calls,
        "tokens": done.fresh_tokens,
        "cached_tokens": done.usage.cache_read_tokens,
        "commands": [c[:300] for c in done.commands],
    }


def _edits(run: Run) -> int:
    """Edits of files that took place, taking back an earlier one not counted."""
    edits = [
        (e.payload["arguments"].get("old"), e.payload["arguments"].get("new"))
        for e in run.events()
        if e.kind == "effect.intended" and e.payload["tool"] == "edit_file"
    ]
    return sum(1 for i, (old, new) in enumerate(edits) if (new, old) not in edits[max(0, i - 1) : i])


def _untouched(folder: Path, tests: dict[str, str]) -> bool:
    """Whether every test file is still there as it was. New ones do not matter: the judge does not take them."""
    now = _tests(folder)
    return all(now.get(name) == digest for name, digest in tests.items())


def _tests(folder: Path) -> dict[str, str]:
    """Digest of each file that holds tests or serves them."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if is_test_file(name) and "__pycache__" not in name and path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
