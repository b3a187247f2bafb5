"""The journal: events, runs, approvals and inboxes, on disk before anyone acts on them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from mainspring.store.protocol import (
    NEWS_S,
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
    "NEWS_S",
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

_open: dict[tuple[int, Path, str, str], Store] = {}
_open_lock = threading.Lock()


def default_home() -> Path:
    """`MAINSPRING_HOME`, or ``~/.mainspring``."""
    return Path(os.environ.get("MAINSPRING_HOME") or "~/.mainspring").expanduser()


def open_store(home: str | Path | None = None) -> Store:
    """The journal of a home, opened once a process; one that broke (a full disk, say) is opened anew.

    It is the SQLite file in the home, or the PostgreSQL database that ``MAINSPRING_DATABASE_URL`` names, with payloads
    over 8 KiB where ``MAINSPRING_BLOBS_URL`` says; the home then holds only what belongs to this machine.

    Raises:
        StoreError, JournalVersionError: it cannot be opened.
    """
    folder = Path(home).expanduser().absolute() if home is not None else default_home().absolute()
    url = os.environ.get("MAINSPRING_DATABASE_URL", "").strip()
    blobs = os.environ.get("MAINSPRING_BLOBS_URL", "").strip() if url else ""
    key = (os.getpid(), folder, url, blobs)  # a forked child must not share the parent's connection
    with _open_lock:
        store = _open.get(key)
        if store is not None and store.broken is None:
            return store
        if store is not None:
            store.retire()  # not close: a tool of one of its runs may still be at work
        store = _open[key] = _opened(folder, url, blobs)
        return store


def _opened(folder: Path, url: str, blobs: str) -> Store:
    if not url:
        return SQLiteStore(folder)
    from mainspring.store.postgres import PostgresStore  # psycopg is loaded only by those who use it

    return PostgresStore(folder, url, blobs_url=blobs)


def close_stores() -> None:
    """Close the journals that this process has open, each as soon as none of its runs is executed.

    For programs that open many homes; the next use of a home opens it anew.
    """
    with _open_lock:
        for key in [k for k in _open if k[0] == os.getpid()]:
            _open.pop(key).retire()
