"""Keeping: what takes documents out of a library, and says how it stands."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mainspring.errors import StoreError, ToolError
from mainspring.library.ingest.encoding import missing
from mainspring.library.ingest.hearing import SAID_BY
from mainspring.library.ingest.indexer import Indexer
from mainspring.library.ingest.meaning import NONE
from mainspring.library.page import Document, Where
from mainspring.library.sight.transcripts import SIDECARS


class Keeping(Indexer):
    """The part of a library that keeps it in order."""

    def remove(self, *what: int | str | Path) -> int:
        """Take documents out: by number, uri, or the folder that they lie below. Returns how many.

        Files themselves are left alone. A folder that was indexed is not indexed again by :meth:`index` without paths.
        """
        with self._indexing(None, True):
            removed = self.catalog.remove(self._meant(what))
            for each in what:
                if not isinstance(each, int):
                    self.catalog.drop_root(_absolute(each))
            self._meaning.reconcile()
        return removed

    def forget(self, *what: int | str | Path, by: str) -> int:
        """Take documents out so that no byte of their text, words and vectors is left. Returns how many.

        They are not indexed again with their folder, only when they are named themselves.

        Raises:
            StoreError: another process still holds an old state open; what is left goes with the next :meth:`compact`.
        """
        with self._indexing(None, True):
            meant = self._meant(what)
            # Also pages of text may have words that were read from pictures on them.
            self._forget_pictures()
            self._meaning.forget(self.catalog.among(Where(documents=tuple(meant))).tolist() if meant else [])
            for id_ in meant:
                self.catalog.drop_root(self.catalog.document(id_).uri)  # it would keep the name
            return self.catalog.forget(meant, by=by)

    def _forget_pictures(self) -> None:
        """Drop the cache of what pictures said: it is kept by their pixels, and not by whose they are."""
        with self._lock:
            if self._ocr is not None:
                self._ocr.close()
                self._ocr = None
            shutil.rmtree(self.folder / "ocr", ignore_errors=True)

    def _meant(self, what: Iterable[int | str | Path]) -> list[int]:
        found: dict[int, None] = {}
        for each in what:
            if not str(each):
                raise ToolError("the name of a document is empty; the present folder is '.'")
            if isinstance(each, int):
                found[self.catalog.document(each).id] = None
                continue
            known = self.catalog.find(str(each)) or self.catalog.find(_absolute(each))
            below = [id_ for id_, _, _ in self.catalog.below(_absolute(each))]
            if known is None and not below:
                raise self.nothing_of(each)
            found |= dict.fromkeys(([known.id] if known is not None else []) + below)
        return list(found)

    def nothing_of(self, what: str | Path) -> StoreError:
        """The error that the library has no document of this name, with the recording that its words are in."""
        for heard in self.heard_with(what):
            return StoreError(
                f"the library has no document {str(what)!r}: its words are kept with {heard.uri!r}; forget that one, "
                "and this file is left out with it"
            )
        return StoreError(f"the library has nothing of {str(what)!r}; `mainspring library list` lists it all")

    def heard_with(self, what: str | Path) -> Iterator[Document]:
        """The recordings whose words are from this file beside them (``talk.srt``)."""
        words = Path(_absolute(what))
        if words.suffix.lower() not in SIDECARS:
            return
        stems = {words.stem, Path(words.stem).stem}
        for id_, uri, _ in self.catalog.below(str(words.parent)):
            recording = Path(uri)
            if recording.parent == words.parent and recording.stem in stems:
                document = self.catalog.document(id_)
                if document.extra.get(SAID_BY, "").startswith(f"{words.name}, "):
                    yield document

    def stats(self) -> dict[str, Any]:
        """How much there is, how much waits for work, and how many bytes it takes."""
        side, problem = self._meaning.for_search()
        stats: dict[str, Any] = dict(self.catalog.counts())
        for name in ("kind", "language", "source"):
            stats[f"pages_by_{name}"] = self.catalog.tally(name)
        stats |= {"embedder": self._meaning.name, "space": self._meaning.space, "problem": problem}
        if side is not None:
            stats["unencoded"] = len(missing(self.catalog, side.index)[0])
            stats |= {f"index_{key}": value for key, value in side.index.stats().items()}
        else:
            stats["unencoded"] = 0 if self._meaning.name == NONE else stats["pages"]
        return stats

    def compact(self) -> None:
        """Rewrite the library's files without what was removed. Searches go on meanwhile.

        Raises:
            StoreError: the disk is full, or another process still holds an old state open.
        """
        with self._indexing(None, True):
            self._meaning.reconcile()
            side, _ = self._meaning.for_search()
            if side is not None:
                side.index.compact()
                self._meaning.sweep()
            looks = self._meaning.kept_looks()
            if looks is not None:
                looks.index.compact()
            self.catalog.compact()

    def check(self) -> list[str]:
        """What is wrong with the library's files, a sentence each; reads all of the catalog."""
        found = self.catalog.check()
        side, problem = self._meaning.for_search()
        if side is None:
            return [*found, problem] if self._meaning.space else found
        unencoded, gone = missing(self.catalog, side.index)
        if len(unencoded):
            found.append(f"{len(unencoded)} pages have no vectors; run: mainspring index")
        if len(gone):
            found.append(f"{len(gone)} pages in the index are in the catalog no more; run: mainspring library compact")
        return found


def _absolute(path: str | Path) -> str:
    return os.path.realpath(os.path.expanduser(str(path)))
