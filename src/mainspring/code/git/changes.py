"""Changes with what git knows besides bytes: modes, and links."""

from __future__ import annotations

import base64
import difflib
import hashlib
import itertools
import zlib
from dataclasses import dataclass
from functools import cached_property

from mainspring.code.git.files import FILE, LINK, RUNNABLE, State
from mainspring.code.patch import FileChange, Patch
from mainspring.errors import MainspringError

_ESCAPES = {0x07: "a", 0x08: "b", 0x09: "t", 0x0A: "n", 0x0B: "v", 0x0C: "f", 0x0D: "r", 0x22: '"', 0x5C: "\\"}


@dataclass(frozen=True, slots=True)
class TreeChange(FileChange):
    """One path of a repository before and after.

    Args:
        before_mode, after_mode: as git writes them: ``"100644"``, ``"100755"`` (may be run) or ``"120000"`` (a link,
            whose bytes are where it leads).
    """

    before_mode: str = FILE
    after_mode: str = FILE

    @classmethod
    def of(cls, path: str, before: State | None, after: State | None) -> TreeChange:
        """From what was there and what is."""
        executable = None
        if after is not None and (before is None or before.mode != after.mode):
            executable = after.mode == RUNNABLE
        return cls(
            path,
            None if before is None else before.data,
            None if after is None else after.data,
            executable,
            FILE if before is None else before.mode,
            FILE if after is None else after.mode,
        )

    @property
    def same(self) -> bool:
        """Whether nothing changes, not even a mode."""
        return self.before == self.after and (self.before is None or self.before_mode == self.after_mode)

    def diff(self) -> str:
        """As `git diff --binary --full-index` writes it, "" when nothing changes."""
        if self.same:
            return ""
        retyped = None not in (self.before, self.after) and LINK in (self.before_mode, self.after_mode)
        if retyped and self.before_mode != self.after_mode:  # git shows it as two changes, and takes nothing else
            gone = TreeChange(self.path, self.before, None, None, self.before_mode)
            return gone.diff() + TreeChange(self.path, None, self.after, None, FILE, self.after_mode).diff()
        old, new = _quoted("a/", self.path), _quoted("b/", self.path)
        head = [f"diff --git {old} {new}\n"]
        if self.before is None:
            head.append(f"new file mode {self.after_mode}\n")
        elif self.after is None:
            head.append(f"deleted file mode {self.before_mode}\n")
        elif self.before_mode != self.after_mode:
            head.append(f"old mode {self.before_mode}\nnew mode {self.after_mode}\n")
        if self.before == self.after:
            return "".join(head)
        names = f"{_oid(self.before)}..{_oid(self.after)}"
        if self.binary:
            return "".join([*head, f"index {names}\nGIT binary patch\n", _literal(self.after), _literal(self.before)])
        if not self.before and not self.after:  # an empty file came or went
            return "".join([*head, f"index {names}\n"])
        old = "/dev/null" if self.before is None else old
        new = "/dev/null" if self.after is None else new
        return "".join([*head, *_hunks(self.before or b"", self.after or b"", old, new, self.path)])


@dataclass(frozen=True)
class TreePatch(Patch):
    """A patch that knows modes: a file whose mode alone changes is in it."""

    def __post_init__(self) -> None:
        kept = sorted((c for c in self.changes if not tree_change(c).same), key=lambda c: c.path)
        for one, other in itertools.pairwise(kept):
            if one.path == other.path:
                raise MainspringError(f"a patch names {one.path} twice; join the two changes")
        object.__setattr__(self, "changes", tuple(tree_change(c) for c in kept))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over paths, contents and modes, in hex."""
        total = hashlib.sha256(b"modes\0")
        for change in self.changes:
            found = tree_change(change)
            sides = ((found.before, found.before_mode), (found.after, found.after_mode))
            total.update(f"{len(found.path)}:".encode() + _bytes(found.path))
            for data, mode in sides:
                total.update(b"-" if data is None else f"{mode}:{len(data)}:".encode() + data)
        return total.hexdigest()


def inverse(patch: Patch) -> TreePatch:
    """The patch that takes another one back."""
    turned = []
    for change in patch.changes:
        before, after = states(change)
        turned.append(TreeChange.of(change.path, after, before))
    return TreePatch(tuple(turned))


def tree_change(change: FileChange, now: State | None = None) -> TreeChange:
    """A change with modes; of one that has none, they are those of plain files, or what its file has `now`."""
    if isinstance(change, TreeChange):
        return change
    before = now.mode if now is not None and change.before is not None else FILE
    after = before if change.executable is None else RUNNABLE if change.executable else FILE
    return TreeChange(change.path, change.before, change.after, change.executable, before, after)


def states(change: FileChange, now: State | None = None) -> tuple[State | None, State | None]:
    """What has to be there before a change, and what is there after it."""
    found = tree_change(change, now)
    before = None if found.before is None else State(found.before_mode, found.before)
    after = None if found.after is None else State(found.after_mode, found.after)
    return before, after


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _quoted(prefix: str, path: str) -> str:
    """A name as git writes it: in quotes, with escapes, where it holds what could pass for something else."""
    raw = _bytes(prefix + path)
    if all(0x20 <= byte < 0x7F and byte not in (0x22, 0x5C) for byte in raw):
        return prefix + path
    return '"' + "".join(_escaped(byte) for byte in raw) + '"'


def _escaped(byte: int) -> str:
    if byte in _ESCAPES:
        return "\\" + _ESCAPES[byte]
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


def _oid(data: bytes | None) -> str:
    if data is None:
        return "0" * 40
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _hunks(before: bytes, after: bytes, old: str, new: str, path: str) -> list[str]:
    # A name with a space ends in a tab, so that `patch` and git know where it ends.
    tail = "\t" if " " in path and not old.startswith('"') else ""
    old, new = (side + tail if side != "/dev/null" else side for side in (old, new))
    rows = list(difflib.unified_diff(_lines(before), _lines(after), old, new, n=3))
    return [row if row.endswith("\n") else row + "\n\\ No newline at end of file\n" for row in rows]


def _lines(data: bytes) -> list[str]:
    # Cut at "\n" only: a form feed or a lone "\r" is content to git.
    pieces = data.decode("utf-8", "surrogateescape").split("\n")
    return [piece + "\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def _literal(data: bytes | None) -> str:
    """A whole content as git's binary patch has it: deflated, 52 bytes a line in base 85, each led by its length."""
    data = data or b""
    packed = zlib.compress(data)
    lines = [f"literal {len(data)}\n"]
    for at in range(0, len(packed), 52):
        piece = packed[at : at + 52]
        length = chr(ord("A") + len(piece) - 1) if len(piece) <= 26 else chr(ord("a") + len(piece) - 27)
        lines.append(length + base64.b85encode(piece, pad=True).decode() + "\n")
    return "".join(lines) + "\n"
