"""Reads what ``cargo test`` prints: unit tests, integration tests and documentation tests."""

from __future__ import annotations

import re
from pathlib import Path

from mainspring.tools.runners.found import FAILED, PASSED, SKIPPED, Found, TestOutcome, counted, make_failure

_RESULT = re.compile(
    r"^test (.+?)(?: - should panic)? \.\.\. (?:.*?)?(ok|FAILED|ignored)(?:,.*)?(?: <([\d.]+)s>)?$", re.M
)
_SECTION = re.compile(r"^---- (.+?) stdout ----\n(.*?)(?=^---- .+ stdout ----$|^failures:$|^successes:$)", re.M | re.S)
_PLACE = re.compile(r"(?:panicked at |^note: test did not panic as expected at )([^\s:']+\.rs):(\d+):\d+", re.MULTILINE)
_FRAME = re.compile(r"^\s+at (\./\S+\.rs):(\d+):\d+", re.MULTILINE)
_ENDED = re.compile(r"^test result: ", re.MULTILINE)
_BEGUN = re.compile(r"^running (\d+) tests?$", re.MULTILINE)
_SLOW = re.compile(r"^test (.+) has been running for over", re.MULTILINE)


def read_cargo(output: str, workspace: Path, folder: str = "") -> Found | None:
    """Counts and failures from the text of ``cargo test``, or None when no test binary began."""
    begun = [int(number[:9]) for number in _BEGUN.findall(output)]
    if not begun:
        return None
    words = {"ok": PASSED, "FAILED": FAILED, "ignored": SKIPPED}
    tests = [TestOutcome(name, words[word], float(took or 0)) for name, word, took in _RESULT.findall(output)]
    sections = dict(_SECTION.findall(output))
    failures = []
    for test in tests:
        if test.outcome == FAILED:
            text = sections.get(test.id, "")
            before, _, after = text.partition("panicked at ")
            place = _PLACE.findall(text)
            said = re.split(r"^(?:stack backtrace:|note: )", after, maxsplit=1, flags=re.MULTILINE)[0]
            lines = said.splitlines()[1:] or [line for line in text.splitlines() if not line.startswith("stack ")]
            values = {name: m[1].strip() for name, key in (("actual", "left"), ("expected", "right"))
                      if (m := re.search(rf"^ +{key}: (.*)$", said, re.MULTILINE))}  # fmt: skip
            frames = [*reversed(_FRAME.findall(text)), *place]
            traceback = "\n".join(f"{path}:{line}: in " for path, line in dict.fromkeys(frames))
            printed = re.sub(r"\n?thread '[^\n]*$", "", before).strip() if after else ""
            failures.append(
                make_failure(test.id, FAILED, lines, traceback, workspace, folder, output=printed, **values)
            )
    ended = len(_ENDED.findall(output))
    done = {test.id for test in tests}
    waiting = tuple(name for name in _SLOW.findall(output) if name not in done)
    return counted(tests, failures, complete=ended >= len(begun), unfinished=waiting, collected=sum(begun))
