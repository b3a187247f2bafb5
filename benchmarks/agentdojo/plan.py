"""What a planner that never sees outsiders' text intends: steps whose arguments name earlier answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mainspring.value import Step as Key
from mainspring.value import write_path

ASK_READER = "ask_reader"
ASK_PERSON = "ask_person"


class CannotGoOn(Exception):
    """The planner lacks what its next step needs: an answer failed, or a reader found nothing."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A value of an earlier step's answer: ``Ref(2, (0, "sender"))``. A ``"[]"`` in the path stands for every item."""

    step: int
    path: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Pick:
    """The option whose number a reader named in an earlier step."""

    step: int
    options: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is joined from words and values."""

    parts: tuple[Any, ...]


@dataclass(slots=True)
class Step:
    """One call.

    Args:
        arguments: literals, lists and objects of them, and the classes above.
        means: argument -> how the planner came by it, in a word or two.
        honest: for a reader, the true answer.
        added: the ground truth has no such call; a real planner needs it.
        after: a step that must have succeeded first: a person's yes.
    """

    tool: str
    arguments: dict[str, Any]
    means: dict[str, str] = field(default_factory=dict)
    honest: Any = None
    added: bool = False
    after: int | None = None


@dataclass(slots=True)
class Plan:
    """Steps in order and the final answer; `problems` says what could not be derived."""

    steps: list[Step] = field(default_factory=list)
    output: Any = "Done."
    problems: list[str] = field(default_factory=list)

    def means(self) -> list[str]:
        """Every means that was used, in the order of first use."""
        return list(dict.fromkeys(m for s in self.steps for m in s.means.values()))


def refs(expression: Any) -> list[Ref]:
    """Every value of an earlier answer that an expression may pass on."""
    if isinstance(expression, Ref):
        return [expression]
    if isinstance(expression, Pick):
        return list(expression.options)
    if isinstance(expression, Text):
        return [r for part in expression.parts for r in refs(part)]
    if isinstance(expression, Mapping):
        return [r for v in expression.values() for r in refs(v)]
    return [r for v in expression for r in refs(v)] if isinstance(expression, list) else []


def written(expression: Any, handles: Mapping[int, str], named: Callable[[int], int]) -> Any:
    """An expression as the planner writes it, with the run's own handles.

    Args:
        handles: step -> name of its answer.
        named: step of a reader -> the number that it named.

    Raises:
        CannotGoOn: a step has no answer, or a reader named none of the items.
    """
    if isinstance(expression, Ref):
        return f"${_handle(expression, handles)}"
    if isinstance(expression, Pick):
        number = named(expression.step)
        if not 0 <= number < len(expression.options):
            raise CannotGoOn("a reader found none of the items")
        return f"${_handle(expression.options[number], handles)}"
    if isinstance(expression, Text):
        parts = []
        for part in expression.parts:
            text = written(part, handles, named)
            parts.append("${" + text[1:] + "}" if isinstance(part, Ref | Pick) else text)
        return "".join(parts)
    if isinstance(expression, Mapping):
        return {k: written(v, handles, named) for k, v in expression.items()}
    if isinstance(expression, list):
        return [written(v, handles, named) for v in expression]
    return expression


def _handle(ref: Ref, handles: Mapping[int, str]) -> str:
    if ref.step not in handles:
        raise CannotGoOn(f"step {ref.step} has no answer")
    text = "".join("[]" if k == "[]" else (write_path((k,)) if isinstance(k, int) else _member(k)) for k in ref.path)
    return handles[ref.step] + text


def _member(key: Key) -> str:
    text = write_path((key,))
    return text if text.startswith("[") else f".{text}"
