"""Replaces an exact piece of text, and says precisely what is there when it does not match.

Nothing that only resembles `old` is ever replaced. Two things count as exact: line ends (a model sends ``\\n``, the
file may have ``\\r\\n``), and the line numbers of `read_file`'s listing, which are no part of the file.
"""

from __future__ import annotations

import re

from mainspring.errors import ToolError
from mainspring.tools.nearest import nearest
from mainspring.tools.textfile import uses_crlf

__all__ = ["nearest", "replace_text"]

_NUMBERED = re.compile(r" *\d+\| ?")
_SHOWN_PLACES = 10
_SHOWN_CHARACTERS = 100


def replace_text(text: str, old: str, new: str, shown: str, every: bool = False) -> str:
    """`text` with `old` replaced by `new`; line ends follow the file's.

    Raises:
        ToolError: `old` does not occur (with the nearest lines, and what differs), occurs several times (with their
            places), or equals `new`.
    """
    if not old:
        raise ToolError(f"{shown} already has content; give the exact text to replace as `old`")
    spans = _spans(text, old)
    if not spans and _is_numbered(old):
        spans = _spans(text, _without_numbers(old))
        if spans:
            old, new = _without_numbers(old), _without_numbers(new) if _is_numbered(new) else new
    if old == new:
        raise ToolError("`old` and `new` are the same; nothing would change")
    if not spans:
        raise ToolError(f"`old` does not occur in {shown}. {nearest(text, old)}")
    if len(spans) > 1 and not every:
        places = [start for start, _ in spans]
        raise ToolError(
            f"`old` occurs {len(places):,} times in {shown}, at lines {_numbers(text, places)}; add lines around it "
            f"until it is unique, or set every=true:\n{_listed(text, places)}"
        )
    made, at = [], 0
    for start, end in spans:
        if start >= at:  # else it overlaps the one before
            made += [text[at:start], _fitted(new, text[start:end], text)]
            at = end
    after = "".join([*made, text[at:]])
    if after == text:
        raise ToolError("`old` and `new` differ in nothing but line ends, and those follow the file's")
    return after


def _spans(text: str, old: str) -> list[tuple[int, int]]:
    """Where it occurs, whatever its line ends there; places that overlap too, since nobody knows which was meant."""
    old = old.replace("\r\n", "\n")
    if "\n" in old and "\r\n" in text:
        pattern = re.compile(r"\r?\n".join(re.escape(line) for line in old.split("\n")))
        found, match = [], pattern.search(text)
        while match is not None:
            found.append(match.span())
            match = pattern.search(text, match.start() + 1)
        # A leading line end can be met with and without its "\r": that is one place.
        return [(a, b) for n, (a, b) in enumerate(found) if n == 0 or (a, b) != (found[n - 1][0] + 1, found[n - 1][1])]
    places, at = [], text.find(old)
    while at >= 0:
        places.append((at, at + len(old)))
        at = text.find(old, at + 1)
    return places


def _fitted(new: str, replaced: str, text: str) -> str:
    """`new` with the line ends of what it replaces."""
    crlf = uses_crlf(replaced if "\n" in replaced else text)
    return re.sub(r"\r?\n", "\r\n", new) if crlf else new.replace("\r\n", "\n")


def _numbers(text: str, places: list[int]) -> str:
    numbers, line, at = [], 1, 0
    for place in places[:20]:
        line += text.count("\n", at, place)
        at = place
        numbers.append(str(line))
    return ", ".join(numbers) + (" ..." if len(places) > 20 else "")


def _listed(text: str, places: list[int]) -> str:
    """The places' lines, each with the line before it, which tells them apart."""
    rows, line, at = [], 1, 0
    for place in places[:_SHOWN_PLACES]:
        line += text.count("\n", at, place)
        at = place
        start = text.rfind("\n", 0, place) + 1
        end = text.find("\n", place)
        if start:
            above = text.rfind("\n", 0, start - 1) + 1
            rows.append(f"{line - 1:>5}| {text[above : start - 1].rstrip()[:_SHOWN_CHARACTERS]}")
        rows.append(f"{line:>5}> {text[start : end if end >= 0 else len(text)].rstrip()[:_SHOWN_CHARACTERS]}")
    if len(places) > _SHOWN_PLACES:
        rows.append(f"... and {len(places) - _SHOWN_PLACES:,} more")
    return "\n".join(rows)


def _is_numbered(piece: str) -> bool:
    """True when every line begins as `read_file` prints it."""
    return bool(piece) and all(_NUMBERED.match(line) for line in piece.splitlines())


def _without_numbers(piece: str) -> str:
    return "".join(_NUMBERED.sub("", line, count=1) for line in piece.splitlines(keepends=True))
