"""The table and the object that the repair benchmark prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.output import table
from benchmarks.repair.arms import ARMS
from benchmarks.repair.book import Row
from benchmarks.repair.bugs import MUTATION, RELEASE, Bug

ORIGINS = (MUTATION, RELEASE)


def line(row: Row, bug: Bug, done: int, of: int) -> str:
    """One line of progress."""
    outcome = "solved" if row["solved"] else ("FALSE DONE" if row["false_done"] else "not solved")
    return (
        f"{done:4}/{of} {row['model']:11} {row['arm']:8} {bug['id'][:48]:48} {bug['kind'][:18]:18} {outcome:11} "
        f"{row['tries']:3} tries {row['seconds']:6.1f} s {row['tokens']:6} tokens"
    )


def summary(rows: Sequence[Row], bugs: Sequence[Bug]) -> dict[str, Any]:
    """Sums of one model and arm."""
    origin = {bug["id"]: bug["origin"] for bug in bugs}
    return {
        "bugs": len(rows),
        "solved": sum(r["solved"] for r in rows),
        "solved_by_source": {o: sum(r["solved"] for r in rows if origin[r["bug"]] == o) for o in ORIGINS},
        "of_source": {o: sum(origin[r["bug"]] == o for r in rows) for o in ORIGINS},
        "claimed": sum(r["claimed"] for r in rows),
        "false_done": sum(r["false_done"] for r in rows),
        "tests_touched": sum(r["tests_touched"] for r in rows),
        "tries": sum(r["tries"] for r in rows),
        "seconds": round(sum(r["seconds"] for r in rows), 1),
        "tokens": sum(r["tokens"] for r in rows),
        "versions": sorted({r["version"] for r in rows if "version" in r}),
        "ended_by_budget": sum("token" in r["reason"] or "time is up" in r["reason"] for r in rows),
    }


def report(models: Sequence[str], bugs: Sequence[Bug], results: Sequence[Row], settings: dict[str, Any]) -> None:
    """Print the table, and the object on the last line.

    Only bugs that a model met with both arms are counted for it, so that an unfinished benchmark compares like with
    like; `complete` says whether these are all. The fields at the top are those of the last model that has results.
    """
    detail: dict[str, Any] = {}
    shown: list[list[object]] = []
    ids = {bug["id"] for bug in bugs}
    for model in models:
        rows = [r for r in results if r["model"] == model and r["bug"] in ids]
        met = set.intersection(*({r["bug"] for r in rows if r["arm"] == arm} for arm in ARMS))
        detail[model] = {}
        for arm in ARMS:
            sums = summary([r for r in rows if r["arm"] == arm and r["bug"] in met], bugs)
            detail[model][arm] = sums
            parts = [f"{sums['solved_by_source'][o]} of {sums['of_source'][o]}" for o in ORIGINS]
            solved = f"{sums['solved']} of {sums['bugs']}"
            cost = [sums["false_done"], sums["tries"], round(sums["seconds"]), sums["tokens"]]
            shown.append([model, arm, solved, *parts, *cost])
    head = ["model", "arm", "solved", "slips", "taken-back fixes", "false done", "tries", "seconds", "tokens"]
    print(f"\n{table(head, shown)}")
    best = next((model for model in reversed(models) if detail[model]["bare"]["bugs"]), models[-1])
    bare, harness = detail[best]["bare"], detail[best]["harness"]
    answer = {
        "bugs": bare["bugs"],
        "bare_solved": bare["solved"],
        "harness_solved": harness["solved"],
        "false_done": harness["false_done"],
        "bare_false_done": bare["false_done"],
        "seconds": harness["seconds"],
        "tokens": harness["tokens"],
        "model": best,
        "sources": {
            origin: {
                "bugs": harness["of_source"][origin],
                "bare_solved": bare["solved_by_source"][origin],
                "harness_solved": harness["solved_by_source"][origin],
            }
            for origin in ORIGINS
        },
        "models": detail,
        "complete": all(d[arm]["bugs"] == len(bugs) for d in detail.values() for arm in ARMS),
        "all_bugs": len(bugs),
        "packages": {p: sorted({b["version"] for b in bugs if b["package"] == p}) for p in _packages(bugs)},
        "kinds": sorted({b["kind"] for b in bugs}),
        **settings,
        "skipped": {"swarm_solved": "mending in several working copies at once is not measured"},
    }
    print(json.dumps(answer))


def _packages(bugs: Sequence[Bug]) -> list[str]:
    return sorted({bug["package"] for bug in bugs})
