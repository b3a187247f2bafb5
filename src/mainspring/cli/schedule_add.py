"""`mainspring schedule add`: everything is checked before anything is kept."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.output import Output, note

if TYPE_CHECKING:
    from mainspring.agent import Agent
    from mainspring.guard import Grant
    from mainspring.schedules import Schedule, Schedules
    from mainspring.store import Store

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def _when(command: Any) -> Any:
    """The options that say what fires it, and what is looked at first."""
    for option in reversed(
        (
            click.option("--cron", metavar="LINE", help="Five fields: minute, hour, day, month, weekday."),
            click.option(
                "--zone", metavar="NAME", help="The clock that --cron and --at mean (default: this machine's)."
            ),
            click.option("--every", metavar="TIME", help="30s, 5m, 1h30m, 2d."),
            click.option("--at", metavar="TIME", help="Once: 2027-03-01T09:00, or 2h from now."),
            click.option("--watch", multiple=True, metavar="GLOB", help="Files that come, change, go. Repeatable."),
            click.option("--inbox", type=_FOLDER, metavar="DIR", help="Each file dropped into this folder."),
            click.option("--mail", metavar="USER@HOST[:PORT][/BOX]", help="Each new mail; with --secret."),
            click.option("--webhook", metavar="NAME", help="Deliveries to POST /hooks/NAME; with --secret."),
            click.option("--letters", metavar="MAILBOX", help="Messages of other agents; with --sender."),
            click.option("--secret", multiple=True, metavar="NAME", help="A password or key under [secrets]."),
            click.option("--sender", multiple=True, metavar="AGENT", help="Who may write to --letters. Repeatable."),
            click.option("--set", multiple=True, metavar="KEY=VALUE", help="More of a source: docs/sources.md."),
            click.option("--check-exists", metavar="GLOB", help="Nothing to do unless such a file is there."),
            click.option("--check-changed", metavar="GLOB", help="Nothing to do unless such files have changed."),
            click.option(
                "--check-command", metavar="LINE", help="In the sandbox; status 0: something to do, 1: nothing."
            ),
            click.option(
                "--check-python", metavar="NAME", help="A function of the agent's file; true: something to do."
            ),
        )
    ):
        command = option(command)
    return command


def _rights(command: Any) -> Any:
    """The options that say what its runs may do, and how much of it."""
    for option in reversed(
        (
            click.option(
                "--tool", "tools", multiple=True, metavar="NAME", help="Its runs hold only these. Repeatable."
            ),
            click.option(
                "--grant",
                "grants",
                multiple=True,
                metavar="'TOOL arg=value ... [xN]'",
                help="Let each run make such calls without asking. Repeatable.",
            ),
            click.option(
                "--rights", default="24h", show_default=True, metavar="TIME", help="How long a run's rights last."
            ),
            click.option("--expires", metavar="TIME", help="When the schedule ends: 30d, or a date."),
            click.option("--limit", "limits", multiple=True, metavar="NAME=NUMBER", help="Of each run, such as usd=1."),
            click.option(
                "--cap", "caps", multiple=True, metavar="NAME=NUMBER", help="Of a day (UTC): usd, tokens, firings."
            ),
            click.option(
                "--failures",
                default=3,
                show_default=True,
                type=click.IntRange(1),
                metavar="N",
                help="Failed firings in a row that pause it.",
            ),
            click.option("--by", metavar="NAME", help="On whose behalf it acts (default: the user's name)."),
            click.option("--workspace", "-w", type=_FOLDER, metavar="DIR", help="The folder that its runs may touch."),
        )
    ):
        command = option(command)
    return command


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--agent", "-a", required=True, metavar="FILE[:ATTR]", help="A Python file that declares the agent.")
@click.option(
    "--task", "-t", required=True, metavar="TEXT", help="What it is told at each firing; `-`: standard input."
)
@_when
@click.option(
    "--catch-up",
    type=click.Choice(["once", "skip", "all"]),
    default="once",
    show_default=True,
    help="Of times that passed while nothing served.",
)
@click.option("--late", metavar="TIME", help="What passed longer ago than this is missed, not caught up.")
@click.option(
    "--most",
    default=10,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Firings that --catch-up all makes at most.",
)
@click.option(
    "--overlap",
    type=click.Choice(["skip", "queue", "cancel"]),
    default="skip",
    show_default=True,
    help="When the run before still works: skip this one, queue it, or cancel the run before.",
)
@click.option(
    "--batch",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Items of a source that one run gets at most.",
)
@_rights
@click.option("--queue", default="", metavar="NAME", help="Only workers of this queue take its runs up.")
@click.option("--priority", default=0, type=int, metavar="N", help="Higher ones first (default: 0).")
@click.option("--replace", "replacing", is_flag=True, help="Change the schedule of this name.")
@click.option("--dry-run", is_flag=True, help="Check everything, show when it would fire, and keep nothing.")
@json_option
def add(name: str, json_: bool, replacing: bool, dry_run: bool, **given: Any) -> int:
    """Have a task done at certain times, or when something comes in. Each firing is a run of its own.

    \b
    Examples:
      mainspring schedule add report -a clerk.py -t "Write the weekly report" --cron "0 9 * * 1" --zone Europe/Berlin
      mainspring schedule add orders -a clerk.py -t "Enter the order" --inbox /srv/orders --grant 'enter x1'
      mainspring schedule add tidy -a clerk.py -t "Tidy up" --every 1h --check-exists '/srv/in/*' --cap usd=5
      mainspring schedule add issues -a triage.py -t "Triage it" --webhook issues --secret github --set scheme=github
      mainspring schedule add post -a clerk.py -t "Answer it" --mail ann@imap.example.org --secret mail

    Everything is checked first. A run holds the agent's tools, or the named ones, and the grants given here; what it
    reads from a source is a stranger's word. `mainspring serve` fires it, or `mainspring schedule tick`.
    """
    from mainspring.cli.schedule_serving import open_mailbox
    from mainspring.schedules import Schedules
    from mainspring.store import open_store

    now = time.time()
    output = Output.claim()  # the agent's file may print
    store = open_store()
    schedules = Schedules(store)
    schedule, warnings = _made(name, given, store, schedules, now)
    if not dry_run:
        if replacing:
            schedules.change(name, schedule, by=schedule.by, now=now)
        else:
            schedules.add(schedule, by=schedule.by, now=now)
        open_mailbox(schedule, store)
    from mainspring.cli.schedule_view import next_times, said_json, said_lines

    times = next_times(schedule, now, 3)
    if json_:
        output.json(said_json(schedule, times) | {"kept": not dry_run})
    else:
        output.text(
            "\n".join(said_lines(schedule, times, "checked" if dry_run else "changed" if replacing else "added"))
        )
    for warning in warnings:
        note(f"mainspring: note: {warning}")
    return 0


def _made(
    name: str, given: dict[str, Any], store: Store, schedules: Schedules, now: float
) -> tuple[Schedule, list[str]]:
    """The schedule that the options describe, and what a person should know besides. Raises for what does not fit."""
    from mainspring.cli import origin, schedule_words
    from mainspring.cli.run import merge_limits, parse_limits, read_task
    from mainspring.schedules import Schedule

    task = read_task(given["task"])
    inbox = given["inbox"]
    trigger = schedule_words.trigger({**given, "inbox": None if inbox is None else str(inbox)}, now)
    checks = {kind: given[f"check_{kind}"] for kind in ("exists", "changed", "command", "python")}
    check = schedule_words.check(checks, given["workspace"])
    wanted = parse_limits(given["limits"])
    late = None if given["late"] is None else schedule_words.span(given["late"], "--late")
    rights = schedule_words.span(given["rights"], "--rights")
    expires = given["expires"]
    ends = None if expires is None else schedule_words.moment(expires, given["zone"], now, "--expires")
    caps = schedule_words.caps(given["caps"])
    if any(not text.strip() or "\n" in text for text in given["grants"]):
        raise click.UsageError("--grant takes 'TOOL arg=value ... [xN]' on one line")

    by = person(given["by"])
    agent = origin.load(origin.split(given["agent"]))
    workspace = given["workspace"] or agent.workspace
    tools = tuple(dict.fromkeys(given["tools"])) or None
    schedule = Schedule(
        name,
        agent.name,
        task,
        trigger,
        origin=agent.origin or "",
        check=check,
        catch_up=given["catch_up"],
        late_s=late,
        most=given["most"],
        overlap=given["overlap"],
        tools=tools,
        grants=_granted(given["grants"], agent, tools, by, store),
        expires_at=ends,
        rights_s=rights,
        limits=asdict(merge_limits(agent.limits, wanted)) if wanted else None,
        caps=caps,
        by=by,
        workspace=None if workspace is None else str(Path(workspace).absolute()),
        failures=given["failures"],
        batch=given["batch"],
        priority=given["priority"],
        queue=given["queue"],
    )
    return schedule, _checked(schedule, agent, store, schedules, now)


def person(by: str | None) -> str:
    """The person at this terminal, or the named one; a schedule acts on somebody's behalf for as long as it stands.

    Raises:
        ApprovalError: people are configured, and this is none of them, or speaks from another account.
    """
    from mainspring.cli.find import whoami
    from mainspring.guard.people import Needs
    from mainspring.names import person_key
    from mainspring.runtime.pending import people_of, this_channel
    from mainspring.store import open_store

    store = open_store()
    name = people_of(store.home).check(by or whoami(), Needs(), this_channel("cli"))
    if person_key(name) in store.revoked():
        from mainspring.errors import ApprovalError

        raise ApprovalError(f"the rights of {name} were taken back; `mainspring grants revoked` says by whom")
    return name


def _granted(
    texts: tuple[str, ...], agent: Agent, tools: tuple[str, ...] | None, by: str, store: Store
) -> tuple[Grant, ...]:
    """The grants as the person gives them. Raises DeclarationError and ApprovalError."""
    from mainspring.cli.granting import parse_grant
    from mainspring.errors import DeclarationError
    from mainspring.runtime.pending import may_give, this_channel

    unknown = [name for name in tools or () if name not in agent.tools]
    if unknown:
        has = ", ".join(sorted(agent.tools)) or "no tools"
        raise DeclarationError(f"--tool {unknown[0]}: agent {agent.name!r} has {has}; a schedule adds none")
    held = {n: t for n, t in agent.tools.items() if tools is None or n in tools}
    found = []
    for text in texts:
        grant = parse_grant(text, held)
        may_give(store.home, grant, by, this_channel("cli"))
        found.append(replace(grant, by=by, why="given to a schedule"))
    return tuple(found)


def _checked(schedule: Schedule, agent: Agent, store: Store, schedules: Schedules, now: float) -> list[str]:
    """Raises DeclarationError for what would fail at the first firing; returns what may be meant so."""
    from mainspring.errors import DeclarationError
    from mainspring.schedules.checks import find_function

    if schedule.check is not None and "python" in schedule.check:
        find_function(schedule.check["python"], agent)
    spec = schedule.trigger.get("source")
    if spec is None:
        if schedule.next_after(now) is None:
            ends = " before it expires" if schedule.expires_at is not None else ""
            raise DeclarationError(f"schedule {schedule.name!r} would never fire{ends}: {schedule.shown()}")
        return []
    return _check_source(schedule, dict(spec), store, schedules)


def _check_source(schedule: Schedule, spec: dict[str, Any], store: Store, schedules: Schedules) -> list[str]:
    from mainspring.cli.schedule_serving import resolver
    from mainspring.errors import DeclarationError, ToolError
    from mainspring.schedules.sources import source_of

    resolve = resolver(store.home)
    source_of(spec, store, resolve, name=schedule.name)
    for other in (e.schedule for e in schedules.list() if e.schedule.name != schedule.name):
        theirs = other.trigger.get("source", {})
        for key, what in (("hook", "webhook"), ("mailbox", "mailbox"), ("folder", "inbox")):
            if theirs.get("kind") == spec["kind"] != "mail" and key in spec and theirs.get(key) == spec[key]:
                raise DeclarationError(
                    f"the {what} {spec[key]!r} belongs to the schedule {other.name!r}; one schedule gets its items"
                )
    warnings = []
    for reference in [*spec.get("secrets", ()), *([spec["password"]] if "password" in spec else [])]:
        try:
            resolve(reference)
        except (ToolError, DeclarationError) as error:
            warnings.append(f"{reference} cannot be read here; where it is served it must be ({error})")
    return warnings
