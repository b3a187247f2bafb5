"""Lines of a PDF page from its characters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median

from mainspring.library.read.pdf_chars import Char

#: Left, top, right, bottom in points from the top left corner.
Rect = tuple[float, float, float, float]

_LEADERS = re.compile(r"(?: ?[.·…]){5,} ?")
_CJK = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]"
)


@dataclass(slots=True)
class Line:
    """A run of words on one baseline, without a wide gap in it."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float

    @property
    def height(self) -> float:
        return max(self.bottom - self.top, 1.0)


def lines_of(chars: list[Char], upright: int = 0) -> list[Line]:
    """Lines from characters in pdfium's order: broken where it breaks them, and at gaps as wide as between columns."""
    lines: list[Line] = []
    held: list[Char] = []

    def end() -> None:
        text = "".join(char.text for char in held)
        solid = [char for char in held if not char.text.isspace() and char.right >= char.left]
        if text.strip() and solid:
            lines.append(
                Line(
                    _unspaced(_LEADERS.sub(" ... ", " ".join(text.replace("\t", " ").split()))),
                    min(char.left for char in solid),
                    min(char.top for char in solid),
                    max(char.right for char in solid),
                    max(char.bottom for char in solid),
                    median(char.size for char in solid) or max(char.bottom - char.top for char in solid),
                )
            )
        held.clear()

    last: Char | None = None
    for char in chars:
        if char.text in "\r\n":
            end()
            last = None
            continue
        if not char.text.isspace() and char.text != "\u00ad":
            if last is not None and _apart(last, char, upright):
                end()
            last = char
        held.append(char)
    end()
    return lines


def _apart(one: Char, other: Char, upright: int) -> bool:
    """A gap between two characters that no space makes, or another baseline."""
    size = max(one.size, other.size, 4.0)
    if one.angle != other.angle:
        return True
    if one.angle != upright:  # a note on the page's side: pdfium's own lines are as good as any
        return False
    gap = max(other.left - one.right, one.left - other.right)
    if gap > 1.6 * size:
        return True
    return min(one.bottom, other.bottom) - max(one.top, other.top) < -0.6 * size


def _unspaced(text: str) -> str:
    """Without the single spaces that stand between ideographs only because the file places each by itself."""
    if not _CJK.search(text):
        return text
    return re.sub(f"(?<={_CJK.pattern}) (?={_CJK.pattern})", "", text)


def joined(lines: list[str]) -> str:
    """Lines of a paragraph, a newline between them; a word that a hyphen breaks at a line's end is whole again."""
    out: list[str] = []
    for line in lines:
        soft = bool(out) and out[-1].endswith("\u00ad")
        hard = bool(out) and len(out[-1]) > 2 and out[-1].endswith(("-", "\u2010")) and out[-1][-2].islower()
        if soft or (hard and line[:1].islower()):
            word, _, rest = line.partition(" ")
            out[-1] = out[-1][:-1] + word
            if rest:
                out.append(rest)
        else:
            out.append(line)
    return "\n".join(out)


def weight(text: str) -> int:
    """Length of a line in Latin letters; an ideograph is as wide as two."""
    return len(text) + len(_CJK.findall(text))


def around(lines: list[Line]) -> Rect:
    return (
        min(line.left for line in lines),
        min(line.top for line in lines),
        max(line.right for line in lines),
        max(line.bottom for line in lines),
    )
