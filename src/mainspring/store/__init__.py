"""The journal: events, runs, approvals and inboxes, on disk before anyone acts on them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from mainspring.store.protocol import (
    NO_CHANGES,
    Answer,
    Appended,
    ApprovalRequest,
    ApprovalRow,
    Changes,
    Event,
    Imported,
    InboxItem,
    Kept,
    Lease,
    NewEvent,
    Revocation,
    RunRow,
    Store,
)
from mainspring.store.seals import Seal
from mainspring.store.sqlite import SQLiteStore

__all__ = [
    "NO_CHANGES",
    "Answer",
    "Appended",
    "ApprovalRequest",
    "ApprovalRow",
    "Changes",
    "Event",
    "Imported",
    "InboxItem",
    "Kept",
    "Lease",
    "NewEvent",
    "Revocation",
    "RunRow",
    "SQLiteStore",
    "Seal",
    "Store",
    "close_stores",
    "default_home",
    "open_store",
]

_open: dict[tuple[int, Path], Store] = {}
_open_lock = threading.Lock()


def default_home() -> Path:
    """`MAINSPRING_HOME`, or ``~/.mainspring``."""
    return Path(os.environ.get("MAINSPRING_HOME") or "~/.mainspring").expanduser()


def open_store(home: str | Path | None = None) -> Store:
    """The journal of a home, opened once a process; one that broke (a full disk, say) is opened anew.

    Raises:
        StoreError, JournalVersionError: it cannot be opened.
    """
    folder = Path(home).expanduser().absolute() if home is not None else default_home().absolute()
    key = (os.getpid(), folder)  # a forked child must not share the parent's connection
    with _open_lock:
        store = _open.get(key)
        if store is not None and store.broken is None:
            return store
        if store is not None:
            store.retire()  # not close: a tool of one of its runs may still be at work
        store = _open[key] = SQLiteStore(folder)
        return store


def close_stores() -> None:
    """Close the journals that this process has open, each as soon as none of its runs is executed.

    For programs that open many homes; the next use of a home opens it anew.
    """
    with _open_lock:
        for key in [k for k in _open if k[0] == os.getpid()]:
            _open.pop(key).retire()
