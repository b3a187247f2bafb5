"""Making segments: from vectors as the encoder gives them, and from other segments."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mainspring.errors import StoreError
from mainspring.library.index import locks
from mainspring.library.index.calibration import (
    SAMPLE,
    Calibration,
    learn,
    sample_size,
    spread,
    with_clusters,
)
from mainspring.library.index.numbers import (
    F16,
    F32,
    I64,
    dequantise,
    offsets,
    pool,
    pooled_count,
    pooled_counts,
    quantise,
    quantise_pages,
    spans,
)
from mainspring.library.index.segment import Batch, SegmentWriter
from mainspring.library.index.state import Live

PATTERN = "segment-*.vec"
#: Vectors that are worked on at a time.
_TOKENS = 32_768


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages to put into a segment, and where their vectors come from.

    Args:
        ids, counts: number and vectors of each page.
        original: the vectors of the page at a place as the encoder made them.
    """

    ids: I64
    counts: I64
    original: Callable[[int], F32]


@dataclass(frozen=True, slots=True)
class Made:
    """A segment that is written and flushed but not yet named by the manifest: the columns of its row there."""

    file: str
    pages: int
    tokens: int
    pooled: int
    size: int
    head: str
    digest: str
    ids: I64


@contextlib.contextmanager
def making(folder: Path) -> Iterator[tuple[int, str]]:
    """A new file (descriptor, name), locked while the block runs, so that nobody takes it for a leftover.

    The file stays; when the block ends without its name in the manifest it is a leftover, and `sweep` deletes it.
    """
    try:
        fd, name = _new_file(folder)
    except OSError as error:
        raise StoreError(f"the index folder {folder} cannot be written: {error}; check its space and rights") from error
    try:
        yield fd, name
    except BaseException as error:
        with contextlib.suppress(OSError):
            (folder / name).unlink()
        if isinstance(error, OSError):
            raise StoreError(
                f"the index folder {folder} cannot be written: {error}; free some space: nothing was changed"
            ) from error
        raise
    finally:
        os.close(fd)


def _new_file(folder: Path) -> tuple[int, str]:
    """A new file that is locked and still there. Before it is locked, `sweep` may take it for a leftover."""
    while True:
        name = f"segment-{secrets.token_hex(8)}.vec"
        fd = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            if locks.lock(fd) and os.fstat(fd).st_nlink:
                return fd, name
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def from_pages(folder: Path, fd: int, name: str, pages: Pages, calibration: Calibration) -> Made:
    """Write a segment of these pages."""
    writer = _writer(fd, pages.ids, pages.counts, calibration)
    for begin, end in _batches(pages.counts):
        writer.add(_batch([pages.original(at) for at in range(begin, end)], calibration))
    return _finish(folder, name, pages.ids, writer)


def from_segments(folder: Path, fd: int, name: str, sources: Sequence[Live], calibration: Calibration) -> Made:
    """Write a segment of what is left in others whose vectors are kept in the same space; they are copied."""
    places = [live.places() for live in sources]
    ids = np.concatenate([live.segment.ids[at] for live, at in zip(sources, places, strict=True)])
    counts = np.concatenate([live.segment.token_counts[at] for live, at in zip(sources, places, strict=True)])
    writer = _writer(fd, ids, counts, calibration)
    for live, at in zip(sources, places, strict=True):
        for begin, end in _batches(live.segment.token_counts[at]):
            writer.add(_copy(live, at[begin:end], calibration))
    return _finish(folder, name, ids, writer)


def originals(sources: Sequence[Live]) -> Pages:
    """What is left in segments, as the encoder made it (to the eighth bit), to be kept in another space."""
    where = [(live, int(place)) for live in sources for place in live.places()]
    ids = np.array([live.segment.ids[place] for live, place in where], dtype=np.int64)
    counts = np.array([live.segment.token_counts[place] for live, place in where], dtype=np.int64)

    def original(at: int) -> F32:
        live, place = where[at]
        segment = live.segment
        low, high = int(segment.token_offsets[place]), int(segment.token_offsets[place + 1])
        norms = np.ones(high - low, np.float32) if segment.norms is None else segment.norms[low:high].astype(np.float32)
        return live.calibration.originals(segment.page(place), norms)

    return Pages(ids, counts, original)


