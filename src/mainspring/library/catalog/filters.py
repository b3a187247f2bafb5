"""`Where` as SQL."""

from __future__ import annotations

from typing import Any

from mainspring.library.catalog.rows import region_bits
from mainspring.library.page import Where


def document_clause(where: Where) -> tuple[str, list[Any]]:
    """The part of a filter that is about documents (`d`), as a condition and its values."""
    parts: list[str] = []
    values: list[Any] = []
    if where.kinds:
        parts.append(f"d.kind IN ({_marks(where.kinds)})")
        values += where.kinds
    if where.paths:
        parts.append("(" + " OR ".join(_path(path, values) for path in where.paths) + ")")
    if where.documents:
        # One value, however many documents: SQLite takes only so many.
        parts.append("d.id IN (SELECT value FROM json_each(?))")
        values.append("[" + ",".join(str(int(n)) for n in where.documents) + "]")
    if where.changed_after is not None:
        parts.append("d.changed_at >= ?")
        values.append(where.changed_after)
    if where.changed_before is not None:
        parts.append("d.changed_at <= ?")
        values.append(where.changed_before)
    if where.reader:
        parts.append("(d.everyone OR EXISTS (SELECT 1 FROM readers r WHERE r.document = d.id AND r.reader = ?))")
        values.append(where.reader)
    if where.trusted:
        parts.append("d.trusted")
    return " AND ".join(parts) or "1", values


def page_clause(where: Where) -> tuple[str, list[Any]]:
    """The part of a filter that is about pages (`p`)."""
    parts: list[str] = []
    values: list[Any] = []
    if where.languages:
        parts.append(f"p.language IN ({_marks(where.languages)})")
        values += where.languages
    if where.regions:
        parts.append("p.kinds & ?")
        values.append(region_bits(where.regions))
    return " AND ".join(parts) or "1", values


def is_open(where: Where | None) -> bool:
    """True for a filter that lets everything through."""
    return where is None or where == Where()


def _path(path: str, values: list[Any]) -> str:
    if "*" in path or "?" in path:
        values.append(path.replace("[", "[[]"))  # GLOB's classes are none of ours
        return "d.uri GLOB ?"
    values += [path, path]
    return "substr(d.uri, 1, length(?)) = ?"


def _marks(values: tuple[str, ...]) -> str:
    return ",".join("?" * len(values))
