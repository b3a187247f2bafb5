"""Places the hunks of a patch in a file's text: exactly, or not at all.

A hunk's line numbers may be wrong as long as the lines that it expects are there exactly once. Line ends count as the
file has them, and a missing newline at the file's end stays as it is unless the patch speaks of it.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mainspring.code.edit.parts import Hunk
from mainspring.tools.nearest import nearest
from mainspring.tools.textfile import uses_crlf

__all__ = ["Misfit", "cut", "place"]

_SHOWN_PLACES = 8
#: For how many hunks of a file the nearest place is looked for.
_EXPLAINED = 3


@dataclass(frozen=True, slots=True)
class Misfit:
    """A hunk that does not fit, and why."""

    hunk: Hunk
    why: str


def cut(text: str) -> list[str]:
    """Lines with their ends; only a newline ends one, as git has it."""
    pieces = text.split("\n")
    return [piece + "\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def place(text: str, hunks: Sequence[Hunk]) -> str | list[Misfit]:
    """The text with all hunks applied, or every hunk that does not fit."""
    exact = _place(text, hunks)
    fitted = _line_ends(text, hunks)
    return exact if isinstance(exact, str) or fitted is None else _place(text, fitted)


def _place(text: str, hunks: Sequence[Hunk]) -> str | list[Misfit]:
    lines = cut(text)
    finder = _Finder(lines)
    misfits: list[Misfit] = []
    placed: list[tuple[int, Hunk]] = []
    shift, low = 0, 0
    for hunk in hunks:
        at = finder.find(hunk, shift, low)
        if isinstance(at, str):
            misfits.append(Misfit(hunk, at))
            continue
        placed.append((at, hunk))
        low = at + len(hunk.old)
        if hunk.start is not None:
            shift = at - (hunk.start - 1)
    if misfits:
        return misfits
    made: list[str] = []
    done = 0
    for at, hunk in placed:
        made += lines[done:at]
        made += _fitted(lines, at, hunk)
        done = at + len(hunk.old)
    return _joined([*made, *lines[done:]])


def _joined(lines: Sequence[str]) -> str:
    """The lines as a text; one without an end that is not the last any more gets one."""
    last = len(lines) - 1
    return "".join(line if n == last or line.endswith("\n") else line + "\n" for n, line in enumerate(lines))


def _fitted(lines: Sequence[str], at: int, hunk: Hunk) -> list[str]:
    """What a hunk puts in place; lines that stay are the file's own."""
    new = list(hunk.new)
    end = at + len(hunk.old)
    if new and not hunk.aware and end == len(lines) and lines and not lines[-1].endswith("\n"):
        new[-1] = new[-1].removesuffix("\n").removesuffix("\r")  # it knows nothing of it, so it stays missing
    return new


def _line_ends(text: str, hunks: Sequence[Hunk]) -> list[Hunk] | None:
    """The hunks with the file's line ends, when they have others throughout; else None."""
    carried = [line.endswith("\r\n") for hunk in hunks for line in (*hunk.old, *hunk.new) if line.endswith("\n")]
    if not any(carried) and uses_crlf(text):
        return [_respelled(hunk, "\n", "\r\n") for hunk in hunks]
    if carried and all(carried) and "\r" not in text:
        return [_respelled(hunk, "\r\n", "\n") for hunk in hunks]
    return None


def _respelled(hunk: Hunk, one: str, other: str) -> Hunk:
    old, new = (
        tuple(line[: -len(one)] + other if line.endswith(one) else line for line in side)
        for side in (hunk.old, hunk.new)
    )
    return replace(hunk, old=old, new=new)


class _Finder:
    """Finds the lines that a hunk expects."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._open = bool(lines) and not lines[-1].endswith("\n")
        self._where: dict[str, list[int]] | None = None
        self._explained = 0

    def find(self, hunk: Hunk, shift: int, low: int) -> int | str:
        """The line (from 0) where it belongs, not before `low`; or why there is none."""
        if not hunk.old:
            if self._lines:
                return "it has no lines to find its place by; add the lines around it"
            return 0
        if hunk.start is not None:
            at = hunk.start - 1 + shift
            if at >= low and self._fits(hunk, at):
                return at
        found = [at for at in self._candidates(hunk) if self._fits(hunk, at)]
        fit = [at for at in found if at >= low]
        if len(fit) > 1 and hunk.anchor:
            fit = self._behind(hunk.anchor, fit)
        if len(fit) == 1:
            return fit[0]
        if fit:
            places = ", ".join(str(at + 1) for at in fit[:_SHOWN_PLACES]) + (" ..." if len(fit) > _SHOWN_PLACES else "")
            return f"its lines occur {len(fit)} times, at lines {places}, and not at the line it gives; add context"
        if found:
            return f"its lines stand at line {found[0] + 1}, before an earlier hunk's; put hunks in the file's order"
        if not self._lines:
            return "the file is empty"
        return self._nearly(hunk)

    def _fits(self, hunk: Hunk, at: int) -> bool:
        end = at + len(hunk.old)
        if at < 0 or end > len(self._lines):
            return False
        there = self._lines[at:end]
        if tuple(there) == hunk.old:
            return True
        # The file's last line has no newline, and the patch does not say so.
        return (
            self._open
            and end == len(self._lines)
            and not hunk.aware
            and tuple(there[:-1]) == hunk.old[:-1]
            and hunk.old[-1] in (there[-1] + "\n", there[-1] + "\r\n")
        )

    def _candidates(self, hunk: Hunk) -> Iterator[int]:
        """Where it might begin: by that of its lines which is rarest in the file."""
        if self._where is None:
            self._where = {}
            for number, line in enumerate(self._lines):
                self._where.setdefault(line, []).append(number)
            if self._open:  # the patch may not know that it has no end
                for end in ("\n", "\r\n"):
                    self._where.setdefault(self._lines[-1] + end, []).append(len(self._lines) - 1)
        counted = [(len(self._where.get(line, ())), offset) for offset, line in enumerate(hunk.old)]
        _, offset = min(counted)
        for number in self._where.get(hunk.old[offset], ()):
            yield number - offset

    def _behind(self, anchor: str, fit: list[int]) -> list[int]:
        """Of several places, the first one behind the only line that holds the anchor."""
        lines = [number for number, line in enumerate(self._lines) if anchor in line]
        if len(lines) != 1:
            return fit
        at = bisect.bisect_left(fit, lines[0])
        return fit[at : at + 1] or fit

    def _nearly(self, hunk: Hunk) -> str:
        """Why nothing fits, with the nearest place."""
        self._explained += 1
        if self._explained > _EXPLAINED:
            return "its lines are not there"
        old, text = "".join(hunk.old), "".join(self._lines)
        if hunk.aware and old.rstrip("\r\n") in text:
            return "it is right about the lines, not about the newline at the file's end"
        if old.replace("\r\n", "\n") in text.replace("\r\n", "\n"):
            return "only line ends differ: some of its lines end with CRLF in the file and some do not"
        if old.rstrip("\r\n") in text:
            return f"its lines do not stand there as whole lines. {nearest(text, old)}"
        new = "".join(hunk.new)
        if new.strip() and new in text:
            line = text.count("\n", 0, text.find(new)) + 1
            return f"it seems to be applied already: its new lines stand at line {line}"
        return nearest(text, old)
