"""`mainspring run`: give an agent a task and watch it work."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.output import Output, note
from mainspring.cli.render import is_text

if TYPE_CHECKING:
    from mainspring.agent import Agent, Task
    from mainspring.messages import Part
    from mainspring.runtime.run import Run
    from mainspring.swarm import Choice

_MAX_ATTACHMENT = 20 * 1024 * 1024  # bytes; providers take less, and it all travels with every call


@click.command()
@click.argument("task")
@click.option(
    "--agent", "-a", metavar="FILE[:ATTR]", help="A Python file that declares an Agent (default: a coding agent)."
)
@click.option(
    "--model", "-m", metavar="MODEL", help="Such as local, local:1.5b, openai:NAME, a URL. [env: MAINSPRING_MODEL]"
)
@click.option(
    "--workspace",
    "-w",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder that the agent may touch (default: this one).",
)
@click.option(
    "--effort",
    type=click.Choice(["auto", "none", "low", "medium", "high"]),
    help="How much thinking to spend (default: auto).",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=NUMBER",
    help="usd, steps, tokens, seconds, tool_failures or repeats; `none` lifts one. Repeatable.",
)
@click.option("--tools", type=click.Choice(["coding", "none"]), help="The default agent's tools (default: coding).")
@click.option(
    "--attach",
    "attached",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A picture or file that goes with the task. Repeatable.",
)
@click.option(
    "--allow", "allowed", multiple=True, metavar="TOOL", help="Let this tool pass without asking. Repeatable."
)
@click.option(
    "--guard",
    type=click.Choice(["auto", "plain", "contained", "clean", "tainted"]),
    help="How the run is guarded (default: as declared; auto chooses from the tools).",
)
@click.option("--by", metavar="NAME", help="On whose behalf it acts (default: the user's name).")
@click.option(
    "--grant",
    "grants",
    multiple=True,
    metavar="'TOOL arg=value ... [xN]'",
    help="Let such calls pass, and make no rights of the task's words. Repeatable.",
)
@click.option("--mcp", "servers", multiple=True, metavar="SERVER", help="Add the tools of an MCP server. Repeatable.")
@click.option("--reader", metavar="MODEL", help="What reads outsiders' text for a clean planner (default: its own).")
@click.option(
    "--strategy",
    type=click.Choice(["auto", "alone", "split"]),
    help="Alone (the default), split among sub-agents, or auto: by the task's shape and past runs.",
)
@click.option("--detach", "-d", is_flag=True, help="Leave it to a worker (mainspring worker), and print its id.")
@click.option("--queue", metavar="NAME", default="", help="With --detach: only workers of this queue take it up.")
@click.option("--priority", metavar="N", type=int, default=0, help="With --detach: higher ones first (default: 0).")
@click.option("--json", "json_", is_flag=True, help="Print every event as one JSON object per line.")
@click.option("--quiet", "-q", is_flag=True, help="Print only the answer.")
@click.option("--no-input", is_flag=True, help="Never ask at the terminal; exit 3 when a person is needed.")
def run(
    task: str,
    agent: str | None,
    model: str | None,
    workspace: Path | None,
    effort: str | None,
    limits: tuple[str, ...],
    tools: str | None,
    attached: tuple[Path, ...],
    allowed: tuple[str, ...],
    guard: str | None,
    by: str | None,
    grants: tuple[str, ...],
    servers: tuple[str, ...],
    reader: str | None,
    strategy: str | None,
    detach: bool,
    queue: str,
    priority: int,
    json_: bool,
    quiet: bool,
    no_input: bool,
) -> int:
    """Give an agent a TASK and watch it work; `-` reads the task from standard input.

    Progress goes to standard error, the answer to standard output. Ctrl-C pauses the run after the step it is in
    (twice: at once); nothing is lost either way, and `mainspring runs resume` goes on.

    \b
    Examples:
      mainspring run "What does this project do?"
      mainspring run "Mend the failing test" -w ~/project --limit usd=2 --limit steps=50
      mainspring run "What is on this picture?" --tools none --attach photo.png -m openai:gpt-5
      git diff | mainspring run - --agent reviewer.py --json
      mainspring run "Thank Bob" -a clerk.py --grant 'send_mail to=bob@corp.example'
      mainspring run "Review each of a.py, b.py, c.py and d.py" --strategy auto
      mainspring run "Sort my mail" -a clerk.py --mcp mail --guard clean --by ann
      mainspring run "Write the report" -a clerk.py --detach

    Exit status: 0 done, 1 failed, 2 wrong usage, 3 waiting, paused or in doubt, 130 interrupted.
    """
    from mainspring.cli import origin
    from mainspring.cli.execute import execute

    words = read_task(task)
    wanted = parse_limits(limits)
    if json_ and quiet:
        raise click.UsageError("--json prints events, --quiet leaves them out; choose one")
    if detach and (agent is None or strategy is not None):
        raise click.UsageError("--detach needs --agent FILE, which a worker is given too, and no --strategy")
    if not detach and (queue or priority):
        raise click.UsageError("--queue and --priority say how workers take a run up: they belong to --detach")
    changes = {"model": model, "effort": effort, "guard": guard, "reader": reader}
    changes |= {"allow": ",".join(allowed), "mcp": ",".join(servers), "grant": "\n".join(grants)}
    person = acting_for(by)
    if any(not text.strip() or "\n" in text for text in grants):
        raise click.UsageError("--grant takes 'TOOL arg=value ... [xN]' on one line")
    if agent is None:
        base = origin.builtin(model or os.environ.get("MAINSPRING_MODEL") or "local", tools or "coding")
    else:
        if tools is not None:
            raise click.UsageError("--tools chooses the default agent's tools; an agent from a file declares its own")
        base = origin.split(agent)
    options = dict(base.options) | {name: value for name, value in changes.items() if value}
    content = with_attachments(words, attached)
    output = Output.claim()
    from mainspring.runtime.starting import new_run_id

    declared = origin.load(origin.Origin(base.place, base.attribute, base.builtin, options))
    choice: Choice | None = None
    if strategy is not None:
        from mainspring.swarm import decide

        choice = decide(declared, content, strategy=strategy)
        if not quiet and not json_:
            note(f"strategy: {choice.strategy}: {choice.reason}")
        if choice.strategy == "split":
            options["strategy"] = "split"
            declared = origin.load(origin.Origin(base.place, base.attribute, base.builtin, options))
    folder = workspace or declared.workspace or (Path.cwd() if agent is None else None)
    if folder is not None and not is_text(str(folder)):
        raise click.UsageError(f"the workspace's path {str(folder)!a} is not valid UTF-8; rename the folder")
    run_id = new_run_id()
    if detach:
        asked = {"workspace": folder, "limits": merge_limits(declared.limits, wanted), "by": person}
        declared.enqueue(content, run_id=run_id, queue=queue, priority=priority, **asked)
        if json_:
            output.json({"kind": "queued", "run_id": run_id, "queue": queue, "priority": priority})
        else:
            output.text(run_id)
        if not (json_ or quiet):
            note(f"it waits for a worker: mainspring worker --agent {agent}" + (f" --queue {queue}" if queue else ""))
        return 0
    return execute(
        declared,
        lambda **watching: _starter(declared, choice)(
            content,
            workspace=folder,
            limits=merge_limits(declared.limits, wanted),
            run_id=run_id,
            by=person,
            **watching,
        ),
        run_id=run_id,
        output=output,
        json=json_,
        quiet=quiet,
        ask=not no_input,
    )


def _starter(agent: Agent, choice: Choice | None) -> Callable[..., Coroutine[Any, Any, Run]]:
    """What begins the run: as it is declared, or as was decided."""
    if choice is None:
        return agent.run
    from mainspring.swarm import run as run_as

    return partial(run_as, agent, strategy=choice)


def acting_for(by: str | None) -> str:
    """On whose behalf a run acts: the named person, else the account's name where a person has it, else ``user``.

    Raises:
        ApprovalError: the named one is no person, or not somebody who can speak from this account.
        DeclarationError: the configuration cannot be read.
    """
    from mainspring.cli.find import whoami
    from mainspring.errors import ApprovalError
    from mainspring.guard.people import Needs
    from mainspring.runtime.pending import people_of, this_channel
    from mainspring.store import default_home

    try:
        return people_of(default_home()).check(by or whoami(), Needs(), this_channel("cli"))
    except ApprovalError:
        if by is not None:
            raise
        return "user"


def read_task(task: str) -> str:
    """The task's words, from standard input for ``-``. Raises UsageError for nothing, or for bytes that are no text."""
    if task == "-":
        data = sys.stdin.buffer.read()
        try:
            task = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise click.UsageError(
                f"standard input is not valid UTF-8: byte {data[error.start]:#04x} at offset {error.start}"
            ) from None
    if not task.strip():
        raise click.UsageError("the task is empty; say what is to be done")
    return task


