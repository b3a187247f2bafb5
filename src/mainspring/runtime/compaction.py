"""Compaction: when the context grows too long, its middle is replaced by a digest, and nothing is deleted.

Kept verbatim: the standing orders, the task, what people said and decided, noted decisions and open work, open
doubts, and the last steps. The rest becomes one line a call, plus a summary by the model when it can give one. The
event holds the result, so that the fold needs no model, and `context.restored` undoes it. What the event holds is
put together in `handover.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from mainspring.messages import Message, ToolResultPart, user
from mainspring.runtime.context import Context, message_chars

#: Characters a token, for estimates before a provider has counted. English and code run at 3 to 4.
CHARS_PER_TOKEN = 3.5
#: Share of the model's window at which the context is compacted, and to which it is brought down.
START_SHARE = 0.75
TARGET_SHARE = 0.4
#: The last steps keep this share of the window, whatever else has to stay.
RECENT_SHARE = 0.15
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
    plain: Sequence[Message], boundaries: Sequence[int], head: int, window: int, reserved: int = 0
) -> tuple[int, int] | None:
    """Which messages of `plain` to fold: ``(first, end)``, or None when nothing can be folded.

    Args:
        plain: the uncompacted context.
        boundaries: its length at the end of each step.
        head: messages at the front that stay (standing orders and task).
        window: the model's context window in tokens.
        reserved: characters that will stand in place of the folded messages.
    """
    chars = window * CHARS_PER_TOKEN
    room = chars * TARGET_SHARE - reserved - sum(message_chars(m) for m in plain[:head])
    room = max(room, chars * RECENT_SHARE)
    cut, size = len(plain), 0
    for boundary in reversed([head, *boundaries[:-1]]):
        if boundary < head:
            break
        size += sum(message_chars(m) for m in plain[boundary:cut])
        if cut != len(plain) and size > room:
            break
        cut = boundary
    return (head, cut) if cut > head else None


def digest_lines(messages: Sequence[Message], limit: int = MAX_DIGEST_CHARS) -> str:
    """One line a call and a line a saying: what was done, without the model's help.

    When it is too long, a quarter of the room is for how the work began, and the rest for the newest.
    """
    newest = _newest(messages, limit)
    text = "\n".join(line for _, line in newest)
    if len(text) <= limit and (not newest or newest[0][0] == _first(messages)):
        return text
    head: list[str] = []
    room = limit // 4
    for _, line in steps(messages):
        room -= len(line) + 1
        if room < 0:
            break
        head.append(line)
    tail: list[str] = []
    room = limit - limit // 4
    for _, line in reversed(newest):
        room -= len(line) + 1
        if room < 0:
            break
        tail.append(line)
    return "\n".join([*head, "[... steps between are left out; read_notes(of='steps') has them ...]", *reversed(tail)])


def steps(messages: Sequence[Message], wide: int = 0) -> Iterator[tuple[int, str]]:
    """What was said and called: ``(index of the message, line)``. `wide` is how long a text may be; 0 is the digest's.

    An answer is looked for in the messages that follow the call at once.
    """
    said, asked, told = (wide, wide, wide) if wide else (160, 120, 120)
    for index, message in enumerate(messages):
        if message.role != "assistant":
            continue
        if message.text.strip():
            yield index, f"- said: {_line(message.text, said)}"
        calls = message.tool_calls
        if not calls:
            continue
        following = messages[index + 1].parts if index + 1 < len(messages) else ()
        results = {part.call_id: part for part in following if isinstance(part, ToolResultPart)}
        for call in calls:
            result = results.get(call.id)
            answer = "no answer" if result is None else _line(result.text, told)
            mark = "FAILED " if result is not None and result.is_error else ""
            arguments = _line(json.dumps(dict(call.arguments), ensure_ascii=False, default=str), asked)
            yield index, f"- {call.name}({arguments}) -> {mark}{answer} [{call.id}]"


def compaction_message(payload: dict[str, Any]) -> Message:
    """What stands in the context in place of the folded messages."""
    left_out = payload.get("left_out") or {}
    sections = ["[mainspring] Earlier steps were folded to save room; the journal keeps them all."]
    if payload["persons"] or left_out.get("persons"):
        lines = [f"- {p}" for p in payload["persons"]]
        lines += _more(left_out.get("persons", 0), "earlier ones", "people")
        sections.append("What people said and decided, verbatim:\n" + "\n".join(lines))
    if payload["notes"] or left_out.get("notes"):
        lines = [f"- {_numbered(n)}{n['kind']}: {n['text']}" for n in payload["notes"]]
        lines += _more(left_out.get("notes", 0), "earlier decisions or pieces of open work", "notes")
        sections.append("Your notes, verbatim:\n" + "\n".join(lines))
    if payload["doubts"]:
        sections.append("Open doubts:\n" + "\n".join(f"- {d}" for d in payload["doubts"]))
    if payload.get("known"):
        sections.append("What the runtime knows:\n" + "\n".join(f"- {line}" for line in payload["known"]))
    if payload["summary"]:
        sections.append("Your summary:\n" + payload["summary"])
    if payload.get("missing"):
        sections.append("What the summary left out:\n" + "\n".join(f"- {fact}" for fact in payload["missing"]))
    sections.append("Steps so far (read_result(call_id) shows a whole answer):\n" + payload["digest"])
    return user("\n\n".join(sections))


def fold_compaction(payload: dict[str, Any], plain: Sequence[Message]) -> Context:
    """The context after a compaction event, from the uncompacted one."""
    context = Context()
    context.extend(plain[: payload["first"]])
    context.add(compaction_message(payload))
    context.extend(plain[payload["end"] :])
    return context


def _more(count: int, what: str, of: str) -> list[str]:
    return [f"- [{count:,} {what} are not shown; read_notes(of='{of}') has them all]"] if count else []


def _numbered(note: dict[str, Any]) -> str:
    return f"n{note['number']} " if "number" in note else ""


def _newest(messages: Sequence[Message], limit: int) -> list[tuple[int, str]]:
    """The newest lines, a little more of them than `limit` characters; the cost does not grow with the run."""
    found: list[tuple[int, str]] = []
    size, end = 0, len(messages)
    while end > 0 and size <= limit:
        begin = max(0, end - 64)
        while begin > 0 and messages[begin].role != "assistant":
            begin -= 1  # an answer belongs to the call before it
        piece = [(begin + index, line) for index, line in steps(messages[begin:end])]
        size += sum(len(line) + 1 for _, line in piece)
        found[:0] = piece
        end = begin
    return found


def _first(messages: Sequence[Message]) -> int:
    return next((index for index, _ in steps(messages)), -1)


def _line(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 3] + "..."
