"""`mainspring audit`: who did what, for whom, and why it was allowed; and whether the record is what was written."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.find import run_id
from mainspring.cli.group import LazyGroup
from mainspring.cli.output import Output, note
from mainspring.cli.render import clock, columns, count, cut, safe
from mainspring.errors import RunNotFoundError, StoreError

if TYPE_CHECKING:
    from mainspring.audit import AuditRecord, Report, Search
    from mainspring.store.keys import PublicKey

_HERE = "mainspring.cli.audit"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(
    cls=LazyGroup,
    lazy={
        "verify": (f"{_HERE}:verify", "Check every chain and signature; say the first bad place."),
        "search": (f"{_HERE}:search", "Find who did what, by person, agent, tool, text, time or outcome."),
        "export": (f"{_HERE}:export", "Write records as signed JSON lines."),
        "key": (f"{_HERE}:key", "Print this home's public key, to check its signatures elsewhere."),
        "trust": (f"{_HERE}:trust", "Believe another home's public key."),
    },
)
def audit() -> None:
    """Ask who did what, for whom, and why it was allowed.

    \b
    Examples:
      mainspring audit verify
      mainspring audit search --person ann --since 7d
      mainspring audit search --tool send_mail --outcome done --json
      mainspring audit export -o audit.jsonl && mainspring audit key > home.pub
      mainspring audit verify --file audit.jsonl --key home.pub
    """


@click.command()
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--all", "all_", is_flag=True, help="Every run of the home (the default).")
@click.option("--file", "file", type=_FILE, metavar="FILE", help="Check an audit export instead of this home.")
@click.option("--key", "key_file", type=_FILE, metavar="PUB", help="Believe this public key, and no other.")
@click.option(
    "--head", default="", metavar="HASH", help="The newest seal's hash that you kept: it must still be there."
)
@json_option
def verify(run: str | None, all_: bool, file: Path | None, key_file: Path | None, head: str, json_: bool) -> int:
    """Check every chain and every signature, and say the first bad place of each run.

    Exit status: 0 when nothing is wrong, 1 when something is. Events that are not signed yet are reported, and are not
    wrong.
    """
    from mainspring.store.keys import read_public

    if run is not None and (all_ or file is not None):
        raise click.UsageError("name a run, or use --all or --file")
    public = read_public(key_file) if key_file is not None else None
    output = Output.plain()
    if file is not None:
        if public is None:
            raise click.UsageError("--file is checked with the key of the home that wrote it: --key PUB")
        return _verify_file(file, public, output, json_)
    from mainspring.audit import verify as check
    from mainspring.store import open_store

    store = open_store()
    with _progress(json_) as tell:
        found = check(store, _named(run), home=store.home, key=public, head=head.strip(), progress=tell)
    if json_:
        output.json(found.encode())
    else:
        _show(found, output)
    return 0 if found.ok else 1


def _verify_file(file: Path, public: PublicKey, output: Output, json_: bool) -> int:
    from mainspring.audit import check_export

    number = 0
    try:
        with open(file, encoding="utf-8") as lines:
            for _ in check_export(lines, public):
                number += 1
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{file} cannot be read: {error}") from None
    except StoreError as error:
        if not json_:
            raise StoreError(f"{file}, {error}; the {number:,} records before it are sound") from None
        output.json({"ok": False, "file": str(file), "records": number, "problem": str(error)})
        return 1
    if json_:
        output.json({"ok": True, "file": str(file), "records": number, "key": public.id})
    else:
        output.text(f"{number:,} records, all signed by {public.id}")
    return 0


def _named(run: str | None) -> str | None:
    if run is None:
        return None
    try:
        return run_id(run)
    except RunNotFoundError:
        return run  # it may have been signed, and be gone


def _show(found: Report, output: Output) -> None:
    for problem in found.problems:
        output.text(f"WRONG: {safe(problem.where, exact=True)}: {safe(problem.what, exact=True)}")
    for said in found.notes:
        output.text(f"note: {said}")
    odd = [r for r in found.runs if r.state not in ("signed", "wrong") or r.late]
    if odd:
        rows = [
            (
                r.run_id,
                r.state,
                f"{r.signed} of {r.events}",
                "; ".join(f"{a}-{b}" for a, b in r.late) or "-",
                f"1-{r.foreign}" if r.foreign else "-",
            )
            for r in odd
        ]
        output.text("\n".join(columns(rows, ("RUN", "STATE", "SIGNED", "SIGNED LATE", "FROM ELSEWHERE"))))
    events = sum(r.events for r in found.runs)
    signed = sum(r.state == "signed" for r in found.runs)
    output.text(
        f"{len(found.runs):,} runs, {events:,} events, {found.seals:,} seals: "
        f"{signed:,} runs signed to their end, {len(found.problems):,} wrong"
    )
    if found.head:
        output.text(f"newest seal: {found.head} (keep it elsewhere, for --head)")


_SEARCH = [
    click.option("--run", metavar="ID", help="Only this run's."),
    click.option("--person", metavar="NAME", help="Who did it, said yes, or for whom it was done."),
    click.option("--agent", metavar="NAME", help="Whose run."),
    click.option("--tool", metavar="NAME", help="Only calls of this tool."),
    click.option("--text", metavar="TEXT", help="Occurs anywhere in the record."),
    click.option("--outcome", metavar="WORD", help="done, error, denied, approved, in doubt, ..."),
    click.option("--action", metavar="WORD", help="effect, approval answered, call refused, grant given, ..."),
    click.option("--since", metavar="TIME", help="Not older: 7d, 2h, or 2026-11-30T18:00 (local time)."),
    click.option("--until", metavar="TIME", help="Older than this."),
]


def _search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_SEARCH):
        command = option(command)
    return command


@click.command()
@_search_options
@json_option
def search(json_: bool, **wanted: str | None) -> None:
    """Find who did what, for whom, and why it was allowed."""
    from mainspring.audit import search as find
    from mainspring.store import open_store

    output = Output.plain()
    found = find(open_store(), _search(wanted))
    if json_:
        for record in found:
            output.json(record.encode())
        return
    rows = [_row(record) for record in found]
    if not rows:
        output.text("nothing was found")
        return
    output.text("\n".join(columns(rows, ("TIME", "RUN", "WHO", "DID", "TOOL", "OUTCOME", "WHAT", "WHY"))))


def _row(r: AuditRecord) -> tuple[str, ...]:
    what = r.what if isinstance(r.what, str) else "" if r.what is None else json.dumps(r.what, ensure_ascii=False)
    who = ", ".join(r.people) or r.by
    shown = [safe(x, exact=True) for x in (r.run, who, r.action, r.tool, r.outcome, what[:400], r.why[:400])]
    run, who, action, tool, outcome, what, why = shown
    return (clock(r.at), run, cut(who, 40), action, cut(tool, 30), outcome, cut(what, 60), cut(why, 80))


@click.command()
@click.option("--output", "-o", "path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@_search_options
def export(path: Path | None, **wanted: str | None) -> None:
    """Write records as JSON lines, each signed by this home's key.

    What is exported is checked first: a home in which something is wrong exports nothing.
    """
    from mainspring.audit import export as write
    from mainspring.audit import search as find
    from mainspring.audit import verify as check
    from mainspring.store import open_store

    store = open_store()
    chosen = _search(wanted)
    with _progress(False) as tell:
        found = check(store, chosen.run or None, home=store.home, progress=tell)
    if not found.ok:
        first = found.problems[0]
        raise StoreError(f"{first.where}: {first.what}; nothing was exported (mainspring audit verify says more)")
    unsigned = {r.run_id: r.unsigned for r in found.runs if r.unsigned}
    foreign = {r.run_id: r.foreign for r in found.runs if r.foreign and not r.vouched}
    search_ = {k: v for k, v in wanted.items() if v}
    about = {"search": search_, "unsigned": unsigned, "foreign": foreign, "head": found.head}
    if path is None:
        write(find(store, chosen), Output.plain().utf8, store.home, about)
        return
    try:
        with open(path, "w", encoding="ascii") as out:
            number = write(find(store, chosen), out, store.home, about)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error}") from None
    note(f"{number:,} records in {path}; check them with: mainspring audit verify --file {path} --key PUB")


@click.command()
@json_option
def key(json_: bool) -> None:
    """Print this home's public key (PEM); it is made when there is none yet."""
    from mainspring.store import default_home
    from mainspring.store.keys import signer

    public = signer(default_home().absolute()).public
    output = Output.plain()
    if json_:
        output.json({"key": public.id, "pem": public.pem})
    else:
        output.text(public.pem.rstrip("\n"))


