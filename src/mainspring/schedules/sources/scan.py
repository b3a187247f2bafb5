"""What is in folders: every plain file that matches, with what would show that it has changed.

Links are never followed, neither files nor folders, so that nothing outside is looked at.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mainspring.errors import DeclarationError, MainspringError

#: Size, time of change in nanoseconds, number on disk: what is compared to find that a file has changed.
Signature = tuple[int, int, int]
#: Most files that one watch may see.
MAX_FILES = 1_000_000
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A file, a folder (everything below), or a pattern as a shell has it, with ``**`` for any depth."""

    root: str
    matches: re.Pattern[str] | None

    @classmethod
    def of(cls, text: str) -> Pattern:
        """From an absolute path or pattern; raises DeclarationError."""
        if not os.path.isabs(text) or "\0" in text:
            raise DeclarationError(f"watch {text!r}: give an absolute path, such as /srv/invoices/*.pdf")
        parts = text.rstrip("/").split("/")
        if ".." in parts:
            raise DeclarationError(f"watch {text!r}: '..' is not followed; write the path as it is")
        fixed = next((n for n, part in enumerate(parts) if _WILD.search(part)), len(parts))
        root = os.path.realpath("/".join(parts[:fixed]) or "/")
        if fixed == len(parts):
            return cls(root, None)
        return cls(root, re.compile("".join(_regex(parts[fixed:])) + r"\Z", re.DOTALL))


def _regex(parts: Sequence[str]) -> Iterator[str]:
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            yield ".*" if last else "(?:.*/)?"
            continue
        at = 0
        for wild in re.finditer(r"\*+|\?|\[!?\]?[^]]*\]", part):
            yield re.escape(part[at : wild.start()])
            sign = wild.group()
            if sign.startswith("["):
                inner = sign[1:-1].replace("\\", "\\\\").replace("[", "\\[")
                yield "[" + ("^/" + inner[1:] if inner.startswith("!") else inner) + "]"
            else:
                yield "[^/]" if sign == "?" else "[^/]*"
            at = wild.end()
        yield re.escape(part[at:])
        yield "" if last else "/"


@dataclass(slots=True)
class Seen:
    """What a scan found.

    Args:
        files: path -> signature.
        closed: folders that could not be read; what was known below them is neither changed nor gone.
        missing: paths that are not there and may be a file or a folder.
    """

    files: dict[str, Signature] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def scan(patterns: Sequence[Pattern]) -> Seen:
    """Look at everything that the patterns name.

    Raises:
        MainspringError: a pattern's folder is not there, or there are more than `MAX_FILES` files.
    """
    seen = Seen()
    for pattern in patterns:
        try:
            found = os.lstat(pattern.root)
        except PermissionError:
            seen.closed.append(pattern.root)
            continue
        except OSError as error:
            if pattern.matches is None and os.path.isdir(os.path.dirname(pattern.root)):
                seen.missing.append(pattern.root)
                continue
            raise not_there(pattern.root, error.strerror) from None
        if stat.S_ISREG(found.st_mode) and pattern.matches is None:
            seen.files[pattern.root] = _signature(found)
        elif stat.S_ISDIR(found.st_mode):
            _walk(pattern, seen)
    return seen


def not_there(root: str, why: str | None) -> MainspringError:
    """A disk that is not mounted is no removal of its files."""
    return MainspringError(f"{shown(root)} cannot be watched: {why}; make it, or mount it")


def _walk(pattern: Pattern, seen: Seen) -> None:
    start = len(pattern.root.rstrip("/")) + 1
    waiting = [pattern.root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False) and (
                        pattern.matches is None or pattern.matches.match(entry.path[start:])
                    ):
                        try:
                            seen.files[entry.path] = _signature(entry.stat(follow_symlinks=False))
                        except FileNotFoundError:
                            continue  # gone while we looked
        except FileNotFoundError:
            continue
        except OSError:
            seen.closed.append(folder)
        if len(seen.files) > MAX_FILES:
            raise MainspringError(f"{pattern.root} holds more than {MAX_FILES:,} files; watch a part of it")


def _signature(found: os.stat_result) -> Signature:
    return (found.st_size, found.st_mtime_ns, found.st_ino)


def digest_of(path: str, wanted: Signature, most: int) -> str | None:
    """SHA-256 (hex) of a file's content, or None when it is larger than `most`, another by now, or cannot be read."""
    import hashlib

    if wanted[0] > most:
        return None
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as file:
        if _signature(os.fstat(fd)) != wanted:
            return None
        digest = hashlib.sha256()
        left = most + 1
        while left > 0 and (piece := file.read(min(left, 1 << 20))):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest() if left > 0 else None


def shown(path: str) -> str:
    """A path as text that JSON and people can take; bytes that are no UTF-8 are written as ``\\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
