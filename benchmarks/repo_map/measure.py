"""Ask for maps and count what they show."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.repo_map.changes import Case
from mainspring.code.index import CodeIndex
from mainspring.code.repomap import repo_map

BUDGETS = (2_000, 8_000)


def headings(text: str, paths: Collection[str]) -> list[str]:
    """The files that a map shows: lines that are a path, with a colon or without."""
    found = (line.removesuffix(":") for line in text.splitlines() if line and not line[0].isspace())
    return [path for path in dict.fromkeys(found) if path in paths]


def recall(shown: Iterable[str], truth: Collection[str]) -> float:
    """Share of the files to be found that are shown."""
    return len(set(shown) & set(truth)) / len(truth)


@dataclass(slots=True)
class Scores:
    """What one system's maps of all cases showed.

    Args:
        rows: for each case: its half, kind and package, and for each budget recall, files shown and tokens.
        seconds: that the maps of each case took.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, case: Case, half: str, maps: list[tuple[str, int]], paths: Collection[str], seconds: float) -> None:
        """Take in the maps of a case, one (text, tokens) for each budget."""
        row: dict[str, Any] = {"half": half, "kind": case.kind, "package": case.package}
        for budget, (text, tokens) in zip(BUDGETS, maps, strict=True):
            if tokens > budget:
                raise SystemExit(f"a map of {case.package} {case.old} has {tokens} tokens, above {budget}")
            shown = headings(text, paths)
            row[f"recall_{budget}"] = recall(shown, case.truth)
            row[f"files_{budget}"] = len(shown)
            row[f"tokens_{budget}"] = tokens
        self.rows.append(row)
        self.seconds.append(seconds)

    def mean(self, name: str, **where: str) -> float | None:
        """Mean of a field over the cases that agree with `where`."""
        values = [row[name] for row in self.rows if all(row[key] == value for key, value in where.items())]
        return sum(values) / len(values) if values else None


def ours(index: CodeIndex, case: Case, count: Callable[[str], int]) -> tuple[list[tuple[str, int]], float, list[str]]:
    """Our maps of a case, the seconds that they took, and the files in the order of the largest."""
    began = time.perf_counter()
    maps = [repo_map(index, budget, case.text, case.tests, count=count) for budget in BUDGETS]
    seconds = time.perf_counter() - began
    # Counted again over the whole text, not as the map itself says.
    return [(found.text, count(found.text)) for found in maps], seconds, list(maps[-1].files)
