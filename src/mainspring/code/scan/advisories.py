"""The local database of advisories: OSV's JSON, imported from a file, an archive or a folder.

Nothing is fetched. One SQLite file holds of each advisory what a comparison needs (format: OSV schema 1.6).
"""

from __future__ import annotations

import json
import re
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mainspring.code.scan.versions import affected
from mainspring.errors import StoreError, ToolError

__all__ = ["Advisories", "Advisory", "import_advisories", "package_name"]

_FILE = "advisories.db"
#: One entry is a few KB; what is larger is no advisory.
_ENTRY = 4 << 20
#: What an archive may unpack to (all of PyPI's advisories are some 100 MB).
_ARCHIVE = 4 << 30
ECOSYSTEMS = ("PyPI", "npm", "Go", "crates.io", "Maven")


@dataclass(frozen=True, slots=True)
class Advisory:
    """One known fault of a version of a package."""

    id: str
    summary: str
    severity: str
    fixed: str


def package_name(name: str, ecosystem: str) -> str:
    """A package's name as its registry compares it (PEP 503 for PyPI)."""
    return re.sub(r"[-_.]+", "-", name).lower() if ecosystem == "PyPI" else name


class Advisories:
    """Reads the database in a folder.

    Args:
        folder: such as ``home/advisories``.

    Raises:
        StoreError: the database cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / _FILE
        self._connection: sqlite3.Connection | None = None
        if self.path.is_file():
            try:
                self._connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
                self._connection.execute("SELECT 1 FROM advisories LIMIT 1").fetchall()
            except sqlite3.Error as error:
                raise StoreError(
                    f"{self.path} cannot be read ({error}); remove it and import the advisories again"
                ) from None

    def __bool__(self) -> bool:
        return self._connection is not None

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()

    def imported(self, ecosystem: str) -> str:
        """When advisories of an ecosystem were imported last, "" when never."""
        if self._connection is None:
            return ""
        row = self._connection.execute("SELECT at FROM imports WHERE ecosystem = ?", (ecosystem,)).fetchone()
        return str(row[0]) if row else ""

    def of(self, ecosystem: str, name: str, version: str) -> list[Advisory]:
        """Advisories that affect a version, by id."""
        if self._connection is None:
            return []
        rows = self._connection.execute(
            "SELECT id, summary, severity, ranges, versions FROM advisories WHERE ecosystem = ? AND name = ? ORDER BY id",  # noqa: E501
            (ecosystem, package_name(name, ecosystem)),
        )
        found: dict[str, Advisory] = {}
        for identifier, summary, severity, ranges, versions in rows:
            spans = json.loads(ranges)
            if identifier not in found and affected(version, ecosystem, spans, json.loads(versions)):
                found[identifier] = Advisory(identifier, summary, severity, _fixed(spans))
        return list(found.values())


def _fixed(ranges: object) -> str:
    found = [
        str(event["fixed"])
        for one in (ranges if isinstance(ranges, list) else [])
        if isinstance(one, dict) and one.get("type") != "GIT"
        for event in one.get("events", [])
        if isinstance(event, dict) and "fixed" in event
    ]
    return ", ".join(found[:5])


def import_advisories(source: Path, folder: Path) -> int:
    """Take in a JSON file, a zip archive or a folder of them; an entry that was there is replaced.

    Args:
        source: what OSV publishes for an ecosystem (``all.zip``), or entries of it.
        folder: where the database lies; it is made.

    Returns:
        How many advisories were taken in.

    Raises:
        ToolError: there is nothing to read.
        StoreError: the database cannot be written.
    """
    if not source.exists():
        raise ToolError(f"there is no file or folder {str(source)!r} to import advisories from")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(folder / _FILE) as connection:
            connection.executescript(
                "CREATE TABLE IF NOT EXISTS advisories(id TEXT, ecosystem TEXT, name TEXT, summary TEXT, severity TEXT,"
                " ranges TEXT, versions TEXT);"
                "CREATE INDEX IF NOT EXISTS by_name ON advisories(ecosystem, name);"
                "CREATE INDEX IF NOT EXISTS by_id ON advisories(id);"
                "CREATE TABLE IF NOT EXISTS imports(ecosystem TEXT PRIMARY KEY, at TEXT);"
            )
            taken, ecosystems = 0, set()
            for entry in _entries(source):
                seen = _take(connection, entry)
                taken += bool(seen)
                ecosystems |= seen
            now = datetime.now(UTC).isoformat(timespec="seconds")
            connection.executemany(
                "INSERT OR REPLACE INTO imports VALUES (?, ?)", [(name, now) for name in sorted(ecosystems)]
            )
        connection.close()
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the advisories cannot be kept in {folder}: {error}") from None
    if not taken:
        raise ToolError(f"{source} holds no advisory in OSV's format for {', '.join(ECOSYSTEMS)}")
    return taken


def _entries(source: Path) -> Iterator[Any]:
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix in (".json", ".zip") and path.is_file() and not path.is_symlink():
                yield from _entries(path)
    elif zipfile.is_zipfile(source):
        total = 0
        with zipfile.ZipFile(source) as archive:
            for member in archive.infolist():
                total += member.file_size
                if total > _ARCHIVE:
                    raise ToolError(f"{source} unpacks to more than {_ARCHIVE >> 30} GiB")
                if member.filename.endswith(".json") and member.file_size <= _ENTRY:
                    yield from _parsed(archive.read(member))
    elif source.stat().st_size <= 64 * _ENTRY:
        yield from _parsed(source.read_bytes())


def _parsed(data: bytes) -> Iterable[Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else [found]


def _take(connection: sqlite3.Connection, entry: Any) -> set[str]:
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("id"), str)
        or not isinstance(entry.get("affected"), list)
    ):
        return set()
    connection.execute("DELETE FROM advisories WHERE id = ?", (entry["id"],))
    if entry.get("withdrawn"):
        return set()
    seen: set[str] = set()
    summary = str(entry.get("summary") or entry.get("details") or "")[:300]
    for part in entry["affected"]:
        package = part.get("package") if isinstance(part, dict) else None
        if not isinstance(package, dict) or not isinstance(package.get("name"), str):
            continue
        ecosystem = str(package.get("ecosystem", "")).split(":")[0]
        if ecosystem not in ECOSYSTEMS:
            continue
        seen.add(ecosystem)
        connection.execute(
            "INSERT INTO advisories VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                entry["id"],
                ecosystem,
                package_name(package["name"], ecosystem),
                summary,
                _severity(entry),
                json.dumps(part.get("ranges") or []),
                json.dumps(part.get("versions") or []),
            ),
        )
    return seen


def _severity(entry: dict[str, Any]) -> str:
    own = entry.get("database_specific")
    said = str(own.get("severity", "")).lower() if isinstance(own, dict) else ""
    if said in ("critical", "high"):
        return "high"
    if said in ("moderate", "medium"):
        return "medium"
    if said == "low":
        return "low"
    scores = entry.get("severity")
    vector = (
        str(scores[0].get("score", "")) if isinstance(scores, list) and scores and isinstance(scores[0], dict) else ""
    )
    # Without a score that was worked out: what reaches data or code over the network is severe.
    return "high" if "AV:N" in vector and re.search(r"/(V?C|V?I|V?A):H", vector) else "medium"
