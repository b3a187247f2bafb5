"""`mainspring schedule`: what is done at certain times, or when something comes in."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.group import LazyGroup
from mainspring.cli.output import Output, note
from mainspring.cli.render import columns, safe

if TYPE_CHECKING:
    from mainspring.schedules import Entry

_HERE = "mainspring.cli.schedule"


@click.group(
    cls=LazyGroup,
    default="list",
    lazy={
        "add": ("mainspring.cli.schedule_add:add", "Have a task done by the clock, or when something comes in."),
        "list": (f"{_HERE}:list_", "Next firing, last result, and what wants a person (the default)."),
        "show": (f"{_HERE}:show", "One schedule in full."),
        "history": (f"{_HERE}:history", "Its firings, and what became of each."),
        "pause": (f"{_HERE}:pause", "Let it fire no more until it is resumed."),
        "resume": (f"{_HERE}:resume", "Let it fire again; what wanted attention has been seen."),
        "run-now": (f"{_HERE}:run_now", "Have it fire once, at the next look."),
        "remove": (f"{_HERE}:remove", "Forget it; its runs stay."),
        "tick": ("mainspring.cli.schedule_tick:tick", "Fire what is due, for the system's own cron."),
    },
)
def schedule() -> None:
    """See and change what is done at certain times, or when something comes in.

    \b
    Examples:
      mainspring schedule add report -a clerk.py -t "Write the weekly report" --cron "0 9 * * 1"
      mainspring schedule                     next firing, last result, what wants a person
      mainspring schedule run-now report      and see what it does
      mainspring schedule pause report --reason "Ann is away"

    `mainspring serve` fires schedules. No tool of an agent adds or changes one.
    """


by_option = click.option("--by", metavar="NAME", help="Who does it (default: the user's name).")


@click.command("list")
@click.option("--attention", is_flag=True, help="Only those that want a person.")
@json_option
def list_(attention: bool, json_: bool) -> None:
    """All schedules: when each fires next, how the last firing ended, and what wants a person.

    Attention: missed and late firings, failing (paused after so many failures), capped, error, and schedules that
    nothing serves.
    """
    from mainspring.cli.schedule_view import as_json, live, row, wants
    from mainspring.errors import DeclarationError
    from mainspring.schedules import Entry
    from mainspring.schedules.kept import KIND
    from mainspring.store import open_store

    store, now = open_store(), time.time()
    output = Output.plain()
    entries: list[Entry] = []
    for kept in store.all_kept(KIND, limit=100_000):
        try:
            entries.append(live(Entry.of(kept), store))
        except DeclarationError as error:  # one that is damaged must not hide the others
            note(f"mainspring: note: {safe(str(error))}")
    shown = [e for e in entries if not attention or wants(e, now)]
    if json_:
        for entry in shown:
            output.json(as_json(entry, now))
        return
    if not shown:
        there = (
            "nothing wants a person" if entries else "there is no schedule; `mainspring schedule add --help` says how"
        )
        output.text(there)
        return
    head = ("NAME", "WHEN", "NEXT", "LAST", "TODAY", "ATTENTION")
    output.text("\n".join(columns([row(e, now) for e in shown], head)))


@click.command()
@click.argument("name", metavar="NAME")
@json_option
def show(name: str, json_: bool) -> None:
    """One schedule in full: its words, its next times, what wants attention, and who changed it."""
    from mainspring.cli.schedule_view import as_json, live, show_lines
    from mainspring.schedules import Schedules
    from mainspring.store import open_store

    store, now = open_store(), time.time()
    entry = live(Schedules(store).get(name), store)
    output = Output.plain()
    if json_:
        output.json(as_json(entry, now) | {"history": [asdict(f) for f in entry.history], "changes": entry.changes})
    else:
        output.text("\n".join(show_lines(entry, now)))


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), metavar="N", help="The newest N.")
@json_option
def history(name: str, limit: int, json_: bool) -> None:
    """Its firings, oldest first: when each was due, its run, how that ended, what it cost, and why there was none."""
    from mainspring.cli.schedule_view import firing_row, live
    from mainspring.schedules import Schedules
    from mainspring.store import open_store

    store = open_store()
    entry = live(Schedules(store).get(name), store)
    output = Output.plain()
    if json_:
        for firing in entry.history[-limit:]:
            output.json(asdict(firing))
        return
    if not entry.history:
        output.text(f"it has not fired yet; there was nothing to do {entry.state.nothing:,} times")
        return
    rows = [firing_row(f) for f in entry.history[-limit:]]
    output.text("\n".join(columns(rows, ("DUE", "STATUS", "RUN", "COST", "NOTE"))))


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is shown.")
@by_option
@json_option
def pause(name: str, reason: str, by: str | None, json_: bool) -> None:
    """Let it fire no more until it is resumed. A run that works goes on."""
    from mainspring.schedules import Schedules
    from mainspring.store import open_store

    who = _person(by)
    _said(Schedules(open_store()).pause(name, reason or f"by {who}", by=who), "paused", json_)


@click.command()
@click.argument("name", metavar="NAME")
@by_option
@json_option
def resume(name: str, by: str | None, json_: bool) -> None:
    """Let it fire again, from now on. What it was paused for, and what wanted attention, has been seen."""
    from mainspring.schedules import Schedules
    from mainspring.store import open_store

    _said(Schedules(open_store()).resume(name, by=_person(by)), "resumed", json_)


@click.command("run-now")
@click.argument("name", metavar="NAME")
@by_option
@json_option
def run_now(name: str, by: str | None, json_: bool) -> None:
    """Have it fire once at the next look, whatever its times and its check say; overlap and caps hold."""
    from mainspring.schedules import Schedules
    from mainspring.store import open_store

    _said(Schedules(open_store()).run_now(name, by=_person(by)), "fires at the next look:", json_)


@click.command()
@click.argument("name", metavar="NAME")
@by_option
@json_option
def remove(name: str, by: str | None, json_: bool) -> None:
    """Forget it. Its runs stay, and one that works goes on."""
    from mainspring.cli.schedule_serving import close_mailbox
    from mainspring.errors import DeclarationError
    from mainspring.schedules import Schedules
    from mainspring.store import open_store

    store, who = open_store(), _person(by)
    schedules = Schedules(store)
    try:
        gone = schedules.get(name).schedule
    except DeclarationError:  # damaged: all the more to be removed
        gone = None
    schedules.remove(name, by=who)
    if gone is not None:
        close_mailbox(gone, store)
    output = Output.plain()
    if json_:
        output.json({"name": name, "done": "removed", "by": who})
    else:
        output.text(f"removed {safe(name, exact=True)}")


def _person(by: str | None) -> str:
    from mainspring.cli.schedule_add import person

    return person(by)


def _said(entry: Entry, done: str, json_: bool) -> None:
    from mainspring.cli.schedule_view import as_json, in_zone

    output, now = Output.plain(), time.time()
    if json_:
        more: dict[str, Any] = {"done": done.partition(" ")[0]}
        output.json(as_json(entry, now) | more)
        return
    when = None if entry.paused else entry.schedule.next_after(now)
    then = "" if when is None or done.endswith(":") else f"; next {in_zone(entry.schedule, when)}"
    output.text(f"{done} {safe(entry.schedule.name, exact=True)}{then}")
