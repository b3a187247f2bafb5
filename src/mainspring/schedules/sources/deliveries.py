"""What was handed over and waits for a firing: webhook deliveries and messages of agents, as documents in the store.

A document is on disk before its sender hears yes. Once the schedule has taken it, it stays for a while without its
content, so that the same one is known when it comes again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mainspring.errors import StoreError
from mainspring.store import Kept, Store

#: Days for which a delivery is known after it was taken.
KNOWN_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Tray:
    """The waiting deliveries of one name.

    Args:
        kind: of the documents, such as ``"delivery"``; what they hold stands apart under ``KIND_body``, so that
            counting them reads no content.
        name: of the hook or mailbox; it has no ``/``.
    """

    store: Store
    kind: str
    name: str

    def put(self, id: str, body: Mapping[str, Any], now: float) -> bool:
        """Write a delivery down; False when it is there already, waiting or taken. On disk when it returns.

        Raises:
            StoreError: it could not be written; then it must not be acknowledged.
        """
        key = self._key(id)
        if self.known(id):
            return False
        left = self.store.kept(self.kind + "_body", key)  # of an attempt that ended before it was acknowledged
        try:
            self.store.keep(self.kind + "_body", key, body, version=0 if left is None else left.version)
            self.store.keep(self.kind, key, {"id": id, "at": now, "taken": None}, version=0, due_at=now)
        except StoreError:
            if self.store.kept(self.kind, key) is not None:  # somebody else has just put the same one
                return False
            raise
        return True

    def known(self, id: str) -> bool:
        """True when it is there, waiting or taken."""
        return self.store.kept(self.kind, self._key(id)) is not None

    def waiting(self, limit: int) -> list[Kept]:
        """Those that nobody has taken, oldest first, without their content."""
        return self.store.all_kept(self.kind, prefix=self.name + "/", due=_AHEAD, limit=limit)

    def forget(self, now: float, limit: int = 100) -> None:
        """Remove taken ones whose time is over."""
        for known in self.store.all_kept(self.kind + "_taken", prefix=self.name + "/", due=now, limit=limit):
            marker = self.store.kept(self.kind, known.name)
            _drop(self.store, marker)
            _drop(self.store, known)

    def content(self, id: str) -> dict[str, Any] | None:
        """What a waiting delivery holds; None when it was taken."""
        found = self.store.kept(self.kind + "_body", self._key(id))
        return None if found is None else found.body

    def take(self, ids: Iterable[str], now: float, known_s: float = KNOWN_S) -> None:
        """Mark these as taken and drop what they hold; may be done again for the same ones."""
        for id in ids:
            key = self._key(id)
            marker = self.store.kept(self.kind, key)
            if marker is None:
                continue
            if self.store.kept(self.kind + "_taken", key) is None:
                _keep(self.store, self.kind + "_taken", key, now + known_s)
            if marker.due_at is not None:
                body = {**marker.body, "taken": now}
                try:
                    self.store.keep(self.kind, key, body, version=marker.version)
                except StoreError:  # another server takes the same one
                    continue
            _drop(self.store, self.store.kept(self.kind + "_body", key))

    def _key(self, id: str) -> str:
        return f"{self.name}/{hashlib.sha256(id.encode('utf-8', 'surrogatepass')).hexdigest()}"


#: A due time behind any clock: a delivery waits also while our clock stands before the one that wrote it.
_AHEAD = 4e12


def _keep(store: Store, kind: str, key: str, due_at: float) -> None:
    try:
        store.keep(kind, key, {}, version=0, due_at=due_at)
    except StoreError:
        if store.kept(kind, key) is None:
            raise


def _drop(store: Store, document: Kept | None) -> None:
    if document is None:
        return
    try:
        store.drop(document.kind, document.name, version=document.version)
    except StoreError:
        if store.kept(document.kind, document.name) is not None:
            raise
