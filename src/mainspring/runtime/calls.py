"""From what the model asked for to a call that may be made: checked, decided, or refused with a reason."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mainspring.errors import ToolError
from mainspring.guard import Argument, Call, CallContext, Decision, Policy, decide
from mainspring.runtime.state import CallState, RunState
from mainspring.tool import Tool

_encoder = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that is not made, and what the model is told. `cause` is invalid, unknown or denied."""

    reason: str
    cause: str


def check_call(call: CallState, tools: Mapping[str, Tool]) -> tuple[Tool, dict[str, Any]] | Refusal:
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
        return tool, tool.validate(part.arguments)
    except ToolError as error:
        return Refusal(str(error), "invalid")


def decide_call(call: CallState, tool: Tool, state: RunState, policy: Policy | None) -> Decision:
    """Ask the guard. The arguments carry the label of everything that the model has seen."""
    arguments = {n: Argument(v, call.label, tool.role(n)) for n, v in call.part.arguments.items()}
    question = Call(tool.name, tool.effect, tool.undoable, tool.outside, arguments)
    return decide(question, CallContext(state.run_id, state.agent["name"], state.step, state.label), policy)


def call_digest(state: RunState, call: CallState) -> str:
    """What an approval is bound to: this run, this call, its tool, arguments and label."""
    text = _encoder.encode([state.run_id, call.part.id, call.part.name, dict(call.part.arguments), call.label.encode()])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def arguments_digest(arguments: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a call's arguments as canonical JSON."""
    text = _encoder.encode(dict(arguments))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def effect_key(run_id: str, seq: int) -> str:
    """The idempotency key of the intent at `seq`: never the model's own id, which it may repeat."""
    return hashlib.sha256(f"{run_id}/{seq}".encode()).hexdigest()[:40]
