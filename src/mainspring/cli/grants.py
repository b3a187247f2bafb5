"""`mainspring grants`: what a run may do without asking, and taking rights back."""

from __future__ import annotations

import contextlib
import json
import math
import re
import time
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.approvals import by_option, json_option
from mainspring.cli.find import run_id, whoami
from mainspring.cli.group import LazyGroup
from mainspring.cli.output import Output
from mainspring.cli.render import ago, clock, columns, cut, safe

if TYPE_CHECKING:
    from mainspring.guard.grants import Grant
    from mainspring.store import Revocation

_HERE = "mainspring.cli.grants"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@click.group(
    cls=LazyGroup,
    lazy={
        "list": (f"{_HERE}:list_", "The grants of a run, and how often each was used."),
        "give": (f"{_HERE}:give", "Give a run a right: one tool, exact values, so many calls."),
        "revoke": (f"{_HERE}:revoke", "Take a grant, or all rights of a principal, back."),
        "restore": (f"{_HERE}:restore", "Give back what was revoked."),
        "revoked": (f"{_HERE}:revoked", "Everything that was revoked or restored, and by whom."),
    },
)
def grants() -> None:
    """See, give and take back what runs may do without asking.

    \b
    Examples:
      mainspring grants list last
      mainspring grants give 3f2 --tool send_mail --arg to=ann@example.org --count 3 --until 2h
      mainspring grants revoke gr_1f0c9a
      mainspring grants revoke agent:clerk --reason "behaves oddly"
    """


@click.command("list")
@click.argument("run", metavar="RUN")
@json_option
def list_(run: str, json_: bool) -> None:
    """The grants of a run: what it began with, what was made of its task, and what people gave it."""
    from mainspring.audit.granted import grants_of
    from mainspring.store import open_store

    store = open_store()
    found = grants_of(store, run_id(run))
    output = Output.plain()
    if json_:
        for held in found:
            output.json(held.encode())
        return
    if not found:
        output.text("this run has no grants: every consequential call asks, as the policy says")
        return
    rows = [
        (
            held.grant.id,
            f"{held.used}/{held.grant.count}",
            "revoked"
            if held.revoked
            else "expired"
            if held.expired
            else "never"
            if held.until is None
            else clock(held.until),
            cut(safe(held.grant.by, exact=True), 30),
            cut(safe(held.grant.shown(), exact=True), 120),
        )
        for held in found
    ]
    output.text("\n".join(columns(rows, ("ID", "USED", "ENDS", "BY", "ALLOWS"))))


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--tool", required=True, metavar="NAME", help="The one tool that it is for.")
@click.option("--arg", "args", multiple=True, metavar="NAME=VALUE", help="An allowed value; repeat a name for more.")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1), help="Calls that it covers.")
@click.option("--until", metavar="TIME", help="When it ends: 2h, 3d, or 2026-11-30T18:00 (local time).")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is journaled.")
@by_option
@json_option
def give(
    run: str,
    tool: str,
    args: tuple[str, ...],
    count: int,
    until: str | None,
    reason: str,
    by: str | None,
    json_: bool,
) -> None:
    """Give a run a right. Arguments that decide something and are not named must be values that no outsider wrote.

    VALUE is taken as JSON where it is some (3, true, ["a"]), else as text.
    """
    from mainspring.guard.grants import Grant
    from mainspring.runtime.pending import give_grant, this_channel

    ends = None if until is None else parse_until(until, time.time())
    wanted = Grant(tool, parse_values(args), count, ends)
    given = give_grant(run_id(run), wanted, by=by or whoami(), reason=reason, channel=this_channel("cli"))
    output = Output.plain()
    if json_:
        output.json({"run_id": run_id(run), "id": given.id, "grant": given.encode()})
    else:
        output.text(f"given {given.id}: {_shown(given)}")


