"""A vector index in Qdrant: a point a page, with its vectors as a multi-vector that is searched by MaxSim.

A further point, without vectors, holds the name of the space and the mean that is taken from the vectors of a centred
space. That mean is learnt anew while the collection is small, and by `compact`; each point says under which it was
written, so that a change that was cut off is finished later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.errors import StoreError, ToolError
from mainspring.library.embed.protocol import Space, Vectors
from mainspring.library.index.protocol import Ids, Near
from mainspring.library.remote.answers import damaged, near_of, vectors_of, whole
from mainspring.library.remote.collection import NAME, Collection
from mainspring.library.remote.mean import Mean, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Numbers of one request: below Qdrant's usual limit of 32 MB of JSON.
_NUMBERS = 2_500_000
#: Vectors up to which the mean is learnt anew as the collection grows; later only by `compact`.
_LEARN = 20_000
#: Longest list of pages that is sent as a filter; a longer one is applied to what comes back.
_FILTER = 20_000
_PAGE = 1_000
#: So often pages are written again because another process has learnt a new mean.
_TRIES = 20
#: Most pages that are asked for at once while those of a long filter are looked for.
_MOST = 50_000_000


class QdrantIndex(Collection):
    """A `VectorIndex` in a Qdrant collection.

    An `add` is all or none for as many pages as fit one request (some 2.5 million numbers: 150 pages of 128 vectors of
    128 numbers); a larger one is sent in parts, each durable, and may be repeated.

    Args:
        where: URL of the server, or a folder for the local mode.
        collection: its name; made when it is not there.
        space: the space of the vectors.
        on_disk: keep vectors on disk rather than in the server's memory.
        exact: compare with every page instead of by Qdrant's graph.
        **connection: `key_name`, `timeout_s`, `grpc` of `Connection`.

    Raises:
        StoreError: the server cannot be reached, or the collection holds another space or something else.
    """

    def __init__(
        self,
        where: str,
        collection: str,
        space: Space,
        *,
        on_disk: bool = True,
        exact: bool = False,
        **connection: Any,
    ) -> None:
        super().__init__(where, collection, space, on_disk=on_disk, **connection)
        self._exact = exact
        try:
            if space.centred:
                self._finish()
        except BaseException:
            self.close()
            raise

    def add(self, pages: Sequence[tuple[int, Vectors]]) -> None:
        """Put pages in, replacing those that are there; see `VectorIndex.add`."""
        taken = {page: self._checked(page, vectors) for page, vectors in pages}
        if not taken:
            return
        with self._lock:
            mean = self._mean()
            for _ in range(_TRIES):
                for group in self._groups(taken.items()):
                    self._write(group, mean)
                if not self._space.centred:
                    return
                found = self._mean()
                if found.epoch == mean.epoch:
                    break
                mean = found  # another process has learnt a new one meanwhile
            else:
                raise damaged("another mean each time that it was asked for it")
            if mean.tokens < _LEARN:
                total = self._tokens()
                if total >= 2 * mean.tokens:
                    self._learn(mean)

    def remove(self, pages: Iterable[int]) -> int:
        """Take pages out, durably. Returns how many were there."""
        from qdrant_client import models

        gone = sorted({int(page) for page in pages if page >= 0})
        count = 0
        with self._lock:
            for start in range(0, len(gone), _PAGE):
                part = gone[start : start + _PAGE]
                there = [record.id for record in self._records(part)]
                count += len(there)
                if there:
                    selector = models.PointIdsList(points=there)
                    self._to.call("delete", self._collection, points_selector=selector, wait=True)
        return count

    def search(self, query: Vectors, k: int = 10, *, among: Ids | None = None) -> list[Near]:
        """The `k` pages of the largest MaxSim, best first; see `VectorIndex.search`."""
        import numpy as np
        from qdrant_client import models

        asked = np.asarray(query, dtype=np.float32)
        if asked.ndim != 2 or asked.shape[1] != self._space.dim or not np.isfinite(asked).all():
            raise ToolError(f"a query has shape (m, {self._space.dim}) and finite numbers, not shape {asked.shape}")
        if k < 1 or not len(asked) or (among is not None and not len(among)):
            return []
        allowed = None if among is None else {int(page) for page in among}
        chosen = None
        if allowed is not None and len(allowed) <= _FILTER:
            chosen = models.Filter(must=[models.HasIdCondition(has_id=sorted(allowed))])
        limit = k
        while True:
            answer = self._to.call(
                "query_points",
                self._collection,
                query=asked.tolist(),
                using=NAME,
                limit=limit,
                query_filter=chosen,
                search_params=models.SearchParams(exact=True) if self._exact else None,
                with_payload=False,
            )
            found = near_of(answer.points, limit)
            near = [hit for hit in found if allowed is None or hit.page in allowed]
            if allowed is None or chosen is not None or len(near) >= k or len(answer.points) < limit:
                return sorted(near[:k], key=lambda hit: (-hit.score, hit.page))
            if limit > _MOST:
                raise damaged(f"more than {limit:,} pages, and few of those that were asked for")
            limit *= 4

    def ids(self) -> Ids:
        """Numbers of all pages in it, sorted."""
        import numpy as np

        return np.array(sorted(record.id for record in self._scroll(payload=False)), dtype=np.int64)

    def compact(self) -> None:
        """Learn the mean of a centred space anew. Qdrant itself compacts as it goes."""
        if self._space.centred:
            with self._lock:
                self._learn(self._mean())

    def stats(self) -> Mapping[str, float]:
        """`pages`, `vectors`, `segments`, and `bytes`: of the vectors alone, because Qdrant does not say more."""
        counts = [whole(record, "n") for record in self._scroll(payload=["n"])]
        info = self._to.call("get_collection", self._collection)
        vectors = sum(counts)
        return {
            "pages": float(len(counts)),
            "vectors": float(vectors),
            "bytes": float(vectors * self._space.dim * 4),
            "segments": float(info.segments_count or 0),
        }

    # --- vectors -----------------------------------------------------------------------------------------------------

    def _checked(self, page: int, vectors: Vectors) -> NDArray[np.float32]:
        import numpy as np

        found = np.asarray(vectors, dtype=np.float32)
        if page < 0:
            raise ToolError(f"page numbers count from 0, not {page}")
        if found.ndim != 2 or found.shape[1] != self._space.dim:
            raise ToolError(f"vectors of page {page} have shape {found.shape}, not (n, {self._space.dim})")
        if not np.isfinite(found).all():
            raise ToolError(f"vectors of page {page} hold NaN or infinity")
        return found

    def _groups(
        self, pages: Iterable[tuple[int, NDArray[np.float32]]]
    ) -> Iterator[list[tuple[int, NDArray[np.float32]]]]:
        group: list[tuple[int, NDArray[np.float32]]] = []
        numbers = 0
        for page, vectors in pages:
            if group and (numbers + vectors.size > _NUMBERS or len(group) == _PAGE):
                yield group
                group, numbers = [], 0
            group.append((page, vectors))
            numbers += vectors.size
        if group:
            yield group

    def _write(self, pages: Sequence[tuple[int, NDArray[np.float32]]], mean: Mean) -> None:
        """Put pages in, as the encoder made them, in one request that is durable when it returns."""
        import numpy as np
        from qdrant_client import models

        points = []
        for page, vectors in pages:
            payload: dict[str, Any] = {"n": len(vectors)}
            if self._space.centred:
                vectors, norms = mean.taken(vectors)
                payload |= {"epoch": mean.epoch, "norms": norms}
            # Seven digits are what a float32 holds; more would only make the request longer.
            kept = {NAME: np.round(vectors.astype(np.float64), 7).tolist()} if len(vectors) else {}
            points.append(models.PointStruct(id=page, vector=kept, payload=payload))
        self._to.call("upsert", self._collection, points, wait=True)

    # --- the mean ----------------------------------------------------------------------------------------------------

    def _mean(self) -> Mean:
        return unpacked(self._known().get("mean"), self._space.dim) if self._space.centred else Mean()

    def _tokens(self) -> int:
        return sum(whole(record, "n") for record in self._scroll(payload=["n"]))

    def _learn(self, old: Mean) -> None:
        """Compute the mean anew and write all pages under it."""
        import numpy as np

        total, count = np.zeros(self._space.dim), 0
        for record in self._scroll(payload=True, vectors=True):
            vectors = self._original(record, {old.epoch: old})
            total += vectors.sum(axis=0, dtype=np.float64)
            count += len(vectors)
        if not count:
            return
        new = old.next(total, count)
        self._put_meta(new, old)
        self._rewrite(new, old)

    def _finish(self) -> None:
        """Go on with a change of the mean that was cut off."""
        meta = self._known()
        if "former" in meta:
            with self._lock:
                self._rewrite(*(unpacked(meta.get(name), self._space.dim) for name in ("mean", "former")))

    def _rewrite(self, new: Mean, old: Mean) -> None:
        stale = [record.id for record in self._scroll(payload=["epoch"]) if whole(record, "epoch") != new.epoch]
        for start in range(0, len(stale), 64):
            records = self._records(stale[start : start + 64], vectors=True)
            pages = [(record.id, self._original(record, {old.epoch: old, new.epoch: new})) for record in records]
            for group in self._groups(pages):
                self._write(group, new)
        self._put_meta(new, None)

    def _original(self, record: Any, means: Mapping[int, Mean]) -> NDArray[np.float32]:
        """What the encoder made, as near as what was kept tells."""
        epoch = whole(record, "epoch")
        if epoch not in means:
            raise StoreError(
                f"page {record.id} of the Qdrant collection {self._collection!r} was written under a mean that is "
                "gone; remove it and index it again"
            )
        return means[epoch].given_back(*vectors_of(record, NAME, self._space.dim))
