"""Reads a patch: unified diffs as git and `diff -u` write them, as models write them, and search/replace blocks.

Nothing here looks at a file; what does not fit is found when the hunks are placed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mainspring.code.edit.blocks import FENCE, SEARCH, read_blocks
from mainspring.code.edit.parts import FilePatch, Hunk, Kind
from mainspring.errors import ToolError

__all__ = ["read_patch"]

#: Longer patches are refused, in characters.
MAX_CHARACTERS = 32 << 20

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)")
_LOOSE_HUNK = re.compile(r"@@(?: ?\.\.\.)?(?: (.*?))?(?: ?@@.*)?$")
_ENVELOPE = re.compile(r"\*\*\* (Update File|Add File|Delete File|Move to): (.+?)\s*$")
#: What `git format-patch` puts at the end, before its version.
_TRAILER = re.compile(r"-- ?\r?$")
_BETWEEN = re.compile(r"\s*$|Index: |={10}|From |\*\*\* (?:End|Begin)|Only in |diff ")
_ESCAPE = re.compile(r'\\([abtnvfr"\\]|[0-7]{1,3})')
_ESCAPED = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}


def read_patch(text: str) -> list[FilePatch]:
    """What a patch says, file by file, in its order.

    Raises:
        ToolError: it is no patch, or a part of it cannot be applied (a binary diff, a link).
    """
    if len(text) > MAX_CHARACTERS:
        raise ToolError(f"the patch has {len(text):,} characters; at most {MAX_CHARACTERS:,} are taken; split it")
    if "\0" in text:
        raise ToolError("the patch holds a NUL byte; only text can be patched")
    lines = _unfenced(text.removesuffix("\n").split("\n"))
    if _first(lines, SEARCH) < min(_first(lines, _HUNK), _first(lines, re.compile(r"diff --git |\*\*\* "))):
        return read_blocks(lines)
    found = _Reader(lines).files()
    if not found:
        raise ToolError(
            "this is no patch: give a unified diff (--- a/FILE, +++ b/FILE, @@ ... @@), or blocks of a file name, "
            "<<<<<<< SEARCH, =======, >>>>>>> REPLACE"
        )
    return found


def _first(lines: list[str], pattern: re.Pattern[str]) -> int:
    return next((number for number, line in enumerate(lines) if pattern.match(line)), len(lines))


def _unfenced(lines: list[str]) -> list[str]:
    """Without the code fence around a whole patch."""
    full = [number for number, line in enumerate(lines) if line.strip()]
    if len(full) > 1 and FENCE.match(lines[full[0]]) and FENCE.fullmatch(lines[full[-1]].rstrip()):
        return lines[full[0] + 1 : full[-1]]
    return lines


@dataclass
class _File:
    """A file while it is read."""

    old: str = ""
    new: str = ""
    kind: Kind = "change"
    source: str = ""
    target: str = ""
    copy: bool = False
    executable: bool | None = None
    hunks: list[Hunk] = field(default_factory=list)

    def done(self) -> FilePatch:
        if self.old == "/dev/null":
            self.kind = "add"
        elif self.new == "/dev/null":
            self.kind = "remove"
        path = self.source or (self.new if self.kind == "add" else self.old) or self.new
        target = self.target if self.target != path else ""
        if not target and self.kind == "change" and self.new and self.new != self.old and not self.source:
            target = self.new  # `diff -u old new` over two names
        return FilePatch(path, self.kind, tuple(self.hunks), (), target, self.copy, self.executable)


class _Reader:
    """Goes through a patch's lines once."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0
        self._files: list[FilePatch] = []
        self._file: _File | None = None

    def files(self) -> list[FilePatch]:
        while self._at < len(self._lines):
            line = self._lines[self._at].removesuffix("\r")
            if line.startswith("diff --git "):
                self._next(_git_names(line))
            elif self._is_header(self._at):
                self._names()
                continue
            elif match := _ENVELOPE.match(line):
                self._envelope(match[1], match[2])
            elif line.startswith("@@") and self._file is not None:
                self._hunk()
                continue
            elif self._file is not None and self._file.hunks and _TRAILER.match(line):
                self._end()
            elif self._file is not None and self._file.hunks and not _BETWEEN.match(line):
                raise ToolError(
                    f"line {self._at + 1} of the patch belongs to no hunk: {line[:80]!r}; lines that stay begin with a "
                    "space, removed ones with -, added ones with +"
                )
            elif self._file is not None:
                self._extended(line)
            self._at += 1
        self._end()
        return self._files

    def _next(self, file: _File) -> None:
        self._end()
        self._file = file

    def _end(self) -> None:
        if self._file is not None:
            made = self._file.done()
            if not made.path or made.path == "/dev/null":
                raise ToolError("the patch names no file for one of its parts; give --- a/FILE and +++ b/FILE")
            self._files.append(made)
        self._file = None

    def _is_header(self, at: int) -> bool:
        after = self._lines[at + 1] if at + 1 < len(self._lines) else ""
        return self._lines[at].startswith("--- ") and after.startswith("+++ ")

    def _names(self) -> None:
        one, other = (_name(self._lines[self._at + n][4:].removesuffix("\r")) for n in (0, 1))
        sides = [side for side in (one, other) if side != "/dev/null"]
        marks = [("a/", "i/", "c/", "o/", "1/"), ("b/", "w/", "i/", "2/")]
        if all(side.startswith(marks[0] if side is one else marks[1]) for side in sides):
            one, other = (side if side == "/dev/null" else side[2:] for side in (one, other))
        file = self._file
        if file is None or file.hunks or (file.new and file.new != other and "/dev/null" not in (one, other)):
            self._next(_File(one, other))
        else:
            file.old, file.new = one, other
        self._at += 2

    def _envelope(self, what: str, name: str) -> None:
        if what == "Move to":
            if self._file is not None:
                self._file.target = name
            return
        kind: Kind = "add" if what == "Add File" else "remove" if what == "Delete File" else "change"
        self._next(_File(name, name, kind))
        if kind == "add":
            new = []
            while self._at + 1 < len(self._lines) and self._lines[self._at + 1].startswith("+"):
                self._at += 1
                new.append(self._lines[self._at][1:] + "\n")
            assert self._file is not None
            self._file.hunks.append(Hunk(1, 0, (), tuple(new), "*** Add File"))

    def _extended(self, line: str) -> None:
        """A line between a file's headline and its first hunk."""
        file = self._file
        assert file is not None
        word, _, rest = line.partition(" ")
        if line.startswith(("new file mode ", "deleted file mode ", "new mode ")):
            mode = line.rsplit(" ", 1)[1]
            if mode in ("120000", "160000"):
                raise ToolError(f"{file.new or file.old} is a link or a submodule in this patch; only plain files fit")
            if line.startswith("deleted"):
                file.kind = "remove"
                return
            file.executable = mode == "100755"
            if line.startswith("new file"):
                file.kind = "add"
                file.executable = file.executable or None
        elif word in ("rename", "copy") and rest.startswith(("from ", "to ")):
            side, _, name = rest.partition(" ")
            file.copy = word == "copy"
            if side == "from":
                file.source = _name(name)
            else:
                file.target = _name(name)
        elif line.startswith(("GIT binary patch", "Binary files ")):
            raise ToolError(f"{file.new or file.old} is a binary file in this patch; only text can be patched")

    def _hunk(self) -> None:
        file = self._file
        assert file is not None
        head = self._lines[self._at].removesuffix("\r")
        self._at += 1
        match = _HUNK.match(head)
        counts = None
        if match is not None:
            counts = (int(match[2]) if match[2] is not None else 1, int(match[4]) if match[4] is not None else 1)
        body = self._counted(*counts) if counts is not None else None
        if body is None:
            body = self._until_next()
        self._at += len(body)
        start = int(match[1]) + (1 if counts is not None and counts[0] == 0 else 0) if match is not None else None
        loose = _LOOSE_HUNK.match(head) if match is None else None
        anchor = (loose[1] or "").strip() if loose is not None else ""
        hunk = _hunk_of(len(file.hunks) + 1, start, body, head, anchor)
        if hunk.old or hunk.new:
            file.hunks.append(hunk)

    def _counted(self, old: int, new: int) -> list[str] | None:
        """The body by its counts; None when they are wrong."""
        at, lines = self._at, self._lines
        while old > 0 or new > 0:
            if at >= len(lines):
                return None
            mark = lines[at][:1]
            if mark in (" ", "", "\r"):
                old, new = old - 1, new - 1
            elif mark == "-":
                old -= 1
            elif mark == "+":
                new -= 1
            elif mark != "\\":
                return None
            at += 1
        if old < 0 or new < 0:
            return None
        while at < len(lines) and lines[at].startswith("\\"):
            at += 1
        follows = lines[at][:1] if at < len(lines) else ""
        if follows in ("+", " ") or (follows == "-" and not (self._is_header(at) or _TRAILER.match(lines[at]))):
            return None  # there is more than it says
        return lines[self._at : at]

    def _until_next(self) -> list[str]:
        """The body up to the next headline, for a hunk that miscounts."""
        at, lines = self._at, self._lines
        while at < len(lines):
            line = lines[at]
            if line.startswith(("@@", "diff --git ", "*** ")) or self._is_header(at):
                break
            if line[:1] not in (" ", "+", "-", "\\", "", "\r"):
                break
            at += 1
        body = lines[self._at : at]
        while body and body[-1] in ("", "\r"):
            body.pop()
        return body


