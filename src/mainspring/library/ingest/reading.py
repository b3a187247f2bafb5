"""The first stage: files become pages in the catalog, which words find at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from mainspring import __version__
from mainspring.errors import ToolError
from mainspring.label import Label
from mainspring.library.catalog import Known, Source, SQLiteCatalog, Vouched
from mainspring.library.catalog.labels import first_label, next_label
from mainspring.library.ingest import fingerprint
from mainspring.library.ingest.discover import FoundFile
from mainspring.library.ingest.drawing import Open
from mainspring.library.ingest.fingerprint import Fingerprint
from mainspring.library.ingest.hearing import AUDIBLE, Hearing, Words, limited, with_source
from mainspring.library.language import language_of
from mainspring.library.page import Document, Kind, Page
from mainspring.library.read.children import close_readers
from mainspring.library.read.kinds import kind_of
from mainspring.library.read.protocol import Reading, ReadLimits
from mainspring.library.read.tidy import one_line

#: A file that changes while it is read is read again, so often at most.
_TRIES = 3
#: A file that was changed this short a time before it was looked at may change again within the clock's tick.
_FRESH_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a file: `other` is one that is no document, `stopped` one that was not read to its end."""

    outcome: Literal["indexed", "unchanged", "other", "failed", "stopped"]
    uri: str
    document: int = 0
    pages: int = 0
    problem: str = ""


class _StoppedError(Exception):
    """The person wants to stop."""


