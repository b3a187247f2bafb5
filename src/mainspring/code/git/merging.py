"""Joins two changes of one file line by line, with git's own three-way merge, and says where they cannot be joined."""

from __future__ import annotations

import difflib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mainspring.code.git.command import Git
from mainspring.code.git.files import LINK, State
from mainspring.code.patch import FileChange
from mainspring.errors import ToolError
from mainspring.tools.names import printable

_MARK = 97  # characters of a conflict's mark; no file has such a line by chance
_NAMED = 12
#: Longer files are not compared to say which lines changed.
_COMPARED = 2 << 20


@dataclass(frozen=True, slots=True)
class Conflict:
    """A file that a patch does not fit.

    Args:
        path: the file.
        lines: first and last line (from 1) of the places, in the file as it is now; empty when lines say nothing.
        reason: what is in the way.
    """

    path: str
    lines: tuple[tuple[int, int], ...]
    reason: str

    def text(self) -> str:
        """One line for a person."""
        spots = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in self.lines[:_NAMED])
        more = f" and {len(self.lines) - _NAMED} more places" if len(self.lines) > _NAMED else ""
        where = f", lines {spots}{more}" if spots else ""
        return f"{printable(self.path)}{where}: {self.reason}"


def merge(path: str, before: State | None, after: State | None, now: State | None) -> State | Conflict:
    """A file with both what the patch changed and what was changed since; a conflict where that cannot be.

    Args:
        before: what the patch begins with.
        after: what it ends with.
        now: what is there.

    Raises:
        ToolError: git cannot be run.
    """
    if now is None or after is None or before is None:
        what = "it was removed since" if now is None else "it was changed since, and the patch removes it"
        return Conflict(path, (), "it was made by somebody else since" if before is None and now else what)
    sides = (now, before, after)
    if any(side.mode == LINK for side in sides):
        return Conflict(path, (), "it is a link, and was changed since")
    if any(FileChange(path, side.data, None).binary for side in sides):
        return Conflict(path, (), "it is no text, and was changed since")
    data, spots = merge_lines(now.data, before.data, after.data)
    if spots:
        return Conflict(path, spots, "the patch changes the same lines")
    return State(after.mode if after.mode != before.mode else now.mode, data)


def merge_lines(now: bytes, before: bytes, after: bytes) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """Two versions of a text joined, and the places in the first of them that cannot be (then the text is unusable).

    Raises:
        ToolError: git cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="mainspring-merge-") as made:
        folder = Path(made)
        for name, data in (("now", now), ("before", before), ("after", after)):
            (folder / name).write_bytes(data)
        nowhere = Git(None, folder, more={"GIT_CEILING_DIRECTORIES": str(folder.parent)})
        done = nowhere.result(
            "merge-file", "-p", f"--marker-size={_MARK}", "-L", "now", "-L", "before", "-L", "after", "now", "before",
            "after",
        )  # fmt: skip
    if done.returncode < 0 or done.returncode > 127:
        raise ToolError("git merge-file failed; is a file very large?")
    if done.returncode == 0:
        return done.stdout, ()
    return done.stdout, tuple(_places(done.stdout))


def changed_lines(before: bytes, now: bytes) -> tuple[tuple[int, int], ...]:
    """The lines of `now` that differ from `before`; of removed ones, the line that follows."""
    if len(before) > _COMPARED or len(now) > _COMPARED or b"\0" in now[:8000]:
        return ()
    old, new = before.split(b"\n"), now.split(b"\n")
    rows = difflib.SequenceMatcher(None, old, new, autojunk=True).get_opcodes()
    return tuple((first + 1, max(last, first + 1)) for tag, _, _, first, last in rows if tag != "equal")


def _places(merged: bytes) -> list[tuple[int, int]]:
    """Where the marked places lie in the file as it is now: the text without marks and without the other side."""
    found = []
    line, first, side = 1, 0, ""
    for text in merged.split(b"\n"):
        if text.startswith(b"<" * _MARK):
            first, side = line, "now"
        elif side and text.startswith(b"=" * _MARK):
            side = "other"
        elif side and text.startswith(b">" * _MARK):
            found.append((first, max(line - 1, first)))
            side = ""
        elif side != "other":
            line += 1
    return found
