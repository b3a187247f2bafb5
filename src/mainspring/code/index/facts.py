"""What one file says about itself, and how that is kept: a few short lists and packed numbers."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from mainspring.code.index.records import Symbol

__all__ = ["KINDS", "Facts", "Import"]

#: Kinds of references; the place in this list is what is stored.
KINDS = ("read", "attribute", "type", "call", "import", "inherit")


@dataclass(frozen=True, slots=True)
class Import:
    """An import as it is written.

    Args:
        module: what is imported from, such as ``"a.b"``, ``"./store"`` or ``"crate::store"``.
        names: what is taken from it; empty for all of it.
        level: dots before it (Python); modules of the same file around it (Rust); 1 for a quoted include (C).
        line: where.
    """

    module: str
    names: tuple[str, ...] = ()
    level: int = 0
    line: int = 0


@dataclass(slots=True)
class Facts:
    """One file.

    Args:
        language: its name.
        symbols: definitions in order of their first lines.
        imports: in order.
        names: of the references; the columns below hold places in it.
        name, line, kind, inside: the references, one column each; `inside` is 0 at the top of the file, else the
            place of the symbol from 1.
        package: what the file says that it belongs to (Java, Go).
        note: what is wrong with it, "" when nothing is.
    """

    language: str
    symbols: list[Symbol] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    name: array[int] = field(default_factory=lambda: array("I"))
    line: array[int] = field(default_factory=lambda: array("I"))
    kind: array[int] = field(default_factory=lambda: array("B"))
    inside: array[int] = field(default_factory=lambda: array("I"))
    package: str = ""
    note: str = ""

    def __len__(self) -> int:
        return len(self.name)

    def defined(self) -> set[str]:
        """Names that it defines."""
        return {symbol.name for symbol in self.symbols}

    def uses(self) -> dict[str, int]:
        """Names that it uses -> how often, in the order of their first use."""
        counts = Counter(self.name)
        return {name: counts[i] for i, name in enumerate(self.names)}

    def places(self, name: str) -> Iterator[tuple[int, str, int]]:
        """(line, kind, inside) of each reference to a name."""
        try:
            wanted = self.names.index(name)
        except ValueError:
            return
        for i, found in enumerate(self.name):
            if found == wanted:
                yield self.line[i], KINDS[self.kind[i]], self.inside[i]

    def encode(self) -> tuple[str, bytes]:
        """As JSON and packed columns."""
        symbols = [(s.name, s.qualified, s.kind, s.first, s.last, s.signature) for s in self.symbols]
        imports = [(i.module, i.names, i.level, i.line) for i in self.imports]
        head = [self.language, self.package, self.note, symbols, imports, self.names]
        packed = b"".join((self.name.tobytes(), self.line.tobytes(), self.inside.tobytes(), self.kind.tobytes()))
        return json.dumps(head, separators=(",", ":")), packed

    @classmethod
    def decode(cls, path: str, head: str, packed: bytes) -> Facts:
        """From what `encode` made. Raises ValueError when it is damaged."""
        language, package, note, symbols, imports, names = json.loads(head)
        count, rest = divmod(len(packed), 13)
        if rest:
            raise ValueError(f"the references of {path} have {len(packed)} bytes, which is not a multiple of 13")
        columns = [array("I", packed[i * 4 * count : (i + 1) * 4 * count]) for i in range(3)]
        return cls(
            language,
            [Symbol(n, q, k, path, first, last, s, language) for n, q, k, first, last, s in symbols],
            [Import(m, tuple(n), level, line) for m, n, level, line in imports],
            names,
            columns[0],
            columns[1],
            array("B", packed[12 * count :]),
            columns[2],
            package,
            note,
        )
