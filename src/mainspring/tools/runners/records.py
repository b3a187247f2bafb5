"""Reads records that runners write for machines: ``go test -json``, and the JSON of Jest, Vitest and Mocha."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mainspring.tools.runners.found import (
    FAILED,
    PASSED,
    SKIPPED,
    Found,
    TestFailure,
    TestOutcome,
    clean,
    counted,
    inside,
    make_failure,
    read_plain,
    seconds,
)

_GO_ENDS = {"pass": PASSED, "fail": FAILED, "skip": SKIPPED}
_GO_PLACE = re.compile(r"^\s*(?:vet: )?((?:[\w./-]+/)?[\w.-]+\.go):(\d+)(?::\d+)?:? ?(.*)$", re.MULTILINE)
_GO_UNBUILT = re.compile(r"^FAIL\s+(\S+) \[(?:build|setup) failed\]$", re.MULTILINE)
_STACK = re.compile(r"^.*?\(?(?:file://)?((?:/|\.{0,2}[\w.-]+/)[^()\s:]+):(\d+):\d+\)?\s*$", re.MULTILINE)


def read_go(output: str, workspace: Path, folder: str = "") -> Found | None:
    """Counts and failures from ``go test -json``; None when it is none. Its format is that of Go's ``test2json``."""
    module = _go_module(workspace / folder)
    printed: dict[tuple[str, str], list[str]] = {}
    begun: dict[tuple[str, str], None] = {}
    tests: list[TestOutcome] = []
    failures: list[TestFailure] = []
    open_packages: dict[str, None] = {}
    built: dict[str, list[str]] = {}  # what the compiler said of each package
    unbuilt: dict[str, None] = {}
    seen = False
    for event in _events(output):
        package, test, action = (str(event.get(name) or "") for name in ("Package", "Test", "Action"))
        package = package or str(event.get("ImportPath") or "").partition(" ")[0]
        seen = seen or action in ("start", "run", "pass", "fail", "output", "build-output")
        key = (package, test)
        if action == "build-output":
            built.setdefault(package, []).append(str(event.get("Output", "")))
        elif action == "output":
            printed.setdefault(key, []).append(str(event.get("Output", "")))
        elif action == "start":
            open_packages[package] = None
        elif action == "run":
            begun[key] = None
        elif action in _GO_ENDS and test:
            begun.pop(key, None)
            name = _go_id(package, test, module)
            outcome = _GO_ENDS[action]
            tests.append(TestOutcome(name, outcome, seconds(str(event.get("Elapsed", 0)))))
            if outcome == FAILED:
                failures.append(_go_failure(name, package, printed.get(key, []), module, workspace, folder))
        elif action in _GO_ENDS:
            open_packages.pop(package, None)
            said = printed.get((package, ""), [])
            if action == "fail" and any(re.search(r"\[(build|setup) failed\]", line) for line in said):
                unbuilt[package] = None
    # Before Go 1.24 a package that cannot be built is told in plain lines between the events.
    unbuilt |= dict.fromkeys(_GO_UNBUILT.findall(output))
    if not seen and not unbuilt:
        return None
    if unbuilt:
        events = [line for said in built.values() for line in said]
        plain = [f"{line}\n" for line in output.splitlines() if not line.startswith("{")]
        broken = _go_build(list(unbuilt), clean("".join([*plain, *events])), module, workspace, folder)
        failures += broken
        tests += [TestOutcome(test, "error") for test in dict.fromkeys(f.id for f in broken)]
    # A test whose subtests failed fails with them: the subtests say why.
    parents = {f.id for f in failures if any(other.id.startswith(f"{f.id}/") for other in failures)}
    failures = [f for f in failures if f.id not in parents]
    tests = [t for t in tests if t.id not in parents]
    waiting = tuple(_go_id(package, test, module) for package, test in begun)
    return counted(tests, failures, complete=not open_packages and not waiting, unfinished=waiting)


def read_script_json(folder: Path, name: str, workspace: Path, where: str = "") -> Found | None:
    """Counts and failures from the JSON report of Jest, Vitest or Mocha, or None when there is none."""
    data = read_plain(folder, name)
    try:
        report = json.loads(data) if data else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(report, dict):
        return None
    try:
        if isinstance(report.get("testResults"), list):
            return _read_jest(report, workspace, where)
        if isinstance(report.get("stats"), dict):
            return _read_mocha(report, workspace, where)
    except (AttributeError, TypeError, ValueError, KeyError):  # not the shape that these tools write
        return None
    return None


