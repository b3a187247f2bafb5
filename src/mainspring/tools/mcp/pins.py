"""What a server's tools said of themselves when a person accepted them.

One JSON file for each server in ``HOME/pins``. A tool whose description or schema is not the pinned one is withheld
until a person has seen the difference. The texts are kept, so that the difference can be shown.
"""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mainspring.errors import DeclarationError

_VERSION = 1
Kind: TypeAlias = Literal["new", "changed", "gone"]

#: Who accepted what nobody has looked at yet.
FIRST_USE = "first use"


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool as a server lists it, word for word.

    Args:
        name: the server's name for it.
        said: description, title, schemas and hints, as JSON.
    """

    name: str
    said: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of name, description and schemas: what a planner reads, and what it may be made to send."""
        text = json.dumps([self.name, self.said], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Change:
    """A tool that is not as it was pinned.

    Args:
        name: the server's name for it.
        kind: ``"new"``, ``"changed"`` or ``"gone"``.
        diff: unified diff of what it said and says.
    """

    name: str
    kind: Kind
    diff: str

    @property
    def reason(self) -> str:
        """Why the tool is withheld, without any of the server's words."""
        what = {
            "new": "was added after the server's tools had been approved",
            "changed": "changed its description or schema after it had been approved",
            "gone": "is no longer offered",
        }
        return what[self.kind]


class Pins:
    """The accepted tools of one server.

    Args:
        folder: ``HOME/pins``.
        server: its name.
    """

    def __init__(self, folder: Path, server: str) -> None:
        self.path = folder / f"{server}.json"
        self._lock = folder / ".lock"

    def read(self) -> dict[str, Listed] | None:
        """Name -> the pinned tool; None when nothing was pinned yet.

        Raises:
            DeclarationError: the file is damaged, or a newer Mainspring wrote it; nothing is offered then.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise DeclarationError(f"{self.path} cannot be read: {error}; {_AGAIN}") from None
        try:
            value = json.loads(text)
            if value["version"] != _VERSION:
                raise DeclarationError(f"{self.path} was written by another Mainspring (version {value['version']!r})")
            found = {name: Listed(name, one["said"]) for name, one in value["tools"].items()}
            wrong = [name for name, one in found.items() if one.digest != value["tools"][name]["digest"]]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DeclarationError(
                f"{self.path} is damaged ({type(error).__name__}: {str(error)[:100]}); {_AGAIN}"
            ) from None
        if wrong:
            raise DeclarationError(f"{self.path} is damaged: {wrong[0]!r} does not have its digest; {_AGAIN}")
        return found

    @property
    def seen(self) -> bool:
        """True when a person has accepted what is pinned, and not the first use."""
        try:
            return bool(json.loads(self.path.read_bytes()).get("by") not in (None, FIRST_USE))
        except (OSError, ValueError, AttributeError):
            return False

    def accept(self, tools: Mapping[str, Listed], *, by: str, first: bool = False) -> dict[str, Listed]:
        """Pin these tools in place of what was pinned, and return what is pinned now.

        Args:
            by: who accepted them.
            first: pin only when nothing is pinned yet; another process may have been faster.

        Raises:
            DeclarationError: the file cannot be written.
        """
        try:
            with self._locked():
                if first and (found := self.read()) is not None:
                    return found
                self._write(tools, by)
        except OSError as error:
            raise DeclarationError(f"{self.path} cannot be written: {error.strerror}") from None
        return dict(tools)

    def changes(self, tools: Mapping[str, Listed]) -> list[Change]:
        """What is new, changed or gone against what is pinned, by name. Raises DeclarationError."""
        return compare(self.read() or {}, tools)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(self._lock, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, tools: Mapping[str, Listed], by: str) -> None:
        value = {
            "version": _VERSION,
            "by": by,
            "at": round(time.time(), 3),
            "tools": {name: {"digest": one.digest, "said": one.said} for name, one in sorted(tools.items())},
        }
        number, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with open(number, "w", encoding="utf-8") as file:
                json.dump(value, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


_AGAIN = "look at it, delete it, and approve the server's tools again: mainspring tools approve"


def compare(pinned: Mapping[str, Listed], tools: Mapping[str, Listed]) -> list[Change]:
    """What is new, changed or gone in `tools`, by name."""
    found: list[Change] = []
    for name in sorted({*pinned, *tools}):
        old, new = pinned.get(name), tools.get(name)
        if old is None or new is None:
            found.append(Change(name, "new" if old is None else "gone", _diff(old, new)))
        elif old.digest != new.digest:
            found.append(Change(name, "changed", _diff(old, new)))
    return found


def _diff(old: Listed | None, new: Listed | None) -> str:
    lines = difflib.unified_diff(_lines(old), _lines(new), "approved", "now", n=2, lineterm="")
    return "\n".join(lines)


def _lines(listed: Listed | None) -> list[str]:
    """The tool as text, line by line; what a person would not see is written as escapes."""
    if listed is None:
        return []
    said = dict(listed.said)
    description = said.pop("description", None) or ""
    lines = [_shown(line) for line in str(description).splitlines()]
    return lines + [_shown(line) for line in json.dumps(said, indent=1, sort_keys=True).splitlines()]


def _shown(line: str) -> str:
    from mainspring.tools.mcp.words import invisible

    return "".join(c if c == "\t" or not invisible(c) else ascii(c)[1:-1] for c in line)
