"""Replaces an exact piece of text, and says precisely what is there when it does not match."""

from __future__ import annotations

import difflib
import re

from mainspring.errors import ToolError
from mainspring.tools.textfile import uses_crlf

_NUMBERED = re.compile(r" *\d+\| ?")
_CONTEXT_LINES = 12
_COMPARED_LINES = 20_000


def replace_text(text: str, old: str, new: str, shown: str, every: bool = False) -> str:
    """`text` with `old` replaced by `new`; line ends follow the file's.

    Raises:
        ToolError: `old` does not occur (with the nearest lines), occurs several times (with their line
            numbers), or equals `new`.
    """
    if not old:
        raise ToolError(f"{shown} already has content; give the exact text to replace as `old`")
    if uses_crlf(text):
        old, new = (re.sub(r"\r?\n", "\r\n", piece) for piece in (old, new))
    if old not in text and _is_numbered(old):
        old, new = _without_numbers(old), _without_numbers(new) if _is_numbered(new) else new
    count = text.count(old)
    if old == new:
        raise ToolError("`old` and `new` are the same; nothing would change")
    if count == 0:
        raise ToolError(f"`old` does not occur in {shown}. {nearest(text, old)}")
    if count > 1 and not every:
        lines = ", ".join(str(n) for n in _lines_of(text, old)[:20])
        raise ToolError(
            f"`old` occurs {count} times in {shown}, at lines {lines}; add lines around it until it is unique, "
            "or set every=true"
        )
    return text.replace(old, new)


def nearest(text: str, old: str) -> str:
    """The lines of a text that resemble `old` most, numbered and exact."""
    lines = text.splitlines()
    wanted = [line.strip() for line in old.splitlines() if line.strip()]
    if not lines or not wanted:
        return "The file is empty." if not lines else "`old` holds only blank space."
    start = _best_start(lines, wanted)
    if start is None:
        return "No line resembles it; read the file again."
    span = max(1, min(len(old.splitlines()), _CONTEXT_LINES))
    first = max(0, start - 1)
    exact = lines[start : start + len(old.splitlines())]
    why = "Only blank space differs. " if [x.strip() for x in exact if x.strip()] == wanted else ""
    numbered = "\n".join(f"{n + 1:>5}| {lines[n]}" for n in range(first, min(len(lines), start + span + 1)))
    return f"{why}Nearest lines, as they are:\n{numbered}"


def _best_start(lines: list[str], wanted: list[str]) -> int | None:
    stripped = [line.strip() for line in lines[:_COMPARED_LINES]]
    places: dict[str, list[int]] = {}
    for number, line in enumerate(stripped):
        places.setdefault(line, []).append(number)
    # Each wanted line that occurs somewhere votes for where the whole would begin.
    votes: dict[int, int] = {}
    for offset, line in enumerate(wanted):
        for number in places.get(line, [])[:200]:
            votes[max(0, number - offset)] = votes.get(max(0, number - offset), 0) + 1
    if votes:
        return max(votes, key=lambda start: (votes[start], -start))
    longest = max(wanted, key=len)
    close = difflib.get_close_matches(longest, list(places)[:5_000], n=1, cutoff=0.5)
    if not close:
        return None
    return max(0, places[close[0]][0] - wanted.index(longest))


def _lines_of(text: str, old: str) -> list[int]:
    found, at = [], text.find(old)
    while at >= 0:
        found.append(text.count("\n", 0, at) + 1)
        at = text.find(old, at + len(old))
    return found


def _is_numbered(piece: str) -> bool:
    """True when every line begins as `read_file` prints it."""
    return bool(piece) and all(_NUMBERED.match(line) for line in piece.splitlines())


def _without_numbers(piece: str) -> str:
    return "".join(_NUMBERED.sub("", line, count=1) for line in piece.splitlines(keepends=True))
