"""Verified attempts at the bugs of `benchmarks.repair`: share solved by 1, 4, 8 of them, and tokens per solved bug.

    uv run python -m benchmarks.attempts --model local:0.5b --attempts 1,4,8 --resume rows.jsonl --json

An attempt is a run of the repair harness in a fresh copy of the broken package, under seeds of its own and with a
budget of its own; nothing of an earlier attempt reaches it. Attempts are made in order until one is verified by its
own run of the whole test suite, with no test touched. So one pass with the largest number gives the figures of all
smaller ones: at most 4 attempts are the first 4 of at most 8.

A bug is solved when the first verified attempt is: the suite, run by the benchmark in another fresh copy with the
attempt's code files, passes. An attempt that is verified and not solved ends the bug as falsely verified.

The questions that the harness asks at temperature 0 are the same in each attempt; only the others differ with the seed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.attempts.attempt import attempts
from benchmarks.attempts.report import Book, line, report
from benchmarks.output import note
from benchmarks.repair.arms import Budget
from benchmarks.repair.bugs import find_bugs
from benchmarks.repair.known import known
from mainspring.errors import MainspringError

_SLIPS, _FIXES, _SEED = 40, 24, 11  # the noted bugs of benchmarks.repair


def main() -> int:
    """Parse the command line, make the attempts that are missing, print the table and the object.

    Returns 1 when attempts are missing because the model or a package failed; the others are not lost for that.
    """
    options = parse()
    budget = Budget(options.tokens_per_attempt, options.seconds_per_attempt)
    settings = {"model": options.model, "tokens_per_attempt": budget.tokens, "seconds_per_attempt": budget.seconds}
    book = Book(options.resume, settings)
    most = max(options.attempts)
    with tempfile.TemporaryDirectory(prefix="mainspring-attempts-") as folder:
        scratch = Path(folder)
        found = known(scratch, f"{_SLIPS}+{_FIXES}/{_SEED}", _SEED) or find_bugs(scratch, _SLIPS, _FIXES, _SEED, {})
        bugs = found[: options.bugs]
        failed = 0
        for number, bug in enumerate([] if options.report else bugs, 1):
            try:
                for row in attempts(scratch, options.model, bug, most, budget, book.of(bug), book.add):
                    print(line(row, bug, number, len(bugs)), flush=True)
            except MainspringError as error:
                failed += 1
                note(f"no row for {bug['id']}: {error}")
        skipped = {} if len(bugs) == len(found) else {"bugs": f"the first {len(bugs)} of {len(found)} only"}
        report(bugs, book, options.attempts, scratch, len(found), skipped)
    if failed:
        note(f"{failed} bugs lack attempts that could not be made; run the same command again to try once more")
    return 1 if failed else 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="local:0.5b", help="a model's name (default local:0.5b)")
    parser.add_argument("--attempts", type=_counts, default=(1, 4, 8), help="numbers to report (default 1,4,8)")
    parser.add_argument("--bugs", type=int, default=None, help="only the first so many (default: all 64)")
    parser.add_argument("--tokens-per-attempt", type=int, default=2_000, help="cached ones not counted (default 2000)")
    parser.add_argument("--seconds-per-attempt", type=float, default=900.0, help="time limit of one attempt")
    parser.add_argument("--quick", action="store_true", help="2 bugs, 1 and 2 attempts, 1,000 tokens each")
    parser.add_argument("--json", action="store_true", help="accepted for uniformity: the object is always printed")
    parser.add_argument("--resume", type=Path, help="rows as JSON lines: written as it goes, gone on from if it exists")
    parser.add_argument("--report", action="store_true", help="run nothing; report what the rows file holds")
    options = parser.parse_args()
    if options.quick:
        options.bugs, options.attempts = min(options.bugs or 2, 2), (1, 2)
        options.tokens_per_attempt = min(options.tokens_per_attempt, 1_000)
    if options.bugs is not None and options.bugs < 1:
        parser.error("--bugs must be at least 1")
    return options


def _counts(text: str) -> tuple[int, ...]:
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 1,4,8") from None
    if found[0] < 1:
        raise argparse.ArgumentTypeError(f"{found[0]} attempts are none; begin with 1")
    return found


if __name__ == "__main__":
    sys.exit(main())
