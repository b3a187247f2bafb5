"""Small tools of our own: paging through long answers, notes that outlive compaction, and reading what was folded.

Every agent with tools may call them; the model is told of each when there is a use for it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from mainspring.errors import RunNotFoundError, ToolError
from mainspring.label import MODEL
from mainspring.messages import TextPart, decode_part
from mainspring.runtime.compaction import steps
from mainspring.runtime.notes import MAX_NOTE_CHARS, MAX_OPEN, shown
from mainspring.runtime.state import RunState
from mainspring.store import Store
from mainspring.tool import Tool

READ_RESULT = "read_result"
NOTE = "note"
READ_NOTES = "read_notes"

#: Characters of conversation from which a model is told of `note`: far below what any model's window makes us fold.
NOTE_FROM_CHARS = 20_000
_PAGE = 8_000

_READ_SCHEMA = {
    "type": "object",
    "properties": {
        "call_id": {"type": "string"},
        "offset": {"type": "integer", "minimum": 0, "default": 0},
    },
    "required": ["call_id"],
    "additionalProperties": False,
}
_NOTE_SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": ["decision", "todo", "done"]},
        "text": {"type": "string"},
    },
    "required": ["kind", "text"],
    "additionalProperties": False,
}
_READ_NOTES_SCHEMA = {
    "type": "object",
    "properties": {
        "of": {"type": "string", "enum": ["notes", "done", "people", "steps"]},
        "query": {"type": "string", "default": "", "description": "only lines with all of these words"},
        "offset": {"type": "integer", "minimum": 0, "default": 0},
    },
    "required": ["of"],
    "additionalProperties": False,
}
#: Characters of a page of `read_notes`: small enough for a small model's window.
_NOTES_PAGE = 4_000
#: Longest piece of one saying, argument or answer in a line of `read_notes(of="steps")`.
_WIDE = 2_000


def builtin_tools(store: Store, state: RunState, taken: Container[str] = ()) -> dict[str, Tool]:
    """The tools for one run, by name, without those whose name the agent has `taken`."""

    async def read_result(call_id: str = "", offset: Any = 0) -> str:
        seq = state.results.get(call_id)
        if seq is None:
            raise ToolError(f"no answer has the call id {call_id!r}; it stands in brackets behind a shortened answer")
        if not isinstance(offset, int) or offset < 0:
            raise ToolError(f"offset must be a whole number from 0, not {offset!r}")
        try:
            payload = store.event(state.run_id, seq).payload
        except RunNotFoundError:
            raise ToolError("this answer belongs to the current step; it can be read in the next one") from None
        if "content" in payload:
            parts = [decode_part(p) for p in payload["content"]]
            text = "\n".join(p.text for p in parts if isinstance(p, TextPart))
        else:
            text = str(payload.get("reason") or payload.get("value") or "")
        if offset >= len(text):
            raise ToolError(f"the answer has {len(text):,} characters; offset {offset:,} lies behind its end")
        page = text[offset : offset + _PAGE]
        end = offset + len(page)
        rest = f"\n[{len(text) - end:,} more characters; go on with offset={end}]" if end < len(text) else ""
        return page + rest

    async def note(kind: str = "", text: str = "") -> str:
        if kind not in ("decision", "todo", "done"):
            raise ToolError(f"kind must be 'decision', 'todo' or 'done', not {kind!r}")
        if not isinstance(text, str) or not text.strip():
            raise ToolError("text is empty; write what is to be kept")
        if kind == "done":
            if state.book.find(text) is None and len(state.book):
                near = "; ".join(state.book.near(text)) or "read_notes(of='notes') lists them"
                raise ToolError(f"no open note says {text[:200]!r}; give its text or number. Open: {near}")
            return "noted"
        if len(text) > MAX_NOTE_CHARS:
            raise ToolError(f"a note has at most {MAX_NOTE_CHARS:,} characters, not {len(text):,}; keep one fact each")
        if len(state.book) >= MAX_OPEN:
            raise ToolError(f"{MAX_OPEN:,} notes are open; say which are done before you write more")
        return f"noted as n{state.book.count + 1}"

    def lines(of: str) -> Iterator[str]:
        if of == "notes":
            yield from (shown(note) for note in state.book.open())
        elif of == "done":
            yield from (shown(note) for note in state.book.done)
        elif of == "people":
            yield from (person.text for person in state.people)
        else:
            yield from (line.removeprefix("- ") for _, line in steps(state.plain, _WIDE))

    async def read_notes(of: str = "", query: Any = "", offset: Any = 0) -> str:
        if of not in ("notes", "done", "people", "steps"):
            raise ToolError(f"of must be 'notes', 'done', 'people' or 'steps', not {of!r}")
        if not isinstance(offset, int) or offset < 0:
            raise ToolError(f"offset must be a whole number from 0, not {offset!r}")
        words = str(query).casefold().split()
        found = [line for line in lines(of) if all(word in line.casefold() for word in words)]
        if offset >= len(found):
            return f"{len(found):,} lines" + (f" with {query!r}" if words else "") + f"; none from offset {offset:,} on"
        page: list[str] = []
        room = _NOTES_PAGE
        for line in found[offset:]:
            room -= len(line) + 1
            if room < 0 and page:
                break
            page.append(line)
        end = offset + len(page)
        rest = f"\n[{len(found) - end:,} more lines; go on with offset={end}]" if end < len(found) else ""
        past = "[as it was then; read_notes(of='notes') has what holds now]\n" if of == "steps" else ""
        return past + "\n".join(page) + rest

    tools = {
        READ_RESULT: Tool.from_schema(
            read_result,
            name=READ_RESULT,
            description="Read on in an answer that was shortened.",
            schema=_READ_SCHEMA,
            effect="read",
            authority=(),
            label=MODEL,
        ),
        NOTE: Tool.from_schema(
            note,
            name=NOTE,
            description="Keep a decision or open work in mind for the whole task; 'done' closes the note of that text.",
            schema=_NOTE_SCHEMA,
            effect="read",
            authority=(),
            parallel=False,
            label=MODEL,
        ),
        READ_NOTES: Tool.from_schema(
            read_notes,
            name=READ_NOTES,
            description="Read all open or done notes, what people said, or the steps so far, also those folded.",
            schema=_READ_NOTES_SCHEMA,
            effect="read",
            authority=(),
            label=MODEL,
        ),
    }
    return {name: tool for name, tool in tools.items() if name not in taken}
