"""The outside world: services that remember what was done to them, in files of their own.

The log is append-only and flushed to disk line by line; the charging service is a small database that
honours idempotency keys as a payment provider does. Nothing here reads the journal.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Facts:
    """What the witness saw, by (run, number of the call)."""

    acts: Counter[tuple[str, int]] = field(default_factory=Counter)
    reads: Counter[tuple[str, int]] = field(default_factory=Counter)
    attempts: Counter[tuple[str, int]] = field(default_factory=Counter)
    keys: defaultdict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))


class Witness:
    """The services under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "acts.log"
        self.database = folder / "charges.db"

    def create(self) -> None:
        """Make the folder and its files; only the parent does this, before any worker starts."""
        self.folder.mkdir(parents=True)
        self.log.touch()
        with sqlite3.connect(self.database, isolation_level=None) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE attempts (run TEXT, n INTEGER, key TEXT)")
            db.execute("CREATE TABLE charges (key TEXT PRIMARY KEY, run TEXT, n INTEGER)")
        db.close()

    def append(self, kind: str, run: str, n: int, key: str) -> None:
        """Act: one line, in one write, on disk before this returns."""
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, f"{kind} {run} {n} {key}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def append_command(self, kind: str, run: str, n: int, key: str) -> str:
        """A shell command that acts as :meth:`append` does, a little later than it is started."""
        line = shlex.quote(f"{kind} {run} {n} {key}")
        return f"sleep 0.02; printf '%s\\n' {line} >> {shlex.quote(str(self.log))}"

    def charge(self, run: str, n: int, key: str) -> bool:
        """Charge under a key: True when this attempt acted, False when the key had acted before."""
        db = sqlite3.connect(self.database, isolation_level=None, timeout=60)
        try:
            db.execute("INSERT INTO attempts VALUES (?, ?, ?)", (run, n, key))
            done = db.execute("INSERT OR IGNORE INTO charges VALUES (?, ?, ?)", (key, run, n))
            return done.rowcount == 1
        finally:
            db.close()

    def find(self, key: str) -> bool:
        """Whether an act under this key is in the log."""
        return any(line.split(" ")[3] == key for line in self._lines())

    def acted(self, run: str, n: int) -> bool:
        """Whether the call was acted on; this is how a person looks."""
        return self.facts().acts[run, n] > 0

    def facts(self) -> Facts:
        """Everything seen so far."""
        facts = Facts()
        for line in self._lines():
            kind, run, n, key = line.split(" ")
            if kind == "read":
                facts.reads[run, int(n)] += 1
            else:
                facts.acts[run, int(n)] += 1
                facts.keys[run, int(n)].add(key)
        db = sqlite3.connect(self.database, timeout=60)
        try:
            for run, n, key in db.execute("SELECT run, n, key FROM attempts"):
                facts.attempts[run, n] += 1
                facts.keys[run, n].add(key)
            for run, n in db.execute("SELECT run, n FROM charges"):
                facts.acts[run, n] += 1
        finally:
            db.close()
        return facts

    def _lines(self) -> list[str]:
        return self.log.read_text().splitlines()
