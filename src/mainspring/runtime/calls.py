"""From what the model asked for to a call that may be made: resolved, checked, decided, or refused with a reason."""

from __future__ import annotations

import difflib
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mainspring.errors import ToolError
from mainspring.guard import Argument, Call, CallContext, Decision, Policy, decide, smallest_grant
from mainspring.guard.approving import with_rules
from mainspring.guard.handles import Resolved, argument_labels, resolve
from mainspring.guard.reader import READER
from mainspring.label import JOINED, SYSTEM, Label, join_all
from mainspring.runtime.settings import Settings
from mainspring.runtime.state import CallState, RunState
from mainspring.tool import Tool
from mainspring.value import Value, wrap

#: The tool of a clean run that puts a question to a person.
ASK_PERSON = "ask_person"

#: Longest arguments of one call with its handles filled in, in characters.
MAX_ARGUMENT_CHARS = 64_000_000

_encoder = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that is not made, and what the model is told. `cause` is invalid, unknown or denied."""

    reason: str
    cause: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A call that fits its tool.

    Args:
        arguments: typed values by parameter name.
        resolved: argument -> what was passed, with every handle filled in, its label and its origin.
    """

    tool: Tool
    arguments: dict[str, Any]
    resolved: Mapping[str, Resolved]

    @property
    def plain(self) -> dict[str, Any]:
        """The arguments as JSON data, as a person is shown them."""
        return {name: r.value.plain() for name, r in self.resolved.items()}

    @property
    def label(self) -> Label:
        """The join of the labels of all arguments."""
        return join_all(r.value.whole_label for r in self.resolved.values())

    @property
    def handles(self) -> bool:
        """True when any argument held a handle, or came from a program."""
        return any(r.handles for r in self.resolved.values())


