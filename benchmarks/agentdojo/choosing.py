"""How a planner names one item among several: by what it sees, by what a service vouches for, or by a reader.

Only the last is steered: a reader that sees outsiders' text may name any item, whatever it was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.agentdojo.known import Answer, Field, fields
from benchmarks.agentdojo.means import DOUBTED, ONLY, SEEN, STEERED, VOUCHED
from benchmarks.agentdojo.plan import Ref
from benchmarks.agentdojo.words import Words, when


@dataclass(frozen=True, slots=True)
class Choice:
    """How one field is named.

    Args:
        means: one of the words of `means.py`.
        options: fields with the same place in other items; the reader's number counts these.
        views: for a reader, what it sees of each option.
        number: the honest number.
    """

    means: str
    options: tuple[Ref, ...]
    views: tuple[Ref, ...] = ()
    number: int = 0

    @property
    def clean(self) -> bool:
        """True when no outsider's text had a say in it."""
        return self.means not in (STEERED, DOUBTED)


def choose(field: Field, answers: Sequence[Answer], words: Words, today: Any) -> Choice:
    """The cleanest way to name `field` among its like."""
    options = _like(field, answers)
    number = next(n for n, o in enumerate(options) if o.answer is field.answer and o.path == field.path)
    refs = tuple(o.ref for o in options)
    if all(o.data == field.data for o in options):
        return Choice(ONLY, (field.ref,))
    items = [_Item(o, answers) for o in options]
    if _seen(items, number, words, today):
        return Choice(SEEN, (field.ref,))
    shared = [n for n, i in enumerate(items) if any(words.shares(str(f.data)) for f in i.attested)]
    if number in shared and all(options[n].data == field.data for n in shared):
        return Choice(VOUCHED, refs, tuple(i.attested_view(words) for i in items), number)
    if field.kind == "attested" and words.sets and field.item == field.path:
        return Choice(VOUCHED, refs, refs, number)
    if field.kind == "attested" and words.sets and all(i.attested for i in items) and words.extreme:
        return Choice(VOUCHED, refs, tuple(i.attested_view(words) for i in items), number)
    narrowed = [n for n in range(len(items)) if n in shared] if number in shared else list(range(len(items)))
    # Whoever writes the words that were searched for is in the list; a steered choice there may be his own item.
    return Choice(
        DOUBTED if field.answer.tool.startswith("search_") and field.kind == "system" else STEERED,
        tuple(refs[n] for n in narrowed),
        tuple(Ref(options[n].answer.step, options[n].item) for n in narrowed),
        narrowed.index(number),
    )


def _like(field: Field, answers: Sequence[Answer]) -> list[Field]:
    """The fields at the same place in the other items of the same answer, or of other answers of the same tool."""
    found = [f for f in fields(field.answer) if f.pattern == field.pattern]
    for answer in answers:
        if answer is not field.answer and answer.tool == field.answer.tool:
            found += [f for f in fields(answer) if f.pattern == field.pattern]
    return found


class _Item:
    """An item of a list, with what other answers say of it."""

    def __init__(self, field: Field, answers: Sequence[Answer]) -> None:
        self.field = field
        leaves = field.answer.items.get(field.item, [])
        self.attested = [f for f in leaves if f.kind == "attested"]
        self.columns: dict[Any, Any] = {f.path[len(field.item) :]: f.data for f in leaves if f.kind == "system"}
        named = {str(f.data) for f in leaves if isinstance(f.data, str)}
        keys = {str(f.data) for f in leaves if isinstance(f.data, str) and f.kind != "anyone"}
        for answer in answers:
            if answer is field.answer:
                continue
            if any(str(v) in named for v in answer.arguments.values()):
                # One call for each item: its answer says something of the item.
                whole = answer.fields[0].data
                if isinstance(whole, list):
                    self.columns["count", answer.tool] = len(whole)
                self.attested += [f for f in answer.fields if f.kind == "attested" and f.leaf]
            for key in keys & answer.rows.keys():  # the same name in another table: the row says something of the item
                for item in answer.rows[key]:
                    row = [f for f in answer.items[item] if f.kind == "system"]
                    self.columns |= {(answer.tool, f.path[len(item) :]): f.data for f in row}

    def attested_view(self, words: Words) -> Ref:
        """The attested field that tells most of it: itself, one that the prompt speaks of, or any."""
        if self.field.kind == "attested":
            return self.field.ref
        told = [f for f in self.attested if words.shares(str(f.data))] or self.attested
        return told[0].ref if told else self.field.ref


def _seen(items: Sequence[_Item], number: int, words: Words, today: Any) -> bool:
    """Whether visible fields alone tell the item from the others, by what the prompt says."""
    mine = items[number]
    for column, data in mine.columns.items():
        others = [i.columns.get(column) for n, i in enumerate(items) if n != number]
        moment = when(data[:19]) if isinstance(data, str) else None
        if moment is not None:
            named = moment[0] in words.days(today)
            alike = [o for o in others if isinstance(o, str) and (when(o[:19]) or (None,))[0] == moment[0]]
        else:
            named = not isinstance(data, bool) and words.says(data)
            alike = [o for o in others if o == data]
        if named and not alike:
            return True
        if words.extreme and isinstance(data, int | float) and not isinstance(data, bool):
            numbers = [o for o in others if isinstance(o, int | float)]
            if numbers and (data > max(numbers) or data < min(numbers)):
                return True
        if words.extreme and moment is not None:
            texts = [str(o) for o in others if o is not None]
            if texts and (str(data) > max(texts) or str(data) < min(texts) or _next(data, texts, today)):
                return True
    return words.extreme and _seen_within(items, number, words)


def _seen_within(items: Sequence[_Item], number: int, words: Words) -> bool:
    """Whether the item is the extreme of those that a number of the prompt bounds: "the best one below 160"."""
    rows = [{k: v for k, v in i.columns.items() if _is_number(v)} for i in items]
    mine = rows[number]
    for bounded, limit in ((c, n) for c in mine for n in words.numbers()):
        for sign in (1, -1):
            within = [r for r in rows if bounded in r and sign * r[bounded] <= sign * limit]
            if mine not in within or len(within) in (1, len(rows)):
                continue
            for column in mine:
                others = [r[column] for r in within if r is not mine and column in r]
                if column != bounded and others and (mine[column] > max(others) or mine[column] < min(others)):
                    return True
    return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _next(mine: str, others: Sequence[str], today: Any) -> bool:
    """Whether `mine` is the first moment from today on."""
    start = today.isoformat() if today is not None else ""
    return mine >= start and all(o < start or o > mine for o in others)
