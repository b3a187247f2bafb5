"""Proof of life beyond one machine: a process that owns runs has a row that it renews, in the database's own time.

Whoever takes a run over deletes the row of its owner first, and only when it is past its time; a renewal finds the row
gone then, and its process goes on under a new name. So an owner lives for as long as nobody has declared it dead, and
no two processes ever disagree about it.

What the process believes about itself is stricter: it holds its runs until a lease after the last renewal was *sent*,
less a margin, by a clock that also runs while it is stopped or the machine sleeps (CLOCK_BOOTTIME).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time

import psycopg

from mainspring.errors import StoreError
from mainspring.store.postgres_connection import Connect, Link, explain

#: Seconds that a run stays its owner's when nothing is heard from it; ``MAINSPRING_LEASE_S`` changes it.
LEASE_S = 15.0
_SHORTEST, _LONGEST = 1.0, 3600.0

_RENEW = "UPDATE owners SET alive_until = clock_timestamp() + %s * interval '1 second' WHERE name = %s"
_BEGIN = "INSERT INTO owners (name, alive_until) VALUES (%s, clock_timestamp() + %s * interval '1 second')"
# Owners that died without a word; those of the living are never a day old.
_SWEEP = "DELETE FROM owners WHERE alive_until < clock_timestamp() - interval '1 day'"


def lease_seconds() -> float:
    """`MAINSPRING_LEASE_S`, or `LEASE_S`; raises StoreError for anything but seconds from 1 to 3600."""
    text = os.environ.get("MAINSPRING_LEASE_S") or str(LEASE_S)
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not _SHORTEST <= found <= _LONGEST:
        raise StoreError(f"MAINSPRING_LEASE_S is {text!r}; give the seconds of a lease, from 1 to 3600")
    return found


def now_s() -> float:
    """Seconds on a clock that nobody sets and that does not stop with the process or the machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Owner:
    """This process as an owner of runs in one database."""

    def __init__(self, connect: Connect, described: str, lease_s: float) -> None:
        self.lease_s = lease_s
        self._margin = min(lease_s / 5, 3.0)  # for what the clocks differ, and to begin what was asked for
        self._connect, self._described = connect, described
        self._pid = os.getpid()
        self._link: Link | None = None
        self._lock = threading.Lock()  # one renewal at a time
        self._until = 0.0
        self._closed = threading.Event()
        self.name = ""
        with self._lock:
            self._renew()
        self._thread = threading.Thread(target=self._main, name="mainspring-lease", daemon=True)
        self._thread.start()

    def alive(self) -> bool:
        """True while nobody can have declared this owner dead; no question to the database."""
        return now_s() < self._until and self._pid == os.getpid() and not self._closed.is_set()

    def ensure(self) -> None:
        """Renew now when the last renewal is too old; raises StoreError when that fails."""
        if self._closed.is_set():
            raise StoreError(f"the journal in {self._described} is closed")
        if self.alive():
            return
        with self._lock:
            try:
                if not self.alive():
                    self._renew()
            except psycopg.Error as error:
                raise explain(error, self._described) from error

    def close(self) -> None:
        """Give everything up at once: others need not wait for the lease to run out."""
        if self._closed.is_set() or self._pid != os.getpid():
            return
        self._closed.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=30)
        with self._lock, contextlib.suppress(psycopg.Error):  # the server is away: the lease runs out by itself
            link = self._link or self._connect()
            link.execute("DELETE FROM owners WHERE name = %s", (self.name,))
            link.close()

    def _main(self) -> None:
        pause = self.lease_s / 3
        while not self._closed.wait(pause):
            try:
                with self._lock:
                    self._renew()
                pause = self.lease_s / 3
            except psycopg.Error:
                # Tried again soon: a server that restarts is back before the lease has run out.
                if self._link is not None:
                    self._link.close()
                    self._link = None
                pause = min(0.5, self.lease_s / 10)

    def _renew(self) -> None:
        """Prolong the lease, or begin one under a new name when somebody declared the old one dead."""
        if self._link is None or self._link.closed:
            self._link = None
            self._link = self._connect()
        sent = now_s()
        if self.name and self._link.execute(_RENEW, (self.lease_s, self.name)).rowcount == 1:
            self._until = sent + self.lease_s - self._margin
            return
        self._until = 0.0
        host = socket.gethostname().replace(" ", "")[:80]
        name = f"{host}/{os.getpid()}/{secrets.token_hex(6)}"
        sent = now_s()
        self._link.execute(_BEGIN, (name, self.lease_s))
        self.name = name  # before its time: until then nothing is held under it
        self._until = sent + self.lease_s - self._margin
        self._link.execute(_SWEEP)
