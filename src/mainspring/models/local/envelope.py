"""What a small model is asked to write instead of a native tool call, and how it is read.

Models of this size know no tool-call protocol worth relying on, but they write JSON well when a grammar holds them to
it. So each answer is one object: ``{"tool": NAME, "arguments": {...}}`` or ``{"answer": TEXT}``; with more effort,
``"thought"`` comes first. The text has exactly the spaces that `json.dumps` writes, so that an answer read back
from the journal renders to the same bytes and the model's prefix cache holds.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mainspring.messages import Message, Part, TextPart, ThinkingPart, ToolCallPart, ToolResultPart
from mainspring.model import ToolSpec
from mainspring.models.local.pieces import Pieces
from mainspring.models.local.schemas import signature, simplify

_THOUGHT_LETTERS = 400


@dataclass(frozen=True, slots=True)
class Envelope:
    """How one call is put to the model.

    Args:
        tools: what it may call.
        output_schema: a JSON schema of the answer, or None for text.
        thought: whether it writes a short thought first.
        must_call: whether an answer without a tool call is not accepted.
    """

    tools: Sequence[ToolSpec] = ()
    output_schema: Mapping[str, Any] | None = None
    thought: bool = False
    must_call: bool = False

    @property
    def is_plain(self) -> bool:
        """True when the model simply writes text."""
        return not self.tools and self.output_schema is None

    @property
    def is_wrapped(self) -> bool:
        """True when answers are objects with a `tool` or an `answer`."""
        return bool(self.tools)

    def schema(self) -> dict[str, Any] | None:
        """The JSON schema that the model's text has to satisfy, or None for free text."""
        if self.is_plain:
            return None
        if not self.is_wrapped:
            assert self.output_schema is not None
            return simplify(self.output_schema)
        first: dict[str, Any] = {"thought": {"type": "string", "maxLength": _THOUGHT_LETTERS}} if self.thought else {}
        forms = [
            _object({**first, "tool": {"const": tool.name}, "arguments": simplify(tool.schema)}) for tool in self.tools
        ]
        if not self.must_call:
            answer = {"type": "string"} if self.output_schema is None else simplify(self.output_schema)
            forms.append(_object({**first, "answer": answer}))
        return {"anyOf": forms} if len(forms) > 1 else forms[0]

    def instructions(self) -> str:
        """What the model is told about tools; the same bytes for the same tools."""
        if not self.is_wrapped:
            return ""
        first = '"thought": "...", ' if self.thought else ""
        lines = ["Tools:", *(f"- {signature(tool)}" for tool in self.tools)]
        # Worded by measurement: where an answer was offered for "when no tool is needed", the models made facts up
        # instead of looking.
        call = "{" + first + '"tool": "NAME", "arguments": {...}}'
        if self.must_call:
            return "\n".join([*lines, "You act only through tools. Reply with exactly one JSON object:", call])
        value = '"TEXT"' if self.output_schema is None else "RESULT"
        lines += ["You act only through tools. Reply with exactly one JSON object, either a tool call:", call]
        lines.append("or, once the results of your calls are enough to finish, the answer:")
        lines.append("{" + first + f'"answer": {value}' + "}")
        if self.output_schema is not None:
            lines.append("RESULT satisfies this JSON schema: " + json.dumps(simplify(self.output_schema)))
        lines.append("The first reply to a question or a task is a tool call. Only small talk is answered at once.")
        return "\n".join(lines)

    def read(self, text: str, finish: str) -> tuple[tuple[Part, ...], str]:
        """The parts and the finish reason of the model's `text`; `finish` is the engine's own reason."""
        if not self.is_wrapped:
            return (TextPart(text),), finish
        value = _first_object(text)
        if value is None:
            return self._half(text, finish)
        thought = value.get("thought")
        before: tuple[Part, ...] = (ThinkingPart(thought),) if isinstance(thought, str) and thought else ()
        if "tool" in value:
            name, arguments = value["tool"], value.get("arguments", {})
            fine = isinstance(name, str) and isinstance(arguments, dict)
            call = ToolCallPart(
                new_call_id(),
                name if isinstance(name, str) else "",
                arguments if fine else {},
                None if fine else text,
            )
            return (*before, call), "tool_calls"
        answer = value.get("answer", value)
        said = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        return (*before, TextPart(said)), "stop"

    def _half(self, text: str, finish: str) -> tuple[tuple[Part, ...], str]:
        """An answer that was cut short, or is no JSON at all."""
        pieces = Pieces(wrapped=True)
        said = "".join(piece for kind, piece in pieces.feed(text) if kind == "text")
        if pieces.kind == "call":
            name = text.split('"tool": "', 1)[-1].split('"', 1)[0] if '"tool": "' in text else ""
            return (ToolCallPart(new_call_id(), name, {}, text),), finish
        return (TextPart(said or text),), finish

    def write(self, message: Message) -> str:
        """A model's earlier answer as it must have written it."""
        calls = message.tool_calls
        if not self.is_wrapped:
            return "\n".join([message.text, *(_call_text(c, {}) for c in calls)]).strip("\n") if calls else message.text
        thoughts = "".join(part.text for part in message.parts if isinstance(part, ThinkingPart))
        first = {"thought": thoughts} if thoughts and self.thought else {}
        if calls:
            return "\n".join(_call_text(call, first) for call in calls)
        return json.dumps({**first, "answer": self._answer_of(message.text)}, ensure_ascii=False)

    def _answer_of(self, text: str) -> Any:
        """An answer's text as it stood in the envelope: JSON when a schema bound it."""
        if self.output_schema is None:
            return text
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text


def _call_text(call: ToolCallPart, first: Mapping[str, Any]) -> str:
    if call.invalid is not None:
        return call.invalid
    return json.dumps({**first, "tool": call.name, "arguments": dict(call.arguments)}, ensure_ascii=False)


def new_call_id() -> str:
    """An id for a tool call; it never reaches the model, so it does not disturb the prefix cache."""
    return f"call_{secrets.token_hex(6)}"


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _first_object(text: str) -> dict[str, Any] | None:
    """The first whole JSON object in `text`, also inside a code fence; None when there is none."""
    decoder = json.JSONDecoder(strict=False)
    start = text.find("{")
    while start >= 0:
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            return None
        if isinstance(value, dict):
            return value
        start = text.find("{", start + 1)
    return None


def tool_result(part: ToolResultPart, content: str) -> str:
    """A tool's answer as the model reads it."""
    return f"{'Error' if part.is_error else 'Result'} of {part.name}:\n{content}"
