"""Who wrote the files of a workspace: a label for each content that a tool wrote, kept where no command can forge it.

A label belongs to a path and the digest of what was written there. When a file's content is another than the one that
was recorded, somebody else wrote it, and its label is not known.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from mainspring.errors import StoreError
from mainspring.label import Label, join_all
from mainspring.store.tables import write_ahead

#: Version of the tables.
FORMAT = 1
#: Largest file whose content is hashed when it is read, in bytes (as large as one that `edit_file` writes); a larger
#: one is an outsider's.
MAX_HASHED_BYTES = 16 << 20
#: What is in the workspace was possibly written by anyone who ever wrote to it. One source for all files, so that the
#: label of a run that reads thousands of them stays small.
WORKSPACE = Label(frozenset({"tool:workspace"}))

_NAME = "provenance.sqlite"
_EMPTY = hashlib.sha256(b"").hexdigest()
#: Homes whose records stay open; a process rarely has more than one.
_MOST_OPEN = 8

_TABLES = """
CREATE TABLE files (
    path BLOB NOT NULL, digest BLOB NOT NULL, label TEXT NOT NULL, run TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (digest, path)
) WITHOUT ROWID;
CREATE TABLE heads (path BLOB PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID
"""

_open: dict[tuple[int, str], Provenance] = {}
_opening = threading.Lock()


def digest_of(content: bytes) -> str:
    """SHA-256 (hex) of a file's content."""
    return hashlib.sha256(content).hexdigest()


def keeps_labels(home: Path | None) -> bool:
    """Whether any file's label is kept in this home; where none is, nothing needs to be hashed."""
    return home is not None and (home / _NAME).exists()


def label_read(home: Path | None, path: Path, digest: str | None) -> Label:
    """The label of what is read from a file; an outsider's when nobody knows better, or the records are damaged.

    Args:
        digest: of the file's whole content, or None when it was not worked out.
    """
    if home is None or digest is None or not keeps_labels(home):
        return WORKSPACE
    try:
        found = provenance(home).label_of(path, digest)
    except StoreError:
        return WORKSPACE
    return WORKSPACE if found is None else found


def edit_label(home: Path | None, path: Path, before: str | None, labels: Mapping[str, Label]) -> Label:
    """The label of a file after an edit: that of the edit, joined with that of what was there.

    Args:
        before: digest of the content that is edited, or None when the edit makes the file.
        labels: argument -> label of the edit, as `ToolContext.labels` has them; none given is an outsider's.
    """
    label = join_all(labels.values()) if labels else WORKSPACE
    return label if before in (None, _EMPTY) else label.join(label_read(home, path, before))


def provenance(home: Path) -> Provenance:
    """The records of a home, opened once a process. Raises StoreError."""
    key = (os.getpid(), str(home))  # a forked child must not use its parent's connection
    with _opening:
        found = _open.get(key)
        if found is None or not found.path.exists():
            while len(_open) >= _MOST_OPEN:
                _open.pop(next(iter(_open))).close()
            found = _open[key] = Provenance(home / _NAME)
        return found


class Provenance:
    """Labels by path and content. Safe to use from several threads and processes.

    A power cut may lose the last records, a killed process none; what is lost makes a file an outsider's.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises StoreError."""
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA busy_timeout=30000")
            write_ahead(self._db)
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._make()
        except (sqlite3.Error, OSError) as error:
            raise self._explained(error) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def record(self, path: str | os.PathLike[str], digest: str, label: Label, run: str = "") -> None:
        """Say that `label` is of the content with this digest, now written to `path`.

        A label that was recorded before for the same path and content stays in it: labels only join.

        Args:
            path: the file, absolute; links in it are resolved.
            digest: SHA-256 (hex) of the whole content.
            run: the run that wrote it.

        Raises:
            StoreError: it cannot be kept; the content must then be taken for an outsider's.
        """
        real, content = _key(path), bytes.fromhex(digest)
        with self._lock:
            try:
                self._write(real, content, label, run)
            except sqlite3.Error as error:
                raise self._explained(error) from error

    def label_of(self, path: str | os.PathLike[str], digest: str) -> Label | None:
        """The label of a file with this content, or None when nobody knows who wrote it: then it is an outsider's.

        A content that was recorded elsewhere, or here and replaced since, keeps every label known for it, and is
        `steered:` by whoever copied it or put it back. A record that cannot be read counts as none.
        """
        real, content = _key(path), bytes.fromhex(digest)
        with self._lock:
            try:
                rows = self._db.execute("SELECT path, label FROM files WHERE digest=?", (content,)).fetchall()
                if not rows:
                    return None
                label = join_all(Label.decode(text) for _, text in rows)
                head = self._db.execute("SELECT digest FROM heads WHERE path=?", (real,)).fetchone()
            except (sqlite3.Error, StoreError):
                return None
        if head is not None and head[0] == content:
            return label
        return label.join(Label(frozenset({f"steered:file:{os.fsdecode(real)}"})))

    def _write(self, real: bytes, content: bytes, label: Label, run: str) -> None:
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            row = db.execute("SELECT label FROM files WHERE digest=? AND path=?", (content, real)).fetchone()
            known = label if row is None else label.join(Label.decode(row[0]))
            db.execute(
                "INSERT OR REPLACE INTO files (path, digest, label, run, at) VALUES (?,?,?,?,?)",
                (real, content, known.encode(), run, time.time()),
            )
            db.execute("INSERT OR REPLACE INTO heads (path, digest) VALUES (?,?)", (real, content))
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    def _make(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise StoreError(
                f"{self.path} has format {version}, and this Mainspring knows formats up to {FORMAT}; update Mainspring"
            )
        if version == FORMAT:
            return
        self._db.execute("BEGIN IMMEDIATE")
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:  # else another process was faster
            for statement in _TABLES.split(";\n"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={FORMAT}")
        self._db.execute("COMMIT")

    def _explained(self, error: Exception) -> StoreError:
        return StoreError(
            f"the file labels {self.path} cannot be used: {error}; when the file is damaged, move it away "
            "(files written before then count as outsiders')"
        )


def _key(path: str | os.PathLike[str]) -> bytes:
    return os.fsencode(os.path.realpath(path))
