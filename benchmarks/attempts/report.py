"""What 1, 4, 8 attempts would have solved and cost, from one pass of the most."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.attempts.attempt import Row
from benchmarks.output import machine, rounded, table
from benchmarks.repair.bugs import MUTATION, RELEASE, Bug


class Book:
    """The rows so far, in a file, so that a long benchmark can be interrupted and go on.

    Args:
        path: a file of JSON lines, read when it exists and added to after every attempt; None keeps rows in memory.
        settings: what makes rows comparable; rows of others are left alone.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        self.path, self.settings = path, settings
        self.rows: list[Row] = []
        if path is not None and path.exists():
            for line in path.read_text("utf-8").splitlines():
                try:
                    row = json.loads(line)
                except ValueError:
                    continue  # the process died while it wrote; this attempt is made again
                if all(row.get(name) == value for name, value in settings.items()):
                    self.rows.append(row)

    def of(self, bug: Bug) -> list[Row]:
        """The rows of one bug."""
        return [row for row in self.rows if row["bug"] == bug["id"]]

    def add(self, row: Row) -> None:
        """Note one row and write it."""
        whole = {**self.settings, **row}
        self.rows.append(whole)
        if self.path is not None:
            torn = self.path.exists() and self.path.read_bytes()[-1:] not in (b"", b"\n")
            with self.path.open("a", encoding="utf-8") as file:
                file.write(("\n" if torn else "") + json.dumps(whole) + "\n")


def prefix(rows: Sequence[Row], most: int) -> list[Row] | None:
    """The attempts that a policy of at most `most` would have made; None when not all of them were made yet.

    An attempt begins with a fresh copy, its own seeds and no knowledge of the others, and the policy makes them in
    order until one is verified. So what it would have made is the beginning of what a larger one made.
    """
    made: list[Row] = []
    by_number = {row["attempt"]: row for row in rows}
    for number in range(1, most + 1):
        row = by_number.get(number)
        if row is None:
            return None
        made.append(row)
        if row["verified"]:
            break
    return made


def summary(bugs: Sequence[Bug], rows: Sequence[Row], most: int) -> dict[str, Any]:
    """Sums for at most `most` attempts a bug, over the bugs that had all of them."""
    origin = {bug["id"]: bug["origin"] for bug in bugs}
    made = {bug["id"]: prefix([r for r in rows if r["bug"] == bug["id"]], most) for bug in bugs}
    met = {bug: found for bug, found in made.items() if found is not None}
    solved = [bug for bug, found in met.items() if found[-1]["solved"]]
    tokens = sum(row["tokens"] for found in met.values() for row in found)
    return {
        "attempts": most,
        "bugs": len(met),
        "solved": len(solved),
        "solved_share": rounded(len(solved) / len(met)) if met else None,
        "solved_by_source": {o: sum(origin[b] == o for b in solved) for o in (MUTATION, RELEASE)},
        "of_source": {o: sum(origin[b] == o for b in met) for o in (MUTATION, RELEASE)},
        "false_verified": sum(found[-1]["verified"] and not found[-1]["solved"] for found in met.values()),
        "attempts_made": sum(len(found) for found in met.values()),
        "tokens": tokens,
        "tokens_per_solved": rounded(tokens / len(solved)) if solved else None,
        "seconds": round(sum(row["seconds"] for found in met.values() for row in found), 1),
    }


def line(row: Row, bug: Bug, done: int, of: int) -> str:
    """One line of progress."""
    outcome = "solved" if row["solved"] else ("FALSELY VERIFIED" if row["verified"] else "not solved")
    return (
        f"{done:4}/{of} {bug['id'][:48]:48} {bug['kind'][:18]:18} attempt {row['attempt']} {outcome:16} "
        f"{row['seconds']:6.1f} s {row['tokens']:6} tokens"
    )


def report(
    bugs: Sequence[Bug], book: Book, counts: Sequence[int], scratch: Path, all_bugs: int, skipped: dict[str, str]
) -> None:
    """Print the table, and the object on the last line.

    So that like is compared with like, only bugs are counted that had the attempts of the largest policy.
    """
    most = max(counts)
    whole = [bug for bug in bugs if prefix(book.of(bug), most) is not None]
    sums = [summary(whole, book.rows, count) for count in counts]
    head = [
        "attempts",
        "solved",
        "slips",
        "taken-back fixes",
        "falsely verified",
        "made",
        "tokens",
        "tokens per solved",
    ]
    shown = [
        [
            s["attempts"],
            f"{s['solved']} of {s['bugs']}",
            *(f"{s['solved_by_source'][o]} of {s['of_source'][o]}" for o in (MUTATION, RELEASE)),
            s["false_verified"],
            s["attempts_made"],
            s["tokens"],
            s["tokens_per_solved"],
        ]
        for s in sums
    ]
    print(f"\n{table(head, shown)}")
    print(
        json.dumps(
            {
                **book.settings,
                "bugs": len(whole),
                "all_bugs": all_bugs,
                "complete": len(whole) == all_bugs,
                "by_attempts": {str(s["attempts"]): s for s in sums},
                "versions": sorted({row["version"] for row in book.rows}),
                "machine": machine(scratch),
                "skipped": {
                    "beside_each_other": "attempts are made one after another: that is the fewest tokens a solved bug; "
                    "what attempts beside each other spend before the first one is verified is not measured",
                    **skipped,
                },
            }
        ),
        flush=True,
    )
