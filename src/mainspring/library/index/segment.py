"""A segment: an immutable file of pages' vectors, mapped into memory.

Layout (docs/library-index.md has every field): 4096 bytes of header, then sections, each at a multiple of 64 bytes.
The header names every section with its place, type and shape, and holds the digest of the *directory*, the small
sections that everything else is found by. The manifest holds the digests of header and whole file.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mainspring.errors import StoreError
from mainspring.library.index.numbers import F16, F32, I8, I64, dequantise, offsets

MAGIC = b"MSVECS\x00\x01"
HEADER = 4096
ALIGN = 64
DIRECTORY = ("ids", "order", "token_offsets", "pooled_offsets", "list_offsets")


@dataclass(frozen=True, slots=True)
class Named:
    """A segment as the manifest names it.

    Args:
        id: number in the manifest.
        file: name in the folder.
        calibration: which one its vectors are kept by.
        pages, tokens, pooled: how many of each.
        size: bytes of the file.
        head, digest: SHA-256 of its header and of all of it.
    """

    id: int
    file: str
    calibration: int
    pages: int
    tokens: int
    pooled: int
    size: int
    head: str
    digest: str


class Segment:
    """A segment that is open for reading.

    Attributes:
        ids: page numbers as they lie in the file.
        order: puts `ids` in order.
        token_offsets, pooled_offsets: where the vectors of each page begin; one more number than pages.
        tokens, token_scale: eight-bit vectors and their scales. `norms`: see `Calibration.documents`; None for ones.
        pooled, pooled_scale: the pooled vectors, with one scale a page; the very arrays of the vectors where no page is
            pooled.
        codes: the centroid of each pooled vector, for those who join segments; empty when there are no centroids.
        list_offsets, lists: for each centroid the places of the pages that have a pooled vector in its cell.
    """

    def __init__(self, folder: Path, named: Named) -> None:
        """Map the file.

        Raises:
            FileNotFoundError: there is no such file.
            StoreError: it is not the file that the manifest names.
        """
        self.named = named
        path = folder / named.file
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != named.size:
                raise _damaged(path, f"it has {size} bytes, and {named.size} were written")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        header = self._map[:HEADER]
        if hashlib.sha256(header).hexdigest() != named.head:
            raise _damaged(path, "its header is not the one that was written")
        about: dict[str, Any] = json.loads(header[len(MAGIC) :].rstrip(b"\0"))
        self._sections: dict[str, list[Any]] = about["sections"]
        if _directory_digest(self._map, self._sections) != about["directory"]:
            raise _damaged(path, "its directory of pages is not the one that was written")
        self.ids: I64 = self._section("ids")
        self.order: NDArray[np.int32] = self._section("order")
        self.sorted_ids: I64 = self.ids[self.order]
        self.token_offsets: I64 = self._section("token_offsets")
        self.tokens: I8 = self._section("tokens")
        self.token_scale: F32 = self._section("token_scale")
        self.norms: F16 | None = self._section("norms") if "norms" in self._sections else None
        self.alias = "pooled" not in self._sections
        self.pooled_offsets: I64 = self.token_offsets if self.alias else self._section("pooled_offsets")
        self.pooled: I8 = self.tokens if self.alias else self._section("pooled")
        self.pooled_scale: F32 = self.token_scale if self.alias else self._section("pooled_scale")
        self.codes: NDArray[np.uint16] = self._section("codes")
        self.list_offsets: I64 = self._section("list_offsets")
        self.lists: NDArray[Any] = self._section("lists")

    def _section(self, name: str) -> Any:
        begin, kind, shape = self._sections[name]
        count = int(np.prod(shape))
        if not count:  # may begin where the file ends
            return np.zeros(shape, np.dtype(kind))
        return np.frombuffer(self._map, np.dtype(kind), count, begin).reshape(shape)

    @property
    def token_counts(self) -> I64:
        """Vectors of each page."""
        return np.asarray(np.diff(self.token_offsets), dtype=np.int64)

    def place(self, page: int) -> int:
        """Where a page lies in `ids`; -1 when it is not here."""
        at = int(np.searchsorted(self.sorted_ids, page))
        if at < len(self.ids) and self.sorted_ids[at] == page:
            return int(self.order[at])
        return -1

    def places(self, pages: I64) -> I64:
        """Where those of the sorted page numbers lie that are here."""
        if len(pages) > len(self.ids):
            at = np.searchsorted(pages, self.sorted_ids)
            here = pages[np.minimum(at, len(pages) - 1)] == self.sorted_ids
            return np.asarray(self.order[here], dtype=np.int64)
        if not len(pages):
            return np.zeros(0, np.int64)
        at = np.minimum(np.searchsorted(self.sorted_ids, pages), max(0, len(self.ids) - 1))
        return np.asarray(self.order[at[self.sorted_ids[at] == pages]], dtype=np.int64)

    def page(self, place: int) -> F32:
        """The vectors of a page as they are kept."""
        low, high = int(self.token_offsets[place]), int(self.token_offsets[place + 1])
        return dequantise(self.tokens[low:high], self.token_scale[low:high])


@dataclass(frozen=True, slots=True)
class Batch:
    """Some pages on their way into a segment, in the order in which they will lie.

    Args:
        tokens, scale, norms: of all their vectors, one page after another.
        pooled, pooled_scale: the pooled ones, with one scale a page.
        codes: the centroid of each pooled vector; empty when there are none.
    """

    tokens: I8
    scale: F32
    norms: F16
    pooled: I8
    pooled_scale: F32
    codes: I64


class SegmentWriter:
    """Writes a segment in pieces, so that memory does not grow with it. Nothing is visible before the manifest."""

    def __init__(self, fd: int, ids: I64, counts: I64, pooled: I64, *, width: int, norms: bool, centroids: int) -> None:
        """Lay the file out.

        Args:
            fd: an empty file.
            ids, counts, pooled: number, vectors and pooled vectors of each page.
            width: numbers of a vector.
            norms: whether norms are kept.
            centroids: how many the codes count.

        Raises:
            OSError: no space.
        """
        self._fd = fd
        self._pages = len(ids)
        self._alias = bool(np.array_equal(counts, pooled))
        self._sections: dict[str, list[Any]] = {}
        self._end = HEADER
        self._pages_done = 0
        self._tokens_done = 0
        self._pooled_done = 0
        self._centroids = centroids
        self._pooled_counts = pooled
        self._codes = np.zeros(int(pooled.sum()) if centroids else 0, dtype="<u2")
        tokens, total = int(counts.sum()), int(pooled.sum())
        self.tokens, self.pooled = tokens, total
        self._put("ids", ids.astype("<i8"))
        self._put("order", np.argsort(ids, kind="stable").astype("<i4"))
        self._put("token_offsets", offsets(counts).astype("<i8"))
        if not self._alias:
            self._put("pooled_offsets", offsets(pooled).astype("<i8"))
            self._room("pooled_scale", "<f4", (len(counts),))
            self._room("pooled", "|i1", (total, width))
        self._room("token_scale", "<f4", (tokens,))
        if norms:
            self._room("norms", "<f2", (tokens,))
        self._room("tokens", "|i1", (tokens, width))
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, self._end)  # a full disk says so now

    def add(self, batch: Batch) -> None:
        """Write the next pages."""
        at = self._tokens_done
        self._into("tokens", at, batch.tokens)
        self._into("token_scale", at, batch.scale)
        if "norms" in self._sections:
            self._into("norms", at, batch.norms)
        self._tokens_done += len(batch.tokens)
        if not self._alias:
            self._into("pooled", self._pooled_done, batch.pooled)
            self._into("pooled_scale", self._pages_done, batch.pooled_scale)
        self._pages_done += len(batch.pooled_scale)
        if self._centroids:
            self._codes[self._pooled_done : self._pooled_done + len(batch.pooled)] = batch.codes
        self._pooled_done += len(batch.pooled)

    def finish(self) -> tuple[int, str, str]:
        """Write codes, lists and header, and flush the file. Returns its size and the digests of header and whole."""
        if (self._tokens_done, self._pooled_done) != (self.tokens, self.pooled):
            raise AssertionError(f"{self._tokens_done} vectors of {self.tokens} were written")
        list_offsets, lists = self._lists()
        self._put("codes", self._codes)
        self._put("list_offsets", list_offsets)
        self._put("lists", lists)
        with os.fdopen(os.dup(self._fd), "rb") as file:
            read = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            about = {"sections": self._sections, "directory": _directory_digest(read, self._sections)}
            header = (MAGIC + json.dumps(about).encode()).ljust(HEADER, b"\0")
            if len(header) != HEADER:
                raise AssertionError(f"a header of {len(header)} bytes")
            _write(self._fd, header, 0)
            digest = hashlib.sha256(read).hexdigest()
            size = len(read)
            read.close()
        os.fsync(self._fd)
        return size, hashlib.sha256(header).hexdigest(), digest

    def _lists(self) -> tuple[I64, NDArray[Any]]:
        pages = max(1, self._pages)
        kind = "<u2" if pages <= 65_536 else "<u4"
        if not self._centroids:
            return np.zeros(1, "<i8"), np.zeros(0, kind)
        place = np.repeat(np.arange(self._pages, dtype=np.int64), self._pooled_counts)
        pairs = np.unique(self._codes.astype(np.int64) * pages + place)
        held = np.bincount(pairs // pages, minlength=self._centroids)
        return offsets(held).astype("<i8"), (pairs % pages).astype(kind)

    def _room(self, name: str, kind: str, shape: tuple[int, ...]) -> None:
        begin = -(-self._end // ALIGN) * ALIGN
        self._sections[name] = [begin, kind, list(shape)]
        self._end = begin + int(np.prod(shape)) * np.dtype(kind).itemsize

    def _put(self, name: str, array: NDArray[Any]) -> None:
        self._room(name, array.dtype.str, array.shape)
        self._into(name, 0, array)

    def _into(self, name: str, row: int, array: NDArray[Any]) -> None:
        begin, kind, shape = self._sections[name]
        row_size = int(np.prod(shape[1:])) * np.dtype(kind).itemsize
        flat = np.ascontiguousarray(array.astype(kind, copy=False)).reshape(-1).view(np.uint8)
        _write(self._fd, flat.data, begin + row * row_size)


def _write(fd: int, data: bytes | memoryview, at: int) -> None:
    left = memoryview(data)
    while len(left):
        done = os.pwrite(fd, left, at)
        left, at = left[done:], at + done


def _directory_digest(data: mmap.mmap, sections: dict[str, list[Any]]) -> str:
    total = hashlib.sha256()
    view = memoryview(data)
    for name in DIRECTORY:
        if name in sections:
            begin, kind, shape = sections[name]
            total.update(view[begin : begin + int(np.prod(shape)) * np.dtype(kind).itemsize])
    return total.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(path: Path, what: str) -> StoreError:
    return StoreError(
        f"the vector index file {path} is damaged: {what}; restore the folder from a backup, or delete the folder "
        f"{path.parent} and index again"
    )
