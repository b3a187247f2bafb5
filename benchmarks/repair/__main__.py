"""Bugs in real packages, mended by a small model: a bare shell loop against the repair harness.

    uv run python -m benchmarks.repair --model local --resume rows.json --json

Two sources of bugs: slips that a seeded mutator puts into functions of real packages, and functions of a release
put back to their text in the release before, where the release's own tests notice (`bugs.py`).

Both arms have the same model, the same package with the same broken function, the same sandbox and the same budget of
tokens (those that the model reads anew or writes; what comes from its cache is not counted):

* *bare*: one shell command per answer, in the manner of mini-swe-agent (`bare.py`).
* *harness*: `mainspring.code.repair_agent`.

A bug is solved when the package's whole test suite, run by the benchmark itself in a fresh copy with the attempt's
code files, passes, and no test file was touched. False done: the arm said that it is done, and the bug is not solved.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.output import note
from benchmarks.repair.arms import ARMS, Budget, attempt
from benchmarks.repair.book import Book
from benchmarks.repair.bugs import find_bugs
from benchmarks.repair.known import known
from benchmarks.repair.report import line, report
from mainspring.errors import MainspringError

MODELS = {"local": ("local:0.5b", "local:1.5b")}


def main() -> int:
    """Parse the command line, run what is not yet in the results file, print the table and the object.

    Returns 1 when attempts are missing because the model or a package failed; the others are not lost for that.
    """
    options = parse()
    models: tuple[str, ...] = MODELS.get(options.model, (options.model,))
    budget = Budget(options.tokens_per_bug, options.seconds_per_bug)
    book = Book(options.resume)
    key = f"{options.slips}+{options.fixes}/{options.seed}"
    with tempfile.TemporaryDirectory(prefix="mainspring-repair-") as folder:
        scratch = Path(folder)
        if key not in book.bugs:
            bugs = None if options.search else known(scratch, key, options.seed)
            book.bugs[key] = bugs or find_bugs(scratch, options.slips, options.fixes, options.seed, book.sound)
            book.save()
        bugs = book.bugs[key]
        work = [] if options.report else [(m, bug, arm) for m in models for bug in bugs for arm in options.arms]
        failed = 0
        for done, (model, bug, arm) in enumerate(work, 1):
            row = book.find(model, arm, bug, budget.tokens)
            if row is None:
                row = {"model": model, "arm": arm, "bug": bug["id"], "budget": budget.tokens}
                try:
                    row |= attempt(scratch, model, arm, bug, budget)
                except MainspringError as error:
                    failed += 1
                    note(f"no row for {model} {arm} {bug['id']}: {error}")
                    continue
                book.add(row)
            print(line(row, bug, done, len(work)), flush=True)
    settings = {"seed": options.seed, "tokens_per_bug": budget.tokens, "seconds_per_bug": budget.seconds}
    report(models, bugs, [r for r in book.results if r["budget"] == budget.tokens], settings)
    if failed:
        note(f"{failed} attempts could not be made; run the same command again to try them once more")
    return 1 if failed else 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="local", help="a model's name; 'local' means both embedded sizes")
    parser.add_argument("--slips", type=int, default=40, help="bugs of the mutator (default 40)")
    parser.add_argument("--fixes", type=int, default=24, help="fixes of releases taken back (default 24)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS, help="run only these (default: all)")
    parser.add_argument("--seed", type=int, default=11, help="which lines and functions are broken")
    parser.add_argument("--tokens-per-bug", type=int, default=2_000, help="budget of one arm, cached ones not counted")
    parser.add_argument("--seconds-per-bug", type=float, default=900.0, help="time limit of one arm for one bug")
    parser.add_argument("--quick", action="store_true", help="3 bugs, 1,500 tokens each")
    parser.add_argument("--json", action="store_true", help="accepted for uniformity: the object is always printed")
    parser.add_argument("--resume", type=Path, help="results file: written as it goes, and gone on from when it exists")
    parser.add_argument("--search", action="store_true", help="search for the bugs anew, although they are noted")
    parser.add_argument("--report", action="store_true", help="run nothing; report what the results file holds")
    options = parser.parse_args()
    if options.quick:
        options.slips, options.fixes, options.tokens_per_bug = 2, 1, min(options.tokens_per_bug, 1_500)
    return options


if __name__ == "__main__":
    sys.exit(main())
