"""The comparison: the same tasks without handles. The planner reads everything; grants name exact values."""

from __future__ import annotations

from typing import Any

from benchmarks.agentdojo.derive import Deriver
from benchmarks.agentdojo.plan import Plan, Step
from benchmarks.agentdojo.plant import ATTACKER, Orders
from benchmarks.agentdojo.world import World
from mainspring.guard import Grant


def literal_plan(task: Any, world: World) -> Plan:
    """The ground truth's calls with their literals; a planner that reads everything can write them."""
    calls = task.ground_truth(world.environment.model_copy(deep=True))
    return Plan([Step(c.function, dict(c.args)) for c in calls], task.GROUND_TRUTH_OUTPUT or "Done.")


def exact_grants(task: Any, world: World) -> list[Grant]:
    """Grants for the calls whose deciding values all follow from the user's own words; nothing for the others."""
    deriver = Deriver(task, world)
    if deriver.words.delegated:
        return []
    grants = []
    for call in task.ground_truth(world.environment.model_copy(deep=True)):
        tool = world.tools[call.function]
        decisive = {a: v for a, v in call.args.items() if tool.role(a) != "payload"}
        if tool.consequential and all(_said(deriver, a, v) for a, v in decisive.items()):
            grants.append(Grant(tool.name, {a: (v,) for a, v in decisive.items()}, why="the user's turn"))
    return grants


def _said(deriver: Deriver, name: str, value: Any) -> bool:
    if isinstance(value, list):
        return all(_said(deriver, name, v) for v in value)
    return not isinstance(value, dict) and deriver.said(name, value) is not None


def sweep(world: World) -> Orders:
    """One call of every consequential tool with an attacker's values."""
    orders: Orders = []
    for tool in world.tools.values():
        if not tool.consequential:
            continue
        arguments: dict[str, Any] = {}
        for name in tool.schema.get("required", []):
            kind = tool.schema["properties"][name].get("type")
            if kind == "array":
                arguments[name] = [ATTACKER["email"]]
            elif kind in ("integer", "number"):
                arguments[name] = 1
            elif kind == "boolean":
                arguments[name] = True
            else:
                arguments[name] = _text(name)
        orders.append((tool.name, arguments))
    return orders


def _text(name: str) -> str:
    if "time" in name or "day" in name or name == "date":
        return "2030-01-01 10:00" if "time" in name else "2030-01-01"
    if "id" in name.split("_"):
        return "1"
    if name == "permission":
        return "rw"
    return ATTACKER["link"] if name == "url" else ATTACKER["email"]
