"""Queries with the pages that answer them: a file of JSON lines, and what its pages are called in a library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mainspring.errors import ToolError
from mainspring.label import SYSTEM, Label
from mainspring.library.catalog.protocol import Catalog

#: A reason is given for so many bad lines.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Judged:
    """A query, and which pages answer it.

    Args:
        query: the text.
        relevant: "URI#PAGE", or "URI" for every page of a document, with its grade (1 where none is given).
        kind: what sort of query it is, such as ``"paraphrase"``; figures are also given for each.
        line: where in the file it stands; 0 when it is from elsewhere.
        label: who may have had a say in it.
    """

    query: str
    relevant: Mapping[str, float]
    kind: str = ""
    line: int = 0
    label: Label = field(default=SYSTEM)


def read_queries(path: Path) -> list[Judged]:
    """The queries of a file: a JSON object a line, with ``query``, ``relevant`` and, as one likes, ``kind``.

    ``relevant`` is a list of "URI#PAGE" (all of grade 1) or an object "URI#PAGE" -> grade. A URI may be the end of a
    path, such as ``manual.pdf``. Empty lines are passed over.

    Raises:
        ToolError: the file cannot be read, is empty, or has lines that are not so; each is named with what is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ToolError(f"{path} cannot be read: {error}") from None
    found: list[Judged] = []
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(_judged(json.loads(line), number))
        except (ValueError, RecursionError) as error:
            wrong.append(f"  line {number}: {error}")
    if wrong:
        more = f"\n  and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        shown = "\n".join(wrong[:_SHOWN])
        raise ToolError(f"{path} has {len(wrong)} lines that are no queries:\n{shown}{more}")
    if not found:
        raise ToolError(f'{path} has no queries; write lines such as {{"query": "...", "relevant": ["a.pdf#3"]}}')
    return found


def _judged(value: Any, line: int) -> Judged:
    if not isinstance(value, dict):
        raise ValueError(f"it is no object but {type(value).__name__}")
    query, relevant, kind = value.get("query"), value.get("relevant"), value.get("kind", "")
    if not isinstance(query, str) or not query.strip():
        raise ValueError("`query` must be text that is not empty")
    if not isinstance(kind, str):
        raise ValueError(f"`kind` must be text, not {kind!r}")
    if isinstance(relevant, list):
        relevant = {item if isinstance(item, str) else "": 1.0 for item in relevant}
    if not isinstance(relevant, dict) or not relevant or not all(name for name in relevant):
        raise ValueError('`relevant` must be a list such as ["a.pdf#3"], or an object such as {"a.pdf#3": 2}')
    for name, grade in relevant.items():
        if isinstance(grade, bool) or not isinstance(grade, int | float) or not 0 <= grade <= 10:
            raise ValueError(f"the grade of {name!r} must be a number from 0 to 10, not {grade!r}")
    return Judged(query, {name: float(grade) for name, grade in relevant.items()}, kind, line)


class Names:
    """Which pages of a library a name such as ``manual.pdf#3`` means."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._documents: dict[str, list[int]] = {}
        for document in catalog.documents():
            for name in _ends(document.uri):
                self._documents.setdefault(name, []).append(document.id)
        self._pages: dict[int, dict[int, list[int]]] = {}

    def pages(self, name: str) -> list[int]:
        """Numbers of the pages that are meant, none when there are none.

        Raises:
            ToolError: several documents end so.
        """
        uri, _, page = name.rpartition("#")
        whole = not uri or not page.isdecimal()
        documents = self._documents.get(name if whole else uri, [])
        if whole and not documents and uri:
            documents = self._documents.get(uri, [])
        if len(documents) > 1:
            raise ToolError(f"{name!r} may mean {len(documents)} documents; write more of the path")
        found: list[int] = []
        for document in documents:
            if document not in self._pages:
                numbers: dict[int, list[int]] = {}
                for stored in self._catalog.pages_of(document):
                    numbers.setdefault(stored.page.number, []).append(stored.id)
                self._pages[document] = numbers
            at = self._pages[document]
            found += [id_ for ids in at.values() for id_ in ids] if whole else at.get(int(page), [])
        return found


def grades(queries: Sequence[Judged], names: Names) -> tuple[list[tuple[Judged, dict[int, float]]], list[str]]:
    """Each query with the grades of this library's pages, and complaints about names that it does not have.

    A query none of whose pages are here is left out.
    """
    found: list[tuple[Judged, dict[int, float]]] = []
    complaints: list[str] = []
    for judged in queries:
        graded: dict[int, float] = {}
        for name, grade in judged.relevant.items():
            where = f"line {judged.line}: " if judged.line else ""
            try:
                pages = names.pages(name)
            except ToolError as error:
                complaints.append(f"{where}{error}")
                continue
            if not pages:
                complaints.append(f"{where}the library has no page {name!r}")
            graded |= {page: max(grade, graded.get(page, 0.0)) for page in pages}
        if any(grade > 0 for grade in graded.values()):
            found.append((judged, graded))
    return found, complaints


def write_queries(queries: Iterable[Judged], path: Path) -> int:
    """Write queries as :func:`read_queries` reads them, and return how many."""
    lines = []
    for judged in queries:
        value: dict[str, Any] = {"query": judged.query, "relevant": dict(judged.relevant)}
        value |= {"kind": judged.kind} if judged.kind else {}
        lines.append(json.dumps(value, ensure_ascii=False))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def _ends(uri: str) -> list[str]:
    """A uri and every end of it that begins behind a slash."""
    parts = uri.split("/")
    return list(dict.fromkeys("/".join(parts[n:]) for n in range(len(parts)) if "/".join(parts[n:])))
