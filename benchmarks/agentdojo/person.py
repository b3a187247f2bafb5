"""Where a plan needs a person: calls that no grant covers are shown together, once, before the first of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.agentdojo.means import DOUBTED, HANDLE, LINK, TOLD, UNKNOWN
from benchmarks.agentdojo.plan import ASK_PERSON, Pick, Plan, Ref, Step, Text, refs
from mainspring.guard import Grant
from mainspring.tool import Tool


def grants_for(task: Any, world: Any, delegated: bool) -> list[Grant]:
    """What the user's own turn gives: the tools that it asks for, and how often, with values that no outsider wrote.

    A turn that leaves the decision what to do to another text gives nothing.
    """
    if delegated:
        return []
    counts: dict[str, int] = {}
    for call in task.ground_truth(world.environment.model_copy(deep=True)):
        tool = world.tools[call.function]
        if tool.consequential and tool.effect != "read":
            counts[tool.name] = counts.get(tool.name, 0) + 1
    return [Grant(name, {}, count, why="the user's turn") for name, count in counts.items()]


def needs_person(step: Step, tool: Tool, granted: bool) -> bool:
    """Whether the guard will ask about a call, as far as its planner can tell, or the planner itself is in doubt."""
    if not tool.consequential:
        return False
    decisive = {m for a, m in step.means.items() if tool.role(a) != "payload"}
    if any(m.endswith(DOUBTED) for m in decisive):
        return True
    if tool.effect == "read":  # an outsider's address may be opened as it stands
        return bool(decisive & {TOLD, UNKNOWN})
    return not granted or bool(decisive & {TOLD, HANDLE, LINK, UNKNOWN})


def with_person(plan: Plan, tools: Mapping[str, Tool], granted: bool) -> Plan:
    """The plan with one question to a person, when several calls need one or a value has to come from a person."""
    asked = [n for n, s in enumerate(plan.steps) if s.tool in tools and needs_person(s, tools[s.tool], granted)]
    own = [n for n in asked if any(m == UNKNOWN or m.endswith(DOUBTED) for m in plan.steps[n].means.values())]
    if len(asked) < 2 and not own:
        return plan
    together = _with_question(plan, tools, asked)
    if together is not None:
        return together
    # Some value is only there after a call that needs the person itself: the guard asks about the others as they come.
    for number in reversed(own):
        plan = _with_question(plan, tools, [number]) or plan
    return plan


def _with_question(plan: Plan, tools: Mapping[str, Tool], asked: list[int]) -> Plan | None:
    """The plan with one question about these steps before the first of them; None when their values come too late."""
    at = asked[0]
    shown, early = [], []
    for number in asked:
        step = plan.steps[number]
        decisive = {a: e for a, e in step.arguments.items() if tools[step.tool].role(a) != "payload"}
        needed = {r.step for e in decisive.values() for r in refs(e)} | _readers(decisive)
        early += [n for n in sorted(_all(needed, plan)) if n >= at and n not in early]
        shown.append({"tool": step.tool, "arguments": decisive, "count": 1})
    if any(plan.steps[n].tool in tools and tools[plan.steps[n].tool].consequential for n in early):
        return None
    order = [*range(at), *sorted(early), -1, *(n for n in range(at, len(plan.steps)) if n not in early)]
    moved = {old: new for new, old in enumerate(order) if old >= 0}
    question = Step(ASK_PERSON, {"question": "The task leaves this to somebody else's text. May I?", "plan": shown})
    steps = [question if n < 0 else plan.steps[n] for n in order]
    done = [
        replace(
            s,
            arguments={a: _moved(e, moved) for a, e in s.arguments.items()},
            after=None if s.after is None else moved[s.after],
        )
        for s in steps
    ]
    for number in asked:
        done[moved[number]].after = order.index(-1)
    return Plan(done, _moved(plan.output, moved), plan.problems)


def _readers(arguments: Any) -> set[int]:
    if isinstance(arguments, Pick):
        return {arguments.step}
    if isinstance(arguments, Mapping):
        return set().union(*(_readers(v) for v in arguments.values())) if arguments else set()
    return set().union(*(_readers(v) for v in arguments)) if isinstance(arguments, list) and arguments else set()


def _all(steps: set[int], plan: Plan) -> set[int]:
    """These steps and all that their arguments come from."""
    found: set[int] = set()
    waiting = list(steps)
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            arguments = plan.steps[number].arguments
            waiting += [r.step for e in arguments.values() for r in refs(e)] + list(_readers(arguments))
    return found


def _moved(expression: Any, moved: Mapping[int, int]) -> Any:
    if isinstance(expression, Ref):
        return Ref(moved[expression.step], expression.path)
    if isinstance(expression, Pick):
        return Pick(moved[expression.step], tuple(Ref(moved[o.step], o.path) for o in expression.options))
    if isinstance(expression, Text):
        return Text(tuple(_moved(p, moved) for p in expression.parts))
    if isinstance(expression, Mapping):
        return {k: _moved(v, moved) for k, v in expression.items()}
    return [_moved(v, moved) for v in expression] if isinstance(expression, list) else expression
