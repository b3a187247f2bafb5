"""`mainspring memory`: what agents remember, and what a person makes of it."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.find import whoami
from mainspring.cli.group import LazyGroup
from mainspring.cli.output import Output, note
from mainspring.cli.render import ago, clock, columns, cut, one_line, safe

if TYPE_CHECKING:
    from mainspring.label import Label
    from mainspring.memory import Memory, Record

_HERE = "mainspring.cli.memory"


@click.group(
    cls=LazyGroup,
    default="list",
    invoke_without_command=False,
    lazy={
        "list": (f"{_HERE}:list_", "What is remembered, newest first (the default)."),
        "show": (f"{_HERE}:show", "One record in full: text, label, descent, judgements."),
        "search": (f"{_HERE}:search", "Records with these words, best first."),
        "add": (f"{_HERE}:add", "Write a note, or a rule, yourself."),
        "forget": (f"{_HERE}:forget", "Erase a record's text for good."),
        "trust": (f"{_HERE}:trust", "Vouch for a record, whoever wrote it."),
        "distrust": (f"{_HERE}:distrust", "Take trust in a record, and all made from it, back."),
        "export": (f"{_HERE}:export", "Write all records as JSON lines."),
        "import": (f"{_HERE}:import_", "Read exported records; they come in as an outsider's."),
    },
)
def memory() -> None:
    """What agents remember from run to run, and who may have written it.

    ID is a record's id, or the beginning of one. A record that an outsider may have written comes back to agents with
    that label; only a person lowers it, and it is kept who did and why.

    \b
    Examples:
      mainspring memory
      mainspring memory show m_3f2
      mainspring memory trust m_3f2 --why "read it, it is from Ann"
      mainspring memory add "Invoices go to billing@example.org" --about invoices
      mainspring memory forget m_3f2 --why "Ann asked for it"
    """


by_option = click.option("--by", metavar="NAME", help="Who decides (default: the user's name).")
why_option = click.option("--why", required=True, metavar="TEXT", help="Why; it is kept.")
id_argument = click.argument("id_", metavar="ID")


def opened() -> Memory:
    """The home's memory."""
    from mainspring.memory import open_memory
    from mainspring.store import default_home

    return open_memory(default_home())


def as_json(record: Record) -> dict[str, Any]:
    """A record as a JSON object."""
    return {
        "id": record.id,
        "kind": record.kind,
        "state": record.state,
        "person": record.person,
        "agent": record.agent,
        "about": record.about,
        "value": record.value,
        "trusted": record.label.trusted,
        "label": record.label.encode(),
        "written_label": record.written.encode(),
        "judged": record.judged,
        "run": record.run,
        "tool": record.tool,
        "by": record.by,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "forgotten_at": record.forgotten_at,
        "parents": list(record.parents),
    }


def written_by(label: Label) -> str:
    """Who may have written something, in a word or two."""
    return ", ".join(sorted(label.strangers)) if label.strangers else "no outsider"


def _print(records: list[Record], json_: bool, nothing: str) -> None:
    output = Output.plain()
    if json_:
        for record in records:
            output.json(as_json(record))
        return
    if not records:
        output.text(nothing)
        return
    rows = [
        (
            r.id,
            r.kind if r.state == "kept" else r.state,
            ago(r.created_at),
            cut(safe(r.agent or r.person or "-", exact=True), 20),
            cut(safe(written_by(r.label), exact=True), 30),
            one_line(f"{r.about}: {r.text}" if r.about else r.text, 70) if r.value is not None else "",
        )
        for r in records
    ]
    output.text("\n".join(columns(rows, ("ID", "KIND", "AGE", "OF", "MAYBE BY", "TEXT"))))


