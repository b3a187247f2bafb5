"""Labels: who may have written a value, and who may read it.

Labels only join: a value made from two others was possibly written by either's sources and may be read only
by those who may read both. The lattice is the usual product of an integrity set and a confidentiality set
(Myers and Liskov, "A decentralized model for information flow control", SOSP 1997).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from mainspring.errors import StoreError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Label:
    """Integrity sources and allowed readers of a value.

    Args:
        sources: everyone who may have written the value. No outsider can write under ``"user"``, ``"system"``,
            ``"model"`` (a model whose context holds nothing from outsiders), ``"person:NAME"``, ``"made:TOOL"`` (the
            service made the value: ids, counts, times) or ``"attested:TOOL"`` (the service vouches for it).
            ``"steered:NAME"`` says that NAME chose between values, but wrote none of them. Everything else, such as
            ``"tool:NAME"``, ``"paste"``, ``"mcp:SERVER"`` or a name that this version does not know, may be a
            stranger's. An empty set means that Mainspring itself made it.
        readers: who may read it; ``None`` means anyone.
    """

    sources: frozenset[str] = field(default_factory=frozenset)
    readers: frozenset[str] | None = None

    def join(self, other: Label) -> Label:
        """The label of a value made from both: union of sources, intersection of readers."""
        if other.sources <= self.sources and (other.readers is None or other.readers == self.readers):
            return self  # the common case in a long run; keeps the label's identity, so encoding is cached
        if self.readers is None:
            readers = other.readers
        elif other.readers is None:
            readers = self.readers
        else:
            readers = self.readers & other.readers
        return Label(self.sources | other.sources, readers)

    @property
    def strangers(self) -> frozenset[str]:
        """The sources that an outsider may have written under; empty for a value that may carry authority."""
        return _strangers(self.sources)

    @property
    def trusted(self) -> bool:
        """True when no outsider can have written the value."""
        return not _strangers(self.sources)

    @property
    def steered(self) -> frozenset[str]:
        """The sources that chose between values without having written them."""
        return frozenset(s.removeprefix("steered:") for s in self.sources if s.startswith("steered:"))

    def steering(self) -> Label:
        """The label that a value takes on when this label's owner only chose it: strangers, and those who
        were only passed on, become `steered:`."""
        chose = {s for s in self.sources if s in self.strangers or s.startswith("attested:")}
        return Label(frozenset(f"steered:{s}" if s in chose else s for s in self.sources), self.readers)

    def readable_by(self, reader: str) -> bool:
        """True when `reader` may read the value."""
        return self.readers is None or reader in self.readers

    def encode(self) -> str:
        """The label as canonical JSON, as the journal stores it."""
        return _encode(self)

    @staticmethod
    def decode(text: str) -> Label:
        """Inverse of :meth:`encode`. Raises StoreError for anything that is not a label."""
        return _decode(text)


_TRUSTED = frozenset({"user", "system", "model"})
_TRUSTED_PREFIXES = ("person:", "made:", "attested:", "steered:")


@lru_cache(maxsize=4096)
def _strangers(sources: frozenset[str]) -> frozenset[str]:
    return frozenset(s for s in sources if s not in _TRUSTED and not s.startswith(_TRUSTED_PREFIXES))


@lru_cache(maxsize=4096)
def _encode(label: Label) -> str:
    value: dict[str, list[str]] = {"sources": sorted(label.sources)}
    if label.readers is not None:
        value["readers"] = sorted(label.readers)
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


@lru_cache(maxsize=4096)
def _decode(text: str) -> Label:
    try:
        value = json.loads(text)
        unknown = set(value) - {"sources", "readers"}
        if unknown:  # what it forbids is not known here, so nothing may be done with its value
            raise ValueError(f"it says {sorted(unknown)}, which a newer Mainspring wrote; update Mainspring")
        readers = value.get("readers")
        return Label(_names(value["sources"]), None if readers is None else _names(readers))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"not a label: {str(text)[:200]!r} ({error}); the journal may be damaged") from None


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise TypeError("sources and readers are lists of names")
    return frozenset(value)


def fair(own: Sequence[T], others: Sequence[T], most: int) -> tuple[list[T], list[T]]:
    """How many of two lists, each best first, are shown: at least half of the places go to what no outsider wrote.

    So nobody crowds a person's own things out by writing many.
    """
    kept = list(own[: max((most + 1) // 2, most - len(others))])
    return kept, list(others[: most - len(kept)])


SYSTEM = Label()
USER = Label(frozenset({"user"}))
MODEL = Label(frozenset({"model"}))


PASTE = Label(frozenset({"paste"}))
#: Marks what was put together from several values: no longer one as somebody wrote it, whoever wrote the parts.
JOINED = Label(frozenset({"made:joined"}))


def tool_label(name: str) -> Label:
    """The label of what a tool returned when the tool declares nothing better."""
    return Label(frozenset({f"tool:{name}"}))


def join_all(labels: Iterable[Label]) -> Label:
    """The join of any number of labels; of none, the label of what Mainspring itself made."""
    joined = SYSTEM
    for label in labels:
        joined = joined.join(label)
    return joined