def _read_jest(report: dict[str, Any], workspace: Path, where: str) -> Found:
    tests: list[TestOutcome] = []
    failures: list[TestFailure] = []
    words = {"passed": PASSED, "failed": FAILED}
    for suite in report["testResults"]:
        file = _own(suite["name"], workspace, where)
        if suite.get("status") == "failed" and not suite["assertionResults"]:
            message = clean(suite.get("message")).strip()
            failures.append(make_failure(file, "collection", message.splitlines(), _frames(message), workspace, where))
            tests.append(TestOutcome(file, "error"))
        for case in suite["assertionResults"]:
            test = f"{file}::{' > '.join([*case['ancestorTitles'], case['title']])}"
            outcome = words.get(case["status"], SKIPPED)
            tests.append(TestOutcome(test, outcome, float(case.get("duration") or 0) / 1000))
            if outcome == FAILED:
                text = clean("\n".join(case.get("failureMessages") or []))
                failures.append(_script_failure(test, text, workspace, where))
    return counted(tests, failures)


def _read_mocha(report: dict[str, Any], workspace: Path, where: str) -> Found:
    tests: list[TestOutcome] = []
    failures: list[TestFailure] = []
    failed = {(case.get("file"), case["fullTitle"]) for case in report["failures"]}
    skipped = {(case.get("file"), case["fullTitle"]) for case in report["pending"]}
    for case in report["tests"]:
        key = (case.get("file"), case["fullTitle"])
        test = f"{_own(case.get('file') or '', workspace, where)}::{case['fullTitle']}"
        outcome = FAILED if key in failed else SKIPPED if key in skipped else PASSED
        tests.append(TestOutcome(test, outcome, float(case.get("duration") or 0) / 1000))
        if outcome == FAILED:
            error = case.get("err") or {}
            told = {name: str(error[name]) for name in ("expected", "actual") if error.get(name) is not None}
            text = clean(str(error.get("stack") or error.get("message") or "failed"))
            failures.append(_script_failure(test, text, workspace, where, **told))
    return counted(tests, failures)


def _script_failure(test: str, text: str, workspace: Path, where: str, **told: str) -> TestFailure:
    lines = [line for line in text.splitlines() if not re.match(r"\s+at ", line)]
    return make_failure(test, FAILED, lines, _frames(text), workspace, where, **told)


def _frames(text: str) -> str:
    """A JavaScript stack as the lines that `make_failure` reads, outermost first."""
    return "\n".join(f"{path}:{line}: in " for path, line in reversed(_STACK.findall(text)))


def _own(path: str, workspace: Path, where: str) -> str:
    found = inside(path, workspace, where) or clean(path)
    return found.removeprefix(f"{where}/") if where else found


def _events(output: str) -> list[dict[str, Any]]:
    found = []
    for line in output.splitlines():
        if line.startswith("{"):
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                found.append(event)
    return found


def _go_module(folder: Path) -> str:
    data = read_plain(folder, "go.mod") or b""
    found = re.search(rb"^module\s+(\S+)", data, re.MULTILINE)
    return found[1].decode("utf-8", "replace") if found else ""


def _go_folder(package: str, module: str) -> str:
    """A package's folder in its module."""
    return package.removeprefix(module).strip("/") if module and package.startswith(module) else package


def _go_id(package: str, test: str, module: str) -> str:
    return f"{_go_folder(package, module) or '.'}::{test}"


def _go_failure(name: str, package: str, printed: list[str], module: str, workspace: Path, folder: str) -> TestFailure:
    text = clean("".join(printed))
    said = [line for line in text.splitlines() if not re.match(r"\s*(=== |--- |FAIL|PASS)", line)]
    near = "/".join(part for part in (folder, _go_folder(package, module)) if part)
    places = "\n".join(f"{path}:{line}: in " for path, line, _ in _GO_PLACE.findall("\n".join(said)))
    places = places.replace(f"{workspace}/{near}/".replace("//", "/"), "")
    lines = [m[3] if (m := _GO_PLACE.match(line)) and m[3] else line for line in said]
    return make_failure(name, FAILED, lines, places, workspace, near, output="\n".join(said))


def _go_build(packages: list[str], said: str, module: str, workspace: Path, folder: str) -> list[TestFailure]:
    """The compiler's errors, each once; where it names no line of ours, each package that could not be built."""
    failures = []
    for path, line, message in dict.fromkeys(_GO_PLACE.findall(said)):
        own = inside(path, workspace, folder)
        if own is not None and message:
            failures.append(make_failure(own, "compile", [message], f"{own}:{line}: in ", workspace))
    names = [_go_folder(package, module) or "." for package in packages]
    return failures or [make_failure(name, "compile", said.splitlines(), "", workspace, folder) for name in names]
