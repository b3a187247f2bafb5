"""The tools `library_search`, `library_read` and `library_ask`: what an agent finds keeps the label of its page."""

from __future__ import annotations

import fnmatch
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_args

from mainspring.errors import DeclarationError, StoreError, ToolError
from mainspring.label import SYSTEM, Label, fair, join_all
from mainspring.library.catalog.protocol import Catalog
from mainspring.library.page import Box, Hit, Kind, StoredPage, Where
from mainspring.library.search.neighbours import neighbours
from mainspring.tool import Tool, ToolContext
from mainspring.value import Labelled

if TYPE_CHECKING:
    from mainspring.model import Model

T = TypeVar("T")

MAX_LIMIT = 20
#: Most characters of a page that `library_read` returns.
MAX_TEXT = 20_000
_MAX_SECTION = 20
_PAGE = re.compile(r"(?:(?P<name>[\w.-]{1,64})/)?(?P<id>\d{1,18})\Z")

#: Added to what was chosen among pages of which outsiders wrote some: they had a say in what was found.
_STEERED = Label(frozenset({"steered:library"}))
#: What a reader of several strangers' pages says stands nowhere word for word.
_READER = Label(frozenset({"reader"}))
#: Reads for nobody in particular: a run that names no principal sees only what everybody may read.
_NOBODY = "nobody:"
_SEARCH_FIELDS = ("page", "number", "kind", "score", "box", "changed_at", "outsider", "same_text")
_READ_FIELDS = ("page", "number", "before", "after", "section", "cut")
_TEXT_FIELDS = ("title", "heading", "text", "uri")


class Shelf(Protocol):
    """What the tools need of a library."""

    @property
    def catalog(self) -> Catalog: ...

    def search(self, query: str, *, k: int = 10, where: Where = ...) -> list[Hit]: ...


#: Opens a library by its name in a home.
Opener = Callable[[str, Path], Shelf]

_open: dict[tuple[str, Path, int], Shelf] = {}
_open_lock = threading.Lock()


