"""A folder as an inbox: every file dropped into it is an item, once.

A file is claimed by an atomic move into ``working/OWNER/``, so that of two servers on one folder exactly one has it.
When its firing is over it goes to ``done/`` or ``failed/``, with the reason beside it. All moves are made relative to
open folders, and links are never followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mainspring.errors import DeclarationError, MainspringError
from mainspring.label import Label
from mainspring.schedules.sources.mail import file_name
from mainspring.schedules.sources.port import Item, Polled
from mainspring.schedules.sources.scan import shown

#: Largest text that an item carries itself; of a larger file the run reads what it wants.
MAX_TEXT = 200_000
#: Items of one look.
MOST = 100
#: Digests of files that were there, for finding the same one again, and for how long.
_REMEMBERED = 5000
_REMEMBERED_S = 30 * 86_400.0
#: Names of files that their writers have not finished, by custom.
_UNFINISHED = re.compile(r"(?i)(?:\.(?:tmp|part|partial|crdownload|download|filepart|swp)|~)\Z")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

#: What became of an item: ``("done", "")``, ``("failed", reason)``, or None while it goes on.
Outcome = Callable[[str], "tuple[str, str] | None"]


@dataclass(frozen=True, slots=True)
class InboxSource:
    """Files dropped into a folder.

    Args:
        folder: absolute; ``working``, ``done`` and ``failed`` are made in it. It and these must be no links.
        outcome: asked with an item's id what became of it. Without one, a file is done once its firing is on disk.
        every_s: seconds between two looks.
        settle_s: how long a file must have been the same before it is claimed. Writers do best to write under a name
            that begins with a dot, or ends in ``.part``, and to rename.
        max_bytes: a larger file goes to ``failed``.
        again: whether a file with the content of an earlier one counts again.
    """

    folder: str
    outcome: Outcome | None = None
    every_s: float = 5.0
    settle_s: float = 2.0
    max_bytes: int = 100 << 20
    again: bool = False

    def __post_init__(self) -> None:
        if not os.path.isabs(self.folder) or "\0" in self.folder:
            raise DeclarationError(f"an inbox is an absolute folder, such as /srv/inbox, not {self.folder!r}")
        if not self.every_s > 0 or not self.settle_s >= 0 or not self.max_bytes > 0:
            raise DeclarationError("an inbox's every_s and max_bytes must be above 0, its settle_s not below 0")

    @property
    def label(self) -> Label:
        """Of names and contents: whoever can write into the folder may have chosen them."""
        return Label(frozenset({f"file:{self.folder}"}))

    def poll(self, state: Mapping[str, Any], now: float) -> Polled:
        """Claim what has settled, and put away what is over.

        Raises:
            MainspringError: the folder is not there, is a link, or may not be written; the state stays as it was.
        """
        if "owner" not in state:  # on disk before anything is claimed under it
            made = {"owner": secrets.token_hex(8), "pending": {}, "handed": {}, "seen": {}}
            return Polled((), made, now)
        with _Folders.open(self.folder, state["owner"]) as at:
            handed: dict[str, str] = dict(state["handed"])
            self._put_away(at, handed)
            pending = self._claim(at, state["pending"], now)
            before = {**state["pending"], **pending}
            seen = {d: t for d, t in state["seen"].items() if now - t < _REMEMBERED_S}
            items: list[Item] = []
            mine = sorted(os.listdir(at.working))
            for claimed in mine:
                if claimed in handed:
                    continue
                if len(items) >= MOST:
                    break
                item = self._open(at, claimed, before, pending, seen, now)
                if item is not None:
                    items.append(item)
                    handed[claimed] = item.id
        waits = any(c not in handed for c in mine) or bool(pending)
        kept = dict(sorted(seen.items(), key=lambda entry: entry[1])[-_REMEMBERED:])
        return Polled(
            tuple(items),
            {"owner": state["owner"], "pending": pending, "handed": handed, "seen": kept},
            now
            if len(items) >= MOST
            else now + (min(self.every_s, max(self.settle_s, 0.05)) if waits else self.every_s),
        )

    def _claim(self, at: _Folders, before: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Move what has settled to our own folder; gives what has not, and what was just claimed, with since when."""
        pending: dict[str, Any] = {}
        claimed = 0
        with os.scandir(at.inbox) as entries:
            for entry in entries:
                if entry.name in ("working", "done", "failed") or entry.name.startswith("."):
                    continue
                if _UNFINISHED.search(entry.name) or claimed >= MOST:
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISDIR(found.st_mode):
                    continue
                key, since = _since(found, before, now)
                pending[key] = since
                if now - since >= self.settle_s:
                    name = f"{secrets.token_hex(6)}-{_short(entry.name)}"
                    with contextlib.suppress(FileNotFoundError):  # another server was faster
                        os.rename(entry.name, name, src_dir_fd=at.inbox, dst_dir_fd=at.working)
                        claimed += 1
        return dict(list(pending.items())[:2000])

    def _open(
        self,
        at: _Folders,
        name: str,
        before: Mapping[str, Any],
        pending: dict[str, Any],
        seen: dict[str, Any],
        now: float,
    ) -> Item | None:
        """The item of a claimed file; None when it goes to failed, was there before, or is still being written."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at.working)
        except FileNotFoundError:
            return None
        except OSError as error:
            at.put(name, "failed", f"cannot be read: {error.strerror}; links are not followed")
            return None
        with open(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                at.put(name, "failed", "no plain file")
                return None
            key, since = _since(found, before, now)
            pending[key] = since
            if now - since < self.settle_s:  # its writer still has it open
                return None
            if not 0 < found.st_size <= self.max_bytes:
                size = f"{found.st_size:,} bytes, and at most {self.max_bytes:,} are taken"
                at.put(name, "failed", "empty" if found.st_size == 0 else size)
                del pending[key]
                return None
            digest, text = _content(file, self.max_bytes)
            if _key(os.fstat(fd)) != key:
                return None
        del pending[key]
        if not self.again and digest in seen:
            at.put(name, "done", "the same content was here before; it did not count again")
            return None
        seen[digest] = now
        payload: dict[str, Any] = {
            "name": file_name(shown(name.partition("-")[2]), 1),
            "path": shown(os.path.join(at.path, name)),
            "bytes": found.st_size,
            "sha256": digest,
        }
        if text is not None:
            payload["text"] = text
        return Item(
            hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest(),
            payload,
            self.label,
            f"inbox {self.folder}",
        )

    def _put_away(self, at: _Folders, handed: dict[str, str]) -> None:
        """Files whose firing is over: these were handed out by a look whose state is on disk."""
        for name, id in list(handed.items()):
            over = ("done", "") if self.outcome is None else self.outcome(id)
            if over is not None:
                at.put(name, "done" if over[0] == "done" else "failed", over[1])
                del handed[name]


@dataclass(slots=True)
class _Folders:
    """The inbox's folders, open: what others rename or replace by links meanwhile cannot lead us elsewhere."""

    inbox: int
    working: int
    done: int
    failed: int
    path: str

    @classmethod
    @contextlib.contextmanager
    def open(cls, folder: str, owner: str) -> Iterator[_Folders]:
        with contextlib.ExitStack() as stack:

            def enter(name: str, above: int | None = None) -> int:
                if above is not None:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, 0o700, dir_fd=above)
                fd = os.open(name, _DIRECTORY, dir_fd=above)
                stack.callback(os.close, fd)
                return fd

            try:
                inbox = enter(folder)
                working = enter(owner, enter("working", inbox))
                at = cls(inbox, working, enter("done", inbox), enter("failed", inbox), f"{folder}/working/{owner}")
            except OSError as error:
                raise _unusable(folder, error) from None
            try:
                yield at
            except OSError as error:
                raise _unusable(folder, error) from None

    def put(self, name: str, where: str, reason: str) -> None:
        """Move a claimed file away, the reason beside it first; harmless when it has been moved already."""
        target = self.done if where == "done" else self.failed
        if reason:
            beside = f"{name}.reason.txt"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside, dir_fd=target)
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=target)
            with open(fd, "w", encoding="utf-8", errors="replace") as out:
                out.write(reason + "\n")
        with contextlib.suppress(FileNotFoundError):
            os.rename(name, name, src_dir_fd=self.working, dst_dir_fd=target)


