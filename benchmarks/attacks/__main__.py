"""``python -m benchmarks.attacks``: attacks on whole runs, each with the guard and without it.

Every case is played twice through the real runtime in a home of its own: once guarded, and once as a control in which
the defence is missing, where the attack has to succeed. A judge looks at what really happened: calls of recording
tools, bytes on disk, requests at real servers on this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.attacks import cases as declared
from benchmarks.attacks.world import CASES, Case, Result, play
from benchmarks.output import emit, machine, rounded, table
from benchmarks.peers.environment import cache_folder
from mainspring.tools.sandbox import check

__all__ = ["declared", "main"]


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a case, with the guard and without it. A text instead of a result says what broke."""

    case: Case
    guarded: Result | str
    control: Result | str
    seconds: float

    @property
    def stopped(self) -> bool:
        """The guard held."""
        return isinstance(self.guarded, Result) and not self.guarded.happened

    @property
    def works(self) -> bool:
        """Without the defence the attack succeeds, so that the case shows something."""
        return isinstance(self.control, Result) and self.control.happened


def main() -> None:
    """Play the cases and print what came of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument(
        "--quick", action="store_true", help="without cases that start a sandbox, a server or a process"
    )
    parser.add_argument("--only", action="append", metavar="NAME", help="cases whose name has NAME in it; repeatable")
    parser.add_argument(
        "--list", action="store_true", help="what each case wants and what should hold, and nothing else"
    )
    options = parser.parse_args()
    chosen = [
        c
        for c in CASES.values()
        if (not options.only or any(o in c.name for o in options.only)) and not (options.quick and c.slow)
    ]
    if not chosen:
        raise SystemExit(f"no case has {' or '.join(options.only)} in its name; see --list")
    if options.list:
        print(table(["case", "wants", "what should hold"], [[c.name, c.wants, c.holds] for c in chosen]))
        return
    for name in ("MAINSPRING_CONFIG", "MAINSPRING_HOME", "MAINSPRING_DATABASE_URL"):
        os.environ.pop(name, None)  # no home or configuration of whoever runs this has a part in it
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="attacks-") as scratch:
        played = [*_play_all(chosen, Path(scratch))]
        result = _figures(played, len(CASES) - len(chosen)) | {"machine": machine(Path(scratch))}
    _print(played, result)
    emit(result)
    if result["broken"]:
        raise SystemExit(1)


def _play_all(chosen: list[Case], scratch: Path) -> Iterable[Played]:
    width, began, bar = 30, time.monotonic(), sys.stderr.isatty()
    for number, case in enumerate(chosen):
        if bar:
            done = "#" * (width * number // len(chosen))
            print(f"\r\x1b[K[{done:<{width}}] {number}/{len(chosen)} {case.name}", end="", file=sys.stderr, flush=True)
        elif number % 20 == 0:
            print(f"{number} of {len(chosen)} cases, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        yield played(case, scratch)
    if bar:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def played(case: Case, scratch: Path | None = None) -> Played:
    """A case, with the guard and without it."""
    began = time.monotonic()
    guarded, control = (_attempt(case, on, scratch) for on in (True, False))
    return Played(case, guarded, control, time.monotonic() - began)


def _attempt(case: Case, guarded: bool, scratch: Path | None) -> Result | str:
    said = io.StringIO()  # what a person would be told on the way is no part of the table
    try:
        with contextlib.redirect_stderr(said):
            return play(case, guarded, scratch)
    except Exception as error:  # a case that breaks shows nothing; it is neither stopped nor a control
        return f"{type(error).__name__}: {str(error)[:300]}"


def _figures(played: list[Played], skipped: int) -> dict[str, Any]:
    works, _, _ = check()
    return {
        "cases": len(played),
        "stopped": sum(p.stopped for p in played),
        "let_through": [p.case.name for p in played if isinstance(p.guarded, Result) and p.guarded.happened],
        "controls": sum(p.works for p in played),
        "broken": [p.case.name for p in played if not p.works or isinstance(p.guarded, str)],
        "skipped": skipped,
        "sandbox": works,
        "seconds": rounded(sum(p.seconds for p in played)),
        "detail": {
            p.case.name: {
                "stopped": p.stopped,
                "control": p.works,
                "wants": p.case.wants,
                "holds": p.case.holds,
                "how": _how(p.guarded),
                "control_how": _how(p.control),
                "seconds": rounded(p.seconds, 3),
            }
            for p in played
        },
    }


def _how(result: Result | str) -> str:
    return result if isinstance(result, str) else result.how


def _print(played: list[Played], result: dict[str, Any]) -> None:
    # Left-aligned by hand: the table puts numbers to the right.
    rows = [[p.case.name, p.stopped, p.works, p.seconds, f"{ascii(_how(p.guarded))[1:-1][:90]:<90}"] for p in played]
    print("Attacks on whole runs: stopped by the guard, and as a control without the defence\n")
    print(table(["case", "stopped", "control", "s", "what became of it"], rows))
    print(f"\n{result['stopped']} of {result['cases']} stopped; without the defence {result['controls']} succeed")
    for name in result["let_through"]:
        print(f"LET THROUGH: {name}: {CASES[name].wants}")
    for name in result["broken"]:
        print(f"BROKEN: {name}: its control shows nothing, or it failed: {result['detail'][name]}")
    if not result["sandbox"]:
        print("There is no sandbox on this machine: cases with commands were stopped because no command runs at all.")
    print()


if __name__ == "__main__":
    main()
