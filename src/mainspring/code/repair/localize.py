"""Which functions and lines are to blame for failing tests, judged by which tests execute them.

Lines are scored by Ochiai's coefficient (Abreu, Zoeteweij and van Gemund, "An evaluation of similarity coefficients
for software fault localization", PRDC 2006): failing tests through the line, over the geometric mean of all
failing tests and all tests through the line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.code.repair.source import FunctionSource, all_functions, statement_lines

# A nudge only: executed by the right tests weighs more than a name or a traceback.
_RAISED, _NAMED = 0.06, 0.12


@dataclass(frozen=True, slots=True)
class Suspect:
    """A function that failing tests execute.

    Args:
        source: the function.
        score: 0 to a little over 1; higher is more suspicious.
        lines: executed line numbers of its code with their scores, in file order.
        call: what a failing test passed to it and what came back, as text, or "".
    """

    source: FunctionSource
    score: float
    lines: tuple[tuple[int, float], ...]
    call: str


def rank(trace: Mapping[str, Any], root: Path) -> list[Suspect]:
    """Suspects of a trace made by :mod:`mainspring.code.repair.tracing`, the most suspicious first."""
    failed = trace["failed"]
    if not failed:
        return []
    scores = {
        path: {line: bad / math.sqrt(failed * (bad + good)) for line, bad, good in lines}
        for path, lines in trace["lines"].items()
    }
    calls = {(path, line): call for path, line, call in trace["calls"]}
    frames = {(path, line) for test in trace["tests"] for path, line in test["frames"]}
    names = _names_of_tests(trace, root)
    suspects = []
    for path, by_line in scores.items():
        try:
            source = (root / path).read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
            owner = statement_lines(source)
        except (OSError, SyntaxError, ValueError):
            continue
        by_statement: dict[int, float] = {}
        for line, score in by_line.items():
            start = owner.get(line, int(line))
            by_statement[start] = max(score, by_statement.get(start, 0.0))
        for function in all_functions(path, source):
            lines = tuple(
                (n, by_statement[owner.get(n, n)]) for n in function.code_lines() if owner.get(n, n) in by_statement
            )
            if not lines:
                continue
            score = max(s for _, s in lines)
            score += _RAISED * any(p == path and function.first <= n <= function.last for p, n in frames)
            score += _NAMED * (function.name.rpartition(".")[2].strip("_").lower() in names)
            call = next((c for (p, n), c in calls.items() if p == path and function.first <= n <= function.last), "")
            suspects.append(Suspect(function, round(score, 3), lines, call))
    return sorted(suspects, key=lambda s: -s.score)


def failing_statement(test: Mapping[str, Any], root: Path, most: int = 14) -> str:
    """The test's source up to the statement that failed, shortened for a prompt; "" when it is not known."""
    if "path" not in test:
        return ""
    try:
        lines = (root / test["path"]).read_bytes().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    first, last = test["first"], test["last"]
    stop = test.get("line") or last
    owner = statement_lines("\n".join(lines))
    end = max((n for n in range(stop, last + 1) if owner.get(n) == owner.get(stop)), default=stop)
    shown = [line.rstrip() for line in lines[first - 1 : end]]
    if len(shown) > most:
        failed_from = owner.get(stop, stop) - first
        keep = max(3, most - (len(shown) - failed_from))
        shown = [*shown[:keep], "    ...", *shown[failed_from:]] if failed_from > keep else shown
    return "\n".join(shown)


def _names_of_tests(trace: Mapping[str, Any], root: Path) -> set[str]:
    """Words that the failing tests call themselves by, and the names in the statements that failed."""
    words: set[str] = set()
    for test in trace["tests"]:
        name = test["id"].split("[")[0].rpartition("::")[2].lower().removeprefix("test_").removeprefix("test")
        words.update((name, *(name.split("_"))))
        statement = failing_statement({**test, "first": test["line"]}, root) if test.get("line") else ""
        words.update(word.lower().strip("_") for word in re.findall(r"[A-Za-z_]\w*(?=\()", statement))
    return words - {""}
