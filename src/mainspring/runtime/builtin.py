"""Two small tools of our own: paging through long answers, and notes that outlive compaction.

Every agent with tools may call them; the model is told of each when there is a use for it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from mainspring.errors import RunNotFoundError, ToolError
from mainspring.label import MODEL
from mainspring.messages import TextPart, decode_part
from mainspring.runtime.state import RunState
from mainspring.store import Store
from mainspring.tool import Tool

READ_RESULT = "read_result"
NOTE = "note"

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
        return "noted"

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
            description="Keep a decision or open work in mind for the whole task; 'done' removes the same text.",
            schema=_NOTE_SCHEMA,
            effect="read",
            authority=(),
            parallel=False,
            label=MODEL,
        ),
    }
    return {name: tool for name, tool in tools.items() if name not in taken}
