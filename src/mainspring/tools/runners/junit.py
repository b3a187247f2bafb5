"""Reads JUnit XML: of pytest, of Maven's surefire and Gradle, of CTest and of any other tool that writes it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from mainspring.tools.runners.found import (
    ERROR,
    FAILED,
    PASSED,
    SKIPPED,
    Found,
    TestFailure,
    TestOutcome,
    clean,
    counted,
    make_failure,
    read_plain,
    seconds,
)

_JAVA_FRAME = re.compile(
    r"^\s*at (?:[\w.$-]+/)?([\w.$]+)\.([\w$<>]+)\(([\w$]+\.(?:java|kt|groovy|scala)):(\d+)\)", re.M
)
_WANTED = re.compile(r"expected:?\s*<(.*?)> but was:?\s*<(.*?)>", re.DOTALL)
_SOURCES = ("src/test/java", "src/main/java", "src/test/kotlin", "src/main/kotlin", "src/test/groovy", "src")


def read_junit(folder: Path, name: str, workspace: Path, where: str = "", java: bool = False) -> Found | None:
    """Counts and failures from a JUnit XML report, or None when there is none that can be read.

    Args:
        folder: where the report lies.
        name: its name there.
        workspace: paths are told relative to it.
        where: the folder in the workspace in which the tests ran.
        java: ids are made as Maven takes them, ``package.Class#method``.
    """
    data = read_plain(folder, name)
    # No report of a test runner declares a document type; one that does could expand entities without bound.
    if data is None or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return None
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError):
        return None
    if root.tag not in ("testsuites", "testsuite"):
        return None
    tests: list[TestOutcome] = []
    failures: list[TestFailure] = []
    for case in root.iter("testcase"):
        test = _java_id(case) if java else _id(case)
        problems = [child for child in case if child.tag in ("failure", "error")]
        if problems:
            kind = FAILED if problems[0].tag == "failure" else ERROR
            failures.append((_java if java else _python)(test, case, problems[0], kind, workspace, where))
        else:
            kind = SKIPPED if case.find("skipped") is not None else PASSED
        tests.append(TestOutcome(test, kind, seconds(case.get("time"))))
    return counted(tests, failures)


def read_java(workspace: Path, where: str, since_ns: int) -> Found | None:
    """What Maven or Gradle left in their report folders since then, of all modules, or None."""
    found: list[Found] = []
    top = workspace / where
    for folder, names, files in os.walk(top):
        names[:] = [n for n in names if n not in (".git", "node_modules", "src", "classes")]
        if os.path.basename(folder) not in ("surefire-reports", "failsafe-reports") and "test-results" not in folder:
            continue
        for name in sorted(files):
            path = os.path.join(folder, name)
            if re.fullmatch(r"TEST-.*\.xml", name) and os.lstat(path).st_mtime_ns >= since_ns:
                module = os.path.relpath(folder, workspace).split("/target/")[0].split("/build/")[0]
                module = "" if module.startswith(("target", "build")) else module
                one = read_junit(Path(folder), name, workspace, module, java=True)
                found += [one] if one else []
    if not found:
        return None
    return counted([t for one in found for t in one.tests], [f for one in found for f in one.failures])


def _python(test: str, case: Element, problem: Element, kind: str, workspace: Path, where: str) -> TestFailure:
    text = clean(problem.text)
    marked = [line[1:].removeprefix("   ") for line in text.splitlines() if re.match(r"E(\s|$)", line)]
    lines = marked or clean(problem.get("message") or text).splitlines() or _printed(case).splitlines()[-3:]
    if "collection failure" in (problem.get("message") or ""):
        kind = "collection"
    return make_failure(test, kind, lines, text, workspace, where, output=_printed(case), **_compared(lines))


def _java(test: str, case: Element, problem: Element, kind: str, workspace: Path, where: str) -> TestFailure:
    text = clean(problem.text)
    frames = []
    for owner, method, file, line in reversed(_JAVA_FRAME.findall(text)):
        package = owner.rpartition(".")[0].replace(".", "/")
        for source in _SOURCES:
            path = os.path.normpath(os.path.join(where, source, package, file))
            if (workspace / path).is_file():
                frames.append(f"{path}:{line}: in {method}")
                break
    kind_of = (problem.get("type") or "").rpartition(".")[2]
    message = clean(problem.get("message")).strip() or (text.splitlines() or [""])[0]
    lines = [f"{kind_of}: {message}" if kind_of else message]
    wanted = _WANTED.search(message)
    told = {"expected": wanted[1], "actual": wanted[2]} if wanted else {}
    return make_failure(test, kind, lines, "\n".join(frames), workspace, output=_printed(case), **told)


def _compared(lines: list[str]) -> dict[str, str]:
    """``assert -1 == 3`` and unittest's ``1 != 2``, taken apart."""
    for line in lines:
        found = re.fullmatch(r"(?:assert (.{1,80}) == (.{1,80})|AssertionError: (.{1,80}) != (.{1,80}))", line.strip())
        if found:
            return {"actual": found[1] or found[3], "expected": found[2] or found[4]}
    return {}


def _printed(case: Element) -> str:
    return "\n".join(clean(e.text).strip() for e in case if e.tag in ("system-out", "system-err") and e.text)


def _java_id(case: Element) -> str:
    name = re.split(r"[(\[{]", case.get("name") or "", maxsplit=1)[0]
    return clean(f"{case.get('classname') or ''}#{name}")


def _id(case: Element) -> str:
    file, owner, name = case.get("file") or "", case.get("classname") or "", case.get("name") or ""
    if not file:
        return clean(f"{owner}.{name}" if owner and owner != name else name)
    module = file.removesuffix(".py").replace("/", ".")
    if owner == module or name == module:
        return clean(file if name == module else f"{file}::{name}")
    inner = owner.removeprefix(f"{module}.").split(".") if owner.startswith(f"{module}.") else []
    return clean("::".join([file, *inner, name]))
