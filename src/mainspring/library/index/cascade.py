"""The embedded index: late interaction over memory-mapped segments, in stages."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mainspring.errors import StoreError, ToolError
from mainspring.library.embed.protocol import Space, Vectors
from mainspring.library.index import manifest, rows, state, writes
from mainspring.library.index.build import Pages, calibrate, from_pages, making, sweep
from mainspring.library.index.calibration import Calibration, shrunk_mean
from mainspring.library.index.check import problems
from mainspring.library.index.maintain import Maintenance
from mainspring.library.index.numbers import F32, dequantise
from mainspring.library.index.protocol import Ids, Near
from mainspring.library.index.search import search as search_state
from mainspring.library.index.search import similarities
from mainspring.library.index.state import State

#: Adds of at least so many vectors, numbers or pages become a segment at once; smaller ones wait in the manifest until
#: together they are as many.
SEGMENT_TOKENS = 32_768
SEGMENT_NUMBERS = 8_388_608
SEGMENT_PAGES = 2_048
#: How much the waiting pages grow until their mean is computed again, while nothing else was learnt.
GROWTH = 4


class CascadeIndex:
    """See :class:`mainspring.library.index.protocol.VectorIndex`; docs/library-index.md says how it works."""

    def __init__(self, folder: Path, space: Space, *, wait_s: float = 30.0) -> None:
        """Open or create the index.

        Args:
            folder: where its files are.
            space: what its vectors are made by.
            wait_s: how long to wait for another writer.

        Raises:
            StoreError: another space, a newer version, damage, or no right to write; with what to do.
        """
        self._folder = Path(folder)
        self._space = space
        self._wait_s = wait_s
        self._path = self._folder / manifest.NAME
        manifest.create(self._folder, space, wait_s)
        self._closed = False
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._connect()
        self._known: State | None = None
        self._version = -1
        self._maintenance = Maintenance(self)
        self.state()
        self.sweep()

    @property
    def space(self) -> Space:
        """The space of what it holds."""
        return self._space

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._folder

    @property
    def wait_s(self) -> float:
        """How long a writer waits for another."""
        return self._wait_s

    # --- writing ---

    def add(self, pages: Sequence[tuple[int, Vectors]]) -> None:
        """See the protocol. Of a number that is given twice the last stays."""
        taken = {_number(page): self._taken(page, vectors) for page, vectors in pages}
        if not taken:
            return
        tokens = sum(len(vectors) for vectors in taken.values())
        if self._enough(tokens, len(taken)):
            self._add_segment(taken)
        else:
            self._add_rows(taken, tokens)
        self._maintenance.after_add()

    def remove(self, pages: Iterable[int]) -> int:
        """See the protocol."""
        numbers = np.unique(np.array([_number(page) for page in pages], dtype=np.int64))
        if not len(numbers):
            return 0
        with self.writing() as (connection, now):
            return writes.take_out(connection, now, numbers)

    def compact(self) -> None:
        """See the protocol. Takes as long as copying what there is; learns anew when the corpus has grown much.

        Raises:
            StoreError: another process is at it for longer than `wait_s`, or the disk is full; nothing is lost.
        """
        self._maintenance.compact()

    def sweep(self) -> int:
        """Delete files that no manifest names, left by processes that were killed. Returns how many."""
        return sweep(self._folder, self._named)

    def shrink(self) -> None:
        """Give back the space of rows that left the manifest."""
        with self._write_lock:
            with self._read_lock:
                self._ready()
            with manifest.explained(self._path):
                self._writer.execute("PRAGMA incremental_vacuum").fetchall()
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _add_rows(self, taken: dict[int, F32], tokens: int) -> None:
        with self.writing() as (connection, now):
            writes.take_out(connection, now, np.array(sorted(taken), dtype=np.int64))
            for page, vectors in taken.items():
                writes.put_row(connection, page, vectors)
            waiting = now.pending.tokens + tokens
            if self._space.centred and now.current.clusters is None and waiting >= GROWTH * now.current.tokens:
                self._learn_mean(connection)

    def _learn_mean(self, connection: sqlite3.Connection) -> None:
        total, count = np.zeros(self._space.dim), 0
        for (seq,) in connection.execute("SELECT seq FROM pending").fetchall():
            vectors = state.raw(connection, self._path, self._space.dim, seq)
            total += vectors.sum(axis=0, dtype=np.float64)
            count += len(vectors)
        if count:
            mean = shrunk_mean(total.astype(np.float32), count)
            writes.put_calibration(connection, Calibration(0, self._space.dim, count, mean))
            writes.drop_segments(connection, ())

    def _add_segment(self, taken: dict[int, F32]) -> None:
        ids = np.fromiter(taken, dtype=np.int64, count=len(taken))
        vectors = list(taken.values())
        pages = Pages(ids, np.array([len(each) for each in vectors], dtype=np.int64), vectors.__getitem__)
        calibration, fresh = self.calibration_for(pages)
        with making(self._folder) as (fd, name):
            made = from_pages(self._folder, fd, name, pages, calibration)
            with self.writing() as (connection, now):
                writes.take_out(connection, now, np.sort(ids))
                number = writes.put_calibration(connection, calibration, fresh=fresh)
                writes.put_segment(connection, made, number)

    def calibration_for(self, pages: Pages) -> tuple[Calibration, bool]:
        """What new pages are kept by, and whether it is new because nothing was learnt before."""
        current = self.state().current
        if current.clusters is not None or not pages.counts.sum():
            return current, False
        return calibrate(pages, centred=self._space.centred, multi=self._space.multi), True

    def _enough(self, tokens: int, pages: int) -> bool:
        numbers = tokens * self._space.dim
        return tokens >= SEGMENT_TOKENS or numbers >= SEGMENT_NUMBERS or pages >= SEGMENT_PAGES

    def ripe(self) -> bool:
        """Whether the waiting pages are enough for a segment."""
        pending = self.state().pending
        return self._enough(pending.tokens, len(pending.by_row))

    def writing(self) -> _Turn:
        """A transaction of the manifest: the connection, and the state that it starts from."""
        return _Turn(self)

    # --- reading ---

    def search(self, query: Vectors, k: int = 10, *, among: Ids | None = None) -> list[Near]:
        """See the protocol.

        Raises:
            ToolError: the query has a wrong shape or a number that is not finite.
        """
        asked = self._taken("query", query)
        wanted = None if among is None else np.asarray(among, dtype=np.int64)
        now = self.state()
        try:
            return search_state(now, asked, k, wanted)
        except IndexError as error:
            raise StoreError(
                f"the index {self._folder} is damaged: {error}; run check(), then restore it or index again"
            ) from error

    def vectors(self, page: int) -> Vectors:
        """A page's vectors as scores are computed from them: centred, projected, to the eighth bit; (n, width).

        Raises:
            StoreError: the page is not here.
        """
        return self._kept(page)[0]

    def match(self, query: Vectors, page: int) -> Vectors:
        """How near each vector of the query is to each of the page, (m, n). A score is the sum of the rows' maxima.

        Raises:
            StoreError: the page is not here.
            ToolError: the query has a wrong shape or a number that is not finite.
        """
        kept, calibration = self._kept(page)
        return similarities(self._taken("query", query), kept, calibration)

    def _kept(self, page: int) -> tuple[F32, Calibration]:
        now = self.state()
        row = now.pending.by_page.get(page)
        if row is not None:
            waiting = now.pending.by_row[row]
            return dequantise(waiting.codes, waiting.scale), now.current
        live = now.find(page)
        if live is None:
            raise StoreError(f"page {page} is not in the index {self._folder}")
        return live.segment.page(live.place(page)), live.calibration

    def ids(self) -> Ids:
        """Numbers of all pages in it, sorted."""
        return self.state().ids.copy()

    def stats(self) -> Mapping[str, float]:
        """`pages`, `vectors`, `bytes`, `segments`; `waiting` pages of the manifest, `removed` pages still on disk,
        numbers of a vector (`width`), `centroids`, `generation`, and at how many vectors it was `calibrated`."""
        now = self.state()
        files = [path.stat().st_size for path in self._folder.iterdir() if path.is_file()]
        clusters = now.current.clusters
        return {
            "pages": len(now.ids),
            "vectors": now.tokens,
            "bytes": sum(files),
            "segments": len(now.live),
            "waiting": len(now.pending.by_row),
            "removed": sum(len(live.segment.ids) - live.alive for live in now.live),
            "width": now.current.width,
            "centroids": 0 if clusters is None else len(clusters.fine),
            "generation": now.generation,
            "calibrated": now.current.tokens,
        }

    def check(self) -> list[str]:
        """Read everything and compare it with its digests. Returns what is wrong, in sentences; empty when all is well.

        Raises:
            StoreError: it cannot even be opened.
        """
        return problems(self.state(), self._folder, self._path)

    def close(self) -> None:
        """Free files and memory; it is not used afterwards."""
        with self._write_lock, self._read_lock:
            self._closed = True
            self._known = None
            if self._pid == os.getpid():
                self._reader.close()
                self._writer.close()

    # --- state ---

    def state(self) -> State:
        """The newest committed state."""
        with self._read_lock:
            self._ready()
            with manifest.explained(self._path):
                version = int(self._reader.execute("PRAGMA data_version").fetchone()[0])
            if self._known is None or version != self._version:
                self._known = state.load(self._reader, self._folder, self._path, self._space.dim, self._known)
                self._version = version
            return self._known

    def read_rows(self) -> list[tuple[int, int, F32]]:
        """Row number, page and original vectors of all waiting pages, of one moment."""
        with self._read_lock:
            self._ready()
            with manifest.explained(self._path):
                found = self._reader.execute(
                    "SELECT seq, page, count, crc, vectors FROM pending ORDER BY seq"
                ).fetchall()
        out = []
        for seq, page, count, crc, blob in found:
            vectors = rows.decode(count, crc, blob, self._space.dim)
            if vectors is not None:  # a damaged row stays where it is, for `check` to name
                out.append((seq, page, vectors))
        return out

    def _named(self) -> set[str]:
        with self._read_lock:
            self._ready()
            with manifest.explained(self._path):
                return {row[0] for row in self._reader.execute("SELECT file FROM segments")}

    def _connect(self) -> None:
        self._pid = os.getpid()
        self._reader = manifest.connect(self._path, self._wait_s)
        self._writer = manifest.connect(self._path, self._wait_s)

    def _ready(self) -> None:
        if self._closed:
            raise StoreError(f"the index {self._folder} is closed; open it again")
        if self._pid != os.getpid():  # a forked child must not use its parent's connections, nor close them
            self._connect()
            self._known = None

    def _taken(self, what: object, vectors: Vectors) -> F32:
        try:
            array = np.asarray(vectors, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise ToolError(f"the vectors of {what} are no array of numbers: {error}") from error
        if array.ndim != 2 or array.shape[1] != self._space.dim:
            raise ToolError(
                f"the vectors of {what} have shape {array.shape}; "
                f"the space {self._space.id} needs (n, {self._space.dim})"
            )
        if array.size and not float(np.abs(array).max()) <= rows.LONGEST:
            raise ToolError(f"the vectors of {what} hold a number that is not finite, or larger than {rows.LONGEST:g}")
        return array


class _Turn:
    """One write transaction; threads of this process wait for each other here, processes in SQLite."""

    def __init__(self, index: CascadeIndex) -> None:
        self._index = index

    def __enter__(self) -> tuple[sqlite3.Connection, State]:
        index = self._index
        if not index._write_lock.acquire(timeout=index._wait_s):
            raise StoreError(f"another thread holds the index {index._folder}; try again when it is done")
        try:
            with index._read_lock:
                index._ready()
            self._transaction = manifest.writing(index._writer, index._path)
            self._transaction.__enter__()
            try:
                return index._writer, index.state()  # nobody else can commit now, so it is the newest
            except BaseException as error:
                self._transaction.__exit__(type(error), error, error.__traceback__)
                raise
        except BaseException:
            index._write_lock.release()
            raise

    def __exit__(self, *failure: object) -> None:
        try:
            self._transaction.__exit__(*failure)  # type: ignore[arg-type]
        finally:
            self._index._write_lock.release()


def _number(page: int) -> int:
    number = int(page)
    if not 0 <= number < 2**63:
        raise ToolError(f"{page} is no page number; they are whole numbers from 0 to 2**63 - 1")
    return number
