"""How a planner puts a text together: from its own words, what it sees and handles, or by a reader of few fields."""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Sequence
from typing import Any

from benchmarks.agentdojo.choosing import choose
from benchmarks.agentdojo.known import Answer, Field
from benchmarks.agentdojo.plan import Text
from benchmarks.agentdojo.words import Words, tokens, union, when

#: Numbers and ranks that a planner may have counted itself.
_COUNTED = re.compile(r"(?:\d|1[0-2])(?:-?(?:st|nd|rd|th))?\Z")
#: Shortest value that is put into a text as a handle.
_LEAST = 4


def compose(text: str, answers: Sequence[Answer], words: Words, today: Any) -> Any:
    """`text` as a planner can write it: itself, or with handles of vouched-for values in it; None when it cannot."""
    parts: list[Any] = [text]
    for field in _inside(text, answers, words):
        if choose(field, answers, words, today).clean and not choose(field, answers, words, today).views:
            parts = [p for part in parts for p in _split(part, field)]
    left = union(tokens(p) for p in parts if isinstance(p, str)) - tokens(words.prompt) - _visible(answers)
    hidden = union(tokens(f.data) for a in answers for f in a.hidden)
    moments = [p for p in parts if isinstance(p, str) and when(p.strip()) is not None]
    if left & hidden or (moments and left):
        return None
    if len(parts) > 1:
        return Text(tuple(parts))
    # Digits that the planner neither sees, was told nor counts must come from a text, however they are written there.
    told = any(any(c.isdigit() for c in t) and not _COUNTED.match(t) for t in left)
    return None if told and hidden else text


def _inside(text: str, answers: Sequence[Answer], words: Words) -> list[Field]:
    """Values that stand in the text, which the service made or vouches for, the longest first."""
    found: dict[str, Field] = {}
    for answer in answers:
        for field in answer.fields:
            if field.kind == "anyone" or not isinstance(field.data, str) or len(field.data) < _LEAST:
                continue
            if field.data in text and not words.says(field.data):
                found.setdefault(field.data, field)
    return sorted(found.values(), key=lambda f: -len(f.data))


def _split(part: Any, field: Field) -> list[Any]:
    if not isinstance(part, str) or field.data not in part:
        return [part]
    before, _, after = part.partition(field.data)
    return [p for p in (before, field.ref, after) if p != ""]


def _visible(answers: Sequence[Answer]) -> set[str]:
    """What a planner sees, as it may write it: values, days, times, counts, and time between two moments."""
    found: set[str] = set()
    moments: list[datetime.datetime] = []
    for answer in answers:
        for field in answer.fields:
            if isinstance(field.data, list):
                found.add(str(len(field.data)))
            elif field.kind == "system" and not isinstance(field.data, dict | None):
                found |= tokens(str(field.data)) | {str(field.data).lower()}
                if when(field.data) is not None:
                    moment = datetime.datetime.fromisoformat(field.data)
                    moments.append(moment)
                    found |= {moment.date().isoformat(), f"{moment:%H:%M}", f"{moment.hour}:{moment:%M}"}
                elif isinstance(field.data, float) and field.data.is_integer():
                    found.add(str(int(field.data)))
    for one, other in itertools.combinations(moments[:40], 2):
        minutes = abs(int((one - other).total_seconds())) // 60
        if one.date() == other.date():
            found |= {f"{minutes // 60}:{minutes % 60:02d}", f"{minutes // 60:02d}:{minutes % 60:02d}"}
    return found


def cover(text: str, answers: Sequence[Answer], words: Words) -> list[Field]:
    """The fewest places in the answers whose texts hold what `text` has to say; one field stands for its place.

    What is worded anew there is looked for everywhere: all places that hold any hidden text.
    """
    places: dict[Any, list[Field]] = {}
    for answer in answers:
        for field in answer.hidden:
            places.setdefault((answer.step, field.pattern), []).append(field)
    held = {key: union(tokens(f.data) for f in found) for key, found in places.items()}
    needed = tokens(text) - tokens(words.prompt) - _visible(answers)
    chosen: list[Any] = []
    for kinds in (("system", "attested"), ("anyone",)):  # outsiders' texts only for what nothing better tells
        left = {k for k in held if all(f.kind in kinds for f in places[k])}
        while needed and left:
            best = max(sorted(left, key=str), key=lambda k: len(held[k] & needed))
            if not held[best] & needed:
                break
            chosen.append(best)
            needed -= held[best]
    if needed or not chosen:
        chosen = list(places)
    return [places[key][0] for key in chosen]
