"""Files that several processes make at the same time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring.library.catalog import schema as catalog
from mainspring.memory import schema as memory
from mainspring.store import schema as journal
from mainspring.store.tables import write_ahead
from mainspring.tools.provenance import Provenance

OPENED: dict[str, Callable[[Path], object]] = {
    "journal": journal.open_file,
    "provenance": Provenance,
    "catalog": catalog.connect,
    "memory": memory.connect,
}


@pytest.mark.parametrize("what", OPENED)
def test_who_comes_while_another_makes_the_file_waits(what: str, tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")  # as while it turns the log on: SQLite lets nobody wait for that
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite3.connect(path, timeout=30).execute("PRAGMA journal_mode=WAL")
    done = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    done.start()
    opened: Any = OPENED[what](path)
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    opened.close()
    done.join()
    other.close()


def test_who_waits_too_long_is_told(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        write_ahead(sqlite3.connect(path, isolation_level=None), wait_s=0.05)
    other.close()
