"""Seals: signed statements of where a chain ended, in a chained file beside the journal.

The hash chain of a run shows that nobody changed a line by accident; whoever can write the file can write a new chain.
A seal is the head of a chain under the home's signature. Seals are chained in turn, over all runs of the home, in
``audit/seals.jsonl``: each line names the SHA-256 of the line before it. The file lies outside the database, so that a
database that is set back to an earlier copy no longer fits it.

Writing one costs a signature and an append without a flush: a power cut can take the newest lines, and then their
events count as unsigned until the run's next seal. What was signed is on disk before the seal is made.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.errors import StoreError
from mainspring.store.chain import GENESIS
from mainspring.store.keys import PublicKey, signer

#: What the list of revocations is called among the runs; no run's id holds a colon.
REVOCATIONS = ":revocations"
#: Before the id of a run: this much of it came from elsewhere.
IMPORTED = ":imported:"

_PURPOSE = b"mainspring seal 1\n"  # a signature for one purpose is none for another
_FIELDS = {"n": int, "run": str, "seq": int, "head": str, "at": float, "previous": str, "key": str, "signature": str}
_TAIL = 16_384  # bytes from the end in which the last line is looked for
_lock = threading.Lock()  # flock is per open file: threads of a process need one of their own


@dataclass(frozen=True, slots=True)
class Seal:
    """A line of the file.

    Args:
        n: its number, from 1 without gaps.
        run, seq, head: the chain of `run` had the hash `head` at event `seq`.
        at: Unix time in seconds when it was signed.
        previous: SHA-256 of the line before, or 64 zeros.
        key, signature: id of the key, and its Ed25519 signature (hex) over :meth:`signed`.
    """

    n: int
    run: str
    seq: int
    head: str
    at: float
    previous: str
    key: str
    signature: str

    def signed(self) -> bytes:
        """The bytes that are signed."""
        fields = {"n": self.n, "run": self.run, "seq": self.seq, "head": self.head, "at": self.at}
        return _PURPOSE + _canonical(fields | {"previous": self.previous, "key": self.key})

    def line(self) -> bytes:
        """The line without its newline; its SHA-256 is the next one's `previous`."""
        return _canonical(self.encode())

    def encode(self) -> dict[str, Any]:
        """As JSON-ready dict."""
        return {name: getattr(self, name) for name in _FIELDS}

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the line."""
        return hashlib.sha256(self.line()).hexdigest()

    def signed_by(self, key: PublicKey) -> bool:
        """True when the signature is `key`'s."""
        return self.key == key.id and key.verifies(self.signature, self.signed())

    @classmethod
    def decode(cls, value: object) -> Seal:
        """Inverse of :meth:`encode`; raises StoreError for anything that is no seal."""
        if not isinstance(value, dict) or set(value) != set(_FIELDS):
            raise StoreError(f"not a seal: {str(value)[:120]!r}")
        for name, kind in _FIELDS.items():
            if type(value[name]) is not kind:
                raise StoreError(f"not a seal: {name!r} is {str(value[name])[:80]!r}")
        return cls(**value)


def _canonical(value: dict[str, Any]) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    except ValueError as error:
        raise StoreError(f"this cannot be sealed: {error}") from None


def seal_path(home: Path) -> Path:
    """Where the seals of a home are."""
    return home / "audit" / "seals.jsonl"


def write_seal(home: Path, run: str, seq: int, head: str) -> Seal:
    """Sign that the chain of `run` had the hash `head` at event `seq`; the newest seal again when it says so already.

    Raises:
        StoreError: the key cannot be used (see `mainspring.store.keys.signer`), or the file cannot be written.
    """
    key = signer(home)
    path = seal_path(home)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with _lock:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                last, previous = _last(fd, path)
                if last is not None and (last.run, last.seq, last.head) == (run, seq, head):
                    return last
                number = 1 if last is None else last.n + 1
                bare = Seal(number, run, seq, head, round(time.time(), 6), previous, key.public.id, "")
                seal = Seal.decode(bare.encode() | {"signature": key.sign(bare.signed())})
                data = seal.line() + b"\n"
                if os.write(fd, data) != len(data):
                    raise StoreError(f"{path}: the disk is full; the run is in the journal, but it is not signed")
                return seal
            finally:
                os.close(fd)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error}; the run is in the journal, but it is not signed"
        ) from None


def _last(fd: int, path: Path) -> tuple[Seal | None, str]:
    """The newest seal and its hash. A line that a power cut left unfinished is moved to ``seals.torn``."""
    size = os.fstat(fd).st_size
    start = max(0, size - _TAIL)
    tail = os.pread(fd, size - start, start)
    end = tail.rfind(b"\n") + 1
    if end < len(tail):
        if start and not end:
            raise StoreError(f"{path} does not end in a seal; nothing is signed until it is restored from a backup")
        with open(path.with_suffix(".torn"), "ab") as torn:
            torn.write(tail[end:] + b"\n")
        os.ftruncate(fd, start + end)
        tail = tail[:end]
    if not tail:
        return None, GENESIS
    line = tail[:-1].rpartition(b"\n")[2]
    try:
        return Seal.decode(json.loads(line)), hashlib.sha256(line).hexdigest()
    except (ValueError, StoreError) as error:
        raise StoreError(f"{path} does not end in a seal ({error}); restore it from a backup") from None


def read_seals(home: Path) -> Iterator[tuple[int, bytes]]:
    """The finished lines of a home's file with their numbers, unchecked; a line that is being written is left out."""
    try:
        with open(seal_path(home), "rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield number, line[:-1]
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{seal_path(home)} cannot be read: {error}") from None


def newest_seal(home: Path, run: str, most: int) -> Seal | None:
    """The newest seal of a run at or before event `most`; lines that are no seals are passed over."""
    needle = json.dumps(run).encode("ascii")
    found: Seal | None = None
    for _, line in read_seals(home):
        if needle in line:
            try:
                seal = Seal.decode(json.loads(line))
            except (ValueError, StoreError):
                continue
            if seal.run == run and seal.seq <= most:
                found = seal
    return found
