"""What the planner of a clean run sees of a labelled value: its shape, what the service made, and handles for the rest.

A string that anybody outside may have written is never shown, nor is a number or a key that they chose; an attested
string (a sender's address) may carry authority but still carries a stranger's letters, so it stays a handle too.
"""

from __future__ import annotations

import json
from collections.abc import Container
from typing import Any

from mainspring.label import Label, join_all
from mainspring.value import Step, Value, kind_of, write_path

#: Longest system-made text that is shown, in characters; ids, times and file names are shorter.
MAX_SHOWN_CHARS = 200
#: Items of a list, or members of an object, that are shown; the rest is counted.
MAX_SHOWN_ITEMS = 40
#: Longest view, in characters.
MAX_VIEW_CHARS = 6_000


def show(value: Value, name: str, keys: Container[str] = (), *, outer: bool = True) -> str:
    """The view of `value` under the handle `name`.

    Args:
        keys: names of members that the tool's declaration knows; others are shown only when their label is trusted.
        outer: whether the outermost list or object is shown even where a stranger decided how long it is. A tool's
            answer needs it to be of use; what a program built could spell a text in lengths.
    """
    if showable(value) or (isinstance(value.data, list | dict) and (outer or _shaped(value))):
        text = json.dumps(_shown(value, name, (), keys, outer), ensure_ascii=False)
        if len(text) > MAX_VIEW_CHARS:
            text = text[:MAX_VIEW_CHARS] + f" [cut; ${name} is a {_kind(value)}]"
        return f"${name} = {text}"
    return f"${name} is a {_kind(value)}, kept as a handle"


def _kind(value: Value) -> str:
    """What it is; how long a stranger's text is, only roughly: a length is a number that a stranger chose."""
    if _shaped(value):
        return kind_of(value.data)
    data = value.data
    if isinstance(data, str):
        return "long text" if len(data) > MAX_SHOWN_CHARS else "short text"
    return "list" if isinstance(data, list) else "object" if isinstance(data, dict) else kind_of(data)


def _shaped(value: Value) -> bool:
    """Whether no stranger decided how long a list is, or which members an object has."""
    return value.label.trusted


def showable(value: Value) -> bool:
    """True when a planner may see the value itself: no stranger wrote it, and no service passed on what one wrote."""
    data, label = value.data, value.label
    if not label.trusted or any(s.startswith("attested:") for s in label.sources):
        return False  # not even that it is empty: many empty places could spell something
    if isinstance(data, str):
        return len(data) <= MAX_SHOWN_CHARS or not any(s.startswith("made:") for s in label.sources)
    return not isinstance(data, list | dict)


def shown_label(value: Value, keys: Container[str] = (), *, outer: bool = True, inside: bool = False) -> Label:
    """The join of the labels of what :func:`show` lets through: who may read it, and who chose what is there.

    Args:
        inside: whether the value stands within a list.
    """
    data = value.data
    if not isinstance(data, list | dict):
        return value.label if showable(value) else Label()
    if not _shaped(value) and (not outer or (inside and isinstance(data, list))):
        return Label()
    label = Label(frozenset(s for s in value.label.sources if s.startswith("steered:")), value.label.readers)
    if isinstance(data, list):
        inner = [shown_label(item, keys, outer=outer, inside=True) for item in data[:MAX_SHOWN_ITEMS]]
    else:
        inner = [shown_label(item, keys, outer=outer, inside=inside) for item in _members(value, keys).values()]
    return join_all([label, *inner])


def _members(value: Value, keys: Container[str]) -> dict[str, Value]:
    """The members of an object that are shown."""
    known = [(key, item) for key, item in value.data.items() if _known(key, value.label, keys)]
    return dict(known[:MAX_SHOWN_ITEMS])


def _shown(value: Value, name: str, path: tuple[Step, ...], keys: Container[str], outer: bool) -> Any:
    data = value.data
    inside = any(isinstance(step, int) for step in path)
    if isinstance(data, list) and (_shaped(value) or (outer and not inside)):
        items = [_shown(v, name, (*path, n), keys, outer) for n, v in enumerate(data[:MAX_SHOWN_ITEMS])]
        left = len(data) - len(items)
        return [*items, f"... {left:,} more, up to ${name}{write_path((*path, len(data) - 1))}"] if left > 0 else items
    if isinstance(data, dict):
        members: dict[str, Any] = {
            k: _shown(v, name, (*path, k), keys, outer) for k, v in _members(value, keys).items()
        }
        hidden = len(data) - len(members)
        if hidden and not members:
            return f"${name}{_dotted(path)}"
        count = f"{hidden:,} more fields" if _shaped(value) else "more fields"
        return members | ({"...": count} if hidden else {})
    if showable(value):
        return data
    return f"${name}{_dotted(path)}"


def _dotted(path: tuple[Step, ...]) -> str:
    text = write_path(path)
    return text if not text or text.startswith("[") else f".{text}"


def _known(key: str, label: Label, keys: Container[str]) -> bool:
    return key in keys or (label.trusted and not any(s.startswith("attested:") for s in label.sources))
