"""Which file defines and uses which name, in memory, changed file by file.

Files and names are numbers, so that a repository of thousands of files stays small; what a file points to is worked
out when it is asked for, and again only after something that it depends on changed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Graph", "Node"]

#: A name that more files than this define says nothing about which of them is meant (`run`, `get`, `__init__`).
MANY_DEFINERS = 24
#: Files whose imports are what they offer.
_DOORS = re.compile(r"(?:^|/)(?:__init__\.pyi?|index\.[cm]?[jt]sx?|mod\.rs|lib\.rs)$|\.(?:h|hh|hpp|hxx)$")
_MOST_DOORS = 200


@dataclass(slots=True)
class Node:
    """One file: the numbers of the names that it defines, of those it uses (and how often), of the files it imports."""

    defines: tuple[int, ...] = ()
    uses: dict[int, int] = field(default_factory=dict)
    imports: frozenset[int] = frozenset()


class Graph:
    """Files and names by number.

    `paths` holds the path of each file number, None once the file is gone; `names` the name of each name number.
    """

    def __init__(self) -> None:
        self.paths: list[str | None] = []
        self.names: list[str] = []
        self._file_numbers: dict[str, int] = {}
        self._name_numbers: dict[str, int] = {}
        self._nodes: dict[int, Node] = {}
        self._definers: dict[int, list[int]] = {}
        self._users: dict[int, list[int]] = {}
        self._importers: dict[int, set[int]] = {}
        self._edges: dict[int, dict[int, float]] = {}
        self._folders: list[str] = []
        self._doors: set[int] = set()

    def files(self) -> Collection[int]:
        """The numbers of the files that are there."""
        return self._nodes.keys()

    def number(self, path: str) -> int | None:
        """The number of a file, or None when it is not indexed."""
        found = self._file_numbers.get(path)
        return found if found in self._nodes else None

    def path(self, file: int) -> str:
        """The path of a file that is there."""
        found = self.paths[file]
        assert found is not None
        return found

    def name_number(self, name: str) -> int | None:
        """The number of a name, or None when no file ever had it."""
        return self._name_numbers.get(name)

    def defines(self, file: int) -> Sequence[int]:
        """Names that a file defines."""
        return self._nodes[file].defines

    def uses(self, file: int) -> Mapping[int, int]:
        """Names that a file uses, and how often."""
        return self._nodes[file].uses

    def definers(self, name: int) -> Sequence[int]:
        """Files that define a name."""
        return self._definers.get(name, ())

    def users(self, name: int) -> Sequence[int]:
        """Files that use a name."""
        return self._users.get(name, ())

    def imports(self, file: int) -> Collection[int]:
        """Files of the repository that a file imports."""
        return self._nodes[file].imports

    def importers(self, file: int) -> Collection[int]:
        """Files that import a file."""
        return self._importers.get(file, ())

    def reach(self, file: int) -> Collection[int]:
        """Files whose names a file gets by its imports: those it imports, and what a package's door passes on."""
        found = set(self._nodes[file].imports)
        pending = [other for other in found if self._is_door(other)]
        for _ in range(_MOST_DOORS):
            if not pending:
                break
            for other in self._nodes[pending.pop()].imports:
                if other not in found:
                    found.add(other)
                    if self._is_door(other):
                        pending.append(other)
        return found

    def edges(self, file: int) -> Mapping[int, float]:
        """Files whose names a file uses -> how much: the square root of how often, over the candidates of each name.

        A name that the file defines itself points nowhere else. Of several files that define a name, imported ones
        are meant, then those that an imported package passes on, then those in the same folder; else all of them share
        it, unless there are too many for it to say anything.
        """
        found = self._edges.get(file)
        if found is None:
            found = self._edges[file] = self._work_out(file)
        return found

    def put(self, path: str, defines: Collection[str], uses: Mapping[str, int]) -> int:
        """Add a file, or say anew what is in it. Returns its number; what it imports is kept (see `link`)."""
        file = self._file_numbers.get(path)
        if file is None:
            file = self._file_numbers[path] = len(self.paths)
            self.paths.append(path)
            self._folders.append(path.rpartition("/")[0])
            if _DOORS.search(path):
                self._doors.add(file)
        self.paths[file] = path
        number = self._intern
        node = Node(tuple(sorted({number(n) for n in defines})), {number(n): count for n, count in uses.items()})
        old = self._nodes.get(file, Node())
        node.imports = old.imports
        self._nodes[file] = node
        self._shift(self._definers, file, set(old.defines), set(node.defines))
        self._shift(self._users, file, set(old.uses), set(node.uses))
        self._forget(file, set(old.defines) ^ set(node.defines))
        return file

    def link(self, file: int, imports: Collection[int]) -> None:
        """Say which files a file imports."""
        node, wanted = self._nodes[file], frozenset(imports) - {file}
        if wanted == node.imports:
            return
        for gone in node.imports - wanted:
            self._importers[gone].discard(file)
        for new in wanted - node.imports:
            self._importers.setdefault(new, set()).add(file)
        node.imports = wanted
        self._edges.pop(file, None)
        if file in self._doors:
            self._forget_door(file)

    def drop(self, path: str) -> None:
        """Take a file out; files that import it are to be linked anew."""
        file = self.number(path)
        if file is None:
            return
        self.link(file, ())
        node = self._nodes.pop(file)
        self._shift(self._definers, file, set(node.defines), set())
        self._shift(self._users, file, set(node.uses), set())
        self._forget(file, set(node.defines))
        for importer in tuple(self._importers.pop(file, ())):
            other = self._nodes[importer]
            other.imports -= {file}
            self._edges.pop(importer, None)
            if importer in self._doors:
                self._forget_door(importer)
        self.paths[file] = None

    def _intern(self, name: str) -> int:
        found = self._name_numbers.get(name)
        if found is None:
            found = self._name_numbers[name] = len(self.names)
            self.names.append(name)
        return found

    def _shift(self, table: dict[int, list[int]], file: int, old: set[int], new: set[int]) -> None:
        for name in old - new:
            rest = table[name]
            rest.remove(file)
            if not rest:
                del table[name]
        for name in new - old:
            table.setdefault(name, []).append(file)

    def _forget(self, file: int, names: set[int]) -> None:
        """Edges that were worked out with other definers of these names."""
        self._edges.pop(file, None)
        for name in names:
            for user in self._users.get(name, ()):
                self._edges.pop(user, None)

    def _is_door(self, file: int) -> bool:
        return file in self._doors and file in self._nodes

    def _forget_door(self, door: int) -> None:
        """Edges that go through a door whose imports changed, over further doors too."""
        seen, pending = {door}, [door]
        while pending:
            for importer in self._importers.get(pending.pop(), ()):
                self._edges.pop(importer, None)
                if importer in self._doors and importer not in seen:
                    seen.add(importer)
                    pending.append(importer)

    def _work_out(self, file: int) -> dict[int, float]:
        node = self._nodes[file]
        own, edges = set(node.defines), dict.fromkeys(node.imports, 0.0)
        reach, folder = self.reach(file), self._folders[file]
        for name, count in node.uses.items():
            definers = self._definers.get(name, ())
            if not definers or name in own:
                continue
            meant: Sequence[int] = [f for f in definers if f in node.imports]
            if not meant:
                meant = [f for f in definers if f in reach]
            if not meant:
                meant = [f for f in definers if self._folders[f] == folder]
            if not meant:
                if len(definers) > MANY_DEFINERS:
                    continue
                meant = definers
            share: float = count**0.5 / len(meant)
            for other in meant:
                edges[other] = edges.get(other, 0.0) + share
        return edges