def _hunk_of(number: int, start: int | None, body: list[str], head: str, anchor: str) -> Hunk:
    old: list[str] = []
    new: list[str] = []
    aware, last = False, ""
    for line in body:
        mark, rest = line[:1], line[1:] + "\n"
        if mark in ("", "\r"):  # a blank line whose one space was lost on the way
            mark, rest = " ", line + "\n"
        if mark == "\\":
            aware = True
            for side in [old] if last == "-" else [new] if last == "+" else [old, new]:
                if side:
                    side[-1] = side[-1].removesuffix("\n")
            continue
        if mark in (" ", "-"):
            old.append(rest)
        if mark in (" ", "+"):
            new.append(rest)
        last = mark
    return Hunk(number, start, tuple(old), tuple(new), head, aware, anchor)


def _git_names(line: str) -> _File:
    """The two names of ``diff --git a/x b/x``; needed where nothing else names the file (an empty file, a mode)."""
    rest = line[len("diff --git ") :]
    if rest.startswith('"'):
        match = re.match(r'("(?:[^"\\]|\\.)*") (.*)$', rest)
        names = [match[1], match[2]] if match is not None else []
    else:
        half = len(rest) // 2
        if rest[half : half + 1] == " " and rest[:half][2:] == rest[half + 1 :][2:]:
            names = [rest[:half], rest[half + 1 :]]
        else:
            names = rest.split(" b/", 1) if " b/" in rest else rest.split(" ", 1)
            names = [names[0], f"b/{names[1]}"] if " b/" in rest else names
    if len(names) != 2:
        return _File()
    one, other = (_name(name) for name in names)
    if one.startswith("a/") and other.startswith("b/"):
        one, other = one[2:], other[2:]
    return _File(one, other)


def _name(text: str) -> str:
    """A file's name as it stands in a headline: up to a tab (a time follows), and unquoted as git quotes."""
    if not text.startswith('"'):
        return text.split("\t", 1)[0].rstrip(" ") if "\t" in text else text
    inner = text[1 : text.rfind('"')]
    data, at = bytearray(), 0
    for match in _ESCAPE.finditer(inner):
        data += inner[at : match.start()].encode("utf-8", "surrogateescape")
        code = match[1]
        data.append(_ESCAPED[code] if code in _ESCAPED else int(code, 8) & 0xFF)
        at = match.end()
    data += inner[at:].encode("utf-8", "surrogateescape")
    return data.decode("utf-8", "surrogateescape")