def calibrate(pages: Pages, *, centred: bool, multi: bool) -> Calibration:
    """Mean, basis and centroids from a sample of these pages."""
    total = int(pages.counts.sum())
    each = max(1.0, total / max(1, len(pages.ids)))
    chosen = spread(len(pages.ids), int(SAMPLE / each) + 1)
    if not centred and (not multi or pages.original(0).shape[1] <= 128):
        chosen = chosen[:1]  # there is nothing to learn but the centroids
    made = learn(_joined(pages, chosen), tokens=total, centred=centred, multi=multi)
    all_pooled = pooled_counts(pages.counts)
    wanted = sample_size(int(all_pooled.sum()))
    some = spread(len(pages.ids), int(wanted / max(1.0, float(all_pooled.mean()))) + 1)
    parts = []
    for at in some:
        kept = made.documents(pages.original(int(at)))[0]
        parts.append(pool(kept, pooled_count(len(kept))))
    return with_clusters(made, np.concatenate(parts), int(all_pooled.sum()))


def _writer(fd: int, ids: I64, counts: I64, calibration: Calibration) -> SegmentWriter:
    return SegmentWriter(
        fd,
        ids,
        counts,
        pooled_counts(counts),
        width=calibration.width,
        norms=calibration.mean is not None,
        centroids=0 if calibration.clusters is None else len(calibration.clusters.fine),
    )


def _joined(pages: Pages, chosen: I64) -> F32:
    return np.concatenate([pages.original(int(at)) for at in chosen])


def _batches(counts: I64) -> Iterator[tuple[int, int]]:
    ends = np.cumsum(counts)
    begin = 0
    while begin < len(counts):
        base = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, base + _TOKENS, side="right")))
        end = min(end, begin + _TOKENS)
        yield begin, end
        begin = end


def _batch(vectors: Sequence[F32], calibration: Calibration) -> Batch:
    counts = np.array([len(each) for each in vectors], dtype=np.int64)
    kept, norms = calibration.documents(np.concatenate(vectors))
    tokens, scale = quantise(kept)
    small = pooled_counts(counts)
    rough = kept
    if not np.array_equal(small, counts):
        at = offsets(counts)
        rough = np.concatenate([pool(kept[at[i] : at[i + 1]], int(small[i])) for i in range(len(counts))])
    pooled, pooled_scale = quantise_pages(rough, small)
    return Batch(tokens, scale, norms.astype(np.float16), pooled, pooled_scale, _codes(rough, calibration))


def _codes(pooled: F32, calibration: Calibration) -> I64:
    return np.zeros(0, np.int64) if calibration.clusters is None else calibration.clusters.codes(pooled)


def _copy(live: Live, places: I64, calibration: Calibration) -> Batch:
    segment = live.segment
    begins = segment.token_offsets[places]
    rows = spans(begins, segment.token_offsets[places + 1] - begins)
    tokens, scale = segment.tokens[rows], segment.token_scale[rows]
    norms: F16 = np.ones(len(rows), np.float16) if segment.norms is None else segment.norms[rows]
    begins = segment.pooled_offsets[places]
    small = segment.pooled_offsets[places + 1] - begins
    if segment.alias:
        pooled, pooled_scale = quantise_pages(dequantise(tokens, scale), small)
    else:
        rows = spans(begins, small)
        pooled, pooled_scale = segment.pooled[rows], segment.pooled_scale[places]
    if live.calibration.id == calibration.id and len(segment.codes):
        codes = segment.codes[rows].astype(np.int64)
    else:
        codes = _codes(dequantise(pooled, np.repeat(pooled_scale, small)), calibration)
    return Batch(tokens, scale, norms, pooled, pooled_scale, codes)


def _finish(folder: Path, name: str, ids: I64, writer: SegmentWriter) -> Made:
    size, head, digest = writer.finish()
    flush_folder(folder)
    return Made(name, len(ids), writer.tokens, writer.pooled, size, head, digest, ids)


def flush_folder(folder: Path) -> None:
    """Make the names of new files durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sweep(folder: Path, named: Callable[[], set[str]]) -> int:
    """Delete segment files that the manifest does not name and nobody is writing. Returns how many.

    Args:
        folder: where.
        named: asks the manifest, after a file's lock was got: its writer may have named it just before.
    """
    known = named()
    gone = 0
    for path in folder.glob(PATTERN):
        if path.name in known:
            continue
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if locks.lock(fd) and path.name not in named():
                    path.unlink()
                    gone += 1
            finally:
                os.close(fd)
    return gone
