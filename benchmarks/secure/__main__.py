"""``python -m benchmarks.secure``: vulnerable snippets found, clean twins left alone, fixes that keep the job done.

The halves ``seen`` and ``held_out`` are split by the names' digests; the scanner may be improved by what it misses in
the first one only.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.output import emit, machine, note, rounded, table
from benchmarks.peers.environment import cache_folder
from benchmarks.secure import peer
from benchmarks.secure.background import background
from benchmarks.secure.functional import Outcome
from benchmarks.secure.measure import Verdict, faults, fix_state, judge, run_tests
from benchmarks.secure.snippets import load

STATES = ("fixed", "broken_by_fix", "attack_works", "still_found", "no_fix", "untested")


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.secure", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument("--peers", action="store_true", help="accepted; bandit is asked in any case")
    parser.add_argument("--quick", action="store_true", help="every fourth snippet")
    parser.add_argument("--detail", type=Path, metavar="FILE", help="what was missed in the seen half, by name")
    options = parser.parse_args()
    snippets = load()[:: 4 if options.quick else 1]
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="secure-") as name:
        scratch = Path(name)
        note(f"scanning {len(snippets)} pairs")
        started = time.perf_counter()
        verdicts = [judge(one, scratch / "scanned") for one in snippets]
        scan_s = time.perf_counter() - started
        note("running the functional tests in the sandbox")
        outcomes = run_tests(verdicts, scratch)
        wrong = faults(verdicts, outcomes)
        if wrong:
            raise SystemExit("these pairs measure nothing:\n" + "\n".join(wrong))
        note("asking bandit")
        (scratch / "bandit").mkdir()
        other = peer.ask(snippets, scratch / "bandit")
        result = figures(verdicts, outcomes)
        result |= compared(verdicts, other)
        result |= {"background": _rounded(background(scratch, options.quick)), "scan_s": rounded(scan_s)}
        result |= {"quick": options.quick, "versions": versions(), "machine": machine(scratch)}
    if options.detail:
        options.detail.write_text(detail(verdicts, outcomes))
    _print(result)
    emit(result)


def figures(verdicts: Sequence[Verdict], outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """What is published; single classes only of the seen half, so that nothing of the other one is told."""
    half = {name: [v for v in verdicts if v.snippet.half == name] for name in ("seen", "held_out")}
    states = Counter(fix_state(one, outcomes) for one in verdicts)
    tried = [o for name, o in outcomes.items() if name.endswith(".bad")]
    return {
        "snippets": len(verdicts),
        "cwe_classes": len({one.snippet.cwe for one in verdicts}),
        **rates(verdicts),
        **{state: states[state] for state in STATES},
        "functional_tests": len(tried),
        "attacks": sum(one.attack is not None for one in tried),
        "tests_skipped": sum(v.snippet.test is not None and not v.snippet.testable for v in verdicts),
        "seen": rates(half["seen"]),
        "held_out": rates(half["held_out"]),
        "per_class_of": "seen",
        "per_class": grouped(half["seen"], lambda v: v.snippet.cwe),
        "languages": grouped(verdicts, lambda v: v.snippet.language),
    }


def rates(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Recall; twins with a finding of any class, of their own class, and with one of medium severity or more."""
    total = max(1, len(verdicts))
    return {
        "pairs": len(verdicts),
        "recall": rounded(sum(v.found for v in verdicts) / total),
        "recall_medium": rounded(sum(any(f.rank >= 2 for f in v.hits) for v in verdicts) / total),
        "false_alarm_rate": rounded(sum(v.alarmed for v in verdicts) / total),
        "own_class_false_alarm_rate": rounded(sum(v.own_alarm for v in verdicts) / total),
        "false_alarm_rate_medium": rounded(sum(any(f.rank >= 2 for f in v.alarms) for v in verdicts) / total),
    }


def grouped(verdicts: Iterable[Verdict], key: Callable[[Verdict], str]) -> dict[str, dict[str, int]]:
    """Counts of pairs, of faults found and of twins with a finding."""
    groups: dict[str, list[Verdict]] = {}
    for one in verdicts:
        groups.setdefault(key(one), []).append(one)
    return {
        name: {"pairs": len(g), "found": sum(v.found for v in g), "false_alarms": sum(v.alarmed for v in g)}
        for name, g in sorted(groups.items())
    }


def compared(verdicts: Sequence[Verdict], other: dict[str, Any]) -> dict[str, Any]:
    """bandit's rates, and ours on the same files."""
    same = [one for one in verdicts if peer.comparable(one.snippet)]
    return {
        "bandit_recall": rounded(other["any"]["recall"]),
        "bandit_false_alarm_rate": rounded(other["any"]["false_alarm_rate"]),
        "bandit": {
            "pairs": other["snippets"],
            "any_severity": _rounded(other["any"]),
            "medium": _rounded(other["medium"]),
            "ours": rates(same),
            "ours_held_out": rates([one for one in same if one.snippet.half == "held_out"]),
        },
    }


def detail(verdicts: Sequence[Verdict], outcomes: dict[str, Outcome]) -> str:
    """What went wrong in the seen half, a line each."""
    lines = [
        "pairs of the seen half: missed, false alarms, fixes that failed; files lie in benchmarks/secure/snippets/NAME/"
    ]
    for one in verdicts:
        if one.snippet.half != "seen":
            continue
        state = fix_state(one, outcomes)
        alarms = "; ".join(f"{f.rule} ({f.cwe}, {f.severity}) line {f.line}" for f in one.alarms)
        error = outcomes[one.snippet.name + ".mended"].error if state == "broken_by_fix" else ""
        found = "found" if one.found else "MISSED"
        lines.append(
            f"{one.snippet.name} {one.snippet.cwe}: {found}, fix: {state} {error}"
            + (f", FALSE ALARM: {alarms}" if alarms else "")
        )
    return "\n".join(lines) + "\n"


def versions() -> dict[str, str]:
    """Of what scans."""
    names = ("mainspring", "bandit", "tree-sitter")
    return {name: importlib.metadata.version(name) for name in names}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {key: rounded(value) if isinstance(value, float) else value for key, value in values.items()}


def _print(result: dict[str, Any]) -> None:
    head = ["", "pairs", "recall", "false alarms", "of own class", "medium or more"]
    fields = ("pairs", "recall", "false_alarm_rate", "own_class_false_alarm_rate", "false_alarm_rate_medium")
    sides = [("all", result), *((name, result[name]) for name in ("seen", "held_out"))]
    sides += [("whole Python files", result["bandit"]["ours"])]
    rows: list[list[object]] = [[name, *(side[one] for one in fields)] for name, side in sides]
    loud, strict = result["bandit"]["any_severity"], result["bandit"]["medium"]
    rows.append(
        [
            "bandit on them",
            result["bandit"]["pairs"],
            loud["recall"],
            loud["false_alarm_rate"],
            loud["own_class_false_alarm_rate"],
            strict["false_alarm_rate"],
        ]
    )
    print(table(head, rows))
    print("\nfixes: " + ", ".join(f"{result[state]} {state}" for state in STATES))
    other = result["background"]["per_1000_lines"]
    print(f"{result['cwe_classes']} classes; other code: {other} findings per 1,000 lines\n")


if __name__ == "__main__":
    main()
