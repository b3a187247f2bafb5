"""Labelled values: JSON data in which every field has a label of its own.

A tool's answer is such a value: its ids may be system-made while its texts were written by strangers. Labels are kept
by path, as `labels_of` gives them and `wrap` takes them; a path is written ``[0].sender`` or, for every item of a list,
``[].sender``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mainspring.errors import ToolError
from mainspring.label import SYSTEM, Label, join_all
from mainspring.messages import Usage

#: Deepest nesting of a labelled value; what is deeper is refused, so that no answer can exhaust the stack.
MAX_DEPTH = 64

#: A member's name, an item's number, or None for every item of a list.
Step: TypeAlias = "str | int | None"
Path: TypeAlias = "tuple[Step, ...]"

_STEP = re.compile(r"\[(\d*)\]|\[(\"(?:[^\"\\]|\\.)*\")\]|\.?([A-Za-z_][A-Za-z0-9_-]*)")


@dataclass(frozen=True, slots=True)
class Value:
    """Data with its label.

    Args:
        data: a JSON scalar, a list of Values, or a dict of Values by text.
        label: of a scalar, who may have written it; of a list or dict, who decided its length and keys.
    """

    data: Any
    label: Label = SYSTEM

    def plain(self) -> Any:
        """The data without labels."""
        if isinstance(self.data, list):
            return [v.plain() for v in self.data]
        if isinstance(self.data, dict):
            return {k: v.plain() for k, v in self.data.items()}
        return self.data

    @property
    def whole_label(self) -> Label:
        """The join of the labels of everything in it."""
        if isinstance(self.data, list):
            return join_all([self.label, *(v.whole_label for v in self.data)])
        if isinstance(self.data, dict):
            return join_all([self.label, *(v.whole_label for v in self.data.values())])
        return self.label

    def at(self, path: Sequence[Step]) -> Value:
        """The value at `path`; raises ToolError, saying which step is not there.

        A step for every item gives the list of what stands there in each, with the labels of just these.
        """
        found = self
        for number, step in enumerate(path):
            data = found.data
            if step is None and isinstance(data, list):
                return Value([item.at(path[number + 1 :]) for item in data], found.label)
            if isinstance(data, dict):
                below = data.get(step)
            else:
                there = isinstance(data, list) and isinstance(step, int) and step < len(data)
                below = data[step] if there and isinstance(step, int) else None
            if below is None:
                at = write_path(path[: number + 1]) or "value"
                raise ToolError(f"there is no {at} in this value ({_rough(data)})")
            found = below
        return found

    def joined(self, label: Label) -> Value:
        """The same value with `label` joined to the label of everything in it."""
        if isinstance(self.data, list):
            return Value([v.joined(label) for v in self.data], self.label.join(label))
        if isinstance(self.data, dict):
            return Value({k: v.joined(label) for k, v in self.data.items()}, self.label.join(label))
        return Value(self.data, self.label.join(label))


@dataclass(frozen=True, slots=True)
class Labelled:
    """What a tool returns when it knows more about its answer than its declaration says.

    Args:
        value: the answer, as any tool may return it.
        labels: path -> label, as :func:`wrap` takes them; the path ``""`` is the answer as a whole.
        usage: what model calls of its own have spent; it counts against the run's limits.
    """

    value: Any
    labels: Mapping[str, Label] = field(default_factory=dict)
    usage: Usage | None = None


def wrap(data: Any, labels: Mapping[str, Label], default: Label = SYSTEM) -> Value:
    """JSON data as a Value. The nearest path above a field decides its label; without one, `default`.

    Raises:
        ToolError: the data is nested deeper than `MAX_DEPTH` (a cycle is).
    """
    return _wrap(data, labels, labels.get("", default), "", "", 0)


def _wrap(data: Any, labels: Mapping[str, Label], label: Label, exact: str, general: str, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise ToolError(f"the value is nested deeper than {MAX_DEPTH} levels, or holds itself")
    label = labels.get(exact, labels.get(general, label)) if exact else label
    if isinstance(data, list | tuple):
        below = [_wrap(v, labels, label, f"{exact}[{n}]", f"{general}[]", depth + 1) for n, v in enumerate(data)]
        return Value(below, label)
    if isinstance(data, Mapping):
        members: dict[str, Value] = {}
        for key, value in data.items():
            step = _member(str(key), bool(exact))
            members[str(key)] = _wrap(
                value, labels, label, exact + step, general + _member(str(key), bool(general)), depth + 1
            )
        return Value(members, label)
    return Value(data, label)


def labels_of(value: Value) -> dict[str, Label]:
    """Path -> label for the value and each field whose label differs from what stands above it."""
    found = {"": value.label}
    for path, label, above in _walk(value, "", value.label):
        if label != above:
            found[path] = label
    return found


def _walk(value: Value, path: str, above: Label) -> Iterator[tuple[str, Label, Label]]:
    if path:
        yield path, value.label, above
    if isinstance(value.data, list):
        for number, item in enumerate(value.data):
            yield from _walk(item, f"{path}[{number}]", value.label)
    elif isinstance(value.data, dict):
        for key, item in value.data.items():
            yield from _walk(item, path + _member(key, bool(path)), value.label)


def _member(key: str, inside: bool) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key):
        return f".{key}" if inside else key
    import json

    return f"[{json.dumps(key, ensure_ascii=False)}]"


def read_path(text: str) -> Path:
    """A path from its text: ``[0].sender``, ``items[2]``, ``[].id`` (every item's), ``["odd key"]``; or ToolError."""
    import json

    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise ToolError(f"{text!r} is no path; write it like [0].sender or items[2].id")
        number, quoted, name = match.groups()
        try:
            if number is not None:
                steps.append(int(number) if number else None)
            else:
                steps.append(json.loads(quoted) if quoted is not None else name)
        except ValueError:  # an escape that JSON does not know, or a number of thousands of digits
            raise ToolError(f"{text[:100]!r} is no path; write it like [0].sender or items[2].id") from None
        at = match.end()
    return tuple(steps)


def write_path(path: Sequence[Step]) -> str:
    """Inverse of :func:`read_path`."""
    text = ""
    for step in path:
        if step is None:
            text += "[]"
        else:
            text += f"[{step}]" if isinstance(step, int) else _member(step, bool(text))
    return text


def _rough(data: Any) -> str:
    """A kind without any length: a planner hears it, and a stranger may have chosen how long a text or list is."""
    return "a list" if isinstance(data, list) else "an object" if isinstance(data, dict) else "no list or object"


def kind_of(data: Any) -> str:
    """What kind of data it is, in a word or two that say nothing of its content."""
    if data is None:
        return "nothing"
    if isinstance(data, bool):
        return "true or false"
    if isinstance(data, int | float):
        return "number"
    if isinstance(data, str):
        return f"text of {len(data):,} characters"
    if isinstance(data, list):
        return f"list of {len(data):,}"
    return f"object with {len(data):,} fields"