class Reader:
    """Reads files into the catalog, several at a time.

    Args:
        catalog: where the pages go.
        open_file: opens one file.
        limits: how much of each is read.
        jobs: how many are read at the same time.
        hearing: finds what is said in recordings and films.
        again: read also what looks unchanged.
        stopped: ends the work between two pages when it is set.
    """

    def __init__(
        self,
        catalog: SQLiteCatalog,
        open_file: Open,
        limits: ReadLimits,
        *,
        jobs: int,
        hearing: Hearing,
        again: bool = False,
        stopped: threading.Event | None = None,
    ) -> None:
        self._catalog, self._open, self._limits, self._hearing = catalog, open_file, limits, hearing
        self._jobs, self._again = jobs, again
        self._stopped = stopped or threading.Event()
        self._reading: dict[int, Reading] = {}
        self._digests: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def read_all(self, files: Iterator[tuple[FoundFile, Vouched]]) -> Iterator[Done]:
        """What became of each file, as it becomes known.

        Raises:
            StoreError: the disk is full, or the catalog is damaged; what was read before is kept.
        """
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="mainspring-read") as pool:
            working: set[Future[Done]] = set()
            try:
                for found, said in files:
                    if self._stopped.is_set():
                        break
                    working.add(pool.submit(self.read, found, said))
                    if len(working) >= 2 * self._jobs:
                        working = yield from _finished(working)
                while working:
                    working = yield from _finished(working)
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """End the work: between two pages, and at once where a file hangs."""
        self._stopped.set()
        with self._lock:
            readings = list(self._reading.values())
        for reading in readings:
            reading.close()

    def read(self, found: FoundFile, said: Vouched) -> Done:
        """Bring one file into the catalog."""
        uri = str(found.path)
        if self._stopped.is_set():
            return Done("stopped", uri)
        known = self._catalog.known(uri)
        if (
            known is not None
            and not self._again
            and self._is_as_it_was(known, found)
            and not self._cleaner(found, said)
        ):
            return self._unchanged(
                known, Source(uri, known.digest, found.size, _s(found.stamp), found.stamp), found, said
            )
        try:
            return self._look(found, said, known)
        except _StoppedError:
            return Done("stopped", uri)
        except ToolError as error:
            return self._failed(found, said, known, str(error))

    def _is_as_it_was(self, known: Known, found: FoundFile) -> bool:
        if (known.size, known.stamp) != (found.size, found.stamp):
            return False
        # What failed is tried again by another version, and when a person names the file.
        tried = known.state == "failed" and known.version == __version__ and not found.named
        return tried or (known.state == "ready" and self._hearing.is_as_it_was(found.path))

    def _cleaner(self, found: FoundFile, said: Vouched) -> bool:
        """Whether what is said lets more people read a document, or trusts it.

        It is read again then: another stranger's file may have had a say in its text, or another reader's be in it.
        """
        if not said.trust:
            return False
        known = self._catalog.find(str(found.path))
        if known is None:
            return False
        label = next_label(known.label, self._hearing.vouched(found.path, said, found.named), False)
        return known.label.join(label) != label

    def _unchanged(self, known: Known, source: Source, found: FoundFile, said: Vouched) -> Done:
        said = self._hearing.narrowed(found.path, said)
        asked = said.trust or said.readers is not None
        if asked or known.stamp != source.stamp or (found.named and not known.named):
            self._catalog.seen(known.id, source, said)
        return Done("unchanged", source.uri, known.id)

    def _look(self, found: FoundFile, said: Vouched, known: Known | None) -> Done:
        uri = str(found.path)
        said = self._hearing.vouched(found.path, said, found.named)
        for _ in range(_TRIES):
            taken = fingerprint.take(found.path, self._limits.bytes)
            stamp = 0 if time.time_ns() - taken.stamp < _FRESH_NS else taken.stamp
            source = Source(uri, taken.digest, taken.size, _s(taken.stamp), stamp, found.named)
            same = known is not None and known.state == "ready" and known.digest == taken.digest
            again = self._again or not self._hearing.is_as_it_was(found.path) or self._cleaner(found, said)
            if known is not None and same and not again:
                return self._unchanged(known, source, found, said)
            kind = kind_of(found.path, taken.head)
            if kind is None:
                if known is not None:
                    self._catalog.remove([known.id])
                return Done("other", uri)
            with self._digest_lock(taken.digest):
                document = self._written(found.path, kind, source, taken, said)
            if document is not None:
                return Done("indexed", uri, document.id, document.pages, document.problem)
            known = self._catalog.known(uri)
        raise ToolError("it changes while it is read; index it again when it is at rest")

    def _written(self, path: Path, kind: Kind, source: Source, taken: Fingerprint, said: Vouched) -> Document | None:
        """The document, or None when the file changed meanwhile."""
        if taken.size == 0:
            return self._catalog.write(
                source, kind, path.name, (), said=said, version=__version__, problem="the file is empty"
            ).finish()
        # Recordings of the same bytes may have other words beside them.
        label = self._label(source, said)
        twin = None if self._again or kind in AUDIBLE else self._catalog.twin(taken.digest, label)
        if twin is not None:
            document = self._copied(path, kind, source, twin, said)
            if document is not None:
                return document
        still = partial(fingerprint.still, path, taken)
        reading: Reading | None = None
        try:
            reading = self._open(path, self._limits, label)
            with self._lock:
                self._reading[id(reading)] = reading
            about = reading.about
            cut: list[str] = []
            pages: Iterable[tuple[Page, str, str]] = self._pages(reading, cut, still)
            extra, problem = about.extra, ""
            audible = about.kind in AUDIBLE
            if audible:
                words = self._hearing.words_for(path)
                source = replace(source, changed=self._hearing.is_another_file(path, words))
                pages, by, problem = self._heard(path, pages, words, reading)
                extra, said = with_source(extra, by), limited(said, words.readers)
            writing = self._catalog.write(
                source, about.kind, about.title, pages, extra=extra, said=said, version=__version__
            )
            if not still():
                return None
            return writing.finish("; ".join(filter(None, [problem if audible else reading.problem, *cut])))
        except ToolError:
            if still():
                raise
            return None
        finally:
            if not still():
                close_readers()  # what was there for a moment may have taken over the process that read it
            if reading is not None:
                with self._lock:
                    self._reading.pop(id(reading), None)
                reading.close()

    def _label(self, source: Source, said: Vouched) -> Label:
        """What the pages of a file will have."""
        known = self._catalog.find(source.uri)
        return first_label(said) if known is None else next_label(known.label, said, known.digest != source.digest)

    def _heard(
        self, path: Path, pages: Iterable[tuple[Page, str, str]], words: Words, reading: Reading
    ) -> tuple[list[tuple[Page, str, str]], str, str]:
        """The pages with what is said in them, where the words are from, and what could not be read."""
        known = [page for page, _, _ in pages]  # to the last one: only then the problem is known
        try:
            found, by, problem = self._hearing.add(path, known, words, reading.problem)
        except InterruptedError:
            raise _StoppedError from None
        most = self._limits.page_chars
        found = [page if len(page.text) <= most else replace(page, text=page.text[:most]) for page in found]
        return [(page, language_of(page.text), "") for page in found], by, problem

    def _pages(self, reading: Reading, cut: list[str], still: Callable[[], bool]) -> Iterator[tuple[Page, str, str]]:
        """The pages; why there are no more goes into `cut` when it is not the document's end."""
        some = False
        try:
            for page in reading.pages():
                if self._stopped.is_set():
                    raise _StoppedError
                # Readers open by path; only what is as it was looked at may stand under its digest and label.
                if not still():
                    raise ToolError("it changed while it was read")
                yield page, language_of(page.text), ""
                some = True
        except ToolError as error:
            if self._stopped.is_set():  # it was closed under our hands
                raise _StoppedError from None
            if not some:
                raise
            cut.append(str(error))

    def _copied(self, path: Path, kind: Kind, source: Source, twin: int, said: Vouched) -> Document | None:
        """The document with the pages of one that has the same bytes."""
        pages = self._catalog.copy_of(twin)
        if pages is None:
            return None
        other, held = pages
        if other.uri == source.uri or other.kind != kind:
            return None
        # A title that was only the file's name is not this file's.
        own = Path(other.uri).name  # readers give names on one line
        title = path.name if other.title in (own, one_line(own)) else other.title
        return self._catalog.write(
            source, other.kind, title, held, extra=other.extra, said=said, version=__version__, problem=""
        ).finish()

    def _failed(self, found: FoundFile, said: Vouched, known: Known | None, problem: str) -> Done:
        uri = str(found.path)
        kind: Kind = kind_of(found.path, b"") or (self._catalog.document(known.id).kind if known else "text")
        source = Source(uri, "", found.size, _s(found.stamp), found.stamp, found.named)
        document = self._catalog.fail(source, kind, found.path.name, problem, said=said, version=__version__)
        return Done("failed", uri, document.id, problem=document.problem)

    def _digest_lock(self, digest: str) -> threading.Lock:
        """Files of the same bytes are read one after the other, so that the second finds the first one's pages."""
        with self._lock:
            return self._digests.setdefault(digest[:4], threading.Lock())


def _finished(working: set[Future[Done]]) -> Generator[Done, None, set[Future[Done]]]:
    done, rest = wait(working, return_when=FIRST_COMPLETED)
    for future in done:
        yield future.result()
    return rest


def _s(stamp: int) -> float:
    return stamp / 1e9
