"""`mainspring library remove|forget|check|compact|reembed|queries`."""

from __future__ import annotations

import sys

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.find import whoami
from mainspring.cli.index import counted, quoted
from mainspring.cli.library import named
from mainspring.cli.library_bar import shown
from mainspring.cli.output import Output, note
from mainspring.cli.render import clock, one_line, seconds
from mainspring.cli.search import library_option, opened
from mainspring.cli.status import FAILED, INTERRUPTED

_documents = click.argument("documents", metavar="DOCUMENT...", nargs=-1, required=True)


def _said(json_: bool, what: str, count: int, text: str) -> None:
    output = Output.plain()
    output.json({what: count}) if json_ else output.text(f"{counted(count, 'document')} {text}")


@click.command()
@_documents
@library_option
@json_option
def remove(documents: tuple[str, ...], name: str, json_: bool) -> None:
    """Take documents, or all below a folder, out of the library. Files stay as they are.

    A folder named is not brought up to date any more by `mainspring index` without a PATH.
    """
    with opened(name) as held:
        count = held.remove(*named(held, list(documents)))
    _said(json_, "removed", count, "removed")


@click.command()
@_documents
@library_option
@click.option("--by", metavar="NAME", help="Who asks for it (default: the user's name); it is kept.")
@json_option
def forget(documents: tuple[str, ...], name: str, by: str | None, json_: bool) -> None:
    """Take documents out so that no byte of their words, pictures' words and vectors is left.

    Files stay as they are; they are not indexed again with their folder, only when they are named themselves.
    """
    with opened(name) as held:
        meant = named(held, list(documents))
        uris = [held.document(each).uri if isinstance(each, int) else each for each in meant]
        heard = [recording for uri in uris for recording in held.heard_with(uri)]
        count = held.forget(*meant, by=by or whoami())
        for left in heard:
            if held.catalog.find(left.uri) is not None:
                note(f"mainspring: {quoted(left.uri)} holds these words as well: forget it too, or index it again")
    _said(json_, "forgotten", count, "forgotten")


@click.command()
@library_option
@json_option
def check(name: str, json_: bool) -> None:
    """Look for damage: reads the catalog and compares it with the vectors. Exit status 1 when something is wrong."""
    with opened(name) as held:
        found = held.check()
    output = Output.plain()
    if json_:
        output.json({"library": name, "whole": not found, "problems": found})
    else:
        output.text("\n".join(found) or "the library is whole")
    if found:
        sys.exit(FAILED)


@click.command()
@library_option
@json_option
def compact(name: str, json_: bool) -> None:
    """Rewrite the library's files without what was removed. Searches go on meanwhile."""
    with opened(name) as held:
        before = held.stats()
        held.compact()
        after = held.stats()
    size = [int(s["catalog_bytes"] + s.get("index_bytes", 0)) for s in (before, after)]
    output = Output.plain()
    if json_:
        output.json({"library": name, "bytes_before": size[0], "bytes": size[1]})
    else:
        output.text(f"{size[0]:,} bytes before, {size[1]:,} now")


@click.command()
@click.argument("embedder", metavar="[EMBEDDER]", required=False)
@library_option
@json_option
def reembed(embedder: str | None, name: str, json_: bool) -> None:
    """Make all vectors anew with EMBEDDER, or with the present one after it changed; 'none' deletes them.

    They are built beside the old ones, which are searched meanwhile, and take their place when they are whole. Stopped
    or killed before, it goes on with the same command.

    \b
    Examples:
      mainspring library reembed
      mainspring library reembed default
      mainspring library reembed vllm:http://localhost:8000#nvidia/nemotron-colembed
    """
    with opened(name) as held:
        try:
            with shown(json_) as progress:
                report = held.reembed(embedder, progress)
        except KeyboardInterrupt:
            note("mainspring: stopped; the old vectors are searched as before, and the same command goes on")
            sys.exit(INTERRUPTED)
        space = held.catalog.get("space")
    output = Output.plain()
    if json_:
        output.json({"library": name, "space": space, "encoded": report.encoded, "seconds": report.seconds})
    elif space:
        pages = counted(report.encoded, "page")
        output.text(f"{pages} encoded by {one_line(space)} in {seconds(report.seconds)}")
    else:
        output.text("searched by words only from now on; the vectors are deleted")


@click.command()
@click.option("--on/--off", "on", default=None, help="Keep a log of queries from now on, or stop and empty it.")
@library_option
@json_option
def queries(on: bool | None, name: str, json_: bool) -> None:
    """The log of what was asked. It is kept only when you turn it on."""
    output = Output.plain()
    with opened(name) as held:
        if on is not None:
            held.catalog.log_queries(on)
            _word = "queries are kept from now on" if on else "queries are not kept any more; the log is empty"
            output.json({"library": name, "on": on}) if json_ else output.text(_word)
            return
        found = held.catalog.queries()
        kept = held.catalog.get("log_queries") == "1"
    for at, query, pages in found:
        if json_:
            output.json({"at": at, "query": query, "pages": pages})
        else:
            output.text(f"{clock(at)}  {len(pages):>3} pages  {one_line(query, 200)}")
    if not found and not json_:
        none = "no query since the log was begun or emptied"
        output.text(none if kept else "no query is kept; `mainspring library queries --on` keeps them")
