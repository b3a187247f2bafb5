"""``python -m benchmarks.long``: what a task of 2,000 steps loses to compactions, crashes and changed rules.

A scripted model goes through a plant, part by part, in a small context window, and knows only what its context holds.
On the way it notes decisions and open work, a person gives rules and changes them, and the process is killed. Questions
come long after what they ask for. The control is the same task with the runtime's keeping switched off.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.long.plan import GAP, KINDS, Plan, make_plan, score
from benchmarks.long.worker import RUN
from benchmarks.output import emit, machine, note, rounded, table
from benchmarks.peers.environment import cache_folder
from mainspring import Run
from mainspring.runtime.compaction import CHARS_PER_TOKEN

ROOT = Path(__file__).resolve().parents[2]
#: What the runtime keeps word for word, and what it does not.
KEPT = {"facts": ("task", "decision"), "rules": ("order", "said"), "work": ("work",)}


def main() -> None:
    """Run the task and its control, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument("--peers", action="store_true", help="accepted; there is nothing to compare with here")
    parser.add_argument("--quick", action="store_true", help="300 steps")
    parser.add_argument("--steps", type=int, help="steps of the task (2,000; quick: 300)")
    parser.add_argument("--window", type=int, default=12_000, help="the model's window in tokens (12,000)")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    steps = options.steps or (300 if options.quick else 2000)
    plan = make_plan(steps, options.seed)
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="long-") as scratch:
        results = {}
        for mode in ("kept", "control"):
            note(f"{mode}: {plan.steps:,} steps, {plan.crashes} crashes, {plan.steering} messages of a person")
            results[mode] = measure(Path(scratch) / mode, plan, steps, options.seed, options.window, mode)
        result = results["kept"] | {"control": {k: results["control"][k] for k in _SHOWN}}
        result |= {"window_tokens": options.window, "seed": options.seed, "gap_parts": GAP, "skipped": []}
        result |= {"kept_kinds": {k: list(v) for k, v in KEPT.items()}, "not_kept_kinds": ["told"]}
        result["machine"] = machine(Path(scratch))
    _print(result)
    emit(result)


_SHOWN = ("steps", "compactions", "crashes", "facts_lost", "rules_lost", "work_lost", "told_lost", "kinds")


def measure(home: Path, plan: Plan, steps: int, seed: int, window: int, mode: str) -> dict[str, Any]:
    """Do the whole task in `home`, killing and steering as planned, and read the figures from its journal.

    Raises:
        RuntimeError: the run ended in another way than planned.
    """
    began = time.perf_counter()
    home.mkdir()
    chance = random.Random(seed)
    said: set[int] = set()
    killed: set[int] = set()
    spans: list[list[dict[str, Any]]] = []
    while True:
        command = [sys.executable, "-m", "benchmarks.long.worker", str(home), str(steps), str(seed), str(window), mode]
        with subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1, text=True) as worker:
            ended = _accompany(worker, home, plan, said, killed, spans, chance)
        if ended is not None:
            break
        if worker.returncode != -9:
            raise RuntimeError(f"the worker ended with {worker.returncode} and was not killed")
    if ended["status"] != "done":
        raise RuntimeError(f"the run ended {ended['status']}: {ended['reason']}")
    return _figures(Run.load(RUN, home), plan, spans, len(killed)) | {"seconds": rounded(time.perf_counter() - began)}


def _accompany(
    worker: subprocess.Popen[str],
    home: Path,
    plan: Plan,
    said: set[int],
    killed: set[int],
    spans: list[list[dict[str, Any]]],
    chance: random.Random,
) -> dict[str, Any] | None:
    """Stand beside one process: speak and kill where the plan says so. What it said at the end, or None."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    spans.append([])
    for line in worker.stdout:
        value: dict[str, Any] = json.loads(line)
        if "status" in value:
            return value
        spans[-1].append(value)
        number = value["part"]
        part = plan.parts[number]
        if part.said is None and part.kill is None:
            continue
        if part.said is not None and number not in said:
            said.add(number)
            Run.load(RUN, home).send(part.said, by="ann")
        if part.kill == "inside" and number not in killed:
            killed.add(number)
            worker.kill()
            return None
        worker.stdin.write("go\n")
        worker.stdin.flush()
        if part.kill == "after" and number not in killed:
            killed.add(number)
            time.sleep(chance.uniform(0, 0.02))  # somewhere in what follows
            worker.kill()
            return None
    return None


def _figures(run: Run, plan: Plan, spans: list[list[dict[str, Any]]], crashes: int) -> dict[str, Any]:
    events = run.events()
    asked = [e.payload["arguments"] for e in events if e.kind == "effect.intended" and e.payload["tool"] == "answer"]
    answers = {a["question"]: a["text"] for a in reversed(asked)}  # the first one, given when it was asked
    kinds = score(plan, answers, set(str(run.output).removeprefix("open:").split()))
    folds = [e.payload for e in events if e.kind == "context.compacted"]
    measured = [(span[0], span[-1]) for span in spans if len(span) > 1]
    calls = sum(b["calls"] - a["calls"] for a, b in measured)
    cpu_s = sum((b["cpu_s"] - b["model_s"]) - (a["cpu_s"] - a["model_s"]) for a, b in measured)
    sums = [sum(span[-1]["bytes"][i] for span in spans if span) for i in range(4)]
    looked = sum(e.kind == "effect.intended" and e.payload["tool"] == "read_notes" for e in events)
    return {
        "steps": run.steps,
        "compactions": len(folds),
        "crashes": crashes,
        "steering": plan.steering,
        **{f"{name}_lost": sum(kinds[k]["lost"] for k in group) for name, group in KEPT.items()},
        "told_lost": kinds["told"]["lost"],
        "kinds": kinds,
        "notes": {"open": len(run.state.book), "done": len(run.state.book.done)},
        "looked_up": looked,
        "drift_checks": sum(e.kind == "drift.checked" for e in events),
        "absent_after_folds": sum(len(f["handover"]["absent"]) for f in folds),
        "cpu_ms_per_step": rounded(1000 * cpu_s / max(1, calls)),
        "context_tokens_max": round(max(s["chars"] for span in spans for s in span) / CHARS_PER_TOKEN),
        "prefix_reuse": rounded(sums[1] / sums[0], 5) if sums[0] else None,
        "prefix_reuse_overall": rounded(sums[3] / sums[2], 5) if sums[2] else None,
    }


def _print(result: dict[str, Any]) -> None:
    rows = [[kind, *(result["kinds"][kind][f] for f in ("planted", "asked", "lost"))] for kind in KINDS]
    rows = [[*row, result["control"]["kinds"][row[0]]["lost"]] for row in rows]
    print(table(["kind", "planted", "asked", "lost", "lost without keeping"], rows), "\n")
    names = ["steps", "compactions", "crashes", "steering", "facts_lost", "rules_lost", "work_lost", "looked_up"]
    names += ["cpu_ms_per_step", "context_tokens_max", "prefix_reuse", "prefix_reuse_overall", "seconds"]
    print(table(["figure", "value"], [[name, result[name]] for name in names]), "\n")


if __name__ == "__main__":
    main()
