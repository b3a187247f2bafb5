"""What a file or folder holds at one moment: read once, digested, compared, and searched for what eyes do not see."""

from __future__ import annotations

import base64
import difflib
import errno
import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mainspring.errors import DeclarationError

MAX_FILES = 500
MAX_DEPTH = 8
MAX_FILE_BYTES = 4 << 20
MAX_BYTES = 16 << 20

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
#: Letters and blanks that show nothing although Unicode does not call them format characters.
_BLANK = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


@dataclass(frozen=True)
class Snapshot:
    """The files of a folder by their path in it, or one file under the path ``""``.

    Args:
        files: path -> content.
        programs: the paths that are executable.
    """

    files: Mapping[str, bytes]
    programs: frozenset[str] = frozenset()

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of names, modes and contents; it does not depend on where or when they were read."""
        whole = hashlib.sha256()
        for path in sorted(self.files):
            name = path.encode()
            whole.update(b"%d %d " % (path in self.programs, len(name)) + name)
            whole.update(hashlib.sha256(self.files[path]).digest())
        return whole.hexdigest()

    @classmethod
    def of_text(cls, text: str) -> Snapshot:
        """One text that is no file, such as a schedule. Raises DeclarationError: it is not valid Unicode."""
        try:
            return cls({"": text.encode()})
        except UnicodeEncodeError:
            raise DeclarationError("the text holds half a character (a lone surrogate); write it again") from None

    @classmethod
    def take(cls, path: Path) -> Snapshot:
        """Read a file, or a folder with everything in it. Links are refused, not followed.

        Raises:
            DeclarationError: it is missing, too large, too deep, holds a link, a device or a name that cannot be
                shown, or two names that look alike.
        """
        try:
            handle = os.open(path, _FLAGS)
        except OSError as error:
            what = "is a symbolic link; name what it leads to" if error.errno == errno.ELOOP else f"{error.strerror}"
            raise DeclarationError(f"{path} cannot be read: {what}") from None
        reading = _Reading(str(path))
        try:
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                reading.folder(handle, "", 0)
            else:
                reading.file(handle, "")
        except OSError as error:
            raise DeclarationError(f"{path} cannot be read: {error.strerror}") from None
        finally:
            os.close(handle)
        return cls(reading.files, frozenset(reading.programs))

    def text(self, path: str = "") -> str:
        """A file as text. Raises DeclarationError: it is not there, or no UTF-8."""
        if path not in self.files:
            raise DeclarationError(f"there is no {path}")
        try:
            return self.files[path].decode("utf-8")
        except UnicodeDecodeError as error:
            raise DeclarationError(f"{path or 'the file'} is not valid UTF-8 at byte {error.start}") from None

    def diff(self, before: Snapshot | None) -> str:
        """What has changed since `before`, as unified diffs; with None, everything is new."""
        old = before or Snapshot({})
        found: list[str] = []
        for path in sorted({*old.files, *self.files}):
            shown = path or "content"
            was, now = old.files.get(path), self.files.get(path)
            if was != now:
                found += _file_diff(shown, was, now)
            if now is not None and (path in old.programs) != (path in self.programs):
                found.append(f"{shown} is {'now' if path in self.programs else 'no longer'} executable")
        return "\n".join(found)

    def hidden(self) -> list[str]:
        """What eyes do not see in its texts, a line for each: where it is and what it is called."""
        found = []
        for path in sorted(self.files):
            try:
                text = self.files[path].decode("utf-8")
            except UnicodeDecodeError:
                if path:
                    found.append(f"{path}: not text ({len(self.files[path]):,} bytes), nobody can review it here")
                continue
            found += [f"{path or 'content'}:{where}" for where in hidden_characters(text)]
        return found

    def encode(self) -> dict[str, Any]:
        """As JSON-ready dict."""
        files = {path: base64.b64encode(content).decode() for path, content in self.files.items()}
        return {"files": files, "programs": sorted(self.programs)}

    @classmethod
    def decode(cls, value: Mapping[str, Any]) -> Snapshot:
        """Inverse of :meth:`encode`; raises ValueError, TypeError or KeyError for anything else."""
        files = {str(path): base64.b64decode(text, validate=True) for path, text in value["files"].items()}
        return cls(files, frozenset(str(path) for path in value["programs"]))


def hidden_characters(text: str) -> Iterator[str]:
    """``LINE:COLUMN U+XXXX NAME`` of each character that is invisible, reorders others, or controls a terminal."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.isascii() and line.replace("\t", "").isprintable():
            continue
        for column, char in enumerate(line.removesuffix("\r"), 1):
            if _is_hidden(char):
                other = {"Co": "private use", "Cn": "not assigned"}.get(
                    unicodedata.category(char), "a control character"
                )
                yield f"{number}:{column} U+{ord(char):04X} {unicodedata.name(char, other).lower()}"


