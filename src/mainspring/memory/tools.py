"""The tools `remember` and `recall`: a model may write notes, and never make one look cleaner than it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mainspring.errors import DeclarationError, ModelError, StoreError, ToolError
from mainspring.label import SYSTEM, Label, join_all
from mainspring.memory.memory import MAX_PER_RUN, open_memory
from mainspring.memory.records import UNLABELLED
from mainspring.memory.scope import Scope
from mainspring.tool import Tool, ToolContext, tool
from mainspring.value import Labelled

if TYPE_CHECKING:
    from mainspring.config import MemorySettings

T = TypeVar("T")

MAX_RECALLED = 20
#: Most notes that are named beside one that they disagree with.
MAX_DISAGREEING = 3
_DAY_S = 86_400

#: Added to a list of records where outsiders wrote some: they had a say in what was found, and in what order.
_STEERED = Label(frozenset({"steered:memory"}))


# Undoable and not outside: nobody is told, a person can forget it, and whatever it says comes back with its label.
@tool(
    effect="write",
    undoable=True,
    outside=False,
    authority=(),
    idempotency="key",
    label=Label(frozenset({"made:remember"})),
    keeps_labels=True,
)
def remember(
    text: str, context: ToolContext, key: str, about: str = "", made_from: list[str] | None = None, days: int = 0
) -> dict[str, Any]:
    """Keep a note for later runs. Write one fact a note, in a sentence that can be understood by itself.

    Args:
        text: what to keep.
        about: its subject in a few words.
        made_from: ids of notes that this one sums up or corrects.
        days: how long to keep it; 0 is for ever.
    """
    if not 0 <= days <= 36_500:
        raise ToolError(f"days must be from 0 (for ever) to 36,500, not {days}")
    given = {"text": text, "about": about, "made_from": made_from, "days": days}
    defaults = {"about": "", "made_from": None, "days": 0}
    passed = [name for name, value in given.items() if name in context.labels or value != defaults.get(name)]
    settings, home = _settings(context)
    longest = settings.ttl if settings.ttl is not None else math.inf
    keep_s = min(days * _DAY_S or math.inf, longest)
    with _attempt(lambda: open_memory(home)) as memory:
        record = _attempt(
            lambda: memory.add(
                text,
                join_all(context.labels.get(name, UNLABELLED) for name in passed),
                about=about,
                scope=Scope.of(context.principal),
                key=key or None,
                run=context.run_id,
                tool="remember",
                parents=made_from or (),
                keep_s=None if keep_s == math.inf else keep_s,
                most=settings.max_records or MAX_PER_RUN,
            )
        )
    return {"id": record.id, "remembered": True}


@tool(effect="read", outside=False, parallel=False, authority=())
def recall(query: str, context: ToolContext, limit: int = 5) -> Labelled:
    """Search the notes of earlier runs. Each comes with its id, subject, text, date and what disagrees with it.

    Args:
        query: words to look for; "" for the newest notes.
        limit: most notes to return, up to 20.
    """
    if not 1 <= limit <= MAX_RECALLED:
        raise ToolError(f"limit must be from 1 to {MAX_RECALLED}, not {limit}")
    scope = Scope.of(context.principal)
    settings, home = _settings(context)
    opened = _attempt(lambda: open_memory(home, meaning=settings.meaning, half_life_s=settings.half_life))
    with opened as memory:
        found = _attempt(lambda: memory.search(query, limit, scope, context.run_id))
        mixed = _attempt(lambda: memory.mixed(scope))
        others = _attempt(lambda: [memory.disagreeing(record, scope) for record in found])
    asked = join_all(context.labels.values()).steering()  # a query chooses records and writes none
    made = Label(frozenset({"made:recall"}))
    labels: dict[str, Label] = {"": join_all([made, asked, _STEERED if mixed else SYSTEM])}
    shown = []
    for number, record in enumerate(found):
        shown.append(
            {
                "id": record.id,
                "about": record.about,
                "text": record.text,
                "written_at": record.written_at,
                "outsider": not record.label.trusted,
                # A note that says otherwise is named, whoever wrote it: which one is right is not for memory to say.
                "disagrees": [{"id": other.id, "why": why} for other, why in others[number][:MAX_DISAGREEING]],
            }
        )
        labels |= _labels_of(f"[{number}]", record.label, labels[""], made)
    return Labelled(shown, labels)


def _labels_of(path: str, label: Label, chosen: Label, made: Label) -> Mapping[str, Label]:
    """A record's texts carry its own label; what memory made of it carries the label of the choice."""
    made = made.join(chosen)
    found = {path: made, f"{path}.about": label, f"{path}.text": label}
    return found | {f"{path}.{name}": made for name in ("id", "written_at", "outsider", "disagrees")}


def memory_tools() -> list[Tool]:
    """Both tools, for `Agent(tools=[...])`."""
    return [remember, recall]


def _settings(context: ToolContext) -> tuple[MemorySettings, Path]:
    """What the configuration of the call's home says of memory, and that home."""
    from mainspring.config import load_config

    if context.home is None:
        raise ToolError("memory needs a home; this call has none")
    try:
        settings = load_config(context.home).memory
    except DeclarationError as error:
        raise ToolError(f"memory cannot be used: {error}") from None
    if not settings.enabled:
        raise ToolError("memory is switched off: [memory] in mainspring.toml says enabled = false")
    return settings, context.home


def _attempt(action: Callable[[], T]) -> T:
    try:
        return action()
    except (StoreError, ModelError) as error:
        raise ToolError(str(error)) from None
