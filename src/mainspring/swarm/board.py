"""A board that siblings share, if their creator's declaration says so: short notes, each under its writer's label."""

from __future__ import annotations

import time
from typing import Any

from mainspring.errors import StoreError, ToolError
from mainspring.label import Label
from mainspring.runtime.bounds import Bounds
from mainspring.store import Kept, Store, open_store
from mainspring.tool import ToolContext, tool
from mainspring.value import Labelled

KIND = "board"
#: Longest note in characters, most notes of one writer, and most notes that are read at once.
MAX_NOTE_CHARS = 2_000
MAX_NOTES = 50
MAX_READ = 200


# Undoable and not outside: nobody but siblings is told, and it comes back under the label that it was written with.
@tool(
    effect="write",
    undoable=True,
    outside=False,
    authority=(),
    idempotency="key",
    keeps_labels=True,
    label=Label(frozenset({"made:post_note"})),
)
def post_note(text: str, context: ToolContext, key: str) -> dict[str, Any]:
    """Leave a short note for the others who work on parts of the same task."""
    if not text.strip():
        raise ToolError("the note is empty")
    if len(text) > MAX_NOTE_CHARS:
        raise ToolError(
            f"the note has {len(text):,} characters; at most {MAX_NOTE_CHARS:,}. Put the rest in your answer"
        )
    store, board = _board(context)
    mine = [n for n in _notes(store, board) if n.body["by"] == context.run_id]
    name = f"{board}/{key}"
    if not any(n.name == name for n in mine):  # else the process died after it was written
        if len(mine) >= MAX_NOTES:
            raise ToolError(f"you have left {MAX_NOTES} notes, which is the most; put the rest in your answer")
        label = context.labels.get("text", Label(frozenset({"tool:post_note"})))
        body = {"text": text, "by": context.run_id, "label": label.encode(), "at": time.time()}
        try:
            store.keep(KIND, name, body, version=0)
        except StoreError as error:
            if store.kept(KIND, name) is None:
                raise ToolError(str(error)) from None
    return {"notes": len(_notes(store, board))}


@tool(
    effect="read", authority=(), fields={"[].by": "system", "[].at": "system"}, label=Label(frozenset({"made:board"}))
)
def read_board(context: ToolContext) -> Labelled:
    """Read the notes that the others who work on parts of the same task have left."""
    store, board = _board(context)
    notes = sorted(_notes(store, board), key=lambda n: (n.body["at"], n.name))[-MAX_READ:]
    said = [{"by": n.body["by"], "at": n.body["at"], "text": n.body["text"]} for n in notes]
    return Labelled(said, {f"[{i}].text": Label.decode(n.body["label"]) for i, n in enumerate(notes)})


BOARD_TOOLS = (post_note, read_board)


def board_name(run_id: str, intent: int) -> str:
    """The name of the board of one call."""
    return f"{run_id}.{intent}"


def _board(context: ToolContext) -> tuple[Store, str]:
    if context.home is None or not context.run_id:
        raise ToolError("there is no board here: only sub-agents of a run share one")
    store = open_store(context.home)
    first = store.event(context.run_id, 1)
    bounds = Bounds.decode(first.payload.get("bounds"))
    creator, intent = bounds.parent, bounds.cause.get("intent")
    if creator is None or not intent:
        raise ToolError("there is no board here: only sub-agents of a run share one")
    prepared = store.event(creator, intent).payload.get("prepared") or {}
    if not prepared.get("board"):
        raise ToolError("there is no board here: whoever started you declared none")
    return store, board_name(creator, intent)


def _notes(store: Store, board: str) -> list[Kept]:
    return store.all_kept(KIND, prefix=board + "/", limit=100_000)
