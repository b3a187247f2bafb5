"""`mainspring index`: bring a library in step with files and folders."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.find import whoami
from mainspring.cli.library_bar import shown
from mainspring.cli.output import Output, note
from mainspring.cli.render import one_line, safe, seconds
from mainspring.cli.search import library_option
from mainspring.cli.status import FAILED, INTERRUPTED

if TYPE_CHECKING:
    from mainspring.library.ingest import Report
    from mainspring.library.library import Library
    from mainspring.library.sight import Transcriber

#: Failed files that are listed; the rest are counted, and `mainspring library list --problems` shows them.
_LISTED = 20


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@library_option
@click.option("--watch", is_flag=True, help="Go on, and index what changes as it changes. Ctrl-C ends it.")
@click.option(
    "--ocr",
    type=click.Choice(["auto", "off", "now"]),
    default="auto",
    show_default=True,
    help="Read scans and pictures: once all text is searchable (auto), not at all, or first of all (now).",
)
@click.option("--trust", is_flag=True, help="The words are your own: they may carry authority. Who said so is kept.")
@click.option("--readers", metavar="A,B", help="Only these people and agents may read them.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out, as in .gitignore; kept for later runs.")
@click.option("--hidden", is_flag=True, help="Also files and folders whose name begins with a dot.")
@click.option("--embedder", metavar="NAME", help="What makes the vectors of a new library; 'none' for words only.")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Files read at a time (default: one a core).")
@click.option("--again", is_flag=True, help="Read also what looks unchanged, and what failed before.")
@json_option
def index(
    paths: tuple[str, ...],
    name: str,
    watch: bool,
    ocr: str,
    trust: bool,
    readers: str | None,
    exclude: tuple[str, ...],
    hidden: bool,
    embedder: str | None,
    jobs: int | None,
    again: bool,
    json_: bool,
) -> None:
    """Make files and folders searchable: PDF, scans, slides, Office files, web pages, Markdown, code, mail, pictures.

    Only what is new or has changed is read; what is gone is taken out. Without a PATH, all that was indexed before is
    brought up to date. It can be stopped or killed at any moment, and goes on with the next run.

    A file .mainspringignore names, as .gitignore does, what is left out below its folder. What is indexed counts as a
    stranger's words unless you say --trust. Exit status 1 when a file could not be read; the rest is indexed.

    \b
    Examples:
      mainspring index ~/papers ~/notes
      mainspring index                              bring everything up to date
      mainspring index ~/notes --trust --watch
      mainspring index ~/clients --readers ann,ben --exclude 'drafts/'
      mainspring index 'scans/*.pdf' --ocr now
    """
    from mainspring.config import load_config
    from mainspring.library.library import Library, place_of
    from mainspring.store import default_home

    settings = load_config(default_home()).library
    if embedder is None and settings.embedder and not (place_of(name) / "catalog.sqlite").exists():
        embedder = settings.embedder
    options: dict[str, Any] = {
        "exclude": exclude,
        "hidden": hidden,
        "trust": trust,
        "readers": None if readers is None else [who.strip() for who in readers.split(",") if who.strip()],
        "by": whoami(),
        "jobs": jobs or 0,
        "again": again,
        "transcriber": _transcriber(settings.transcriber),
    }
    output = Output.plain()
    failed = False
    with Library.open(name, embedder=embedder) as library:
        try:
            if watch:
                _watched(library, paths, ocr, options, output, json_)
                return
            with shown(json_) as progress:
                report = library.index(paths, ocr="now" if ocr == "now" else "off", progress=progress, **options)
            _tell(output, report, json_)
            failed = bool(report.failed)
            if ocr == "auto" and report.unread:
                _read_pictures(library, output, json_, again)
        except KeyboardInterrupt:
            note("mainspring: stopped; what was indexed is kept, and the same command goes on")
            sys.exit(INTERRUPTED)
    if failed:
        sys.exit(FAILED)


def _transcriber(name: str) -> Transcriber | None:
    if not name:
        return None
    from mainspring.library.sight import open_transcriber

    return open_transcriber(name)


def _read_pictures(library: Library, output: Output, json_: bool, again: bool) -> None:
    waiting = library.catalog.counts()["ocr_wanted"]
    note(
        f"all text can be searched now; reading pictures: {counted(waiting, 'page')} (Ctrl-C stops it, to go on later)"
    )
    with shown(json_) as progress:
        report = library.read_pictures(progress, again=again)
    if json_:
        output.json({"type": "pictures"} | as_json(report))
    else:
        read = counted(report.read, "page")
        output.text(f"{read} read from pictures, {report.unread} left, in {seconds(report.seconds)}")
        for text in report.notes:
            note(f"mainspring: {safe(text)}")


def _watched(
    library: Library, paths: tuple[str, ...], ocr: str, options: dict[str, Any], output: Output, json_: bool
) -> None:
    note("watching; Ctrl-C ends it")
    try:
        for report in library.watch(paths, ocr=ocr, **options):
            _tell(output, report, json_)
    except KeyboardInterrupt:
        note("mainspring: no longer watching; what was indexed is kept")


def _tell(output: Output, report: Report, json_: bool) -> None:
    if json_:
        output.json({"type": "report"} | as_json(report))
        return
    done = f"{counted(report.indexed, 'document')} indexed ({counted(report.pages, 'page')}), "
    done += f"{report.unchanged} unchanged"
    if report.removed:
        done += f", {report.removed} removed"
    if report.failed:
        done += f", {len(report.failed)} failed"
    if report.others:
        done += f", {counted(report.others, 'file')} of other kinds left out"
    if report.links:
        done += f", {counted(report.links, 'link')} not followed"
    if report.encoded:
        done += f"; {counted(report.encoded, 'page')} encoded"
    output.text(f"{done}, in {seconds(report.seconds)}")
    for title, each in (("failed", report.failed), ("partly", report.partly)):
        for uri, why in each[:_LISTED]:
            note(f"  {title}: {one_line(quoted(uri), 200)}: {one_line(why, 300)}")
        if len(each) > _LISTED:
            note(f"  ... and {len(each) - _LISTED} more: mainspring library list --problems")
    for text in report.notes:
        note(f"mainspring: {safe(text)}")


def counted(count: int, what: str) -> str:
    """A number with what it counts: 1 page, 2 pages."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def quoted(uri: str) -> str:
    """A path on one line, with what a terminal would obey made visible."""
    return safe(uri, exact=True).replace("\n", "\\n").replace("\t", "\\t")


def as_json(report: Report) -> dict[str, Any]:
    """A report as a JSON object."""
    value = asdict(report)
    for name in ("failed", "partly"):
        value[name] = [{"uri": uri, "why": why} for uri, why in value[name]]
    return value
