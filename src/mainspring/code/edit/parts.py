"""What a patch consists of: files, and in them hunks or search/replace blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Block", "FilePatch", "Hunk", "Kind"]

Kind: TypeAlias = Literal["change", "add", "remove"]


@dataclass(frozen=True, slots=True)
class Hunk:
    """One place of a file.

    Args:
        number: counted from 1 within its file.
        start: line of the old file where it begins (from 1), or None when it does not say.
        old: lines that it expects, each with its ``"\\n"``; the last one without, when the patch says so.
        new: lines that it puts there.
        head: its headline.
        aware: whether it says anything of a missing newline at the file's end.
        anchor: a line that stands before it, where it has no line number.
    """

    number: int
    start: int | None
    old: tuple[str, ...]
    new: tuple[str, ...]
    head: str
    aware: bool = False
    anchor: str = ""

    @property
    def name(self) -> str:
        """How it is called in an answer."""
        return f"hunk {self.number} ({self.head[:80]})"


@dataclass(frozen=True, slots=True)
class Block:
    """A search/replace block: a piece of text and what takes its place."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class FilePatch:
    """What a patch says of one file.

    Args:
        path: the file that it changes, makes or removes.
        kind: ``"change"``, ``"add"`` or ``"remove"``.
        hunks, blocks: the places; a file has one sort or the other.
        target: where the file goes, when it is renamed or copied.
        copy: the file also stays where it was.
        executable: whether it may be run afterwards; None when the patch does not say.
    """

    path: str
    kind: Kind = "change"
    hunks: tuple[Hunk, ...] = ()
    blocks: tuple[Block, ...] = ()
    target: str = ""
    copy: bool = False
    executable: bool | None = None
