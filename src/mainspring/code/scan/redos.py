"""Patterns whose matching time can grow exponentially with the text: nested or overlapping repetition."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Sequence
from typing import Any

__all__ = ["explosive"]

# Python's own parser of patterns; the type checkers know nothing of it.
c: Any = importlib.import_module("re._constants")
parser: Any = importlib.import_module("re._parser")

_LONGEST = 2000
_MANY = 10
#: ASCII; then letters and digits beyond it, and everything else beyond it.
_WORD, _OTHER = 128, 129
_ALL = frozenset(range(130))


def explosive(pattern: str) -> str:
    """Why a pattern may take exponential time, "" when no reason was found.

    Found are an unlimited repetition directly within another one that may match the same text in two ways
    (``(a+)+``), and one of alternatives that begin alike (``(a|a)*``).
    """
    if len(pattern) > _LONGEST:
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _look(parser.parse(pattern), 0)
    except (RecursionError, ValueError, OverflowError, re.error):
        return ""


def _look(items: Any, depth: int) -> str:
    if depth > 40:
        return ""
    for operator, argument in items:
        if operator in (c.MAX_REPEAT, c.MIN_REPEAT):
            _, most, body = argument
            if most is c.MAXREPEAT or most > _MANY:
                why = _ambiguous(body)
                if why:
                    return why
        for part in _within(operator, argument):
            found = _look(part, depth + 1)
            if found:
                return found
    return ""


def _within(operator: Any, argument: Any) -> list[Any]:
    if operator in (c.MAX_REPEAT, c.MIN_REPEAT):
        return [argument[2]]
    if operator is c.SUBPATTERN:
        return [argument[3]]
    if operator is c.BRANCH:
        return list(argument[1])
    if operator in (c.ASSERT, c.ASSERT_NOT):
        return [argument[1]]
    return []


def _flat(items: Any) -> list[Any]:
    """The items of a sequence with groups that do nothing taken off."""
    out: list[Any] = []
    for operator, argument in items:
        if operator is c.SUBPATTERN:
            out += _flat(argument[3])
        else:
            out.append((operator, argument))
    return out


def _ambiguous(body: Any) -> str:
    items = _flat(body)
    if len(items) == 1 and items[0][0] is c.BRANCH:
        firsts: list[frozenset[int]] = []
        for branch in items[0][1][1]:
            branch_items = _flat(branch)
            inner = _ambiguous(branch_items)
            if inner:
                return inner
            first = _first(branch_items)
            if len(branch_items) <= 1 and any(first & other for other in firsts):
                return "alternatives within a repetition match the same text"
            if len(branch_items) <= 1:
                firsts.append(first)
        return ""
    unlimited = [i for i, item in enumerate(items) if _endless(item)]
    if not unlimited:
        return ""
    # (x+)+ and (x*y?)*: nothing that must be there stands between one round's end and the next one's beginning.
    for place in unlimited:
        own = _first([items[place]])
        others = [item for i, item in enumerate(items) if i != place]
        needed = [_first([item]) for item in others if not _optional(item)]
        if all(own & first for first in needed):
            return "a repetition within a repetition matches the same text in many ways"
    return ""


def _endless(item: Any) -> bool:
    operator, argument = item
    return operator in (c.MAX_REPEAT, c.MIN_REPEAT) and (argument[1] is c.MAXREPEAT or argument[1] > _MANY)


def _optional(item: Any) -> bool:
    operator, argument = item
    return operator is c.AT or (operator in (c.MAX_REPEAT, c.MIN_REPEAT) and argument[0] == 0)


def _first(items: Sequence[Any]) -> frozenset[int]:
    found: frozenset[int] = frozenset()
    for operator, argument in items:
        if operator is c.LITERAL:
            found |= {_bucket(argument)}
        elif operator is c.NOT_LITERAL:
            found |= _ALL - {argument}
        elif operator is c.ANY:
            found |= _ALL
        elif operator is c.IN:
            found |= _set(argument)
        elif operator in (c.MAX_REPEAT, c.MIN_REPEAT):
            found |= _first(_flat(argument[2]))
            if argument[0] == 0:
                continue
        elif operator is c.SUBPATTERN:
            found |= _first(_flat(argument[3]))
        elif operator is c.BRANCH:
            for branch in argument[1]:
                found |= _first(_flat(branch))
        elif operator is c.AT:
            continue
        return found
    return found


def _set(parts: Any) -> frozenset[int]:
    found: frozenset[int] = frozenset()
    inverted = False
    for operator, argument in parts:
        if operator is c.NEGATE:
            inverted = True
        elif operator is c.LITERAL:
            found |= {_bucket(argument)}
        elif operator is c.RANGE:
            found |= frozenset(range(argument[0], min(argument[1], 127) + 1)) if argument[0] < 128 else frozenset()
            found |= {_WORD, _OTHER} if argument[1] > 127 else frozenset()
        elif operator is c.CATEGORY:
            found |= _CLASSES.get(argument, _ALL)
    return _ALL - found if inverted else found


def _bucket(code: int) -> int:
    return code if code < 128 else _WORD if chr(code).isalnum() else _OTHER


_DIGITS = frozenset(range(48, 58))
_WORDS = _DIGITS | frozenset(range(65, 91)) | frozenset(range(97, 123)) | {95, _WORD}
_BLANKS = frozenset({9, 10, 11, 12, 13, 32})
_CLASSES = {
    c.CATEGORY_DIGIT: _DIGITS,
    c.CATEGORY_NOT_DIGIT: _ALL - _DIGITS,
    c.CATEGORY_WORD: _WORDS,
    c.CATEGORY_NOT_WORD: _ALL - _WORDS,
    c.CATEGORY_SPACE: _BLANKS,
    c.CATEGORY_NOT_SPACE: _ALL - _BLANKS,
}
