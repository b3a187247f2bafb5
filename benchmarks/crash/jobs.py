"""What the forked processes do: drive runs, answer for a person, and audit."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.crash.plans import Plan
from benchmarks.crash.witness import Witness
from benchmarks.crash.world import Place, acknowledge
from mainspring import Agent, Run, points
from mainspring.errors import ApprovalError, LeaseLostError, RunNotFoundError, StoreError

Reach = Callable[[str], None]


def enter(reach: Reach, witness: Witness, acks: Path) -> None:
    """Tell this process where it acts and what watches its points."""
    Place.witness, Place.acks, Place.reach = witness, acks, reach
    points.hook = reach


def payload_digest(payload: dict[str, Any]) -> str:
    """A short fingerprint of an event's payload, the same before and after the journal."""
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:16]


def drive(plans: dict[str, Plan], agents: dict[str, Agent], home: Path) -> dict[str, str]:
    """Start or resume all runs side by side until each ends or waits; returns their statuses."""
    return asyncio.run(_drive(plans, agents, home))


async def _drive(plans: dict[str, Plan], agents: dict[str, Agent], home: Path) -> dict[str, str]:
    statuses = await asyncio.gather(
        *(_drive_one(run_id, plan, agents[plan.agent], home) for run_id, plan in plans.items())
    )
    return dict(zip(plans, statuses, strict=True))


async def _drive_one(run_id: str, plan: Plan, agent: Agent, home: Path) -> str:
    def watch(event: Any) -> None:
        if event.seq is not None:
            acknowledge(f"event {run_id} {event.seq} {event.kind} {payload_digest(event.payload)}")

    try:
        try:
            run = Run.load(run_id, home=home)
        except RunNotFoundError:
            run = await agent.run(plan.task, run_id=run_id, home=home, on_event=watch)
        else:
            await run.resume(agent, on_event=watch)
    except LeaseLostError:  # another process drives it; RunBusyError is one of these
        return "busy"
    except StoreError as error:
        if "exists already" in str(error):  # another process began it between our two questions
            return "busy"
        raise
    acknowledge(f"status {run_id} {run.status}")
    return str(run.status)


def answer(plans: dict[str, Plan], home: Path, witness: Witness) -> dict[str, Any]:
    """Be the person: approve or deny what waits, and settle doubts by looking at the witness."""
    answered, twice = 0, 0
    doubts: list[list[Any]] = []
    for run_id, plan in plans.items():
        try:
            pending = Run.load(run_id, home=home).pending()
        except RunNotFoundError:
            continue
        for item in pending:
            n = int(item.arguments["n"])
            try:
                if item.kind == "approval":
                    if plan.denied(n):
                        item.deny(by="ann", reason="not this one")
                    else:
                        item.approve(by="ann")
                    try:
                        item.approve(by="eve")
                    except ApprovalError:
                        pass
                    else:
                        twice += 1
                else:
                    doubts.append([run_id, n, item.id])
                    if n % 13 == 12:
                        item.settle("abort", by="ann")
                    elif witness.acted(run_id, n):
                        item.settle("happened", by="ann", value="a person saw it")
                    else:
                        item.settle("did_not", by="ann")
                answered += 1
            except ApprovalError:
                pass  # the person's other window was faster, or a killed one had answered already
    return {"answered": answered, "answered_twice": twice, "doubts": doubts}
