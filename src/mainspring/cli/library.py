"""`mainspring library`: what a library holds, and keeping it in order."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.group import LazyGroup
from mainspring.cli.index import quoted
from mainspring.cli.output import Output, note
from mainspring.cli.render import ago, bytes_text, clock, columns, cut, one_line, safe
from mainspring.cli.search import absolute, library_option, opened
from mainspring.cli.status import FAILED
from mainspring.errors import StoreError

if TYPE_CHECKING:
    from mainspring.label import Label
    from mainspring.library.library import Library
    from mainspring.library.page import Document

_HERE, _KEEP = "mainspring.cli.library", "mainspring.cli.library_keep"


@click.group(
    cls=LazyGroup,
    default="list",
    invoke_without_command=False,
    lazy={
        "list": (f"{_HERE}:list_", "The documents, by their paths (the default)."),
        "show": (f"{_HERE}:show", "One document: label, decisions, pages."),
        "stats": (f"{_HERE}:stats", "How much there is, and what waits for work."),
        "libraries": (f"{_HERE}:libraries", "The libraries of this home."),
        "remove": (f"{_KEEP}:remove", "Take documents out; their files stay."),
        "forget": (f"{_KEEP}:forget", "Take documents out and leave no byte of them."),
        "check": (f"{_KEEP}:check", "Look for damage."),
        "compact": (f"{_KEEP}:compact", "Rewrite the files without what was removed."),
        "reembed": (f"{_KEEP}:reembed", "Make all vectors anew, with another embedder."),
        "ask": ("mainspring.cli.library_ask:ask", "Answer a question, with quotes that were checked."),
        "eval": ("mainspring.cli.library_eval:eval_", "How good, how fast and how large it is."),
        "queries": (f"{_KEEP}:queries", "Keep a log of what is asked, or stop it."),
    },
)
def library() -> None:
    """What a library holds. `mainspring index` fills one, `mainspring search` searches it.

    DOCUMENT is a number from the list, a path, or a folder.

    \b
    Examples:
      mainspring library
      mainspring library show 12
      mainspring library stats --library papers
      mainspring library remove ~/old-project
      mainspring library forget ~/letters/secret.pdf
    """


def label_text(label: Label) -> str:
    """A label for people."""
    whose = "your own" if label.trusted else "maybe a stranger's"
    if label.readers is None:
        return whose
    return f"{whose}; readers: {', '.join(sorted(label.readers)) or 'nobody'}"


def document_json(document: Document) -> dict[str, Any]:
    """A document as a JSON object."""
    return {
        "id": document.id,
        "uri": document.uri,
        "digest": document.digest,
        "kind": document.kind,
        "title": document.title,
        "size": document.size,
        "changed_at": document.changed_at,
        "pages": document.pages,
        "label": document.label.encode(),
        "trusted": document.label.trusted,
        "problem": document.problem,
        "extra": dict(document.extra),
    }


@click.command("list")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@library_option
@click.option("--problems", is_flag=True, help="Only documents of which something could not be read.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@json_option
def list_(paths: tuple[str, ...], name: str, problems: bool, limit: int, json_: bool) -> None:
    """The documents, by their paths; PATH is a beginning or a pattern with * and ?."""
    from mainspring.library.page import Where

    with opened(name) as held:
        where = Where(paths=tuple(map(absolute, paths)))
        every = held.documents(where, limit=-1 if problems else limit + 1)
    found = [document for document in every if document.problem or not problems]
    output = Output.plain()
    if json_:
        for document in found[:limit]:
            output.json(document_json(document))
        return
    if not found:
        output.text("no document")
        return
    rows = [
        (
            str(d.id),
            d.kind,
            str(d.pages),
            bytes_text(d.size),
            ago(d.changed_at),
            "own" if d.label.trusted else "",
            quoted(d.uri) + (f"  ({one_line(d.problem, 100)})" if d.problem else ""),
        )
        for d in found[:limit]
    ]
    output.text("\n".join(columns(rows, ("ID", "KIND", "PAGES", "SIZE", "CHANGED", "TRUST", "PATH"))))
    if len(found) > limit:
        output.text(f"... there are more; --limit {limit * 10} shows more")


@click.command()
@click.argument("document", metavar="DOCUMENT")
@library_option
@click.option("--text", "text_", is_flag=True, help="Its text as well.")
@json_option
def show(document: str, name: str, text_: bool, json_: bool) -> None:
    """One document: label, decisions, pages."""
    with opened(name) as held:
        found = the_document(held, document)
        pages = held.catalog.pages_of(found.id)
        decided = held.catalog.decisions(found.id)
    output = Output.plain()
    if json_:
        listed = [
            {"id": p.id, "number": p.page.number, "heading": p.page.heading, "language": p.language,
             "source": p.page.source, "chars": len(p.page.text)} | ({"text": p.page.text} if text_ else {})
            for p in pages
        ]  # fmt: skip
        said = [{"at": at, "by": by, "what": what, "before": b, "after": a} for at, by, what, b, a in decided]
        output.json(document_json(found) | {"pages": listed, "decisions": said})
        return
    lines = [f"{found.id}  {quoted(found.uri)}", f"  title: {one_line(found.title, 200)}"]
    lines.append(f"  {found.kind}, {found.pages} pages, {bytes_text(found.size)}, changed {clock(found.changed_at)}")
    lines.append(f"  {label_text(found.label)}")
    lines += [f"  {clock(at)} {what} by {one_line(by)}" for at, by, what, _, _ in decided]
    if found.problem:
        lines.append(f"  problem: {one_line(found.problem, 500)}")
    lines += [f"  {one_line(key)}: {one_line(value, 200)}" for key, value in found.extra.items()]
    for p in pages:
        lines.append(
            f"  page {p.page.number}: {p.language or '?'}, {p.page.source}, {len(p.page.text)} characters"
            + (f", {one_line(p.page.heading, 80)}" if p.page.heading else "")
        )
        if text_:
            lines += [f"    | {line}" for line in p.page.text.split("\n")]
    output.text("\n".join(lines))


@click.command()
@library_option
@json_option
def stats(name: str, json_: bool) -> None:
    """How much there is, and what waits for work."""
    with opened(name) as held:
        found = held.stats()
    output = Output.plain()
    if json_:
        output.json({"library": name} | found)
        return
    lines = [
        f"{found['documents']} documents, {found['pages']} pages, of files of {bytes_text(found['source_bytes'])}",
        f"embedder: {one_line(found['embedder'])}" + (f" ({one_line(found['space'])})" if found["space"] else ""),
        f"catalog: {bytes_text(found['catalog_bytes'])}",
    ]
    if "index_bytes" in found:
        lines.append(f"vectors: {bytes_text(found['index_bytes'])} for {found['index_pages']:.0f} pages")
    for title in ("kind", "language", "source"):
        of = ", ".join(f"{name or '?'} {count}" for name, count in found[f"pages_by_{title}"].items())
        lines.append(f"pages by {title}: {cut(of, 200)}")
    for what, count in (
        ("documents could not be read: mainspring library list --problems", found["failed"]),
        ("pages wait for OCR: mainspring index", found["ocr_wanted"]),
        ("pages could not be read by OCR: mainspring index --again", found["ocr_failed"]),
        ("pages have no vectors: mainspring index", found["unencoded"]),
    ):
        if count:
            lines.append(f"{count} {what}")
    if found["problem"]:
        lines.append(f"searched by words only: {one_line(found['problem'], 500)}")
    output.text("\n".join(lines))


@click.command()
@json_option
def libraries(json_: bool) -> None:
    """The libraries of this home."""
    from mainspring.library.library import names

    output = Output.plain()
    rows = []
    failed = False
    for name in names():
        try:
            with opened(name) as held:
                counts, roots = held.catalog.counts(), list(held.catalog.roots())
                embedder = held.catalog.get("embedder")
        except StoreError as error:  # the others are there
            failed = True
            note(f"mainspring: {name}: {safe(str(error))}")
            if json_:
                output.json({"library": name, "problem": str(error)})
            else:
                rows.append((name, "?", "?", "it cannot be opened"))
            continue
        if json_:
            output.json({"library": name, "embedder": embedder, "roots": roots} | counts)
        else:
            where = ", ".join(map(quoted, roots))
            rows.append((name, str(counts["documents"]), str(counts["pages"]), cut(where, 80)))
    if not json_:
        output.text(
            "\n".join(columns(rows, ("LIBRARY", "DOCUMENTS", "PAGES", "OF")))
            if rows
            else "there is no library yet; make one with: mainspring index PATH"
        )
    if failed:
        sys.exit(FAILED)


def the_document(held: Library, text: str) -> Document:
    """The document that a number or a path names. Raises StoreError."""
    (first,) = named(held, [text])
    if isinstance(first, int):
        return held.document(first)
    document = held.catalog.find(first)
    if document is None:
        if held.catalog.below(first):
            raise StoreError(f"{text!r} is a folder; name one document: mainspring library list {shlex.quote(text)}")
        raise held.nothing_of(text)
    return document


def named(held: Library, texts: list[str]) -> list[int | str]:
    """Numbers of documents as numbers, everything else as paths, made absolute where the library knows that."""
    import os

    found: list[int | str] = []
    for text in texts:
        if not text:  # it would be the present folder, and is a variable of a shell that is not set
            raise click.UsageError("a document's name is empty; the present folder is '.'")
        if text.isdecimal() and not os.path.exists(text):
            found.append(int(text))
        elif held.catalog.find(text) is not None:
            found.append(text)
        else:
            found.append(os.path.realpath(os.path.expanduser(text)))
    return found
