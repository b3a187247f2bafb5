"""What the journals and the world say, held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.fleet.agents import CLASSES
from benchmarks.fleet.hosts import Blow
from benchmarks.fleet.world import World
from mainspring.errors import MainspringError
from mainspring.store import Event, Store


@dataclass(slots=True)
class Verdict:
    """What must be zero, and what happened on the way."""

    duplicates: int = 0
    lost: int = 0
    unsettled: int = 0
    broken_chains: int = 0
    acted_without_intent: int = 0
    failed: int = 0
    parked: int = 0
    asleep: int = 0
    takeovers: int = 0
    failovers_s: list[float] = field(default_factory=list)
    by_blow: dict[int, list[float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def check(
    store: Store, runs: Sequence[str], steps: int, world: World, blows: Sequence[Blow], lease_s: float
) -> Verdict:
    """Every step of every run was done once, is in its journal, and the run has ended."""
    verdict = Verdict()
    for run_id in runs:
        row = store.row(run_id)
        if row.status != "done":
            verdict.unsettled += 1
            verdict.faults.append(f"{run_id} is {row.status}")
        try:
            store.verify(run_id)
        except MainspringError as error:
            verdict.broken_chains += 1
            verdict.faults.append(str(error))
        events = list(store.events(run_id))
        _acts(verdict, run_id, steps, events, world)
        for number, seconds in _failovers(events, blows, lease_s):
            verdict.failovers_s.append(seconds)
            verdict.by_blow.setdefault(number, []).append(seconds)
        verdict.takeovers += sum(1 for e in events if e.kind == "run.resumed") - 1
        verdict.parked += sum(1 for e in events if e.kind == "effect.parked")
        verdict.asleep += sum(1 for e in events if e.kind == "effect.asleep")
    return verdict


def _acts(verdict: Verdict, run_id: str, steps: int, events: Sequence[Event], world: World) -> None:
    intended = {e.seq: int(e.payload["arguments"]["step"]) for e in events if e.kind == "effect.intended"}
    done = {intended[e.payload["intent"]] for e in events if e.kind == "effect.done" and not e.payload["is_error"]}
    done |= {intended[e.payload["intent"]] for e in events if _confirmed(e)}
    verdict.failed += sum(1 for e in events if e.kind == "effect.done" and e.payload["is_error"])
    for step in range(steps):
        times = len(world.acts.get((run_id, step), ()))
        if CLASSES[step % len(CLASSES)] == "look":
            continue
        if times > 1:
            verdict.duplicates += times - 1
            verdict.faults.append(f"{run_id}: step {step} was done {times} times")
        if times == 0 or step not in done:
            verdict.lost += 1
            verdict.faults.append(f"{run_id}: step {step} was done {times} times, and its journal says {step in done}")
        if times and step not in intended.values():
            verdict.acted_without_intent += 1
            verdict.faults.append(f"{run_id}: step {step} was done without an intent")


def _confirmed(event: Event) -> bool:
    return event.kind == "doubt.answered" and event.payload["answer"] == "happened"


def _failovers(events: Sequence[Event], blows: Sequence[Blow], lease_s: float) -> list[tuple[int, float]]:
    """Number of each blow to the run's owner, and seconds until another process went on with the run."""
    found: list[tuple[int, float]] = []
    owners = [(e.at, int(e.payload["pid"])) for e in events if e.kind in ("run.started", "run.resumed")]
    stops = [e.at for e in events if e.kind in ("run.waiting", "run.paused", "run.ended")]
    for number, blow in enumerate(blows):
        if not blow.pid or 0 < blow.seconds <= lease_s:
            continue  # back before its lease was over, it keeps its runs
        before = [(at, pid) for at, pid in owners if at <= blow.at]
        if not before or before[-1][1] != blow.pid:
            continue
        since = before[-1][0]
        if any(since < at <= blow.at for at in stops):
            continue  # it had let go of the run before
        after = [(at, pid) for at, pid in owners if at > blow.at]
        if after and after[0][1] != blow.pid and not any(blow.at < at < after[0][0] for at in stops):
            found.append((number, after[0][0] - blow.at))
    return found
