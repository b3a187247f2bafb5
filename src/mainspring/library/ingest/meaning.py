"""The vector side of a library: the one embedder that it has, and the index of what that made."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from mainspring.errors import MainspringError, ModelError, StoreError
from mainspring.library.catalog import SQLiteCatalog
from mainspring.library.embed.protocol import Embedder, Space
from mainspring.library.index.manifest import space_of
from mainspring.library.index.protocol import VectorIndex
from mainspring.library.ingest.encoding import reconcile
from mainspring.library.page import Where
from mainspring.library.search.find import Side

#: The name under which a library has no embedder and is searched by words only.
NONE = "none"

_OWN = "an embedder of your own"


class Meaning:
    """Opens a library's embedder and index when they are first needed, and says why when they cannot be.

    Args:
        catalog: which embedder the library has, and the space of its vectors, are kept there.
        folder: of the library.
        embedder: a name for `open_embedder`, an embedder, or None for the one that the library has.

    Raises:
        StoreError: the library has another one.
    """

    def __init__(self, catalog: SQLiteCatalog, folder: Path, embedder: str | Embedder | None) -> None:
        self._catalog, self._folder = catalog, folder
        self._given = None if embedder is None or isinstance(embedder, str) else embedder
        self._name = embedder if isinstance(embedder, str) else ""
        self._lock = threading.RLock()
        self._side: Side | None = None
        self._looks: Side | None = None
        self._embedder: Embedder | None = self._given
        self._unusable = ""  # why the embedder cannot be opened in this process
        self._check()

    @property
    def name(self) -> str:
        """The embedder's name, as the library keeps it."""
        return self._catalog.get("embedder") or self._name or (_OWN if self._given is not None else "default")

    @property
    def space(self) -> str:
        """Id of the space of the library's vectors; "" while it has none."""
        return self._catalog.get("space")

    def _check(self) -> None:
        kept, space = self._catalog.get("embedder"), self.space
        if self._given is not None:
            if (space and space != self._given.space.id) or (not space and kept not in ("", _OWN)):
                raise _other(self._folder, space or kept, self._given.space.id)
        elif self._name and kept and self._name != kept and not self._same(self._name):
            raise _other(self._folder, kept, self._name)

    def _same(self, name: str) -> bool:
        """True when a name means the embedder that made the library's vectors."""
        if not self.space or NONE in (name, self._catalog.get("embedder")):
            return False
        from mainspring.library.embed import open_embedder

        self._embedder = open_embedder(name)
        return bool(self._embedder.space.id == self.space)

    def for_search(self) -> tuple[Side | None, str]:
        """Index and embedder, or None and why a search goes by words only."""
        with self._lock:
            if not self.space:
                if self.name == NONE:
                    return None, "this library has no embedder: it is searched by words only"
                return None, "no page has vectors yet; run: mainspring index"
            try:
                return self._opened(), ""
            except MainspringError as error:
                return None, str(error)

    def for_index(self) -> Side | None:
        """Index and embedder to index with; None for a library without one.

        Raises:
            ModelError: the embedder cannot be used, say because its weights are not there and cannot be fetched.
            StoreError: the index cannot be used, or its vectors are of another space.
        """
        with self._lock:
            if self.name == NONE:
                self._keep(NONE, None)
                return None
            self._unusable = ""
            return self._opened()

    def _opened(self) -> Side:
        space = self.space
        if self._side is not None and space in ("", self._side.index.space.id):
            return self._side
        self._drop_side()
        embedder = self._open_embedder()
        if space and embedder.space.id != space:
            self._unusable = (
                f"its vectors were made by {space}, and {self.name} is {embedder.space.id} now; make them anew with: "
                "mainspring library reembed"
            )
            raise StoreError(self._unusable)
        self._side = Side(_open_index(self.folder_of(embedder.space), embedder.space), embedder)
        if not space:
            self._keep(self.name, embedder.space)
        return self._side

    def _open_embedder(self) -> Embedder:
        if self._unusable:
            raise ModelError(self._unusable)
        if self._embedder is None:
            if self.name == _OWN:
                raise ModelError(
                    f"its vectors were made by {self.space}, an embedder of a program's own; open it with "
                    "Library.open(..., embedder=...)"
                )
            try:
                from mainspring.library.embed import open_embedder

                self._embedder = open_embedder(self.name)
            except MainspringError as error:
                self._unusable = f"the embedder {self.name!r} cannot be used: {error}"
                raise ModelError(self._unusable) from None
        return self._embedder

    def folder_of(self, space: Space) -> Path:
        """Where the vectors of a space lie. They belong to one catalog: another would give their numbers again."""
        slug = re.sub(r"[^A-Za-z0-9.@-]+", "-", space.id)[:100]
        return self._folder / "vectors" / f"{self._catalog.get('id')}-{slug}"

    def switch(self, name: str | Embedder, build: Callable[[Side], None]) -> Side:
        """Have another embedder: its vectors are built beside the old ones, which are dropped when they are whole.

        Args:
            build: encodes all pages into an index; when it fails or is stopped, everything stays as it was, and the
                next try goes on where it stood.
        """
        from mainspring.library.embed import open_embedder
        from mainspring.library.embed.opening import check_name

        if isinstance(name, str):
            check_name(name)
        embedder = open_embedder(name) if isinstance(name, str) else name
        folder = self.folder_of(embedder.space)
        side = Side(_open_index(folder, embedder.space), embedder)
        try:
            build(side)
        except BaseException:
            side.index.close()
            if isinstance(name, str):
                embedder.close()
            raise
        with self._lock:
            self._drop_side()
            self.close()
            self._keep(name if isinstance(name, str) else _OWN, embedder.space)
            self._given = None if isinstance(name, str) else embedder
            self._embedder, self._side, self._unusable = embedder, side, ""
            self._name = ""
        self.sweep()
        return side

    def do_without(self) -> None:
        """Have no embedder any more: searches go by words only, and the vectors of texts are deleted."""
        from mainspring.library.sight.look import SPACE

        with self._lock:
            self.close()
            self._keep(NONE, None)
            self._given = self._embedder = None
            self._unusable = self._name = ""
        for folder in (self._folder / "vectors").glob("*"):
            if folder.name != self.folder_of(SPACE).name:
                shutil.rmtree(folder, ignore_errors=True)

    def looks(self) -> Side | None:
        """Index and encoder of how pictures look, which needs no weights; None where OpenCV is missing."""
        from importlib.util import find_spec

        if find_spec("cv2") is None:
            return None
        with self._lock:
            if self._looks is None:
                from mainspring.library.sight.look import SPACE, LookEmbedder

                self._looks = Side(_open_index(self.folder_of(SPACE), SPACE), LookEmbedder())
            return self._looks

    def kept_looks(self) -> Side | None:
        """As `looks`, where there is one already."""
        from mainspring.library.sight.look import SPACE

        return self.looks() if self.folder_of(SPACE).is_dir() else None

    def forget(self, pages: Sequence[int]) -> None:
        """Take vectors off the disk: out of the index, of one that is being built, and of that of looks.

        No embedder is needed. What cannot be opened is deleted whole, and made again by the next run.

        Raises:
            StoreError: the disk is full, or another process holds an index for too long.
        """
        with self._lock:
            held = {folder.name: folder for folder in (self._folder / "vectors").glob("*")}
            sides = {self.folder_of(s.index.space).name: s for s in (self._side, self._looks) if s is not None}
            for name, folder in held.items():
                space = space_of(folder) if name.startswith(f"{self._catalog.get('id')}-") else None
                if space is None:
                    shutil.rmtree(folder)
                    continue
                try:
                    index = sides[name].index if name in sides else _open_index(folder, space)
                except StoreError:  # damaged
                    shutil.rmtree(folder)
                    continue
                try:
                    known = {int(n) for n in self._catalog.among(Where())}
                    index.remove({int(n) for n in index.ids()} - known | set(pages))
                    index.compact()
                finally:
                    if name not in sides:
                        index.close()

    def sweep(self) -> None:
        """Remove vectors of spaces, and of catalogs, that are not this library's any more."""
        space = self.space
        current = self._side.index.space if self._side is not None else None
        if current is None or current.id != space:
            return
        from mainspring.library.sight.look import SPACE

        keep = {self.folder_of(each).name for each in (current, SPACE)}
        for folder in (self._folder / "vectors").iterdir():
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)

    def reconcile(self) -> None:
        """Take out of the indexes what the catalog does not know any more. The caller holds the right to index."""
        for side in (self.for_search()[0], self.kept_looks()):
            if side is not None:
                reconcile(self._catalog, side.index)

    def _keep(self, name: str, space: Space | None) -> None:
        wanted = {
            "embedder": name,
            "space": space.id if space is not None else "",
            "of_pictures": "yes" if space is not None and "image" in space.documents else "",
        }
        if any(self._catalog.get(key) != value for key, value in wanted.items()):
            with self._catalog.transaction():
                for key, value in wanted.items():
                    self._catalog.set(key, value)

    def _drop_side(self) -> None:
        if self._side is not None:
            self._side.index.close()
            self._side = None

    def close(self) -> None:
        """Close the index, and the embedder unless it was given."""
        with self._lock:
            self._drop_side()
            if self._looks is not None:
                self._looks.index.close()
                self._looks = None
            if self._embedder is not None and self._embedder is not self._given:
                self._embedder.close()
            self._embedder = self._given


def _open_index(folder: Path, space: Space) -> VectorIndex:
    from mainspring.library.index import open_index

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_index(folder, space)


def _other(folder: Path, has: str, wanted: str) -> StoreError:
    return StoreError(
        f"the library {folder} has the embedder {has!r}, not {wanted!r}; open it without naming one, or change it "
        f"with: mainspring library reembed {wanted!r}"
    )