def _unusable(folder: str, error: OSError) -> MainspringError:
    return MainspringError(
        f"the inbox {shown(folder)} cannot be used: {error.strerror or error}; it, and working, done and failed in it, "
        "must be folders (no links) that we may write"
    )


def _key(found: os.stat_result) -> str:
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def _since(found: os.stat_result, before: Mapping[str, Any], now: float) -> tuple[str, float]:
    """Since when a file has been as it is. Its number on disk goes with it when it is moved."""
    key = _key(found)
    return key, min(float(before.get(key, now)), now)


def _short(name: str) -> str:
    """At most 200 bytes of a name, its ending kept; behind our own part it must still fit into 255."""
    data = os.fsencode(name)
    return name if len(data) <= 200 else os.fsdecode(data[:160] + data[-40:])


def _content(file: Any, most: int) -> tuple[str, str | None]:
    """Digest of the whole, and the text when it is one that is short enough."""
    digest = hashlib.sha256()
    head = b""
    left = most + 1
    while left > 0 and (piece := file.read(min(left, 1 << 20))):
        digest.update(piece)
        left -= len(piece)
        if len(head) <= MAX_TEXT:
            head += piece
    if len(head) > MAX_TEXT or b"\0" in head:
        return digest.hexdigest(), None
    try:
        return digest.hexdigest(), head.decode("utf-8")
    except UnicodeDecodeError:
        return digest.hexdigest(), None
