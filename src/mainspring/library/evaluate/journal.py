"""Real queries from the journal: what runs searched for, and which of the pages that they found they went on to use.

What a run read after a search was probably relevant to it, and what it cited more so. That is weak evidence: a page
that was not shown could not be read, and a hostile page may have had itself read; each query says whose words may
have had a say in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mainspring.errors import JournalVersionError, RunNotFoundError
from mainspring.label import Label
from mainspring.library.catalog.protocol import Catalog
from mainspring.library.evaluate.queries import Judged
from mainspring.store import Event, Store

#: Grades of a page that was read after it was found, and of one that an answer cites.
READ, CITED = 1.0, 2.0
_HANDLE = re.compile(r"\$(v\d+)\[(\d+)\]\.page\Z")
_PAGE = re.compile(r"(?:([\w.-]{1,64})/)?(\d{1,18})\Z")
_KINDS = ("effect.intended", "effect.done")
_TOOLS = ("library_search", "library_read", "library_ask")


class _Asked:
    """One search of a run: its words, what it found, and what was used of it."""

    def __init__(self, query: str, label: Label) -> None:
        self.query, self.label = query, label
        self.found: list[str] = []
        self.used: dict[str, float] = {}


def judged_runs(
    store: Store, catalog: Catalog, *, library: str = "default", runs: int = 1_000, trusted: bool = False
) -> list[Judged]:
    """The queries of the newest runs, with the pages that they used, named as :func:`read_queries` reads them.

    A query is given once, with the best grade that any run gave a page. Pages that are gone are left out.

    Args:
        runs: look at so many runs, newest first.
        trusted: only queries in which no outsider may have had a say.
    """
    found: dict[str, tuple[dict[str, float], Label]] = {}
    for row in store.rows(limit=runs):
        try:
            asked = list(_searches(store.events_of(row.id, _KINDS), library))
        except (JournalVersionError, RunNotFoundError):
            continue
        for one in asked:
            used, label = found.get(one.query, ({}, Label()))
            for page, grade in one.used.items():
                used[page] = max(grade, used.get(page, 0.0))
            found[one.query] = (used, label.join(one.label))
    judged = []
    for query, (used, label) in found.items():
        names = _names(catalog, used)
        if names and (label.trusted or not trusted):
            judged.append(Judged(query, names, "journal", 0, label))
    return judged


def _searches(events: Iterable[Event], library: str) -> Iterator[_Asked]:
    """The searches of one run that were followed by the use of a page, in order."""
    searches: list[_Asked] = []
    calls: dict[str, tuple[str, Mapping[str, Any]]] = {}
    open_: dict[str, _Asked] = {}
    handles: dict[str, list[str]] = {}
    for event in events:
        payload = event.payload
        call = str(payload.get("call_id"))
        if event.kind == "effect.intended":
            if payload.get("tool") not in _TOOLS:
                continue
            arguments = payload.get("arguments") or {}
            calls[call] = (str(payload["tool"]), arguments)
            words = arguments.get("query", arguments.get("question"))
            if isinstance(words, str) and words.strip() and "$v" not in words:
                open_[call] = _Asked(words, event.label)
            continue
        tool, arguments = calls.pop(call, ("", {}))
        if not tool or payload.get("is_error"):
            continue
        value = _value(payload)
        asked = open_.pop(call, None)
        if tool == "library_search":
            pages = (
                [str(item.get("page")) for item in value if isinstance(item, dict)] if isinstance(value, list) else []
            )
            if isinstance(payload.get("handle"), str):
                handles[payload["handle"]] = pages
            if asked is not None:
                asked.found = pages
                asked.label = asked.label.join(event.label)
                searches.append(asked)
        elif tool == "library_read":
            page = _resolved(str(arguments.get("page")), handles)
            # The newest search that found it is the one that it answers.
            for one in reversed(searches):
                if page in one.found:
                    one.used[page] = max(READ, one.used.get(page, 0.0))
                    break
        elif asked is not None and isinstance(value, dict):
            asked.label = asked.label.join(event.label)
            for citation in value.get("citations") or ():
                if isinstance(citation, dict):
                    asked.used[str(citation.get("page"))] = CITED
            searches.append(asked)
    for one in searches:
        one.used = {name: grade for name, grade in one.used.items() if _of(name, library) is not None}
        one.used = {str(_of(name, library)): grade for name, grade in one.used.items()}
        if one.used:
            yield one


def _value(payload: Mapping[str, Any]) -> Any:
    content = payload.get("content") or []
    try:
        return json.loads(content[0]["text"]) if content else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _resolved(page: str, handles: Mapping[str, list[str]]) -> str:
    """A page's id where a clean run's planner named it by a handle, such as ``$v1[0].page``."""
    match = _HANDLE.match(page)
    if match is None:
        return page
    pages, number = handles.get(match[1], []), int(match[2])
    return pages[number] if number < len(pages) else page


def _of(page: str, library: str) -> int | None:
    """The number of a page of this library, None for another's."""
    match = _PAGE.match(page)
    return int(match[2]) if match and match[1] in (None, library) else None


def _names(catalog: Catalog, used: Mapping[str, float]) -> dict[str, float]:
    grades = {int(page): grade for page, grade in used.items()}
    return {f"{p.document.uri}#{p.page.number}": grades[p.id] for p in catalog.pages(sorted(grades))}