@click.command()
@click.argument("path", type=_FILE, metavar="FILE")
@json_option
def trust(path: Path, json_: bool) -> None:
    """Believe what another home signed: runs that come from it are then vouched for, not foreign."""
    from mainspring.store import default_home
    from mainspring.store.keys import trust as believe

    public = believe(default_home().absolute(), path)
    output = Output.plain()
    if json_:
        output.json({"key": public.id})
    else:
        output.text(f"believed from now on: {public.id}")


def _search(wanted: dict[str, str | None]) -> Search:
    from mainspring.audit import Search

    now = time.time()
    run = wanted.get("run")
    return Search(
        run=(run if run.startswith(":") else run_id(run)) if run else "",
        person=wanted.get("person") or "",
        agent=wanted.get("agent") or "",
        tool=wanted.get("tool") or "",
        text=wanted.get("text") or "",
        outcome=wanted.get("outcome") or "",
        action=wanted.get("action") or "",
        since=_moment(wanted.get("since"), now, "--since"),
        until=_moment(wanted.get("until"), now, "--until"),
    )


def _moment(text: str | None, now: float, option: str) -> float | None:
    if text is None:
        return None
    import datetime
    import re

    units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    if match := re.fullmatch(r"(\d{1,6})([smhdw])", text.strip()):
        return now - int(match[1]) * units[match[2]]
    try:
        return datetime.datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise click.UsageError(f"{option} takes 2h, 7d or a date such as 2026-11-30T18:00, not {text!r}") from None


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on standard error where that is a terminal; long journals take a while."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("checking", total=None)
        yield lambda done, total: bar.update(
            task, completed=done, total=total, description=f"checking {count(done)} of {count(total)} seals and events"
        )
