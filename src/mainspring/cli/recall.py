"""`mainspring recall`: what finished runs left behind, as agents with `recall_runs` find it."""

from __future__ import annotations

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.find import whoami
from mainspring.cli.group import LazyGroup
from mainspring.cli.output import Output, note
from mainspring.cli.render import ago, columns, cut, one_line, safe

_HERE = "mainspring.cli.recall"
#: Progress is said when more runs than this are read.
_MANY = 200


class _Recall(LazyGroup):
    """Words that name no command are searched for, and without any the newest are shown."""

    def _means_default(self, args: list[str]) -> bool:
        return not args or super()._means_default(args)


@click.group(
    cls=_Recall,
    default="search",
    any_word=True,
    invoke_without_command=False,
    lazy={
        "search": (f"{_HERE}:search", "What finished runs said about these words (the default)."),
        "forget": (f"{_HERE}:forget", "Never recall a run again; its journal stays."),
        "rebuild": (f"{_HERE}:rebuild", "Make the index anew from the journals."),
    },
)
def recall() -> None:
    """Search finished runs: tasks, what people said, decisions, work left open, outcomes.

    \b
    Examples:
      mainspring recall invoice may
      mainspring recall forget 20260501-101500-0a1b2c3d4e --why "Ann asked for it"
    """


@click.command()
@click.argument("words", metavar="[WORD]...", nargs=-1)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@json_option
def search(words: tuple[str, ...], limit: int, json_: bool) -> None:
    """What finished runs left behind with these words, best first; without words, the newest."""
    from mainspring.memory import RunIndex
    from mainspring.store import open_store

    with RunIndex(open_store()) as index:
        while index.update(at_once=_MANY) == _MANY:
            note("reading finished runs ...")
        found = index.search(" ".join(words), limit)
    output = Output.plain()
    if json_:
        for f in found:
            output.json(
                {
                    "run": f.run,
                    "seq": f.seq,
                    "agent": f.agent,
                    "person": f.person,
                    "what": f.what,
                    "text": f.text,
                    "status": f.status,
                    "ended_at": f.ended_at,
                    "trusted": f.label.trusted,
                    "label": f.label.encode(),
                }
            )
        return
    if not found:
        output.text("no finished run has these words" if words else "no run has finished")
        return
    rows = [
        (
            safe(f.run, exact=True),
            f.what,
            f.status,
            ago(f.ended_at),
            cut(safe(f"{f.agent} for {f.person or '-'}", exact=True), 30),
            cut(safe(", ".join(sorted(f.label.strangers)) or "no outsider", exact=True), 30),
            one_line(f.text, 70),
        )
        for f in found
    ]
    output.text("\n".join(columns(rows, ("RUN", "WHAT", "ENDED", "AGE", "OF", "MAYBE BY", "TEXT"))))


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--by", metavar="NAME", help="Who decides (default: the user's name).")
@click.option("--why", required=True, metavar="TEXT", help="Why; it is kept.")
def forget(run_id: str, by: str | None, why: str) -> None:
    """Never recall a run again. What the index held is overwritten; the run's journal stays."""
    from mainspring.memory import RunIndex
    from mainspring.store import open_store

    with RunIndex(open_store()) as index:
        index.forget(run_id, by=by or whoami(), why=why)
    note(f"run {run_id} is not recalled any more")


@click.command()
def rebuild() -> None:
    """Make the index anew from the journals, as after a damaged file."""
    from mainspring.memory import RunIndex
    from mainspring.store import open_store

    note("reading all finished runs ...")
    with RunIndex(open_store()) as index:
        note(f"{index.rebuild():,} finished runs are indexed")