def _is_hidden(char: str) -> bool:
    if char in " \t" or "!" <= char <= "~":
        return False
    code = ord(char)
    selector = 0xFE00 <= code <= 0xFE0E or 0xE0100 <= code <= 0xE01EF  # not U+FE0F, which every emoji has
    return selector or char in _BLANK or unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _file_diff(shown: str, was: bytes | None, now: bytes | None) -> list[str]:
    if was is None and now == b"":
        return [f"+ {shown} (empty)"]
    if now is None and was == b"":
        return [f"- {shown} (empty)"]
    try:
        old, new = ((content or b"").decode("utf-8").split("\n") for content in (was, now))
    except UnicodeDecodeError:
        sizes = " -> ".join("nothing" if c is None else f"{len(c):,} bytes" for c in (was, now))
        return [f"{shown}: {sizes}, not text"]
    names = ("/dev/null" if was is None else shown, "/dev/null" if now is None else shown)
    return list(difflib.unified_diff([] if was is None else old, [] if now is None else new, *names, lineterm="", n=2))


class _Reading:
    """One walk over a folder; every step is relative to the folder that the step before opened."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.files: dict[str, bytes] = {}
        self.programs: list[str] = []
        self.bytes = 0

    def folder(self, handle: int, prefix: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise DeclarationError(f"{self.shown}/{prefix} is nested deeper than {MAX_DEPTH} folders")
        alike: dict[str, str] = {}
        names = os.listdir(handle)
        if len(names) > MAX_FILES:
            raise DeclarationError(f"{self.shown}/{prefix} has more than {MAX_FILES} files")
        for name in sorted(names):
            if not name.isprintable():
                raise DeclarationError(f"{self.shown}/{prefix}{name!r}: a name with characters that cannot be shown")
            same = alike.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
            if same != name:
                raise DeclarationError(f"{self.shown}/{prefix}: {same!r} and {name!r} are alike; rename one")
            try:
                child = os.open(name, _FLAGS, dir_fd=handle)
            except OSError as error:
                what = "is a symbolic link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
                raise DeclarationError(f"{self.shown}/{prefix}{name} {what}; replace it with a file") from None
            try:
                if stat.S_ISDIR(os.fstat(child).st_mode):
                    self.folder(child, f"{prefix}{name}/", depth + 1)
                else:
                    self.file(child, prefix + name)
            finally:
                os.close(child)

    def file(self, handle: int, path: str) -> None:
        status = os.fstat(handle)
        shown = f"{self.shown}/{path}" if path else self.shown
        if not stat.S_ISREG(status.st_mode):
            raise DeclarationError(f"{shown} is no plain file")
        content = b""
        while piece := os.read(handle, MAX_FILE_BYTES + 1 - len(content)):
            content += piece
        self.bytes += len(content)
        if len(content) > MAX_FILE_BYTES:
            raise DeclarationError(f"{shown} is larger than {MAX_FILE_BYTES >> 20} MiB")
        if self.bytes > MAX_BYTES or len(self.files) >= MAX_FILES:
            raise DeclarationError(f"{self.shown} has more than {MAX_FILES} files or {MAX_BYTES >> 20} MiB")
        self.files[path] = content
        if status.st_mode & 0o111:
            self.programs.append(path)
