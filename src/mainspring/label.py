"""Labels: who may have written a value, and who may read it.

Labels only join: a value made from two others was possibly written by either's sources and may be read only
by those who may read both. The lattice is the usual product of an integrity set and a confidentiality set
(Myers and Liskov, "A decentralized model for information flow control", SOSP 1997).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache

from mainspring.errors import StoreError


@dataclass(frozen=True, slots=True)
class Label:
    """Integrity sources and allowed readers of a value.

    Args:
        sources: everyone who may have written the value: ``"user"``, ``"system"``, ``"model"``,
            ``"tool:NAME"``. An empty set means that Mainspring itself made it.
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

    def encode(self) -> str:
        """The label as canonical JSON, as the journal stores it."""
        return _encode(self)

    @staticmethod
    def decode(text: str) -> Label:
        """Inverse of :meth:`encode`. Raises StoreError for anything that is not a label."""
        return _decode(text)


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
        readers = value.get("readers")
        return Label(_names(value["sources"]), None if readers is None else _names(readers))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"not a label: {str(text)[:200]!r} ({error}); the journal may be damaged") from None


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise TypeError("sources and readers are lists of names")
    return frozenset(value)


SYSTEM = Label()
USER = Label(frozenset({"user"}))
MODEL = Label(frozenset({"model"}))


def tool_label(name: str) -> Label:
    """The label of what a tool returned when the tool declares nothing better."""
    return Label(frozenset({f"tool:{name}"}))
