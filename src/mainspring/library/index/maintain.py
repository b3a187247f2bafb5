"""What keeps an index quick: waiting pages become segments, small segments one, and what was learnt is learnt again."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mainspring.errors import StoreError
from mainspring.library.index import locks, writes
from mainspring.library.index.build import Made, Pages, calibrate, from_pages, from_segments, making, originals
from mainspring.library.index.calibration import Calibration
from mainspring.library.index.state import Live, State

if TYPE_CHECKING:
    from mainspring.library.index.cascade import CascadeIndex

#: Segments of like size that are joined when there are so many of them.
FAN = 4
#: Vectors that an `add` joins at most; larger segments wait for `compact`.
INLINE = 4_194_304
#: Vectors of one segment that `compact` writes.
LARGEST = 33_554_432
#: `compact` leaves waiting pages of fewer vectors where they are, and segments with a smaller share of removed pages.
FEW = 4_096
WASTE = 0.05
#: How much the corpus grows until `compact` learns from it again: where only centroids are learnt, and where mean or
#: basis are and every vector has to be rounded anew. Centroids that have seen a third of the corpus cost five points
#: of recall.
GROWTH = 1.5
GROWTH_ROUNDED = 2.0


class Maintenance:
    """Works for one index, with one lock between processes for emptying the manifest and one for joining segments."""

    def __init__(self, index: CascadeIndex) -> None:
        self._index = index
        self._flush_lock = index.folder / "flush.lock"
        self._merge_lock = index.folder / "merge.lock"

    def after_add(self) -> None:
        """Cheap upkeep after every add. The pages are safe already, so that what fails here fails nobody."""
        with contextlib.suppress(StoreError):
            if self._index.ripe():
                with locks.tried(self._flush_lock) as got:
                    if got and self._index.ripe():
                        self._flush()
            if not _tier(self._index.state()):
                return
            with locks.tried(self._merge_lock) as got:
                if got:
                    while group := _tier(self._index.state()):
                        self._join(group, group[0].calibration, fresh=False)
                    self._index.sweep()

    def compact(self) -> None:
        """Leave few segments, without removed pages, by one calibration that fits the corpus."""
        index = self._index
        wait = index.wait_s
        with locks.held(self._merge_lock, wait, "compacting the index"):
            with locks.held(self._flush_lock, wait, "writing a segment"):
                if index.state().pending.tokens >= FEW or index.ripe():
                    self._flush()
            now = index.state()
            if _grown(now):
                self._again(now)
            else:
                for group in _groups(_worn(now)):
                    self._join(group, now.current, fresh=False)
            index.sweep()
            index.shrink()

    def _flush(self) -> None:
        index = self._index
        waiting = index.read_rows()
        if not waiting:
            return
        vectors = [kept for _, _, kept in waiting]
        pages = Pages(
            np.array([page for _, page, _ in waiting], dtype=np.int64),
            np.array([len(kept) for kept in vectors], dtype=np.int64),
            vectors.__getitem__,
        )
        calibration, fresh = index.calibration_for(pages)
        with making(index.folder) as (fd, name):
            made = from_pages(index.folder, fd, name, pages, calibration)
            with index.writing() as (connection, _):
                number = writes.put_calibration(connection, calibration, fresh=fresh)
                segment = writes.put_segment(connection, made, number)
                changed = [
                    page
                    for seq, page, _ in waiting
                    if connection.execute("DELETE FROM pending WHERE seq = ?", (seq,)).rowcount == 0
                ]
                writes.mark_gone(connection, segment, changed)  # removed or replaced while we wrote

    def _again(self, now: State) -> None:
        """Learn from the whole corpus, and keep all of it by that."""
        space = self._index.space
        made = calibrate(originals(now.live), centred=space.centred, multi=space.multi)
        fresh = True
        for group in _groups(now.live):
            number = self._join(group, made, fresh=fresh)
            made = Calibration(number, made.dim, made.tokens, made.mean, made.basis, made.clusters)
            fresh = False

    def _join(self, group: Sequence[Live], calibration: Calibration, *, fresh: bool) -> int:
        """Put one segment in the place of several. Returns the number of its calibration."""
        index = self._index
        if not any(live.alive for live in group):
            with index.writing() as (connection, _):
                writes.drop_segments(connection, [live.segment.named.id for live in group])
                return writes.put_calibration(connection, calibration, fresh=fresh)
        with making(index.folder) as (fd, name):
            made = self._write(group, calibration, fd, name)
            with index.writing() as (connection, _):
                number = writes.put_calibration(connection, calibration, fresh=fresh)
                segment = writes.put_segment(connection, made, number)
                for live in group:  # pages that were removed or replaced while we wrote
                    before = live.segment.ids[live.dead] if live.dead is not None else np.zeros(0, np.int64)
                    gone = writes.gone_of(connection, [live.segment.named.id])
                    writes.mark_gone(connection, segment, np.setdiff1d(gone, before))
                writes.drop_segments(connection, [live.segment.named.id for live in group])
                return number

    def _write(self, group: Sequence[Live], calibration: Calibration, fd: int, name: str) -> Made:
        if all(live.calibration.same_space(calibration) for live in group):
            return from_segments(self._index.folder, fd, name, group, calibration)
        return from_pages(self._index.folder, fd, name, originals(group), calibration)


def _grown(now: State) -> bool:
    """Whether what was learnt no longer fits the corpus: it has grown, or parts of it were learnt apart."""
    if not now.live:
        return False
    kept = now.tokens - now.pending.tokens
    several = any(live.calibration.id != now.current.id for live in now.live)
    rounded = now.current.mean is not None or now.current.basis is not None
    growth = GROWTH_ROUNDED if rounded else GROWTH
    return kept > 0 and (several or kept >= growth * max(1, now.current.tokens))


def _worn(now: State) -> list[Live]:
    """Segments to be rewritten: those with removed pages, and small ones beside a large one."""
    worn = [live for live in now.live if len(live.segment.ids) - live.alive > WASTE * len(live.segment.ids)]
    clean = [live for live in now.live if live not in worn]
    largest = max((live.segment.named.tokens for live in clean), default=0)
    small = [live for live in clean if live.segment.named.tokens < LARGEST // 2]
    rest = [live for live in small if live.segment.named.tokens < largest]
    if sum(live.segment.named.tokens for live in rest + worn) * FAN < largest:
        small = rest  # little beside much: the large one stays as it is
    joined = worn + small
    return joined if worn or len(joined) > 1 else []


def _groups(segments: Sequence[Live]) -> list[list[Live]]:
    """The segments in groups of at most `LARGEST` vectors, or single."""
    groups: list[list[Live]] = []
    size = 0
    for live in segments:
        tokens = live.segment.named.tokens
        if not groups or size + tokens > LARGEST:
            groups.append([])
            size = 0
        groups[-1].append(live)
        size += tokens
    return groups


def _tier(now: State) -> list[Live]:
    """Enough segments of like size and one calibration to be joined now, or none."""
    tiers: dict[tuple[int, int], list[Live]] = {}
    for live in now.live:
        tokens = live.segment.named.tokens
        tier = int(np.log2(max(1, tokens)) / np.log2(FAN))
        tiers.setdefault((live.calibration.id, tier), []).append(live)
    for group in tiers.values():
        if len(group) >= FAN and sum(live.segment.named.tokens for live in group) <= INLINE:
            return group
    return []
