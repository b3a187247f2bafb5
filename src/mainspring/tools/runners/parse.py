"""Reads the results of pytest (JUnit XML) and unittest (its printed report).

What is read here was written by the code under test, so it is taken as data: bounded, never followed, and an
unreadable report counts as none.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from mainspring.tools.capture import plain_text

_REPORT_BYTES = 32 << 20
_FAILURES = 1_000
_TRACEBACK_CHARACTERS = 40_000
_DETAIL_LINES = 14
_DETAIL_CHARACTERS = 1500
_FRAME = re.compile(
    r"^(?:  File \")?([^\s\":][^\":\n]*)(?:\", line |:)(\d+)(?:, in |: in |: ?)([\w<>.]*)", re.MULTILINE
)
_UNITTEST_BLOCK = re.compile(
    r"^={70}\n(FAIL|ERROR): (\S+) \(([^)\n]*)\)[^\n]*\n(?:[^\n]*\n)?-{70}\n(.*?)(?=^={70}\n|^-{70}\nRan )",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A line of a traceback inside the workspace: `path` is relative to it, `line` counts from 1."""

    path: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class TestFailure:
    """A test that failed.

    Args:
        id: as the runner takes it back, such as ``"tests/test_a.py::TestA::test_b"``.
        kind: ``"failed"`` (an assertion) or ``"error"`` (it could not run).
        message: the exception's first line.
        details: the assertion and exception lines.
        frames: where it passed through the workspace's files, outermost first.
    """

    id: str
    kind: str
    message: str
    details: str
    frames: tuple[Frame, ...] = ()

    @property
    def location(self) -> str:
        """Where it went wrong, as ``path:line``, or an empty text."""
        return f"{self.frames[-1].path}:{self.frames[-1].line}" if self.frames else ""

    def text(self) -> str:
        """The failure in a few lines."""
        head = f"{self.kind.upper()} {self.id}"
        where = [f"  at {f.path}:{f.line}" + (f" in {f.function}" if f.function else "") for f in self.frames[-4:]]
        body = [f"  {line}" for line in (self.details or self.message).splitlines()]
        return "\n".join([head, *where, *body])


Found = tuple[dict[str, int], tuple[TestFailure, ...]]


def read_junit(folder: Path, name: str, workspace: Path) -> Found | None:
    """Counts and failures from a JUnit XML report, or None when there is none that can be read."""
    data = _read_plain(folder, name)
    # No report of pytest declares a document type; one that does could expand entities without bound.
    if data is None or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return None
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError):
        return None
    counts = {"passed": 0, "failed": 0, "errors": 0, "skipped": 0}
    failures: list[TestFailure] = []
    for case in root.iter("testcase"):
        problems = [child for child in case if child.tag in ("failure", "error")]
        if problems:
            kind = "failed" if problems[0].tag == "failure" else "error"
            counts["failed" if kind == "failed" else "errors"] += 1
            if len(failures) < _FAILURES:
                failures.append(_junit_failure(case, problems[0], kind, workspace))
        else:
            counts["skipped" if case.find("skipped") is not None else "passed"] += 1
    return counts, tuple(failures)


def read_unittest(output: str, workspace: Path) -> Found | None:
    """Counts and failures from unittest's printed report, or None when it did not come to an end."""
    ran = re.search(r"^Ran (\d+) tests? in ", output, re.MULTILINE)
    if ran is None:
        return None
    summary = output[ran.end() :]
    named = {name: int(number) for name, number in re.findall(r"(failures|errors|skipped)=(\d+)", summary)}
    counts = {
        "failed": named.get("failures", 0),
        "errors": named.get("errors", 0),
        "skipped": named.get("skipped", 0),
    }
    counts["passed"] = max(0, int(ran.group(1)) - sum(counts.values()))
    failures = []
    for kind, name, where, body in _UNITTEST_BLOCK.findall(output):
        test = where if where.endswith(f".{name}") else f"{where}.{name}"
        last = body.strip().rsplit("\n  File ", 1)[-1]
        plain = [line for line in last.splitlines()[1:] if not line.startswith("    ")]
        failures.append(_failure(test, "failed" if kind == "FAIL" else "error", plain, body, workspace))
    return counts, tuple(failures)


def _read_plain(folder: Path, name: str) -> bytes | None:
    try:
        fd = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _REPORT_BYTES:
            return None
        return file.read(_REPORT_BYTES)


def _junit_failure(case: Element, problem: Element, kind: str, workspace: Path) -> TestFailure:
    text = plain_text(problem.text or "")
    marked = [line[1:].removeprefix("   ") for line in text.splitlines() if re.match(r"E(\s|$)", line)]
    lines = marked or plain_text(problem.get("message") or text).splitlines()
    return _failure(_junit_id(case), kind, lines, text, workspace)


def _junit_id(case: Element) -> str:
    file, owner, name = case.get("file") or "", case.get("classname") or "", case.get("name") or ""
    if not file:
        return f"{owner}.{name}" if owner else name
    module = file.removesuffix(".py").replace("/", ".")
    if owner == module or name == module:
        return plain_text(file if name == module else f"{file}::{name}")
    inner = owner.removeprefix(f"{module}.").split(".") if owner.startswith(f"{module}.") else []
    return plain_text("::".join([file, *inner, name]))


def _failure(test: str, kind: str, lines: list[str], traceback: str, workspace: Path) -> TestFailure:
    lines = [line.rstrip() for line in lines if line.strip()]
    details = "\n".join(lines[:_DETAIL_LINES])
    if len(lines) > _DETAIL_LINES:
        details += f"\n... {len(lines) - _DETAIL_LINES} more lines"
    frames = []
    for path, line, function in _FRAME.findall(traceback[-_TRACEBACK_CHARACTERS:]):
        inside = _inside(path, workspace)
        if inside is not None:
            frames.append(Frame(inside, int(line), function))
    message = lines[0].strip()[:300] if lines else ""
    return TestFailure(test, kind, message, details[:_DETAIL_CHARACTERS], tuple(frames))


def _inside(path: str, workspace: Path) -> str | None:
    """The path relative to the workspace when it names one of its own files (no installed package)."""
    full = os.path.normpath(os.path.join(workspace, path))
    relative = os.path.relpath(full, workspace)
    if relative.startswith("..") or "site-packages" in relative or not os.path.isfile(full):
        return None
    return relative