@click.command()
@click.argument("name", metavar="ID|PRINCIPAL")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept.")
@by_option
@json_option
def revoke(name: str, reason: str, by: str | None, json_: bool) -> None:
    """Take back a grant (its id), or all rights of a person or an agent (agent:NAME), from the next step on.

    Runs of a revoked agent make no consequential call any more; yeses of a revoked person that no call has used are
    void.
    """
    take(name, by, reason, restore=False, json_=json_)


@click.command()
@click.argument("name", metavar="ID|PRINCIPAL")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept.")
@by_option
@json_option
def restore(name: str, reason: str, by: str | None, json_: bool) -> None:
    """Give back what was revoked. Nobody can do it for themselves."""
    take(name, by, reason, restore=True, json_=json_)


@click.command()
@json_option
def revoked(json_: bool) -> None:
    """The whole list of what was revoked and restored, oldest first; the newest line of a name holds."""
    from mainspring.store import open_store

    output = Output.plain()
    found = open_store().revocations()
    if json_:
        for line in found:
            output.json(line_json(line))
    elif not found:
        output.text("nothing was ever revoked")
    else:
        rows = [
            (
                str(line.number),
                "revoked" if line.revoked else "restored",
                cut(safe(line.name, exact=True), 60),
                ago(line.at),
                safe(line.by, exact=True),
                cut(safe(line.reason, exact=True), 60),
            )
            for line in found
        ]
        output.text("\n".join(columns(rows, ("#", "WHAT", "NAME", "AGE", "BY", "REASON"))))


def take(name: str, by: str | None, reason: str, *, restore: bool, json_: bool) -> None:
    """Write a line of the list of revocations, and say so."""
    from mainspring.guard.people import Needs
    from mainspring.runtime.pending import people_of, this_channel
    from mainspring.store import open_store

    store = open_store()
    channel = this_channel("cli")
    person = people_of(store.home).check(by or whoami(), Needs(), channel)
    store.revoke(name, by=person, reason=reason, restore=restore, channel=channel)
    output = Output.plain()
    word = "restored" if restore else "revoked"
    if json_:
        output.json({"name": name, word: True, "by": person, "reason": reason})
    else:
        output.text(f"{word} {safe(name, exact=True)}")


def line_json(line: Revocation) -> dict[str, Any]:
    """A line of the list as a JSON object."""
    return {
        "number": line.number,
        "name": line.name,
        "revoked": line.revoked,
        "by": line.by,
        "reason": line.reason,
        "at": line.at,
        "channel": dict(line.channel),
    }


def parse_values(args: tuple[str, ...]) -> dict[str, tuple[Any, ...] | str]:
    """``NAME=VALUE`` options as the arguments of a grant; raises UsageError."""
    found: dict[str, tuple[Any, ...] | str] = {}
    for text in args:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--arg takes NAME=VALUE, not {text!r}")
        parsed: Any = value
        with contextlib.suppress(ValueError, RecursionError):  # then it is text
            parsed = json.loads(value)
        if isinstance(parsed, float) and not math.isfinite(parsed):
            raise click.UsageError(f"--arg {name}: {value!r} is no number that can be compared")
        before = found.get(name, ())
        assert not isinstance(before, str)
        found[name] = (*before, parsed)
    return found


def parse_until(text: str, now: float) -> float:
    """The Unix time of ``2h``, ``3d`` or a local date and time; raises UsageError."""
    if match := re.fullmatch(r"(\d{1,6})([smhdw])", text.strip()):
        return now + int(match[1]) * _UNITS[match[2]]
    import datetime

    try:
        ends = datetime.datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise click.UsageError(f"--until takes 2h, 3d or a date such as 2026-11-30T18:00, not {text!r}") from None
    if ends <= now:
        raise click.UsageError(f"--until {text}: that time is over")
    return ends


def _shown(grant: Grant) -> str:
    ends = f", until {clock(grant.expires_at)}" if grant.expires_at is not None else ""
    return safe(grant.shown(), exact=True) + ends
