"""The index of one repository."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.code.index import history, impact, lookup, textsearch
from mainspring.code.index.database import Database, Row
from mainspring.code.index.facts import Facts, Import
from mainspring.code.index.files import SETTINGS, Listing, list_files, look_at, read_plain
from mainspring.code.index.graph import Graph
from mainspring.code.index.languages import is_test
from mainspring.code.index.parsing import Parsed, parse_all
from mainspring.code.index.records import BlastRadius, Change, Found, Hit, Reference, Refresh, Symbol, TestMatch
from mainspring.code.index.resolve import Resolver
from mainspring.code.patch import Patch
from mainspring.errors import StoreError, ToolError
from mainspring.tools.names import printable

if TYPE_CHECKING:
    from mainspring.library import Library

__all__ = ["CodeIndex"]

_CACHED = 256
#: Files that are written as one transaction.
_BATCH = 200
_SETTING_BYTES = 256 << 10
_MOST_SETTINGS = 500
_NOTED = 5

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class _File:
    """What stays in memory of a file, beside the graph."""

    mtime: int
    size: int
    digest: bytes
    left_out: str
    language: str = ""
    imports: tuple[Import, ...] = ()
    package: str = ""
    note: str = ""
    symbols: int = 0
    references: int = 0


class CodeIndex:
    """What is defined where in a repository, who uses it, and what a change touches.

    Open it with :meth:`open`. Safe to use from several threads. `graph` is the graph of files and names, changed in
    place by `refresh` and `update`; `version` grows with every change.
    """

    def __init__(self, root: Path, home: Path | None, database: Database) -> None:
        self.root = root
        self.home = home
        self.graph = Graph()
        self.version = 0
        self.lock = threading.RLock()
        self._database = database
        self._files: dict[str, _File] = {}
        self._settings: dict[str, str] = {}
        self._resolver: Resolver | None = None
        self._cache: OrderedDict[str, Facts] = OrderedDict()
        self._changes: tuple[Change, ...] | None = None

    @classmethod
    def open(cls, repo: str | os.PathLike[str], home: str | os.PathLike[str] | None = None) -> CodeIndex:
        """Open the index of a repository, as it was left; :meth:`refresh` brings it up to date.

        Args:
            repo: its top folder, with or without git.
            home: Mainspring's folder; the index is kept below its `index/`. Without one it is kept in memory.

        Raises:
            ToolError: `repo` is no folder.
            StoreError: the home cannot be written.
        """
        root = Path(os.path.realpath(repo))
        if not root.is_dir():
            raise ToolError(f"{printable(str(repo))} is no folder; give the top folder of a repository")
        place = None if home is None else Path(os.path.realpath(home))
        index = cls(root, place, Database(place, root))
        index._load()
        return index

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self._database.close()

    def refresh(self, progress: Progress | None = None) -> Refresh:
        """Look at every file and parse again those that changed.

        Args:
            progress: called with how many of how many changed files were parsed.

        Raises:
            StoreError: the index cannot be written.
        """
        began = time.perf_counter()
        with self.lock:
            listing = list_files(self.root, self.home)
            gone = [path for path in self._files if path not in listing.sources]
            doubtful = [
                path
                for path, (mtime, size) in listing.sources.items()
                if (known := self._files.get(path)) is None or (known.mtime, known.size) != (mtime, size)
            ]
            parsed = self._take(doubtful, listing.sources, gone, progress)
            settings = self._read_settings(listing.settings)
            if settings != self._settings or gone or parsed:
                self._settings = settings
                self._store(lambda: self._database.set("settings", json.dumps(settings)))
                self._relink()
            self._changes = None
            return self._told(listing, parsed, len(gone), time.perf_counter() - began)

    def update(self, paths: Iterable[str | os.PathLike[str]]) -> int:
        """Parse these files again after an edit, new and deleted ones too. Returns how many changed.

        Args:
            paths: relative to the repository, or absolute and inside it; others are ignored.

        Raises:
            StoreError: the index cannot be written.
        """
        with self.lock:
            listing, gone = Listing(), []
            wanted = {found for path in paths if (found := self._relative(path)) is not None}
            for path in sorted(wanted):
                look_at(self.root, path, self.home, listing)
                if path in self._files and path not in listing.sources:
                    gone.append(path)
            new = [path for path in listing.sources if path not in self._files]
            settings = [path for path in wanted if path.rpartition("/")[2] in SETTINGS]
            parsed = self._take(list(listing.sources), listing.sources, gone, None)
            if settings:
                kept = {path: text for path, text in self._settings.items() if path not in settings}
                self._settings = kept | self._read_settings(listing.settings)
                self._store(lambda: self._database.set("settings", json.dumps(self._settings)))
            if new or gone or settings:
                self._relink()
            else:
                self._relink(parsed)
            return len(parsed) + len(gone)

    def files(self) -> tuple[str, ...]:
        """Indexed files, sorted."""
        return tuple(sorted(path for path, file in self._files.items() if not file.left_out))

    def symbols(self, path: str) -> tuple[Symbol, ...]:
        """What a file defines, in order; empty for a file that is not indexed."""
        return tuple(self.facts(path).symbols)

    def facts(self, path: str) -> Facts:
        """Everything that is kept of a file; empty for one that is not indexed."""
        with self.lock:
            found = self._cache.get(path)
            if found is not None:
                self._cache.move_to_end(path)
                return found
            file = self._files.get(path)
            if file is None or file.left_out:
                return Facts("")
            try:
                row = self._database.facts(path)
                found = Facts("") if row is None else Facts.decode(path, *row)
            except (sqlite3.Error, ValueError, TypeError) as error:
                raise self._explained(error) from error
            self._remember(path, found)
            return found

    def is_test(self, path: str) -> bool:
        """Whether a file holds tests, or help for tests."""
        return is_test(path)

    def language(self, path: str) -> str:
        """The language of an indexed file, "" for another one."""
        file = self._files.get(path)
        return "" if file is None else file.language

    def recent(self) -> tuple[Change, ...]:
        """Files that the last commits changed, the most recent first; empty where there is no git."""
        with self.lock:
            if self._changes is None:
                self._changes = history.recent(self.root, frozenset(self._files))
            return self._changes

    def find_definition(self, name: str, path: str | None = None) -> Found:
        """Where something is defined: by exact name, else by the end of a qualified name (``Store.get``).

        Args:
            path: only in this file or folder.
        """
        return lookup.definition(self, name, path)

    def find_references(self, name: str, path: str | None = None) -> tuple[Reference, ...]:
        """Every place that names something, the surest first.

        Args:
            path: the file that defines what is meant, when several do.
        """
        return lookup.references(self, name, path)

    def who_calls(self, name: str, path: str | None = None) -> tuple[Reference, ...]:
        """The places that call something, the surest first; `path` as for `find_references`."""
        return tuple(found for found in self.find_references(name, path) if found.kind == "call")

    def tests_for(self, name_or_path: str, coverage: impact.Coverage | None = None) -> tuple[TestMatch, ...]:
        """Tests that exercise a symbol or a file, the nearest first.

        Args:
            coverage: recorded: test -> file -> lines that it ran.
        """
        return impact.tests_for(self, name_or_path, coverage)

    def blast_radius(self, change: Patch | Sequence[str] | str, depth: int = 3) -> BlastRadius:
        """What a change may touch.

        Args:
            change: a patch, or paths and names of symbols.
            depth: how many calls away.
        """
        return impact.blast_radius(self, change, depth)

    def search(self, query: str, limit: int = 20, library: Library | None = None) -> tuple[Hit, ...]:
        """Places that fit a query, by the words of names and of text together.

        Args:
            library: one that holds this repository's files: places are then found by their meaning, too.
        """
        return textsearch.search(self, query, limit, library)

    def candidates(self, words: Sequence[str], limit: int) -> list[str]:
        """Paths of files that hold some of these words, best first (for `search`)."""
        with self.lock:
            try:
                return self._database.search(words, limit)
            except sqlite3.Error as error:
                raise self._explained(error) from error

    def outline(self, path: str) -> tuple[Symbol, ...]:
        """What a file defines, in order.

        Raises:
            ToolError: the file is not indexed; says why.
        """
        file = self._files.get(path)
        if file is None:
            raise ToolError(f"{printable(path)} is not indexed: it is missing, ignored, or of no language known here")
        if file.left_out:
            raise ToolError(f"{printable(path)} is not indexed: it is {file.left_out}")
        return self.symbols(path)

    def read_lines(self, path: str) -> list[str]:
        """The lines of a file as it is now; [] when it cannot be read."""
        try:
            data = read_plain(self.root, path)
        except (OSError, ValueError):
            return []
        # Only "\n" ends a line for the parser, so that is how lines are counted here.
        return [line.rstrip("\r") for line in data.decode("utf-8", "replace").split("\n")]

    def _relative(self, path: str | os.PathLike[str]) -> str | None:
        text = os.fspath(path)
        if os.path.isabs(text):
            text = os.path.relpath(
                os.path.join(os.path.realpath(os.path.dirname(text)), os.path.basename(text)), self.root
            )
        text = os.path.normpath(text)
        return None if text.startswith("../") or text in (".", "..") or "\0" in text else text

    def _take(
        self,
        doubtful: Sequence[str],
        stats: dict[str, tuple[int, int]],
        gone: Sequence[str],
        progress: Progress | None,
    ) -> list[str]:
        """Read files that may have changed; keep what did. Returns the paths that changed."""
        batch: list[tuple[str, Parsed]] = []
        touched: list[Row] = []
        changed: list[str] = []
        known = {path: file.digest for path in doubtful if (file := self._files.get(path)) is not None}
        sizes = {path: stats[path][1] for path in doubtful}
        for path, found in parse_all(self.root, sizes, known, progress):
            file = self._files.get(path)
            if found is None and file is not None:  # as it was
                file.mtime, file.size = stats[path]
                touched.append(Row(path, *stats[path], b"", "", "", b""))
            elif found is not None:
                batch.append((path, found))
                changed.append(path)
            if len(batch) >= _BATCH:
                self._keep(batch, stats)
                batch = []
        if batch:
            self._keep(batch, stats)
        if gone or touched:
            self._store(lambda: self._database.write((), gone, touched))
        for path in gone:
            self.graph.drop(path)
            del self._files[path]
            self._cache.pop(path, None)
        if changed or gone:
            self.version += 1
        return sorted(changed)

    def _keep(self, batch: Sequence[tuple[str, Parsed]], stats: dict[str, tuple[int, int]]) -> None:
        """Files go to disk first, so that what is in memory can always be read from there."""
        rows = [
            Row(path, *stats[path], found.digest, found.left_out, found.head, found.packed, found.words)
            for path, found in batch
        ]
        self._store(lambda: self._database.write(rows))
        for path, found in batch:
            self._put(path, *stats[path], found)

    def _put(self, path: str, mtime: int, size: int, found: Parsed) -> None:
        self._cache.pop(path, None)
        if found.left_out:
            self._files[path] = _File(mtime, size, found.digest, found.left_out)
            self.graph.drop(path)
            return
        facts = found.facts if found.facts is not None else Facts.decode(path, found.head, found.packed)
        self._know(path, mtime, size, found.digest, facts)

    def _know(self, path: str, mtime: int, size: int, digest: bytes, facts: Facts) -> None:
        self._files[path] = _File(
            mtime,
            size,
            digest,
            "",
            facts.language,
            tuple(facts.imports),
            facts.package,
            facts.note,
            len(facts.symbols),
            len(facts),
        )
        self.graph.put(path, facts.defined(), facts.uses())

    def _remember(self, path: str, facts: Facts) -> None:
        self._cache[path] = facts
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)

    def _relink(self, paths: Sequence[str] | None = None) -> None:
        """Say anew what files import: these, or all of them once the set of files changed."""
        graph = self.graph
        if paths is None or self._resolver is None:
            numbers = {p: n for p, f in self._files.items() if not f.left_out and (n := graph.number(p)) is not None}
            packages = {path: file.package for path, file in self._files.items() if file.package}
            self._resolver = Resolver(numbers, packages, self._settings)
        for path in paths if paths is not None else self._files:
            file, number = self._files[path], graph.number(path)
            if number is not None:
                graph.link(number, self._resolver.resolve(path, file.language, file.imports))

    def _read_settings(self, paths: Sequence[str]) -> dict[str, str]:
        found = {}
        for path in sorted(paths)[:_MOST_SETTINGS]:
            try:
                data = read_plain(self.root, path)
            except (OSError, ValueError):
                continue
            if len(data) <= _SETTING_BYTES:
                found[path] = data.decode("utf-8", "replace")
        return found

    def _load(self) -> None:
        try:
            for row in self._database.rows():
                if row.left_out:
                    self._files[row.path] = _File(row.mtime, row.size, row.digest, row.left_out)
                else:
                    self._know(row.path, row.mtime, row.size, row.digest, Facts.decode(row.path, row.head, row.packed))
            self._settings = json.loads(self._database.get("settings") or "{}")
            self._relink()
        except (sqlite3.DatabaseError, ValueError, TypeError, IndexError, KeyError, AttributeError):
            self._database.rebuild("damaged")
            self.graph, self._files, self._settings, self._resolver = Graph(), {}, {}, None

    def _store(self, write: Callable[[], None]) -> None:
        try:
            write()
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> StoreError:
        return StoreError(
            f"the index {self._database.path} cannot be used: {error}; remove the file, and it is built anew"
        )

    def _told(self, listing: Listing, parsed: Sequence[str], removed: int, seconds: float) -> Refresh:
        left_out = Counter(listing.left_out)
        left_out.update(file.left_out for file in self._files.values() if file.left_out)
        notes = [self._database.note] if self._database.note else []
        self._database.note = ""
        notes += listing.notes
        notes += [f"left out: {count:,} {why}" for why, count in sorted(left_out.items())]
        for said in sorted({file.note for file in self._files.values() if file.note}):
            paths = sorted(path for path, file in self._files.items() if file.note == said)
            shown = ", ".join(printable(path)[:100] for path in paths[:_NOTED])
            notes.append(f"{said}: {shown}{f' and {len(paths) - _NOTED:,} more' if len(paths) > _NOTED else ''}")
        kept = [file for file in self._files.values() if not file.left_out]
        return Refresh(
            len(kept),
            sum(file.symbols for file in kept),
            sum(file.references for file in kept),
            len(parsed),
            removed,
            seconds,
            tuple(notes),
        )