def library_tools(
    names: Sequence[str] = ("default",),
    where: Where | None = None,
    *,
    model: Model | None = None,
    opener: Opener | None = None,
) -> list[Tool]:
    """The tools of an agent that may look things up, for ``Agent(tools=[...])``.

    Whoever the run acts for (`by`) is the reader: a page that they may not read is neither found nor counted.

    Args:
        names: the libraries that it may look into.
        where: only these pages; a call can narrow it and never widen it.
        model: answers the questions of `library_ask` from pages, without tools; without one there is no such tool.
        opener: opens a library by name and home; the default opens those of `mainspring index`, and keeps them open.

    Raises:
        DeclarationError: no library is named, or a name cannot be one.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    if not names or not all(re.fullmatch(r"[\w.-]{1,64}", name) for name in names):
        raise DeclarationError(f"library_tools needs names of libraries such as 'default', not {list(names)!r}")
    desk = _Desk(names, where or Where(), opener or _opened, model)
    search = Tool(
        desk.library_search,
        effect="read",
        outside=False,
        authority=(),
        fields=dict.fromkeys((f"[].{name}" for name in _SEARCH_FIELDS), "system"),
    )
    read = Tool(
        desk.library_read,
        effect="read",
        outside=False,
        authority=(),
        selector=("page",),
        fields=dict.fromkeys(_READ_FIELDS, "system"),
    )
    if model is None:
        return [search, read]
    return [search, read, Tool(desk.library_ask, effect="read", outside=False, authority=(), timeout_s=900.0)]


class _Desk:
    """Where one agent's tools look things up."""

    def __init__(self, names: tuple[str, ...], where: Where, opener: Opener, model: Model | None) -> None:
        self.names, self.where, self.opener, self.model = names, where, opener, model

    def library_search(
        self, query: str, context: ToolContext, kind: str = "", path: str = "", limit: int = 5
    ) -> Labelled:
        """Search documents by words and meaning. A "quoted phrase" must occur, a -word must not. Read a page by its id.

        Args:
            query: words or a question, in any language.
            kind: only pdf, image, slides, office, sheet, html, markdown, text, code, mail, video, audio or book.
            path: only documents whose path begins with this, or fits a pattern such as *.pdf.
            limit: most pages to return, up to 20.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise ToolError(f"limit must be from 1 to {MAX_LIMIT}, not {limit}")
        if kind and kind not in get_args(Kind):
            raise ToolError(f"there is no kind {kind!r}; use one of {', '.join(get_args(Kind))}")
        found: list[tuple[str, Hit]] = []
        mixed = False
        for name, shelf in self._shelves(context):
            within = self._within(shelf, context, kind, path)
            if within is None:
                continue
            hits = _attempt(lambda s=shelf, w=within: _fair(s, query, limit, w))  # type: ignore[misc]
            mixed = mixed or _mixed(shelf, within, hits)
            found += [(name, hit) for hit in hits]
        if len(self.names) > 1:
            found = _interleaved(found)[:limit]
        asked = join_all(context.labels.values()).steering()  # a query chooses pages and writes none
        made = Label(frozenset({"made:library_search"})).join(asked).join(_STEERED if mixed else SYSTEM)
        labels: dict[str, Label] = {}
        shown = []
        for number, (name, hit) in enumerate(found):
            shown.append(_shown(name, hit))
            own = hit.page.document.label
            # That a page is there is told only to those who may read it.
            ours = made.join(Label(frozenset(), own.readers))
            labels |= {f"[{number}]": ours} | {f"[{number}].{field}": ours for field in _SEARCH_FIELDS}
            labels |= {f"[{number}].{field}": own.join(made) for field in _TEXT_FIELDS}
        whole = join_all([made, *(Label(frozenset(), hit.page.document.label.readers) for _, hit in found)])
        return Labelled(shown, {"": whole} | labels)

    def library_read(self, page: str, context: ToolContext) -> Labelled:
        """Read a whole page that library_search found, with the ids of the pages around it.

        Args:
            page: its id, such as default/17.
        """
        match = _PAGE.match(page)
        name = (match["name"] or self.names[0]) if match else ""
        if match is None or name not in self.names:
            raise ToolError(f"{page[:100]!r} is no page; library_search lists ids such as {self.names[0]}/17")
        shelf = dict(self._shelves(context))[name]
        stored = _attempt(lambda: self._one(shelf, int(match["id"]), context))
        around = _attempt(lambda: neighbours(shelf.catalog, stored))
        label = stored.document.label
        asked = join_all(context.labels.values()).steering()
        made = Label(frozenset({"made:library_read"}), label.readers).join(asked)
        text = stored.page.text
        shown = {
            "page": f"{name}/{stored.id}",
            "number": stored.page.number,
            "title": stored.document.title,
            "heading": stored.page.heading,
            "uri": stored.document.uri,
            "text": text[:MAX_TEXT],
            "cut": len(text) > MAX_TEXT,
            "before": f"{name}/{around.before.id}" if around.before else None,
            "after": f"{name}/{around.after.id}" if around.after else None,
            "section": [f"{name}/{p.id}" for p in around.section[:_MAX_SECTION]],
        }
        labels = dict.fromkeys(_READ_FIELDS, made) | dict.fromkeys(_TEXT_FIELDS, label.join(asked))
        return Labelled(shown, {"": made} | labels)

    async def library_ask(self, question: str, context: ToolContext) -> Labelled:
        """Ask the documents a question. A reader answers from them alone, with quotes that were checked.

        Args:
            question: what is to be found out.
        """
        from mainspring.library.ask import ask

        assert self.model is not None
        desk = _Asked(self, context)
        answer = await ask(desk, question, self.model)
        asked = join_all(context.labels.values())
        # Put together by a model that strangers may have talked to: which pages it cites could spell something too.
        label = answer.label.join(asked).join(_READER)
        citations = [
            {
                "page": f"{desk.name_of(c.page)}/{c.page.id}",
                "uri": c.page.document.uri,
                "number": c.page.page.number,
                "quote": c.quote,
                "box": _box(c.box),
            }
            for c in answer.citations
        ]
        value = {"found": answer.found, "answer": answer.text, "citations": citations}
        keys = Label(frozenset({"made:library_ask"}), label.readers)
        labels = {"": keys} | dict.fromkeys(value, label)
        return Labelled(value, labels, answer.usage)

    # --- what it may see ---

    def _shelves(self, context: ToolContext) -> Iterator[tuple[str, Shelf]]:
        if context.home is None:
            raise ToolError("the library needs a home; this call has none")
        home = context.home
        for name in self.names:
            yield name, _attempt(lambda n=name: self.opener(n, home))  # type: ignore[misc]

    def _reader(self, context: ToolContext) -> str:
        # No name at all would be no limit.
        return (context.principal[0] if context.principal else "") or _NOBODY

    def _within(self, shelf: Shelf, context: ToolContext, kind: str, path: str) -> Where | None:
        """What a call may find; None when that is nothing."""
        within = replace(self.where, reader=self._reader(context))
        if kind:
            if within.kinds and kind not in within.kinds:
                return None
            within = replace(within, kinds=(kind,))  # type: ignore[arg-type]
        if path and within.paths:  # both must hold, and a filter's paths are alternatives
            fits = [d.id for d in shelf.catalog.documents(within) if _under(d.uri, path)]
            return replace(within, documents=tuple(fits)) if fits else None
        return replace(within, paths=(path,)) if path else within

    def _one(self, shelf: Shelf, id_: int, context: ToolContext) -> StoredPage:
        """A page that may be read. Whether another is there is not told."""
        within = replace(self.where, reader=self._reader(context))
        for page in shelf.catalog.pages([id_]):
            document = page.document
            if within.documents and document.id not in within.documents:
                continue
            one = replace(within, documents=(document.id,))
            if document.label.readable_by(within.reader) and id_ in shelf.catalog.among(one):
                return page
        raise ToolError(f"there is no page {id_}; library_search lists ids")


class _Asked:
    """All libraries of a desk as one that can be asked, for one call."""

    def __init__(self, desk: _Desk, context: ToolContext) -> None:
        self.desk, self.context = desk, context
        self.found: list[tuple[str, Hit]] = []

    def search(self, query: str, *, k: int = 10, where: Where | None = None) -> list[Hit]:
        found: list[tuple[str, Hit]] = []
        for name, shelf in self.desk._shelves(self.context):
            within = self.desk._within(shelf, self.context, "", "")
            if within is not None:
                found += [(name, hit) for hit in _fair(shelf, query, k, within)]
        self.found = _interleaved(found)[:k]
        return [hit for _, hit in self.found]

    def name_of(self, page: StoredPage) -> str:
        """The library that a page was found in: each of them numbers its own pages from 1."""
        return next(name for name, hit in self.found if hit.page is page)


def _fair(shelf: Shelf, query: str, limit: int, where: Where) -> list[Hit]:
    """The best pages; half of the places are kept for those that no outsider wrote, when there are any.

    So nobody crowds a person's own pages out by stuffing others with words.
    """
    best = shelf.search(query, k=limit, where=where)
    others = [hit for hit in best if not hit.page.document.label.trusted]
    own = [hit for hit in best if hit.page.document.label.trusted]
    kept = (limit + 1) // 2
    if len(own) < kept and others and not where.trusted:
        own = shelf.search(query, k=kept, where=replace(where, trusted=True))
    own, others = fair(own, others, limit)
    chosen = [*own, *others]
    place = {hit.page.id: rank for rank, hit in enumerate(best)}
    return sorted(chosen, key=lambda hit: place.get(hit.page.id, len(best)))


def _mixed(shelf: Shelf, where: Where, hits: Sequence[Hit]) -> bool:
    """True when an outsider wrote a page that could have been found, and so had a say in what was."""
    if where.trusted:
        return False
    if any(not page.document.label.trusted for hit in hits for page in (hit.page, *hit.also)):
        return True
    return any(not document.label.trusted for document in shelf.catalog.documents(where))


def _interleaved(found: Sequence[tuple[str, Hit]]) -> list[tuple[str, Hit]]:
    """Pages of several libraries, the first of each, then the second: scores of two searches cannot be compared."""
    ranks: dict[str, int] = {}
    keyed: list[tuple[int, int, str, Hit]] = []
    for name, hit in found:
        ranks[name] = ranks.get(name, 0) + 1
        keyed.append((ranks[name], len(keyed), name, hit))
    return [(name, hit) for _, _, name, hit in sorted(keyed, key=lambda item: item[:2])]


def _shown(name: str, hit: Hit) -> Mapping[str, Any]:
    page, document = hit.page, hit.page.document
    return {
        "page": f"{name}/{page.id}",
        "title": document.title,
        "heading": page.page.heading,
        "text": hit.snippet,
        "uri": document.uri,
        "number": page.page.number,
        "kind": document.kind,
        "score": round(hit.score, 4),
        "box": _box(hit.box),
        "changed_at": round(document.changed_at),
        "outsider": not document.label.trusted,
        "same_text": len(hit.also),
    }


def _box(box: Box | None) -> list[float] | None:
    return None if box is None else [round(side, 3) for side in (box.left, box.top, box.right, box.bottom)]


def _under(uri: str, path: str) -> bool:
    return fnmatch.fnmatchcase(uri, path) if "*" in path or "?" in path else uri.startswith(path)


def _opened(name: str, home: Path) -> Shelf:
    """The library of this name, kept open for the next call: an encoder takes a second to load."""
    from mainspring.library.library import existing

    with _open_lock:
        key = (name, home, os.getpid())  # a library cannot be taken across a fork
        if key not in _open:
            _open[key] = existing(name, home)
        return _open[key]


def _attempt(action: Callable[[], T]) -> T:
    try:
        return action()
    except StoreError as error:
        raise ToolError(str(error)) from None