def parse_limits(texts: tuple[str, ...]) -> dict[str, float | None]:
    """``usd=2`` and the like as a mapping. Raises UsageError."""
    from mainspring.agent import Limits
    from mainspring.errors import DeclarationError

    found: dict[str, float | None] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        if not equals:
            raise click.UsageError(f"--limit {text!r}: write NAME=NUMBER, such as usd=2 or steps=50")
        try:
            value = None if number.lower() == "none" else float(number)
        except ValueError:
            raise click.UsageError(f"--limit {text!r}: {number!r} is no number") from None
        if value is not None and value != value:
            raise click.UsageError(f"--limit {text!r}: {number!r} is no number")
        found[name.strip()] = int(value) if value is not None and value.is_integer() else value
    try:
        Limits.of(found)
    except DeclarationError as error:
        raise click.UsageError(f"--limit: {error}") from None
    return found


def merge_limits(declared: Any, wanted: dict[str, float | None]) -> Any:
    """The declaration's limits with those that the command line names."""
    import dataclasses

    return dataclasses.replace(declared, **wanted)


def with_attachments(words: str, files: tuple[Path, ...]) -> Task:
    """The task with its pictures and files. Raises UsageError for a file that is too large."""
    if not files:
        return words
    import mimetypes

    from mainspring.messages import FilePart, ImagePart

    parts: list[str | Part] = [words]
    for path in files:
        size = path.stat().st_size
        if size > _MAX_ATTACHMENT:
            raise click.UsageError(
                f"--attach {path}: {size:,} bytes are more than {_MAX_ATTACHMENT:,}; "
                "put the file into the workspace and let the agent read it"
            )
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        data = path.read_bytes()
        if media_type in ("image/png", "image/jpeg", "image/webp", "image/gif"):
            parts.append(ImagePart(data, media_type, description=path.name))
        else:
            parts.append(FilePart(data, media_type, path.name))
    return parts
