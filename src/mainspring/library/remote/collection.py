"""A collection in Qdrant: made, checked and read. What the server answers is a stranger's until it is looked at."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from mainspring.errors import StoreError
from mainspring.library.embed.protocol import Space
from mainspring.library.remote.answers import damaged, page_number
from mainspring.library.remote.connection import Connection
from mainspring.library.remote.mean import Mean, packed

#: The point that holds the name of the space and the mean.
_META = "6d61696e-7370-4269-8e67-000000000001"
#: What the vectors of a point are called.
NAME = "tokens"


class Collection:
    """A collection of one space.

    Args:
        where, **connection: as for `Connection`.
        collection: its name; made when it is not there.
        space: the space of the vectors.
        on_disk: keep vectors on disk rather than in the server's memory.

    Raises:
        StoreError: the server cannot be reached, or the collection holds another space or something else.
    """

    def __init__(self, where: str, collection: str, space: Space, *, on_disk: bool, **connection: Any) -> None:
        self._space = space
        self._collection = collection
        self._lock = threading.RLock()
        self._to = Connection(where, **connection)
        try:
            if not self._to.call("collection_exists", collection):
                self._make(on_disk)
            self._check()
        except BaseException:
            self._to.close()
            raise

    @property
    def space(self) -> Space:
        """The space of what it holds."""
        return self._space

    def close(self) -> None:
        """Close the connection."""
        self._to.close()

    def _make(self, on_disk: bool) -> None:
        from qdrant_client import models

        compare = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
        shape = models.VectorParams(
            size=self._space.dim, distance=models.Distance.DOT, multivector_config=compare, on_disk=on_disk
        )
        try:
            self._to.call("create_collection", self._collection, vectors_config={NAME: shape})
        except StoreError:
            if not self._to.call("collection_exists", self._collection):
                raise  # else another process made it just now

    def _check(self) -> None:
        """That the collection is of this space; a new one is given its name."""
        info = self._to.call("get_collection", self._collection)
        shapes = info.config.params.vectors
        shape = shapes.get(NAME) if isinstance(shapes, dict) else None
        if shape is None or shape.multivector_config is None:
            raise StoreError(f"the Qdrant collection {self._collection!r} is no library's; choose another name")
        found = self._meta()
        if found is None:
            if self._to.call("count", self._collection, exact=True).count:
                raise StoreError(f"the Qdrant collection {self._collection!r} says no space; choose another name")
            self._put_meta(Mean(), None)
            found = self._known()
        held = found.get("space")
        if held != self._space.id or bool(found.get("centred")) != self._space.centred or shape.size != self._space.dim:
            raise StoreError(
                f"the Qdrant collection {self._collection!r} holds vectors of {str(held)[:100]}, and these are of "
                f"{self._space.id}; vectors of two spaces cannot be compared: use another collection"
            )

    def _meta(self) -> dict[str, Any] | None:
        found = self._to.call("retrieve", self._collection, [_META], with_payload=True)
        return dict(found[0].payload or {}) if found else None

    def _known(self) -> dict[str, Any]:
        """As `_meta`, where it must be there."""
        found = self._meta()
        if found is None:
            raise damaged("nothing of the collection's own record")
        return found

    def _put_meta(self, mean: Mean, former: Mean | None) -> None:
        from qdrant_client import models

        payload = {"space": self._space.id, "centred": self._space.centred, "mean": packed(mean)}
        if former is not None:
            payload["former"] = packed(former)
        point = models.PointStruct(id=_META, vector={}, payload=payload)
        self._to.call("upsert", self._collection, [point], wait=True)

    def _records(self, pages: Sequence[int], vectors: bool = False) -> list[Any]:
        """The points of these pages, as far as there are any."""
        found = self._to.call("retrieve", self._collection, list(pages), with_payload=True, with_vectors=vectors)
        asked = set(pages)
        for record in found:
            if page_number(record.id) not in asked:
                raise damaged(f"page {record.id}, or that twice, where others were asked for")
            asked.remove(record.id)
        return list(found)

    def _scroll(self, payload: bool | list[str], vectors: bool = False) -> Iterator[Any]:
        """All pages' points, by their numbers."""
        following: Any = None
        last = -1
        while True:
            found, following = self._to.call(
                "scroll",
                self._collection,
                limit=64 if vectors else 10_000,
                offset=following,
                with_payload=payload,
                with_vectors=[NAME] if vectors else False,
            )
            before = last
            for record in found:
                if record.id == _META:
                    continue
                if page_number(record.id) <= last:
                    raise damaged(f"page {record.id} behind page {last}")
                last = record.id
                yield record
            if following is None:
                return
            if last == before and following != _META:
                raise damaged("a list of pages that does not end")