def check_call(call: CallState, tools: Mapping[str, Tool], state: RunState) -> Checked | Refusal:
    """The tool and its typed arguments, or why the call is refused."""
    part = call.part
    tool = tools.get(part.name)
    if tool is None:
        near = difflib.get_close_matches(part.name, list(tools), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        known = ", ".join(sorted(tools)) or "none"
        return Refusal(f"There is no tool {part.name[:100]!r}.{hint} The tools are: {known}.", "unknown")
    if part.invalid is not None:
        return Refusal(
            f"The arguments of {part.name} are no complete JSON object: {part.invalid[:300]!r}. "
            f"Send an object for this schema: {json.dumps(tool.schema)[:600]}",
            "invalid",
        )
    try:
        resolved = resolve_arguments(call, state)
        if state.guard.mode == "clean" and tool.consequential:
            resolved = {n: r if tool.role(n) != "payload" else _defanged(r) for n, r in resolved.items()}
        plain = {name: r.value.plain() for name, r in resolved.items()}
        if any(r.handles for r in resolved.values()) and _characters(plain) > MAX_ARGUMENT_CHARS:
            most = f"{MAX_ARGUMENT_CHARS:,} characters"
            return Refusal(f"With its handles filled in, this call is longer than {most}; pass less of it.", "invalid")
        # What a handle holds must not come back to the planner in the words of a complaint.
        return Checked(tool, tool.validate(plain, quote=not any(r.handles for r in resolved.values())), resolved)
    except ToolError as error:
        return Refusal(str(error), "invalid")


def _defanged(resolved: Resolved) -> Resolved:
    """A message that leaves holds no live link that a hijacked reader may have written into it."""
    label = resolved.value.whole_label
    if READER.sources.isdisjoint(label.sources):
        return resolved
    return replace(resolved, value=_inert(resolved.value))


def _inert(value: Value) -> Value:
    from mainspring.guard.outputs import inert

    if isinstance(value.data, list):
        return Value([_inert(v) for v in value.data], value.label)
    if isinstance(value.data, dict):
        return Value({k: _inert(v) for k, v in value.data.items()}, value.label)
    written = isinstance(value.data, str) and not READER.sources.isdisjoint(value.label.sources)
    return Value(inert(value.data, value.label), value.label) if written else value


def _characters(data: Any) -> int:
    if isinstance(data, str):
        return len(data)
    if isinstance(data, dict):
        data = [*data.keys(), *data.values()]
    return sum(_characters(v) for v in data) if isinstance(data, list) else 8


def resolve_arguments(call: CallState, state: RunState) -> dict[str, Resolved]:
    """A call's arguments by name. Handles are known to clean runs only; elsewhere a text is just a text.

    Raises:
        ToolError: a handle that this run does not have.
    """
    if call.values is not None:
        return {
            n: Resolved(v, call.origins.get(n, "a program"), call.whole.get(n, False), True)
            for n, v in call.values.items()
        }
    if state.guard.mode != "clean":
        return {n: Resolved(wrap(v, {}, call.label), "written by the model", True, False) for n, v in _args(call)}
    resolved = {n: resolve(v, state.guard.value, call.label) for n, v in _args(call)}
    # Whoever chose what the planner does next chose among its handles too.
    steered = frozenset(s for s in call.label.sources if s.startswith("steered:"))
    if not steered:
        return resolved
    chosen = Label(steered)
    return {n: replace(r, value=r.value.joined(chosen)) if r.handles else r for n, r in resolved.items()}


def _args(call: CallState) -> Any:
    return call.part.arguments.items()


def _whole(resolved: Resolved) -> bool:
    """One value as somebody wrote it: neither joined here nor put together by a reader."""
    return resolved.whole and (READER.sources | JOINED.sources).isdisjoint(resolved.value.whole_label.sources)


def question(call: CallState, checked: Checked, state: RunState) -> Call:
    """The call as the guard sees it."""
    tool = checked.tool
    arguments = {
        n: Argument(r.value.plain(), r.value.whole_label, tool.role(n), r.origin, _whole(r))
        for n, r in checked.resolved.items()
    }
    return Call(tool.name, tool.effect, tool.undoable, tool.outside, arguments, tool.server, tool.defaults)


def decide_call(
    call: CallState,
    checked: Checked,
    state: RunState,
    policy: Policy | None,
    settings: Settings,
    promised: Mapping[str, int],
    revoked: frozenset[str],
    tools: Mapping[str, Tool],
) -> Decision:
    """Ask the guard. `promised` counts what each grant covers of calls that are allowed and not yet begun."""
    guard = state.guard
    used = {g: guard.used.get(g, 0) + promised.get(g, 0) for g in {*guard.used, *promised}}
    context = CallContext(
        state.run_id,
        state.agent["name"],
        state.step,
        call.label,
        guard.mode,
        guard.principals,
        tuple(guard.grants),
        used,
        revoked,
        time.time(),
    )
    asked = question(call, checked, state)
    if guard.mode == "clean" and checked.tool.name == ASK_PERSON:
        return _decide_plan(asked, context, settings, tools)
    if settings.policy is not None:
        policy = settings.policy if policy is None else policy.joined(settings.policy)
    decision = decide(asked, context, policy, limits=settings.limits)
    if settings.rules and settings.people is not None:
        decision = with_rules(decision, asked, settings.rules, settings.people)
    return decision


def _decide_plan(asked: Call, context: CallContext, settings: Settings, tools: Mapping[str, Tool]) -> Decision:
    """A question to a person is asked whatever a policy says, of whoever would have to be asked for what it plans."""
    decision = decide(asked, context, Policy(ask=[ASK_PERSON]), limits=settings.limits)
    decision = replace(decision, outcome="deny" if decision.outcome == "deny" else "ask", grant="")
    if settings.people is not None:
        decision = with_rules(decision, asked, settings.rules, settings.people)
    plan = asked.arguments["plan"].value if "plan" in asked.arguments else None
    for planned in plan if isinstance(plan, list) else ():
        name = planned.get("tool") if isinstance(planned, dict) else None
        tool = tools.get(name) if isinstance(name, str) else None
        passed = planned.get("arguments") if isinstance(planned, dict) else None
        if tool is None or not isinstance(passed, dict):
            continue  # the tool itself refuses such a plan
        arguments = {n: Argument(v, SYSTEM, tool.role(n), "the plan") for n, v in passed.items()}
        call = Call(tool.name, tool.effect, tool.undoable, tool.outside, arguments, tool.server, tool.defaults)
        limited = decide(call, context, Policy(allow=[tool.name]), limits=settings.limits)
        if limited.outcome == "deny":
            return Decision("deny", f"of what it plans, {tool.name} is not possible: {limited.reason}")
        if settings.people is not None:
            decision = with_rules(decision, call, settings.rules, settings.people)
    return decision


def approval_payload(call: CallState, checked: Checked, state: RunState) -> dict[str, Any]:
    """What a person is shown of a call: resolved values, where they came from, and the smallest grant for it."""
    return {
        "arguments": checked.plain,
        "origins": {n: r.origin for n, r in checked.resolved.items()},
        "labels": {n: r.value.whole_label.encode() for n, r in checked.resolved.items()},
        "roles": {n: checked.tool.role(n) for n in checked.resolved},
        "diff": _diff(checked.plain),
        "grant": smallest_grant(question(call, checked, state)).encode(),
    }


def _diff(arguments: Mapping[str, Any]) -> str | None:
    """For a call that replaces one text by another: what would change, as a person reads it."""
    old, new = arguments.get("old"), arguments.get("new")
    if not isinstance(old, str) or not isinstance(new, str):
        return None
    return "\n".join(difflib.unified_diff(old.splitlines(), new.splitlines(), "before", "after", lineterm=""))


def denial(tool: str, reason: str) -> str:
    """What the model is told of a call that was denied: a typed answer, with what else is possible."""
    return json.dumps(
        {
            "denied": tool,
            "reason": reason,
            "instead": [
                "another tool, or other arguments, that the task itself names",
                "go on without this call, and say in the answer what was left undone and why",
            ],
        },
        ensure_ascii=False,
    )


def call_digest(state: RunState, call: CallState, checked: Checked | None = None) -> str:
    """What an approval is bound to: this run, this call, its tool, its resolved arguments and their labels."""
    arguments: Any = dict(call.part.arguments)
    bound = [state.run_id, call.part.id, call.part.name, arguments, call.label.encode()]
    resolved = checked.resolved if checked is not None else resolve_arguments(call, state)
    if any(r.handles for r in resolved.values()):
        bound += [{n: r.value.plain() for n, r in resolved.items()}, argument_labels(resolved)]
    return hashlib.sha256(_encoder.encode(bound).encode("utf-8")).hexdigest()


def arguments_digest(arguments: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a call's arguments as canonical JSON."""
    text = _encoder.encode(dict(arguments))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def effect_key(run_id: str, seq: int) -> str:
    """The idempotency key of the intent at `seq`: never the model's own id, which it may repeat."""
    return hashlib.sha256(f"{run_id}/{seq}".encode()).hexdigest()[:40]