@click.command("list")
@click.option("--all", "all_", is_flag=True, help="Expired and forgotten ones as well.")
@click.option("--outsiders", is_flag=True, help="Only what an outsider may have written.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@json_option
def list_(all_: bool, outsiders: bool, limit: int, json_: bool) -> None:
    """What is remembered, newest first."""
    with opened() as held:
        found = held.records(gone=all_, limit=-1 if outsiders else limit)
    kept = [r for r in found if not outsiders or not r.label.trusted][:limit]
    _print(kept, json_, "nothing is remembered")


@click.command()
@click.argument("words", metavar="WORD...", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@json_option
def search(words: tuple[str, ...], limit: int, json_: bool) -> None:
    """Records with these words, best first."""
    with opened() as held:
        found = held.search(" ".join(words), limit)
    _print(found, json_, "no record has these words")


@click.command()
@id_argument
@json_option
def show(id_: str, json_: bool) -> None:
    """One record in full: text, label, descent, judgements, and what says otherwise."""
    from mainspring.memory import Scope

    with opened() as held:
        record = held.get(id_)
        judged = held.judgements(record.id)
        below = held.made_from(record.id)
        scope = Scope(record.person, record.agent)
        others = held.disagreeing(record, scope) if record.value is not None else []
    output = Output.plain()
    if json_:
        said = [
            {"at": j.at, "by": j.by, "why": j.why, "verdict": j.verdict, "before": j.before.encode()} for j in judged
        ]
        against = [{"id": other.id, "why": why} for other, why in others]
        output.json(as_json(record) | {"made_from_it": below, "judgements": said, "disagrees": against})
        return
    lines = [f"{record.id}  {record.kind}  {record.state}  written {clock(record.created_at)}"]
    lines.append(f"  of: person {record.person or '(any)'}, agent {record.agent or '(any)'}")
    lines.append(f"  by: {record.by or f'{record.tool} in run {record.run}'}")
    lines.append(f"  may have been written by: {written_by(record.label)}")
    if record.label != record.written:
        lines.append(f"  when it was written: {written_by(record.written)}")
    if record.parents:
        lines.append(f"  made from: {', '.join(record.parents)}")
    if below:
        lines.append(f"  made from it: {', '.join(below)}")
    for other, why in others:
        lines.append(f"  {other.id} of {clock(other.created_at)} says otherwise ({why})")
    for j in judged:
        lines.append(f"  {clock(j.at)} {j.verdict} by {j.by}: {j.why}")
    output.text("\n".join(safe(line, exact=True) for line in lines))
    if record.value is not None:
        output.text("\n".join(f"  | {line}" for line in safe(f"{record.about}\n{record.text}", exact=True).split("\n")))


@click.command()
@click.argument("text")
@click.option("--about", default="", metavar="TEXT", help="Its subject in a few words.")
@click.option("--rule", is_flag=True, help="An instruction for agents, which no tool can write.")
@click.option("--person", default="", metavar="NAME", help="Only for runs that act for this person.")
@click.option("--agent", default="", metavar="NAME", help="Only for this agent.")
@click.option("--days", type=click.IntRange(1, 36_500), help="How long it is kept (default: for ever).")
@by_option
@json_option
def add(
    text: str, about: str, rule: bool, person: str, agent: str, days: int | None, by: str | None, json_: bool
) -> None:
    """Write a note, or a rule, yourself."""
    from mainspring.label import Label
    from mainspring.memory import Scope

    who = by or whoami()
    with opened() as held:
        record = held.add(
            text,
            Label(frozenset({f"person:{who}"})),
            about=about,
            scope=Scope(person, agent),
            kind="rule" if rule else "note",
            by=who,
            keep_s=None if days is None else days * 86_400.0,
        )
    output = Output.plain()
    output.json(as_json(record)) if json_ else output.text(record.id)


@click.command()
@id_argument
@why_option
@by_option
@json_option
def forget(id_: str, why: str, by: str | None, json_: bool) -> None:
    """Erase a record's text for good. That it was there, and its label, stay.

    The journals of the runs that wrote or read it keep what they saw.
    """
    with opened() as held:
        record = held.forget(id_, by=by or whoami(), why=why)
        below = held.made_from(record.id)
    _said(record, "forgotten", below, json_)


@click.command()
@id_argument
@why_option
@by_option
@json_option
def trust(id_: str, why: str, by: str | None, json_: bool) -> None:
    """Vouch for a record, whoever wrote it: agents may rely on it from now on. `distrust` takes it back."""
    with opened() as held:
        record = held.trust(id_, by=by or whoami(), why=why)
    _said(record, "trusted", [], json_)


@click.command()
@id_argument
@why_option
@by_option
@json_option
def distrust(id_: str, why: str, by: str | None, json_: bool) -> None:
    """Take trust in a record, and in everything made from it, back."""
    with opened() as held:
        record = held.distrust(id_, by=by or whoami(), why=why)
        below = held.made_from(record.id)
    _said(record, "distrusted", below, json_)


@click.command()
@click.option(
    "--output",
    "-o",
    "path",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write here instead.",
)
def export(path: Path | None) -> None:
    """Write all records as JSON lines, each with its label."""
    from mainspring.memory import export_records

    with opened() as held:
        if path is None:
            export_records(held, Output.plain().utf8)
            return
        with open(path, "w", encoding="utf-8") as file:
            number = export_records(held, file)
    note(f"exported {number:,} records to {path}")


@click.command("import")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=str))
@click.option("--trust", "trusted", is_flag=True, help="You vouch for the file: take its labels as they are.")
@click.option("--why", default="", metavar="TEXT", help="With --trust: why; it is kept.")
@by_option
@json_option
def import_(path: str, trusted: bool, why: str, by: str | None, json_: bool) -> None:
    """Read exported records; `-` is standard input. They come in as an outsider's, unless you vouch for the file."""
    from mainspring.errors import StoreError
    from mainspring.memory import import_records

    if why and not trusted:
        raise click.UsageError("--why says why the file is trusted, so it goes with --trust")
    raw = sys.stdin.buffer if path == "-" else open(path, "rb")  # noqa: SIM115 - closed below
    with io.TextIOWrapper(raw, encoding="utf-8") as lines, opened() as held:
        try:
            done = import_records(held, lines, by=(by or whoami()) if trusted else "", why=why)
        except UnicodeDecodeError as error:
            raise StoreError(f"{path} is no export of memory: not valid UTF-8 at byte {error.start}") from None
    output = Output.plain()
    if json_:
        output.json({"added": done.added, "present": done.present, "forgotten": done.forgotten})
    else:
        output.text(f"{done.added} added, {done.present} here already, {done.forgotten} forgotten here before")


def _said(record: Record, verdict: str, below: list[str], json_: bool) -> None:
    output = Output.plain()
    if json_:
        output.json(as_json(record) | {"made_from_it": below})
        return
    by = f"maybe by {written_by(record.label)}" if record.label.strangers else "by no outsider"
    output.text(f"{verdict}: {record.id}" + ("" if record.value is None else f", now {safe(by, exact=True)}"))
    if below:
        note(f"made from it, directly or not: {', '.join(below)}")
