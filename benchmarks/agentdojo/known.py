"""What a planner has in hand: the answers so far, field by field, with who wrote each."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.agentdojo.plan import Ref
from benchmarks.agentdojo.words import when
from mainspring.label import Label
from mainspring.value import Step as Key
from mainspring.value import Value

Kind = Literal["system", "attested", "anyone"]


@dataclass(eq=False)
class Answer:
    """A tool's answer, by the plan's step that asked for it."""

    step: int
    tool: str
    arguments: dict[str, Any]
    value: Value

    @functools.cached_property
    def fields(self) -> list[Field]:
        """Every field; a list or an object with its whole label, before what is in it."""
        return list(_fields(self, self.value, ()))

    @property
    def hidden(self) -> list[Field]:
        """The texts in it that a planner does not see."""
        return [f for f in self.fields if f.kind != "system" and isinstance(f.data, str) and f.data]

    @functools.cached_property
    def items(self) -> dict[tuple[Key, ...], list[Field]]:
        """The leaves of each item of the outermost list, by the item's path."""
        found: dict[tuple[Key, ...], list[Field]] = {}
        for field in self.fields:
            if field.leaf:
                found.setdefault(field.item, []).append(field)
        return found

    @functools.cached_property
    def rows(self) -> dict[str, set[tuple[Key, ...]]]:
        """Attested text -> the items that hold it."""
        found: dict[str, set[tuple[Key, ...]]] = {}
        for field in self.fields:
            if field.leaf and field.kind == "attested" and field.item:
                found.setdefault(str(field.data), set()).add(field.item)
        return found


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an answer.

    Args:
        data: plain data; of a list, all of it.
        kind: who wrote it.
        item: the path of the outermost list item that it belongs to.
    """

    answer: Answer
    path: tuple[Key, ...]
    data: Any
    kind: Kind
    item: tuple[Key, ...] = ()

    @property
    def ref(self) -> Ref:
        """How a planner names it."""
        return Ref(self.answer.step, self.path)

    @property
    def pattern(self) -> tuple[Key, ...]:
        """Its path with every number left open."""
        return tuple("[]" if isinstance(k, int) else k for k in self.path)

    @property
    def leaf(self) -> bool:
        """True when it holds no other fields."""
        return not isinstance(self.data, list | dict)


def kind_of(label: Label) -> Kind:
    """Who wrote a value with this label."""
    if not label.trusted:
        return "anyone"
    return "attested" if any(s.startswith("attested:") for s in label.sources) else "system"


def fields(answer: Answer) -> list[Field]:
    """Every field of an answer."""
    return answer.fields


def _fields(answer: Answer, value: Value, path: tuple[Key, ...], item: tuple[Key, ...] = ()) -> Iterator[Field]:
    yield Field(answer, path, value.plain(), kind_of(value.whole_label), item)
    if isinstance(value.data, list):
        for number, below in enumerate(value.data):
            yield from _fields(answer, below, (*path, number), item or (*path, number))
    elif isinstance(value.data, dict):
        for key, below in value.data.items():
            yield from _fields(answer, below, (*path, key), item)


def same(data: Any, wanted: Any) -> bool:
    """Whether a field holds what is wanted: moments however they are written, lists in any order."""
    if isinstance(data, list) and isinstance(wanted, list):
        return bool(data) and sorted(map(str, data)) == sorted(map(str, wanted))
    if isinstance(data, bool) or isinstance(wanted, bool):
        return data is wanted
    if isinstance(data, int | float) and isinstance(wanted, int | float):
        return abs(data - wanted) < 1e-9
    if isinstance(data, str) and isinstance(wanted, str):
        return data == wanted or (when(data) is not None and when(data) == when(wanted))
    return False


def holds(data: Any, wanted: Any) -> bool:
    """Whether a longer text holds what is wanted."""
    if isinstance(data, str) and isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return any(abs(float(n) - wanted) < 1e-9 for n in re.findall(r"\d+(?:\.\d+)?", data))
    return isinstance(data, str) and isinstance(wanted, str) and bool(wanted) and wanted.lower() in data.lower()
