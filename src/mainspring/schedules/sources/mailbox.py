"""New mails of an IMAP mailbox as items.

A mail's item is named by the digest of its bytes, so that a server that gives mails other numbers, or the same mail
under two, makes nothing happen twice. Which were seen is known by UID and UIDVALIDITY, and kept in the source's state.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.errors import DeclarationError, MainspringError
from mainspring.label import Label
from mainspring.schedules.sources.imap import Account, Connection, connect, lies
from mainspring.schedules.sources.mail import Mail, parse
from mainspring.schedules.sources.port import Item, Polled

#: Mails that one look takes; the rest is taken by the next one.
MOST = 50
#: Digests that are remembered for the day on which a mailbox is numbered anew.
_REMEMBERED = 2000
_DAY = 86_400.0
#: More new numberings in a day than this are no accident.
_RENUMBERED = 5


@dataclass(frozen=True, slots=True)
class MailboxSource:
    """Mails that have come since the last look.

    Args:
        account: where; its password is a reference.
        resolve: gives the value of a reference, such as `Secrets.resolve`.
        every_s: seconds between two looks. One costs a login and no transfer when nothing has come.
        existing: whether mails that were there before the first look count.
        after: ``"keep"``, or what is done with a mail once its firing is on disk: ``"seen"`` or ``"delete"``.
        files: a folder for attachments, each mail's in one of its own; None keeps only what they are.
    """

    account: Account
    resolve: Callable[[str], str]
    every_s: float = 120.0
    existing: bool = False
    after: str = "keep"
    files: Path | None = None

    def __post_init__(self) -> None:
        if self.after not in ("keep", "seen", "delete"):
            raise DeclarationError(f"a mailbox's after is 'keep', 'seen' or 'delete', not {self.after!r}")
        if not self.every_s >= 1:
            raise DeclarationError(f"a mailbox is looked at every second at most, not every {self.every_s!r} s")

    @property
    def label(self) -> Label:
        """Of all that a mail says: anybody can write one."""
        return Label(frozenset({f"mail:{self.account.name}"}))

    def poll(self, state: Mapping[str, Any], now: float) -> Polled:
        """Look for new mails. Blocks for at most the account's deadline.

        Raises:
            MainspringError: the server cannot be read, or cannot be relied on; the state stays as it was.
        """
        password = self.resolve(self.account.password)
        writing = self.after != "keep"
        mails: list[tuple[int, bytes]] = []
        with connect(self.account, password, writing=writing) as box:
            known = _State.read(state, now)
            renumbered = known.validity not in (None, box.validity)
            if known.validity == box.validity:
                if writing:
                    box.settle(known.handed, self.after)
                new = self._new(box, known.last)
            elif known.validity is None and not self.existing:
                new, known.last = [], (box.next_uid or max(box.uids("ALL"), default=0) + 1) - 1
            elif known.validity is None:
                new = self._new(box, 0)
            else:
                new = self._renumbered(box, known, now)
            for uid in new[:MOST]:
                data = box.mail(uid)
                if data is not None:
                    mails.append((uid, data))
            validity = box.validity
        # From here on nothing is asked of the server.
        items = []
        for uid, data in mails:
            digest = hashlib.sha256(data).hexdigest()
            if digest not in known.digests:
                items.append(self._item(digest, uid, data))
            known.digests[digest] = now
        taken = new[:MOST]
        known.validity, known.handed = validity, [uid for uid, _ in mails] if writing else []
        # After a new numbering, mails above the last one may be older than the day that was looked through.
        end = box.next_uid - 1 if renumbered and box.next_uid and len(taken) == len(new) else 0
        known.last = max([known.last, end, *taken])
        return Polled(tuple(items), known.write(now), now if len(new) > len(taken) else now + self.every_s)

    def wait(self, seconds: float) -> bool:
        """True as soon as the server says that a mail has come (IDLE): wakes a service before the next look is due.

        Blocks; run it in a thread. Raises MainspringError.
        """
        with connect(self.account, self.resolve(self.account.password)) as box:
            return box.wait(seconds)

    def _new(self, box: Connection, last: int) -> list[int]:
        # `n:*` names the last mail even when its number is below n (RFC 3501, 6.4.8).
        return [uid for uid in box.uids(f"UID {last + 1}:*") if uid > last]

    def _renumbered(self, box: Connection, known: _State, now: float) -> list[int]:
        """The mails since the last look, when their numbers say nothing; those seen are told by their digests."""
        known.renumbered = [t for t in known.renumbered if now - _DAY < t <= now] + [now]
        if len(known.renumbered) > _RENUMBERED:
            raise lies(self.account, f"it was numbered anew {len(known.renumbered)} times within a day")
        since = time.gmtime(known.at - _DAY)  # the server's day may have begun before ours
        months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
        day = f"{since.tm_mday}-{months[since.tm_mon - 1]}-{since.tm_year}"
        known.last = 0
        return box.uids(f"SINCE {day}")

    def _item(self, digest: str, uid: int, data: bytes) -> Item:
        mail = parse(data)
        payload = mail.payload()
        if len(data) >= self.account.max_bytes:
            payload["cut"].append("size")
        if self.files is not None:
            for entry, path in zip(payload["attachments"], _kept(self.files / digest[:32], mail), strict=True):
                entry["path"] = path
        return Item(digest, payload, self.label, f"mail {uid} in {self.account.name}")


@dataclass(slots=True)
class _State:
    validity: int | None
    last: int
    handed: list[int]
    digests: dict[str, float]
    renumbered: list[float]
    at: float

    @classmethod
    def read(cls, state: Mapping[str, Any], now: float) -> _State:
        return cls(
            state.get("validity"),
            state.get("last", 0),
            list(state.get("handed", ())),
            dict(state.get("digests", {})),
            list(state.get("renumbered", ())),
            state.get("at", now),
        )

    def write(self, now: float) -> dict[str, Any]:
        kept = sorted((d, t) for d, t in self.digests.items() if t > now - 3 * _DAY)
        kept = sorted(kept, key=lambda entry: entry[1])[-_REMEMBERED:]
        return {
            "validity": self.validity,
            "last": self.last,
            "handed": self.handed,
            "digests": dict(kept),
            "renumbered": self.renumbered,
            "at": self.at if self.at <= now < self.at + 3600 else now,  # a look at nothing changes no state
        }


def _kept(folder: Path, mail: Mail) -> list[str]:
    """Write the attachments into a folder that only we can enter. What is there already is replaced, not followed."""
    if not mail.attachments:
        return []
    found = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink():
            raise MainspringError(f"{folder} is a link; attachments are not written through it")
        for file in mail.attachments:
            path = folder / file.name
            with _fresh(path) as out:
                out.write(file.data)
            found.append(str(path))
    except OSError as error:
        raise MainspringError(f"attachments cannot be kept in {folder}: {error.strerror or error}") from None
    return found


def _fresh(path: Path) -> Any:
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")
