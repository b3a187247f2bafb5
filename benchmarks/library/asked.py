"""The written queries: what they ask, and which pages answer them by the structure of the documents.

A query names a document and a section of it, and in a PDF the page (of the package's file) on which the answer stands.
Its grades follow from the structure, by this rule:

- PDF: the named page has grade 2. The other pages of the named section have grade 1: from the page on which its entry
  in the outline begins to the page on which the next entry of its level or a higher one begins, that page included
  only where that entry begins below its first tenth. Of a section of more than three pages, only those next to the
  named page. Where there is no such entry, only the named page is relevant, and the section's words must stand on it.
  Blank pages are never relevant. Of slides, where one entry stands for several with titles of their own, and for
  queries about a figure or a table only the named page is relevant.
- Web page, Markdown, text: the pages of the library under that heading; the first has grade 2, the others 1. Where no
  page stands under it (short sections are put together), the first page that has its words, with grade 2. A text
  without headings that is named as a whole: its first page has grade 2, the others 1.
- What a query names under ``also`` has the grade given there: the same answer somewhere else in the set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.library.build import Made, digest_of, normalised
from benchmarks.library.documents import Language, Side

FOLDER = Path(__file__).with_name("queries")
#: Of the rule above; another number where it changes.
RULE = 2
#: Outline entries of these stand for several slides.
SLIDES = frozenset({"packaging-tutorial-zh.pdf"})
#: Of a longer section, only the pages next to the named one are relevant.
LONG = 3
#: Below this share of a page's height, what stands above a new section is still the section before.
TOP = 0.1


@dataclass(frozen=True, slots=True)
class Target:
    """A section of a document, and the page (from 1, of the set's file) of the answer; 0 where there are no pages."""

    document: str
    section: str
    page: int
    grade: float


@dataclass(frozen=True, slots=True)
class Query:
    """A query with the sections that answer it. `kind` is as in the documentation; `language` is the query's own."""

    text: str
    kind: str
    language: Language
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class LibraryPage:
    """A page as the library has it: its number there, its document's file name, its place, heading and text."""

    id: int
    document: str
    number: int
    heading: str
    text: str


class SetError(Exception):
    """The set is not the one that the queries were written for."""


def written(side: Side, made: Sequence[Made], *, check: bool = True) -> list[Query]:
    """The written queries of one side.

    Raises:
        SetError: a query names what is not there, or a page whose text is another than when the query was written.
    """
    known = {one.piece.name: one for one in made}
    found = []
    for number, line in enumerate((FOLDER / f"{side}.jsonl").read_text(encoding="utf-8").splitlines(), 1):
        value = json.loads(line)
        targets = [_target(value, known, 2.0, check, f"{side}.jsonl:{number}")]
        targets += [_target(also, known, also["grade"], check, f"{side}.jsonl:{number}") for also in value["also"]]
        found.append(Query(value["query"], value["kind"], language(value["query"]), tuple(targets)))
    return found


def language(text: str) -> Language:
    """Chinese where there are Chinese characters."""
    return "zh" if any("\u4e00" <= char <= "\u9fff" for char in text) else "en"


def _target(value: Mapping[str, object], known: Mapping[str, Made], grade: float, check: bool, where: str) -> Target:
    document, section, page = str(value["document"]), str(value["section"]), int(str(value["page"] or 0))
    made = known.get(document)
    if made is None:
        return Target(document, section, 0, 0.0)
    built = 0
    if page:
        numbers = made.piece.numbers
        if page not in numbers:
            raise SetError(f"{where}: page {page} of {document} is not in the set")
        built = numbers.index(page) + 1
    text = made.texts[built - 1 if built else 0]
    if check and digest_of(text) != value["digest"]:
        raise SetError(f"{where}: {document} page {page} has another text than when the query was written")
    if normalised(section) not in normalised(text) and not _entry(made, section, built):
        raise SetError(f"{where}: {document} page {page} has no section {section!r}")
    return Target(document, section, built, grade)


def grades(query: Query, made: Mapping[str, Made], pages: Mapping[str, Sequence[LibraryPage]]) -> dict[int, float]:
    """The library's pages that answer a query, by the rule above.

    Args:
        made: the set's documents by name; pages: the library's pages of each of them, in order.

    Raises:
        SetError: the library has no page for a target.
    """
    found: dict[int, float] = {}
    for target in query.targets:
        if target.document not in made:
            continue
        held = pages.get(target.document, ())
        if target.page:
            alone = target.document in SLIDES or query.kind in ("figure", "table")
            graded = _of_pdf(target, made[target.document], held, alone)
        else:
            graded = _of_text(target, held)
        if not graded:
            raise SetError(f"the library has no page for {target.section!r} of {target.document}")
        for id_, grade in graded.items():
            found[id_] = max(grade, found.get(id_, 0.0))
    return found


def _of_pdf(target: Target, made: Made, held: Iterable[LibraryPage], alone: bool) -> dict[int, float]:
    around = range(0) if alone else section_pages(made, target.section, target.page)
    relevant = {number: min(1.0, target.grade) for number in around}
    relevant[target.page] = target.grade
    blank = {number for number in relevant if not normalised(made.texts[number - 1])}
    return {page.id: relevant[page.number] for page in held if page.number in relevant.keys() - blank}


def section_pages(made: Made, section: str, page: int) -> range:
    """The pages of the section of this title that `page` is in; none where the outline does not have it."""
    entry = _entry(made, section, page)
    if entry is None:
        return range(0)
    first, last = entry
    if last - first >= LONG:
        first, last = max(first, page - 1), min(last, page + 1)
    return range(first, last + 1)


def _entry(made: Made, section: str, page: int) -> tuple[int, int] | None:
    wanted = normalised(section)
    for place, entry in enumerate(made.outline):
        if normalised(entry.title) != wanted:
            continue
        last = len(made.texts)
        for later in made.outline[place + 1 :]:
            if later.level <= entry.level:
                last = later.page if later.top > TOP or later.page == entry.page else later.page - 1
                break
        if entry.page <= page <= last:
            return entry.page, last
    return None


def _of_text(target: Target, held: Sequence[LibraryPage]) -> dict[int, float]:
    wanted = normalised(target.section)
    if not wanted:
        under = list(held)
    else:
        under = [page for page in held if normalised(page.heading.rpartition(" > ")[2]) == wanted]
    if under:
        return {page.id: target.grade if n == 0 else min(1.0, target.grade) for n, page in enumerate(under)}
    return dict([(page.id, target.grade) for page in held if wanted in normalised(page.text)][:1])
