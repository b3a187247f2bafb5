"""Pins: what may instruct an agent is used only as a person approved it, byte for byte.

Instruction files, skills, schedules and configuration are pinned by digest. A changed one is refused, with the
difference, until a person approves it again. No tool can reach the pins: they lie in the home.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from mainspring.errors import DeclarationError, StoreError
from mainspring.guard.snapshot import Snapshot
from mainspring.label import Label

#: What can be pinned.
KINDS = ("instructions", "skill", "schedule", "configuration", "server")
#: Version of the files.
FORMAT = 1

_OURS = re.compile(r"[0-9a-f]{40}\.json\Z")
_PERSON = re.compile(r"[^\s\x00-\x1f\x7f]{1,100}\Z")
_SHOWN_LINES = 60


@dataclass(frozen=True, slots=True)
class Pin:
    """A person's approval of a content.

    Args:
        kind: one of `KINDS`.
        name: a skill's name, or the real path of a file.
        digest: of the content, as :attr:`Snapshot.digest` gives it.
        by, at: who approved it, and when (Unix time).
    """

    kind: str
    name: str
    digest: str
    by: str
    at: float

    @property
    def label(self) -> Label:
        """The label of what it pins: the person vouches for it."""
        return Label(frozenset({f"person:{self.by}"}))


@dataclass(frozen=True, slots=True)
class Same:
    """The content is as it was approved."""

    pin: Pin


@dataclass(frozen=True, slots=True)
class Changed:
    """The content differs from what was approved."""

    pin: Pin
    diff: str


@dataclass(frozen=True, slots=True)
class New:
    """Nobody has approved any content under this name."""

    diff: str


Checked: TypeAlias = Same | Changed | New


class Pins:
    """The pins of a home, one file each; every change replaces a file whole."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "pins"

    def check(self, kind: str, name: str, content: Snapshot) -> Checked:
        """Compare a content with what was approved. Raises StoreError: the pin cannot be read."""
        found = self._read(kind, name)
        if found is None:
            return New(content.diff(None))
        pin, approved = found
        return Same(pin) if pin.digest == content.digest else Changed(pin, content.diff(approved))

    def require(self, kind: str, name: str, content: Snapshot) -> Pin:
        """The pin of a content that is as it was approved.

        Raises:
            DeclarationError: it is new or changed; with the difference and how to approve it.
            StoreError: the pin cannot be read.
        """
        checked = self.check(kind, name, content)
        if isinstance(checked, Same):
            return checked.pin
        if isinstance(checked, New):
            what = f"{kind} {name} was not approved by anybody"
        else:
            what = f"{kind} {name} has changed since {checked.pin.by} approved it:\n{_shortened(checked.diff)}"
        raise DeclarationError(
            f"{what}\n{_noted(content)}nothing of it is used; a person looks at it and approves it with: "
            f"mainspring pins approve {name} --kind {kind}"
        )

    def approve(self, kind: str, name: str, content: Snapshot, *, by: str, digest: str | None = None) -> Pin:
        """Pin a content. Only what acts for a person calls this.

        Args:
            by: the person.
            digest: the digest of what the person looked at, or at least 8 characters of its beginning; a content that
                has changed since is refused.

        Raises:
            DeclarationError: another kind, no name, or not the content that was looked at.
            StoreError: it cannot be written.
        """
        if not _PERSON.match(by):
            raise DeclarationError(f"who approves it? {by!r} is no name; say --by NAME")
        if digest is not None and (len(digest) < 8 or not content.digest.startswith(digest)):
            raise DeclarationError(
                f"{kind} {name} is not what {digest!r} was: its digest is {content.digest}; look at it again"
            )
        pin = Pin(kind, name, content.digest, by, time.time())
        self._write(pin, content)
        return pin

    def remove(self, kind: str, name: str) -> Pin:
        """Take an approval back. Raises DeclarationError: there is none."""
        found = self._read(kind, name)
        if found is None:
            raise DeclarationError(f"{kind} {name} is not pinned; `mainspring pins list` shows what is")
        with self._locked():
            self._file(kind, name).unlink(missing_ok=True)
        return found[0]

    def all(self) -> list[Pin]:
        """Every pin, by kind and name. Raises StoreError: one cannot be read."""
        # What servers' tools were pinned as lies beside, under the servers' names (mainspring.tools.mcp).
        found = [self._decode(path)[0] for path in self.folder.glob("*.json") if _OURS.match(path.name)]
        return sorted(found, key=lambda pin: (pin.kind, pin.name))

    def approved(self, kind: str, name: str) -> Snapshot | None:
        """The content that was approved, or None. Raises StoreError: the pin cannot be read."""
        found = self._read(kind, name)
        return None if found is None else found[1]

    def history(self, kind: str, name: str) -> list[Pin]:
        """The approvals under a name that is pinned, oldest first."""
        path = self._file(kind, name)
        if not path.exists():
            return []
        pin, _, before = self._decode(path)
        return [*before, pin]

    def _read(self, kind: str, name: str) -> tuple[Pin, Snapshot] | None:
        path = self._file(kind, name)
        if not path.exists():
            return None
        pin, content, _ = self._decode(path)
        if (pin.kind, pin.name) != (kind, name):
            raise StoreError(f"the pin {path} is for {pin.kind} {pin.name}, not for {kind} {name}; remove it")
        return pin, content

    def _decode(self, path: Path) -> tuple[Pin, Snapshot, list[Pin]]:
        try:
            value = json.loads(path.read_bytes())
            if value["format"] != FORMAT:
                raise StoreError(f"the pin {path} has format {value['format']!r}; update Mainspring")
            pin, content = Pin(**value["pin"]), Snapshot.decode(value["content"])
            before = [Pin(**each) for each in value["before"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StoreError(
                f"the pin {path} cannot be read ({type(error).__name__}: {error}); remove it and approve again"
            ) from None
        if content.digest != pin.digest:
            raise StoreError(f"the pin {path} is damaged: its content has another digest; remove it and approve again")
        return pin, content, before

    def _write(self, pin: Pin, content: Snapshot) -> None:
        path = self._file(pin.kind, pin.name)
        try:
            with self._locked():
                before = self.history(pin.kind, pin.name)
                value: dict[str, Any] = {"format": FORMAT, "pin": asdict(pin), "before": [asdict(p) for p in before]}
                text = json.dumps(value | {"content": content.encode()})
                beside = path.with_suffix(f".{secrets.token_hex(4)}")
                with open(beside, "x", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                beside.rename(path)
                folder = os.open(self.folder, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
        except OSError as error:
            raise StoreError(f"the pin of {pin.kind} {pin.name} cannot be written: {error}") from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self.folder / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _file(self, kind: str, name: str) -> Path:
        if kind not in KINDS:
            raise DeclarationError(f"{kind!r} cannot be pinned; the kinds are {', '.join(KINDS)}")
        if not name or not name.isprintable():
            raise DeclarationError(f"{name!r} is no name for a pin: it is empty, or cannot be shown")
        return self.folder / (hashlib.sha256(f"{kind}\0{name}".encode()).hexdigest()[:40] + ".json")


@dataclass(frozen=True, slots=True)
class Instructions:
    """An instruction file as a person approved it."""

    text: str
    pin: Pin


def read_instructions(path: Path, pins: Pins) -> Instructions:
    """The text of an instruction file (such as AGENTS.md), if a person approved exactly this text.

    The file is read once: what is returned is what was compared.

    Raises:
        DeclarationError: it is missing, no UTF-8, new or changed since; with the difference.
        StoreError: the pin cannot be read.
    """
    content = Snapshot.take(path)
    text = content.text()
    return Instructions(text, pins.require("instructions", os.path.realpath(path), content))


def _shortened(diff: str) -> str:
    lines = diff.split("\n")
    if len(lines) <= _SHOWN_LINES:
        return diff
    return "\n".join(lines[:_SHOWN_LINES]) + f"\n[... {len(lines) - _SHOWN_LINES:,} more lines ...]"


def _noted(content: Snapshot) -> str:
    hidden = content.hidden()
    if not hidden:
        return ""
    more = f" and {len(hidden) - 5:,} more" if len(hidden) > 5 else ""
    return f"it holds characters that cannot be seen: {'; '.join(hidden[:5])}{more}\n"
