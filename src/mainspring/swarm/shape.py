"""The shape of a task, from its words alone: how many parts it names, whether they need each other, how large it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["large", "enumerated", "listed", "each", "plain"]

#: Parts from which on a list is worth splitting: parallel teams were measured to cost 73 to 124% more tokens at equal
#: quality, which two or three parts cannot give back in time.
LEAST_PARTS = 4
#: Share of the context window above which the inputs alone are too much for one run.
LARGE_SHARE = 0.6
CHARS_PER_TOKEN = 4
_MOST_CHARS = 200_000  # of the task that are looked at; the rest counts by its size

_ITEM = re.compile(r"^[ \t]{0,8}(?:(?P<number>\d{1,4})[.)]|[-*\u2022])[ \t]+\S", re.MULTILINE)
_EACH = re.compile(r"\b(?:for each|for every|each of|each one|every one|all of the|for all)\b", re.IGNORECASE)
_URL = re.compile(r"\bhttps?://[^\s<>\"')\]]{3,500}")
_FILE = re.compile(r"(?<![\w/.-])[\w./-]{0,200}[\w-]\.[A-Za-z][A-Za-z0-9]{0,7}\b")
_NO_FILES = {"e.g", "i.e", "a.m", "p.m"}
#: Words of one part that speak of another one's result.
_NEEDS = re.compile(
    r"\b(?:and then|after that|afterwards|based on (?:that|this|the (?:result|answer|previous))|"
    r"the (?:previous|preceding|first) (?:step|part|result|answer)|from step \d+|"
    r"(?:result|output|answer) of (?:step|part|the previous|\d)|once (?:that|this) is done|in (?:this|that) order|"
    r"step by step|one after (?:the )?(?:other|another)|finally,|then,)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a task looks like.

    Args:
        kind: ``"large"`` (its inputs do not fit one context), ``"enumerated"`` (parts one by one, as a list),
            ``"listed"`` (files or addresses), ``"each"`` (one thing for each of many, unknown how many), ``"plain"``.
        parts: how many it names; 0 when it does not say.
        sequential: whether its words say that parts need each other's results.
        clear: whether the words alone say that it has enough parts that do not need each other.
        tokens: rough size.
    """

    kind: Kind
    parts: int
    sequential: bool
    clear: bool
    tokens: int


def shape_of(task: str, *, more_chars: int = 0, window: int = 128_000) -> Shape:
    """The shape of a task's words.

    Args:
        more_chars: of attachments and other inputs beside the words.
        window: context window of the model in tokens.
    """
    tokens = (len(task) + more_chars) // CHARS_PER_TOKEN
    text = task[:_MOST_CHARS]
    sequential = _NEEDS.search(text) is not None
    if tokens > window * LARGE_SHARE:
        parts = -(-tokens // max(1, int(window * LARGE_SHARE / 2)))
        return Shape("large", parts, sequential, True, tokens)
    items = len(_ITEM.findall(text))
    each = _EACH.search(text) is not None
    if items >= 2:
        return Shape("enumerated", items, sequential, items >= LEAST_PARTS and not sequential, tokens)
    files = {name for name in _FILE.findall(_URL.sub(" ", text)) if name.lower() not in _NO_FILES}
    names = len(files.union(_URL.findall(text)))
    if names >= LEAST_PARTS:
        return Shape("listed", names, sequential, each and not sequential, tokens)
    if each:
        return Shape("each", 0, sequential, False, tokens)
    return Shape("plain", 0, sequential, False, tokens)
