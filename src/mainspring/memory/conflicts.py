"""Which records say otherwise than others on the same subject.

Only what can be told without a model, and told surely enough to be worth a look: the same subject or nearly the same
words, and another number, or a "not" in one of them. It is shown, and decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from mainspring import lexical
from mainspring.memory.records import Record

#: `corrects`: the newer one says that it was made from the older one. The others are guesses.
Why: TypeAlias = Literal["corrects", "numbers", "negation"]

#: Share of the words that two texts must have in common to be about the same, without a subject that says so.
ALIKE = 0.6
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_NOT = re.compile(
    r"\b(?:not|no|never|none|cannot|without|nicht|kein\w*|nie|pas|jamais|aucun\w*|nunca|ningun\w*|sin)\b|n['’]t\b"
    r"|[不没沒未无無非别]|ない|ません|않|없",
    re.IGNORECASE,
)


def disagreements(record: Record, others: Sequence[Record]) -> list[tuple[Record, Why]]:
    """Of these records, those that say otherwise than `record`, newest first, each with what tells it."""
    found: list[tuple[Record, Why]] = [
        (other, why) for other in others if other.id != record.id and (why := disagree(record, other))
    ]
    return sorted(found, key=lambda pair: -pair[0].created_at)


def disagree(one: Record, other: Record) -> Why | None:
    """Why these two cannot both be right as they stand; None when nothing tells."""
    older, newer = sorted((one, other), key=lambda record: record.created_at)
    if older.id in newer.parents and older.about == newer.about and older.about:
        return "corrects"
    if not _same_subject(one, other):
        return None
    numbers, others = set(_NUMBER.findall(one.text)), set(_NUMBER.findall(other.text))
    if numbers and others and not (numbers <= others or others <= numbers):
        return "numbers"
    if bool(_NOT.search(one.text)) != bool(_NOT.search(other.text)) and _alike(one.text, other.text):
        return "negation"
    return None


def _same_subject(one: Record, other: Record) -> bool:
    subject = lexical.words(one.about)
    if subject and subject == lexical.words(other.about):
        return True
    return _alike(one.text, other.text)


def _alike(one: str, other: str) -> bool:
    """Whether two texts have most of their words in common; numbers and negations not counted."""
    first, second = (set(lexical.words(_NOT.sub(" ", _NUMBER.sub(" ", text)))) for text in (one, other))
    return bool(first and second) and len(first & second) >= ALIKE * len(first | second)
