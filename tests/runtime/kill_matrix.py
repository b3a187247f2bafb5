"""Kill a run of one call at each point that matters, for each class of tool, resume it, and print what was seen.

A program of its own, because it forks: the parent must have neither threads nor an open journal.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.crash import jobs
from benchmarks.crash.lane import NAMES
from benchmarks.crash.plans import Plan
from benchmarks.crash.process import Ended, Kill, Trace, Worker
from benchmarks.crash.witness import Witness
from benchmarks.crash.world import declare
from mainspring import Run
from mainspring.store import open_store

TOOLS = ("look", "charge", "book", "publish")
POINTS = ("intent.before_commit", "intent.committed", "witness.after", "outcome.before_commit", "outcome.committed")


def main(folder: Path) -> dict[str, Any]:
    """Outcomes by "tool at point"."""
    agents = declare()
    trace = Trace(NAMES)
    results = {}
    for tool in TOOLS:
        for point in POINTS:
            name = f"{tool}-{point}"
            witness = Witness(folder / name)
            witness.create()
            home = folder / "home"
            plans = {name: Plan("crash-allows", (((tool, 0),),))}

            def work(job: Any, kill: Kill | None = None, witness: Witness = witness) -> Ended:
                def enter(reach: Any) -> Any:
                    jobs.enter(reach, witness, witness.folder / "acks.log")
                    return job()

                return Worker(enter, trace, kill).wait(60)

            def look_at(name: str = name, home: Path = home, witness: Witness = witness) -> dict[str, Any]:
                run = Run.load(name, home=home)
                facts = witness.facts()
                open_store(home).verify(name)
                return {
                    "status": run.status,
                    "acts": facts.acts[name, 0],
                    "reads": facts.reads[name, 0],
                    "attempts": facts.attempts[name, 0],
                    "keys": len(facts.keys[name, 0] - {"-"}),
                    "pending": [item.kind for item in run.pending()],
                    "settled": [e.payload.get("settled") for e in run.events() if e.kind == "effect.done"],
                }

            def drive(plans: dict[str, Plan] = plans, home: Path = home) -> dict[str, str]:
                return jobs.drive(plans, agents, home)

            killed = work(drive, Kill(point))
            assert killed.how == "killed", killed
            recovered = work(drive)
            assert recovered.how == "ok", recovered
            results[f"{tool} at {point}"] = work(look_at).value
    return results


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
