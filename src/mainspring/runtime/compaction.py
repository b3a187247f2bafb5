"""Compaction: when the context grows too long, its middle is replaced by a digest, and nothing is deleted.

Kept verbatim: the standing orders, the task, what people said and decided, noted decisions and open work, open
doubts, and the last steps. The rest becomes one line a call, plus a summary by the model when it can give one. The
event holds the result, so that the fold needs no model, and `context.restored` undoes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mainspring.messages import Message, ToolResultPart, user
from mainspring.runtime.context import Context, message_chars

#: Characters a token, for estimates before a provider has counted. English and code run at 3 to 4.
CHARS_PER_TOKEN = 3.5
#: Share of the model's window at which the context is compacted, and to which it is brought down.
START_SHARE = 0.75
TARGET_SHARE = 0.4
#: Share of the window that the summary and the digest may each take, and that a fold must gain to be worth its price.
DIGEST_SHARE = 0.08
LEAST_SHARE = 0.2
MAX_DIGEST_CHARS = 12_000

SUMMARY_ORDER = (
    "The conversation has become too long. Summarise the work so far for yourself: what was found, "
    "what was changed (files, values), what failed and why, what remains. Facts only, at most 300 words. "
    "Do not call tools."
)


def plan_compaction(
    plain: Sequence[Message], boundaries: Sequence[int], head: int, window: int
) -> tuple[int, int] | None:
    """Which messages of `plain` to fold: ``(first, end)``, or None when nothing can be folded.

    Args:
        plain: the uncompacted context.
        boundaries: its length at the end of each step.
        head: messages at the front that stay (standing orders and task).
        window: the model's context window in tokens.
    """
    budget = window * TARGET_SHARE * CHARS_PER_TOKEN
    sizes = [message_chars(m) for m in plain]
    spent = sum(sizes[:head])
    cut = len(plain)
    for boundary in reversed([head, *boundaries[:-1]]):
        if boundary < head:
            break
        size = sum(sizes[boundary:])
        if cut != len(plain) and spent + size > budget:
            break
        cut = boundary
    return (head, cut) if cut > head else None


def digest_lines(messages: Sequence[Message], limit: int = MAX_DIGEST_CHARS) -> str:
    """One line a call and a line a saying: what was done, without the model's help."""
    lines: list[str] = []
    results = {part.call_id: part for m in messages for part in m.parts if isinstance(part, ToolResultPart)}
    for message in messages:
        if message.role == "assistant":
            if message.text.strip():
                lines.append(f"- said: {_line(message.text, 160)}")
            for call in message.tool_calls:
                result = results.get(call.id)
                answer = "no answer" if result is None else _line(result.text, 120)
                mark = "FAILED " if result is not None and result.is_error else ""
                arguments = _line(json.dumps(dict(call.arguments), ensure_ascii=False, default=str), 120)
                lines.append(f"- {call.name}({arguments}) -> {mark}{answer} [{call.id}]")
    text = "\n".join(lines)
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - limit:,} characters of this digest left out ...]\n{text[-half:]}"


def compaction_message(payload: dict[str, Any]) -> Message:
    """What stands in the context in place of the folded messages."""
    sections = ["[mainspring] Earlier steps were folded to save room; the journal keeps them all."]
    if payload["persons"]:
        sections.append("What people said and decided, verbatim:\n" + "\n".join(f"- {p}" for p in payload["persons"]))
    if payload["notes"]:
        sections.append("Your notes, verbatim:\n" + "\n".join(f"- {n['kind']}: {n['text']}" for n in payload["notes"]))
    if payload["doubts"]:
        sections.append("Open doubts:\n" + "\n".join(f"- {d}" for d in payload["doubts"]))
    if payload["summary"]:
        sections.append("Your summary:\n" + payload["summary"])
    sections.append("Steps so far (read_result(call_id) shows a whole answer):\n" + payload["digest"])
    return user("\n\n".join(sections))


def fold_compaction(payload: dict[str, Any], plain: Sequence[Message]) -> Context:
    """The context after a compaction event, from the uncompacted one."""
    context = Context()
    context.extend(plain[: payload["first"]])
    context.add(compaction_message(payload))
    context.extend(plain[payload["end"] :])
    return context


def _line(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 3] + "..."
