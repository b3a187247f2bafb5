"""The hand-over from one context to the next: what must be in the new one, what was folded, and what that loses.

A summary is a model's own words and may leave anything out. So what must not be lost does not depend on it: the runtime
puts it into the new context itself, and the report says, by count, what is there, what can still be read, and what is
gone for the model. The journal keeps all of it either way.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mainspring.messages import Message, TextPart, ThinkingPart, ToolResultPart
from mainspring.runtime.compaction import CHARS_PER_TOKEN, compaction_message, digest_lines
from mainspring.runtime.notes import fitting_notes, fitting_people, shown

if TYPE_CHECKING:
    from mainspring.runtime.state import RunState
    from mainspring.store import RunRow

#: Shares of the window for what people said and decided, and for open notes. With both full, a fold still gains.
PEOPLE_SHARE = 0.12
NOTES_SHARE = 0.1
#: Most paths of changed files, and unfinished sub-runs, that are listed.
MAX_LISTED = 60

CHECK_ORDER = (
    "Here is the summary that will stand in place of the earlier steps:\n\n{summary}\n\nWhich facts of the "
    "conversation that the work still needs does it leave out or get wrong: values, files, failures, promises? Answer "
    'only with JSON: {{"missing": ["one fact a line", ...]}}, at most 12, and an empty list when there is none.'
)
_MAX_MISSING = 12
_MAX_MISSING_CHARS = 300


def kept(state: RunState, window: int, children: list[RunRow]) -> dict[str, Any]:
    """The part of a compaction that no model has a say in.

    Args:
        window: the model's context window in tokens.
        children: runs that this one started.
    """
    chars = window * CHARS_PER_TOKEN
    people = fitting_people(state.people, int(chars * PEOPLE_SHARE))
    notes = fitting_notes(state.book, int(chars * NOTES_SHARE))
    return {
        "persons": [p.text for p in people],
        "notes": [{**note, "number": number} for number, note in notes],
        "doubts": [f"{c.part.name}: {c.reason}" for c in state.open_calls if c.stage == "parked"],
        "known": known(state, children),
        "left_out": {"persons": len(state.people) - len(people), "notes": len(state.book) - len(notes)},
    }


def reserved(parts: dict[str, Any], room: int) -> int:
    """About how many characters the message will have, with `room` for each of the summary and the digest."""
    texts = [*parts["persons"], *parts["doubts"], *parts["known"], *(n["text"] for n in parts["notes"])]
    return sum(len(t) + 15 for t in texts) + 2 * room + 500


def known(state: RunState, children: list[RunRow]) -> list[str]:
    """Lines on what the runtime knows of the run: limits, changed files, what is open, who still works for it."""
    lines: list[str] = []
    spent = {"steps": state.step, "tokens": state.usage.tokens, "usd": round(state.usage.usd or 0.0, 4)}
    limits = [f"{spent[n]:,} of {state.limits[n]:,} {n}" for n in spent if state.limits.get(n)]
    if limits:
        lines.append(f"spent: {', '.join(limits)}")
    if state.changed:
        paths = list(state.changed)
        more = f" and {len(paths) - MAX_LISTED:,} earlier ones" if len(paths) > MAX_LISTED else ""
        lines.append(f"changed, newest last: {', '.join(paths[-MAX_LISTED:])}{more}")
    for call in state.open_calls:
        what = {"asked": "waits for a person's yes", "parked": "may or may not have taken effect"}.get(call.stage)
        if what is not None and call.parent is None:
            lines.append(f"{call.part.name} [{call.part.id}] {what}")
    working = [row.id for row in children if row.status not in ("done", "failed", "cancelled")]
    if working:
        more = f" and {len(working) - MAX_LISTED:,} more" if len(working) > MAX_LISTED else ""
        lines.append(f"sub-runs that still work: {', '.join(working[:MAX_LISTED])}{more}")
    if state.book.done:
        lines.append(f"{len(state.book.done):,} of your notes are done; read_notes(of='done') lists them")
    return lines


def report(state: RunState, payload: dict[str, Any]) -> dict[str, Any]:
    """What this hand-over keeps, leaves reachable, and loses for the model, by count.

    ``absent`` must be empty: it names what should stand in the new context and does not. It is looked for in the text
    that the model will read, so that it finds a fault of the code that wrote it.
    """
    folded = state.plain[payload["first"] : payload["end"]]
    text = compaction_message(payload).text
    must = [*payload["persons"], *payload["doubts"], *payload["known"], *payload["missing"]]
    must += [shown((n["number"], n)) for n in payload["notes"]]
    calls = [c for m in folded if m.role == "assistant" for c in m.tool_calls]
    return {
        "messages": len(folded),
        "calls": len(calls),
        "calls_shown": sum(f"[{c.id}]" in payload["digest"] for c in calls),
        "calls_readable": sum(c.id in state.results for c in calls),
        "people": [len(payload["persons"]), len(state.people)],
        "notes": [len(payload["notes"]), len(state.book)],
        "absent": [fact[:200] for fact in must if fact not in text],
        "thinking_chars": sum(len(p.text) for m in folded for p in m.parts if isinstance(p, ThinkingPart)),
        "media": sum(_media(m) for m in folded),
    }


def digest_of(state: RunState, first: int, end: int, room: int) -> str:
    """The digest of the folded messages."""
    return digest_lines(state.plain[first:end], room)


def missing_facts(said: str) -> list[str]:
    """The facts that a model found to be missing from a summary; none when its answer cannot be read."""
    match = re.search(r"\{.*\}", said, re.DOTALL)
    try:
        value = json.loads(match[0] if match is not None else said)
    except (ValueError, RecursionError):
        return []
    facts = value.get("missing") if isinstance(value, dict) else None
    if not isinstance(facts, list):
        return []
    lines = [" ".join(f.split())[:_MAX_MISSING_CHARS] for f in facts if isinstance(f, str) and f.strip()]
    return lines[:_MAX_MISSING]


def _media(message: Message) -> int:
    parts = [q for p in message.parts for q in (p.content if isinstance(p, ToolResultPart) else (p,))]
    return sum(hasattr(p, "media_type") and not isinstance(p, TextPart) for p in parts)
