"""Reads a run's report and says whether it can be believed: what ended early or ran nothing has not passed."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

from mainspring.tools.runners.cargo import read_cargo
from mainspring.tools.runners.commands import NODE_FILES
from mainspring.tools.runners.detect import Runner
from mainspring.tools.runners.found import Found, TestFailure, TestOutcome, counted, read_plain
from mainspring.tools.runners.junit import read_java, read_junit
from mainspring.tools.runners.records import read_go, read_script_json
from mainspring.tools.runners.report import TestReport
from mainspring.tools.runners.texts import read_compile_errors, read_tap, read_unittest
from mainspring.tools.runners.watching import Watched

_BUILDS = ("cargo", "maven", "gradle", "ctest", "make", "go", "npm", "custom")
_REPORT = re.compile(r"(TEST-.*|.*junit.*|test-results.*|report)\.xml", re.IGNORECASE)


def read(runner: Runner, output: str, scratch: Path, workspace: Path, since_ns: int) -> Found | None:
    """What the runner reported, or None when it told nothing that can be read."""
    where = runner.folder
    if runner.name == "pytest":
        found = read_junit(scratch, "junit.xml", workspace, where)
        # A configured command may well be unittest, so its report is looked for there too.
        return found or read_unittest(output, workspace, where)
    if runner.name in ("jest", "vitest", "mocha"):
        found = read_script_json(scratch, "report.json", workspace, where)
    elif runner.name in ("maven", "gradle"):
        found = read_java(workspace, where, since_ns)
    elif runner.name == "ctest":
        found = read_junit(scratch, "junit.xml", workspace, where)
    elif runner.name == "go":
        found = read_go(output, workspace, where)
    elif runner.name == "cargo":
        found = read_cargo(output, workspace, where)
    elif runner.name == "node":
        found = read_tap(output, workspace, where, _files(scratch))
    elif runner.name == "unittest":
        found = read_unittest(output, workspace, where)
    else:
        found = _any(output, workspace, where, since_ns)
    broken = read_compile_errors(output, workspace, where) if runner.name in _BUILDS else []
    return _with_compile(found, broken)


def judged(told: TestReport, runner: Runner, found: Found | None, watched: Watched | None) -> TestReport:
    """The report with what was read, and why it cannot count as passed, if so."""
    if found is not None:
        told = replace(
            told,
            passed=found.passed,
            failed=found.failed,
            errors=found.errors,
            skipped=found.skipped,
            counted=True,
            failures=found.failures,
            tests=found.tests,
            unfinished=found.unfinished,
            collected=found.collected,
            notes=(*told.notes, *found.notes),
        )
    broken = ""
    if watched is not None and watched.begun:
        told = _with_watched(told, watched)
        broken = _wrong_in(told, watched)
    if not broken:
        broken = _wrong(told, runner, found)
    return _placed(replace(told, broken=broken), runner.folder)


def _wrong(told: TestReport, runner: Runner, found: Found | None) -> str:
    """Why a run that says it ended well did not, or an empty text."""
    ran = told.passed + told.failed + told.errors
    if told.counted and not ran and (told.exit_code in (0, 5) and told.ended == "exit"):
        return f"nothing ran: all {told.skipped} tests were skipped" if told.skipped else "nothing ran: no tests found"
    if told.exit_code != 0:
        return ""
    if told.failed or told.errors:
        return f"although it ended with exit code 0, {told.failed + told.errors} tests did not pass"
    if found is not None and not found.complete:
        return "died early: its report breaks off"
    if found is not None and found.collected is not None and found.finished < found.collected:
        return f"died early: only {found.finished} of {found.collected} tests were reported"
    if found is None and runner.name not in ("custom", "npm", "make"):
        return "no report: it ended before it told what it did"
    return ""


def _wrong_in(told: TestReport, watched: Watched) -> str:
    if watched.masked:
        names = ", ".join(watched.masked[:3])
        return f"{len(watched.masked)} tests raised an error and were reported as passed ({names}); look at conftest.py"
    if told.ended != "exit":
        return ""
    running = next(reversed(watched.running), "")
    ran = len(watched.outcomes.keys() - watched.running.keys())
    of = f"{ran} of {watched.collected}" if watched.collected is not None else str(ran)
    if watched.status is None:
        return f"died early: {of} tests were finished" + (f", in {running}" if running else "")
    bad = sorted(t for t, outcome in watched.outcomes.items() if outcome in ("failed", "error"))
    if bad and not told.failed + told.errors:
        return f"its report hides {len(bad)} failures ({', '.join(bad[:3])})"
    if told.exit_code == 0 and watched.status not in (0, None):
        return f"pytest ended with status {watched.status}, and its process with 0"
    if told.exit_code == 0 and bad:
        return f"although it ended with exit code 0, {len(bad)} tests did not pass"
    if told.exit_code == 0 and watched.collected is not None and ran < watched.collected:
        return f"only {of} collected tests were run"
    if told.exit_code == 0 and told.passed > ran:
        return f"its report tells of {told.passed} passed tests, but only {ran} were run"
    return ""


def _with_watched(told: TestReport, watched: Watched) -> TestReport:
    told = replace(told, collected=watched.collected)
    if watched.running:
        told = replace(told, unfinished=tuple(watched.running))
    if told.counted or not watched.outcomes:
        return told
    ended = watched.outcomes | dict.fromkeys(watched.running, "error")  # what began and did not end has not passed
    tests = [TestOutcome(test, outcome, watched.seconds.get(test, 0.0)) for test, outcome in ended.items()]
    failures = [
        TestFailure(t.id, t.outcome, "the run ended before it told why", "") for t in tests
        if t.outcome in ("failed", "error")
    ]  # fmt: skip
    seen = counted(tests, failures)
    return replace(
        told,
        passed=seen.passed,
        failed=seen.failed,
        errors=seen.errors,
        skipped=seen.skipped,
        counted=True,
        failures=seen.failures,
        tests=seen.tests,
    )


def _files(scratch: Path) -> list[str]:
    """What our reporter for node told: the file of each result."""
    told = (read_plain(scratch, NODE_FILES) or b"").decode("utf-8", "replace").splitlines()
    try:
        return [str(json.loads(line)) for line in told]
    except (ValueError, RecursionError):
        return []


def _any(output: str, workspace: Path, where: str, since_ns: int) -> Found | None:
    """A custom command's report: what it printed in a form that is known, else new JUnit files in the workspace."""
    for reader in (read_go, read_cargo, read_tap, read_unittest):
        found = reader(output, workspace, where)
        if found is not None:
            return found
    found = read_java(workspace, where, since_ns)
    if found is not None:
        return found
    for folder in ("", "reports", "test-reports", "test-results", "build", "out"):
        try:
            with os.scandir(workspace / where / folder) as entries:
                names = [e.name for e in entries if _REPORT.fullmatch(e.name)
                         and e.stat(follow_symlinks=False).st_mtime_ns >= since_ns]  # fmt: skip
        except OSError:
            continue
        for name in sorted(names):
            found = read_junit(workspace / where / folder, name, workspace, where)
            if found is not None:
                return found
    return None


def _with_compile(found: Found | None, broken: list[TestFailure]) -> Found | None:
    """Errors of a compiler are failures of their own, told before the tests that did run."""
    if not broken:
        return found
    known = {failure.location for failure in (found.failures if found else ())}
    new = tuple(failure for failure in broken if failure.location not in known)
    found = found or Found()
    tests = tuple(TestOutcome(test, "error") for test in dict.fromkeys(f.id for f in new))
    return replace(
        found, errors=found.errors + len(new), failures=(*new, *found.failures), tests=(*tests, *found.tests)
    )


def _placed(told: TestReport, folder: str) -> TestReport:
    """Ids of a project in a folder of the workspace, so that they can be given back as a target."""
    if not folder:
        return told

    def at(test: str) -> str:
        return test if test.startswith(f"{folder}/") else f"{folder}/{test}"

    return replace(
        told,
        command=f"cd {folder} && {told.command}",
        failures=tuple(replace(f, id=at(f.id)) for f in told.failures),
        tests=tuple(replace(t, id=at(t.id)) for t in told.tests),
        unfinished=tuple(at(test) for test in told.unfinished),
    )
