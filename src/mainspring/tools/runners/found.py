"""What a test runner told: outcomes, failures, and whether it came to its end.

All of it was written by the code under test, so it is taken as data: bounded, and never followed.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mainspring.tools.capture import plain_text

REPORT_BYTES = 32 << 20
FAILURES = 1_000
OUTCOMES = 50_000
_TRACEBACK_CHARACTERS = 40_000
_DETAIL_LINES = 14
_DETAIL_CHARACTERS = 1500
_OUTPUT_CHARACTERS = 2000
_FRAME = re.compile(
    r"^(?:  File \")?([^\s\":][^\":\n]*)(?:\", line |:)(\d+)(?:, in |: in |: ?)([\w<>.]*)", re.MULTILINE
)
#: Outcomes of one test.
PASSED, FAILED, ERROR, SKIPPED = "passed", "failed", "error", "skipped"


@dataclass(frozen=True, slots=True)
class Frame:
    """A line of a traceback inside the workspace: `path` is relative to it, `line` counts from 1."""

    path: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class TestFailure:
    """A test that failed, or what kept tests from running.

    Args:
        id: as the runner takes it back, such as ``"tests/test_a.py::TestA::test_b"``; for a compile error the file.
        kind: ``"failed"`` (an assertion), ``"error"`` (it could not run), ``"compile"`` (its code cannot be built) or
            ``"collection"`` (its file cannot be read).
        message: the exception's first line.
        details: the assertion and exception lines.
        frames: where it passed through the workspace's files, outermost first.
        expected: the value that the test wanted, where the runner tells it.
        actual: the value that it got, where the runner tells it.
        output: what the test printed, bounded.
    """

    __test__: ClassVar[bool] = False  # its name must not make pytest collect it

    id: str
    kind: str
    message: str
    details: str
    frames: tuple[Frame, ...] = ()
    expected: str = ""
    actual: str = ""
    output: str = ""

    @property
    def location(self) -> str:
        """Where it went wrong, as ``path:line``, or an empty text."""
        return f"{self.frames[-1].path}:{self.frames[-1].line}" if self.frames else ""

    def text(self) -> str:
        """The failure in a few lines."""
        head = f"{self.kind.upper()} {self.id}"
        where = [f"  at {f.path}:{f.line}" + (f" in {f.function}" if f.function else "") for f in self.frames[-4:]]
        body = [f"  {line}" for line in (self.details or self.message).splitlines()]
        if self.expected and self.actual and self.expected not in self.details:
            body.append(f"  expected {self.expected}, got {self.actual}")
        return "\n".join([head, *where, *body])


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """One test that ran: its id, ``"passed"``, ``"failed"``, ``"error"`` or ``"skipped"``, and its seconds."""

    __test__: ClassVar[bool] = False

    id: str
    outcome: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """What was read of one run.

    Args:
        passed, failed, errors, skipped: counts.
        failures: each failed test, in order.
        tests: each test that ran, where the runner names them.
        complete: the runner's own last word was there.
        unfinished: tests that began and did not end, in the order in which they began.
        collected: how many tests the runner meant to run, where it tells.
        notes: what a person should know about the report itself.
    """

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    failures: tuple[TestFailure, ...] = ()
    tests: tuple[TestOutcome, ...] = ()
    complete: bool = True
    unfinished: tuple[str, ...] = ()
    collected: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def finished(self) -> int:
        """How many tests have an outcome."""
        return self.passed + self.failed + self.errors + self.skipped


def counted(tests: list[TestOutcome], failures: list[TestFailure], **more: object) -> Found:
    """A `Found` with the counts of its outcomes."""
    number = {name: sum(t.outcome == name for t in tests) for name in (PASSED, FAILED, ERROR, SKIPPED)}
    return Found(
        number[PASSED],
        number[FAILED],
        number[ERROR],
        number[SKIPPED],
        tuple(failures[:FAILURES]),
        tuple(tests[:OUTCOMES]),
        **more,  # type: ignore[arg-type]
    )


def make_failure(
    test: str, kind: str, lines: list[str], traceback: str, workspace: Path, folder: str = "", **more: str
) -> TestFailure:
    """A failure from its lines and its traceback; frames outside the workspace's own files are left out.

    Args:
        test: its id.
        kind: see `TestFailure`.
        lines: the assertion and exception lines.
        traceback: where frames are looked for, as ``File "path", line 3`` or ``path:3``.
        workspace: paths are told relative to it.
        folder: where the runner ran, relative to the workspace; its relative paths start there.
        more: `expected`, `actual`, `output`.
    """
    lines = [line.rstrip() for line in lines if line.strip()]
    details = "\n".join(lines[:_DETAIL_LINES])
    if len(lines) > _DETAIL_LINES:
        details += f"\n... {len(lines) - _DETAIL_LINES} more lines"
    frames = []
    for path, line, function in _FRAME.findall(traceback[-_TRACEBACK_CHARACTERS:]):
        own = inside(path, workspace, folder)
        if own is not None:
            frames.append(Frame(own, int(line[:9]), function))
    message = lines[0].strip()[:300] if lines else ""
    more = {name: text[:_OUTPUT_CHARACTERS] for name, text in more.items()}
    return TestFailure(test, kind, message, details[:_DETAIL_CHARACTERS], tuple(frames), **more)


def inside(path: str, workspace: Path, folder: str = "") -> str | None:
    """The path relative to the workspace when it names one of its own files (no installed package)."""
    full = os.path.normpath(os.path.join(workspace, folder, path))
    relative = os.path.relpath(full, workspace)
    if relative.startswith("..") or "\0" in path:
        return None
    if "site-packages" in relative or "node_modules" in relative or not os.path.isfile(full):
        return None
    return relative


def read_plain(folder: Path, name: str) -> bytes | None:
    """A report file's bytes; None for a link, a pipe, a huge or a missing one."""
    try:
        fd = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > REPORT_BYTES:
            return None
        return file.read(REPORT_BYTES)


def seconds(text: str | None) -> float:
    """A duration as reports write it, or 0."""
    try:
        return max(0.0, min(float((text or "0").replace(",", "")), 1e6))
    except ValueError:
        return 0.0


def clean(text: str | None) -> str:
    """Text of a report without escape codes and control characters."""
    return plain_text(text or "")
