"""Reads what ``cargo test`` prints: unit tests, integration tests and documentation tests."""

from __future__ import annotations

import re
from pathlib import Path

from mainspring.tools.runners.found import (
    FAILED,
    PASSED,
    SKIPPED,
    Found,
    TestFailure,
    TestOutcome,
    counted,
    make_failure,
)

_RESULT = re.compile(
    r"^test (.+?)(?: - should panic)? \.\.\. (?:.*?)?(ok|FAILED|ignored)(?:,.*)?(?: <([\d.]+)s>)?$", re.M
)
_SECTION = re.compile(r"^---- (.+?) stdout ----\n(.*?)(?=^---- .+ stdout ----$|^failures:$|^successes:$)", re.M | re.S)
_PLACE = re.compile(r"(?:panicked at |^note: test did not panic as expected at )([^\s:']+\.rs):(\d+):\d+", re.MULTILINE)
_FRAME = re.compile(r"^\s+at (\./\S+\.rs):(\d+):\d+", re.MULTILINE)
_OLD_PANIC = re.compile(r"panicked at '(.*?)', (\S+:\d+:\d+)$", re.DOTALL | re.MULTILINE)  # before Rust 1.73
_BINARY = re.compile(r"^ +(?:Running (?:unittests )?|Doc-tests )(\S+).*$", re.MULTILINE)
_WORDS = {"ok": PASSED, "FAILED": FAILED, "ignored": SKIPPED}
_ENDED = re.compile(r"^test result: ", re.MULTILINE)
_BEGUN = re.compile(r"^running (\d+) tests?$", re.MULTILINE)
_SLOW = re.compile(r"^test (.+) has been running for over", re.MULTILINE)


def read_cargo(output: str, workspace: Path, folder: str = "") -> Found | None:
    """Counts and failures from the text of ``cargo test``, or None when no test binary began.

    A test's id is its path in the crate; that of a file in ``tests/`` begins with the file, ``tests/outer.rs::adds``.
    """
    begun = [int(number[:9]) for number in _BEGUN.findall(output)]
    if not begun:
        return None
    tests: list[TestOutcome] = []
    failures: list[TestFailure] = []
    binaries = [("", 0), *((m[1], m.start()) for m in _BINARY.finditer(output))]
    for (source, start), (_, end) in zip(binaries, [*binaries[1:], ("", len(output))], strict=True):
        part, file = output[start:end], f"{source}::" if source.startswith("tests/") else ""
        sections = dict(_SECTION.findall(part))
        for name, word, took in _RESULT.findall(part):
            tests.append(TestOutcome(file + name, _WORDS[word], float(took or 0)))
            if word == "FAILED":
                failures.append(_failure(file + name, sections.get(name, ""), workspace, folder))
    ended = len(_ENDED.findall(output))
    done = {test.id for test in tests}
    waiting = tuple(name for name in _SLOW.findall(output) if name not in done)
    return counted(tests, failures, complete=ended >= len(begun), unfinished=waiting, collected=sum(begun))


def _failure(test: str, text: str, workspace: Path, folder: str) -> TestFailure:
    text = _OLD_PANIC.sub(r"panicked at \2:\n\1", text)
    before, _, after = text.partition("panicked at ")
    place = _PLACE.findall(text)
    said = re.split(r"^(?:stack backtrace:|note: )", after, maxsplit=1, flags=re.MULTILINE)[0]
    lines = said.splitlines()[1:] or [line for line in text.splitlines() if not line.startswith("stack ")]
    values = {name: m[1].strip("` ,") for name, key in (("actual", "left"), ("expected", "right"))
              if (m := re.search(rf"^ +{key}: (.*)$", said, re.MULTILINE))}  # fmt: skip
    frames = [*reversed(_FRAME.findall(text)), *place]
    traceback = "\n".join(f"{path}:{line}: in " for path, line in dict.fromkeys(frames))
    printed = re.sub(r"\n?thread '[^\n]*$", "", before).strip() if after else ""
    return make_failure(test, FAILED, lines, traceback, workspace, folder, output=printed, **values)
