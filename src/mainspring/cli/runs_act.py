"""`mainspring runs resume`, `send`, `cancel` and `undo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mainspring.cli import origin
from mainspring.cli.approvals import by_option, json_option
from mainspring.cli.find import load, whoami
from mainspring.cli.output import Output, note
from mainspring.errors import DeclarationError, StoreError, ToolError

if TYPE_CHECKING:
    from mainspring.agent import Agent
    from mainspring.runtime.run import Run


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--agent", "-a", metavar="FILE[:ATTR]", help="The declaration, where the run does not name its own.")
@json_option
@click.option("--limit", "limits", multiple=True, metavar="NAME=NUMBER", help="A new limit from here on. Repeatable.")
@click.option("--workspace", "-w", metavar="DIR", help="The folder it may touch from here on; imported runs have none.")
@click.option("--quiet", "-q", is_flag=True, help="Print only the answer.")
@click.option("--no-input", is_flag=True, help="Never ask at the terminal; exit 3 when a person is needed.")
def resume(
    id_: str,
    agent: str | None,
    json_: bool,
    limits: tuple[str, ...],
    workspace: str | None,
    quiet: bool,
    no_input: bool,
) -> int:
    """Go on after a pause, a crash or an answer, with the same agent declaration.

    The declaration is made again from where it came from: the agent file that `run` was given, or the default
    agent. Exit status as for `mainspring run`.

    \b
    Examples:
      mainspring runs resume last
      mainspring runs resume 20261122 --limit steps=100
      mainspring runs resume 3f2 --agent clerk.py
    """
    from mainspring.agent import Limits
    from mainspring.cli.code_report import is_code, settle
    from mainspring.cli.execute import execute
    from mainspring.cli.run import merge_limits, parse_limits

    wanted = parse_limits(limits)
    run = load(id_)
    changed = merge_limits(Limits.of(run.state.limits), wanted) if wanted else None
    output = Output.claim()
    declared = declaration(run, agent)
    on_code = is_code(run)
    status = execute(
        declared,
        lambda **watching: run.resume(agent=declared, limits=changed, workspace=workspace, **watching),
        run_id=run.id,
        old=run,
        output=output,
        json=json_,
        quiet=quiet,
        ask=not no_input,
        answer=not on_code,
    )
    return settle(status, run.id, output, json_=json_)[0] if on_code else status


def declaration(run: Run, agent: str | None) -> Agent:
    """The agent of a run: the named file's, or the one from the run's own origin. Raises DeclarationError."""
    text = None if run.imported else run.origin  # an imported journal names no file and gives no options here
    if agent is not None:
        given = origin.split(agent)
        options = origin.parse(text).options if text and not origin.parse(text).builtin else {}
        return origin.load(origin.Origin(given.place, given.attribute, options=options))
    if run.imported:
        raise DeclarationError(
            f"run {run.id} was imported, so what its journal names is not used; name the agent yourself: "
            f"mainspring runs resume {run.id} --agent FILE"
        )
    if not text:
        raise DeclarationError(
            f"run {run.id} was started by a program and names no agent file; resume it there with "
            f"Run.load({run.id!r}).resume_sync(), or name the file that declares agent {run.agent_name!r}: "
            f"mainspring runs resume {run.id} --agent FILE"
        )
    return origin.load(origin.parse(text))


@click.command()
@click.argument("id_", metavar="ID")
@click.argument("text")
@by_option
@json_option
def send(id_: str, text: str, by: str | None, json_: bool) -> None:
    """Say something to a run; it is read before the next model call. `-` reads from standard input.

    \b
    Example:
      mainspring runs send last "Leave the tests alone"
    """
    from mainspring.cli.run import read_task

    words = read_task(text)
    run = load(id_)
    run.send(words, by=by or whoami())
    output = Output.plain()
    if json_:
        output.json({"run_id": run.id, "sent": words, "by": by or whoami()})
    else:
        output.text(f"sent to {run.id}")


@click.command()
@click.argument("id_", metavar="ID")
@by_option
@click.option("--reason", default="", metavar="TEXT", help="Why; it is journaled.")
@json_option
def cancel(id_: str, by: str | None, reason: str, json_: bool) -> None:
    """Stop a run for good: at once when it rests, after the effect it is in when it works."""
    run = load(id_)
    run.cancel(by=by or whoami(), reason=reason)
    output = Output.plain()
    if json_:
        output.json({"run_id": run.id, "cancelled": True, "by": by or whoami(), "reason": reason})
    else:
        output.text(f"cancelled {run.id}")


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--last", type=click.IntRange(1), metavar="N", help="The newest N edits (default: 1).")
@click.option("--all", "all_", is_flag=True, help="All edits of the run.")
@click.option("--compaction", is_flag=True, help="Not edits: the newest compaction of the context.")
@by_option
@json_option
def undo(id_: str, last: int | None, all_: bool, compaction: bool, by: str | None, json_: bool) -> None:
    """Take a run's edits in its workspace back, newest first.

    \b
    Examples:
      mainspring runs undo last
      mainspring runs undo 3f2 --all
    """
    if sum((last is not None, all_, compaction)) > 1:
        raise click.UsageError("--last, --all and --compaction exclude each other")
    run = load(id_)
    output = Output.plain()
    if compaction:
        run.undo_compaction(by=by or whoami())
        _undone(output, json_, run.id, ["the newest compaction"])
        return
    if run.status == "running":
        raise StoreError(f"run {run.id} is working; pause it first (Ctrl-C there), or cancel it")
    undone: list[str] = []
    try:
        _take_back(run, None if all_ else last or 1, undone)
    finally:
        _undone(output, json_, run.id, undone)
        if undone and run.status not in ("done", "cancelled"):
            run.send("I took back some of your edits: " + "; ".join(undone), by=by or whoami())


def _take_back(run: Run, last: int | None, undone: list[str]) -> None:
    """Undo edits, newest first, and say each in `undone`.

    What was taken back before does not count: then a file's content fits an older edit and not the newest one. Raises
    ToolError when a file's content fits none of its edits, after the other files were seen to.
    """
    from mainspring.tools.undo import list_edits, undo_edit

    if run.workspace is None:
        return
    unfit: dict[str, ToolError] = {}
    for edit in reversed(list_edits(run.events())):
        if last is not None and len(undone) >= last:
            break
        try:
            said = undo_edit(run.home, run.workspace, edit.payload)
        except ToolError as error:
            unfit.setdefault(edit.path, error)
            continue
        unfit.pop(edit.path, None)
        if "already is" not in said:
            undone.append(said)
    for misfit in unfit.values():
        raise misfit


def _undone(output: Output, json_: bool, run_id: str, what: list[str]) -> None:
    if json_:
        output.json({"run_id": run_id, "undone": what})
        return
    for item in what:
        output.text(item)
    if not what:
        note("nothing was undone")
