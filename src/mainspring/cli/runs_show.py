"""`mainspring runs list` and `show`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli import guarded
from mainspring.cli.answer import answer_json, answer_text
from mainspring.cli.approvals import as_json as pending_json
from mainspring.cli.approvals import json_option
from mainspring.cli.find import load
from mainspring.cli.narrate import STYLES, Line, Narrator
from mainspring.cli.output import Output
from mainspring.cli.prompt import describe
from mainspring.cli.render import ago, clock, columns, count, cut, one_line, safe, usd
from mainspring.cli.status import answer_hint, status_text

if TYPE_CHECKING:
    from mainspring.runtime.run import Run
    from mainspring.store import Event, RunRow

STATUSES = ("running", "interrupted", "done", "waiting", "in_doubt", "failed", "cancelled")


@click.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only runs with this status.")
@click.option("--limit", "-n", default=30, show_default=True, type=click.IntRange(1), help="At most so many.")
@json_option
def list_(status: str | None, limit: int, json_: bool) -> None:
    """Runs, newest first."""
    from mainspring.store import open_store

    output = Output.plain()
    stored = "running" if status == "interrupted" else status
    rows = open_store().rows(status=stored, limit=limit)
    rows = [r for r in rows if status is None or status_text(r.status, r.alive) == status]
    if json_:
        for row in rows:
            output.json(_row_json(row))
        return
    if not rows:
        output.text('no runs; start one with: mainspring run "TASK"')
        return
    table = [
        (
            row.id,
            status_text(row.status, row.alive),
            one_line(row.agent, 20),
            ago(row.created_at),
            one_line(row.task, 60),
        )
        for row in rows
    ]
    output.text("\n".join(columns(table, ("ID", "STATUS", "AGENT", "AGE", "TASK"))))


def _row_json(row: RunRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "status": status_text(row.status, row.alive),
        "agent": row.agent,
        "task": row.task,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "wake_at": row.wake_at,
        "parent": row.parent,
        "events": row.head_seq,
    }


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--events", is_flag=True, help="Every event of the journal, one a line.")
@click.option("--values", is_flag=True, help="What it holds: every value with who may have written it.")
@click.option("--tree", is_flag=True, help="It and all that it started: times, spending, the critical path.")
@click.option("--all", "all_", is_flag=True, help="With --tree: every sub-agent, also of a thousand.")
@json_option
def show(id_: str, events: bool, values: bool, tree: bool, all_: bool, json_: bool) -> None:
    """What a run did, said and spent, why each call was allowed, what rights it holds, and what it waits for.

    With --json: one object for the run and, with --values and --events, one for each value and event. A value's name
    is what `runs vouch` takes.

    \b
    Examples:
      mainspring runs show last
      mainspring runs show last --values
      mainspring runs show 3f2 --events --json
      mainspring runs show 3f2 --tree
    """
    if tree:
        from mainspring.cli.find import run_id
        from mainspring.cli.runs_tree import show_tree
        from mainspring.store import open_store

        if events or values:
            raise click.UsageError("--tree stands alone; leave --events and --values out")
        show_tree(open_store(), run_id(id_), Output.plain(), json=json_, everything=all_)
        return
    if all_:
        raise click.UsageError("--all belongs to --tree")
    run = load(id_)
    output = Output.plain()
    journal = run.events()
    if json_:
        output.json(run_json(run, journal))
        for value in guarded.values_json(run) if values else ():
            output.json(value)
        for event in journal if events else ():
            output.json(event_json(event))
        return
    if values:
        output.text("\n".join(guarded.value_lines(run)))
    if events:
        output.text("\n".join(_event_rows(journal)))
    if not values and not events:
        _print(output, [*_head(run), *_told(run, journal), *_rights(run, journal), *_foot(run)])


def run_json(run: Run, journal: list[Event] | None = None) -> dict[str, Any]:
    """A run as a JSON object."""
    events = journal if journal is not None else run.events()
    return {
        "kind": "run",
        "run_id": run.id,
        "status": run.status,
        "reason": run.reason,
        **answer_json(run),
        "agent": run.agent_name,
        "task": run.task,
        "workspace": str(run.workspace) if run.workspace is not None else None,
        "created_at": run.created_at,
        "steps": run.steps,
        "usage": run.usage,
        "mode": run.mode,
        "why": run.state.guard.why,
        "principals": list(run.state.guard.principals),
        "grants": guarded.grants_json(run, events),
        "vouched": guarded.vouched_json(run, events),
        "pending": [pending_json(item) for item in run.pending()],
    }


def event_json(event: Event) -> dict[str, Any]:
    """A journal event as a JSON object."""
    return {
        "kind": event.kind,
        "run_id": event.run_id,
        "seq": event.seq,
        "at": event.at,
        "version": event.version,
        "label": json.loads(event.label.encode()),
        "payload": event.payload,
        "hash": event.hash,
    }


def _event_rows(journal: list[Event]) -> list[str]:
    rows = []
    for event in journal:
        text = json.dumps(event.payload, ensure_ascii=False, default=str)
        gist = guarded.gist(event.kind, event.payload)
        when = f"{clock(event.at)}.{int(event.at % 1 * 1000):03d}"
        rows.append((str(event.seq), when, event.kind, f"{len(text):,}", cut(gist or safe(text), 100)))
    return columns(rows, ("SEQ", "AT", "KIND", "CHARS", "PAYLOAD"))


def _head(run: Run) -> list[Line]:
    reason = f" ({safe(run.reason)})" if run.reason else ""
    return [Line("head", f"run {run.id}  {run.status}{reason}  {clock(run.created_at)} ({ago(run.created_at)} ago)")]


def _told(run: Run, journal: list[Event]) -> list[Line]:
    narrator = Narrator(full=True)
    narrator.asked_below = {item.id for item in run.pending()}
    return [line for event in journal for line in narrator.feed(event)]


def _rights(run: Run, journal: list[Event]) -> list[Line]:
    lines = [Line("guard", line) for line in guarded.grant_lines(run, journal)]
    return [*lines, *(Line("person", line) for line in guarded.vouched_lines(run, journal))]


def _foot(run: Run) -> list[Line]:
    usage = run.usage
    cached = f", {count(usage.cache_read_tokens)} of them cached" if usage.cache_read_tokens else ""
    lines = [
        Line(
            "spent",
            f"{run.steps} steps, {usage.calls} model calls, {count(usage.input_tokens)} tokens in{cached}, "
            f"{count(usage.output_tokens)} out, {usd(usage.usd)}",
        )
    ]
    if run.status == "done" and not isinstance(run.state.output, str | None):
        lines.append(Line("say", safe(answer_text(run))))
    for item in run.pending():
        lines.append(Line("warn", "\n".join(["", f"{item.kind} {item.id}", *describe(item)])))
        lines.append(Line("warn", f"answer with: {answer_hint(item.kind, item.id)}"))
    return lines


def _print(output: Output, lines: list[Line]) -> None:
    if not output.is_terminal:
        for line in lines:
            output.text(line.text)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    for line in lines:
        console.print(Text(line.text, style=STYLES[line.style]))
