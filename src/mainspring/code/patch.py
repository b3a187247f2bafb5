"""A change to several files, as one thing that can be shown, compared, scanned and applied."""

from __future__ import annotations

import difflib
import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from mainspring.errors import MainspringError

__all__ = ["FileChange", "Patch"]

#: How many bytes are looked at for a NUL, as git does it.
_SNIFFED = 8000


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file before and after.

    Args:
        path: relative to the repository, with ``/``.
        before: its bytes, or None when the change makes it.
        after: its bytes, or None when the change removes it.
        executable: whether it may be run afterwards; None keeps what it was.
    """

    path: str
    before: bytes | None = field(repr=False)
    after: bytes | None = field(repr=False)
    executable: bool | None = None

    @property
    def binary(self) -> bool:
        """Whether git would show no text of it: there is a NUL among the first bytes."""
        return any(b"\0" in (side or b"")[:_SNIFFED] for side in (self.before, self.after))

    @property
    def kind(self) -> str:
        """``"added"``, ``"removed"`` or ``"changed"``."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"

    def text(self, side: str) -> str:
        """The text ``"before"`` or ``"after"``, "" where there is no file; bytes that are no UTF-8 become escapes."""
        data = self.before if side == "before" else self.after
        return (data or b"").decode("utf-8", "backslashreplace")

    def added_lines(self) -> dict[int, str]:
        """Lines that were not there before, by their number afterwards (from 1)."""
        if self.binary:
            return {}
        old, new = self.text("before").splitlines(), self.text("after").splitlines()
        found: dict[int, str] = {}
        for tag, _, _, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag in ("insert", "replace"):
                found.update((number + 1, new[number]) for number in range(first, last))
        return found

    def removed_lines(self) -> dict[int, str]:
        """Lines that are gone, by their number before (from 1)."""
        return FileChange(self.path, self.after, self.before).added_lines()

    def diff(self) -> str:
        """A unified diff that `git apply` takes, "" when nothing changes; a binary file is only named."""
        if self.before == self.after:
            return ""
        head = [f"diff --git a/{self.path} b/{self.path}\n"]
        if self.before is None:
            head.append(f"new file mode {'100755' if self.executable else '100644'}\n")
        elif self.after is None:
            head.append("deleted file mode 100644\n")
        if self.binary:
            return "".join([*head, f"Binary files a/{self.path} and b/{self.path} differ\n"])
        old = "/dev/null" if self.before is None else f"a/{self.path}"
        new = "/dev/null" if self.after is None else f"b/{self.path}"
        lines: list[str] = []
        for line in difflib.unified_diff(_lines(self.before), _lines(self.after), old, new, n=3):
            lines.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
        return "".join(head + lines)


@dataclass(frozen=True)
class Patch:
    """Changes to files of one repository, at most one a path, sorted by path.

    Args:
        changes: files whose content differs; equal ones are left out.

    Raises:
        MainspringError: two changes name one path.
    """

    changes: tuple[FileChange, ...] = ()

    def __post_init__(self) -> None:
        kept = sorted((c for c in self.changes if c.before != c.after), key=lambda c: c.path)
        for one, other in itertools.pairwise(kept):
            if one.path == other.path:
                raise MainspringError(f"a patch names {one.path} twice; join the two changes")
        object.__setattr__(self, "changes", tuple(kept))

    @classmethod
    def of(cls, changes: Iterable[FileChange]) -> Patch:
        """From any iterable of changes."""
        return cls(tuple(changes))

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that it names."""
        return tuple(change.path for change in self.changes)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over paths and contents, in hex: the same patch has the same one."""
        total = hashlib.sha256()
        for change in self.changes:
            for side in (change.path.encode(), change.before, change.after):
                data = b"" if side is None else side
                total.update(f"{'-' if side is None else len(data)}:".encode())
                total.update(data)
        return total.hexdigest()

    def diff(self) -> str:
        """A unified diff of all files."""
        return "".join(change.diff() for change in self.changes)

    def find(self, path: str) -> FileChange | None:
        """The change of one path, if there is one."""
        return next((change for change in self.changes if change.path == path), None)


def _lines(data: bytes | None) -> list[str]:
    # Cut at "\n" only: a form feed or a lone "\r" is content to git.
    text = (data or b"").decode("utf-8", "surrogateescape")
    return text.splitlines(keepends=True) if text.isascii() and "\r" not in text and "\f" not in text else _cut(text)


def _cut(text: str) -> list[str]:
    pieces = text.split("\n")
    return [piece + "\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])
