"""`mainspring code`: have a task done on a repository, and look at, take or take back what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.code_report import settle, tell
from mainspring.cli.group import LazyGroup
from mainspring.cli.output import Output, note
from mainspring.cli.render import is_text, safe

if TYPE_CHECKING:
    from mainspring.engineer import CodeResult


@click.group(
    cls=LazyGroup,
    default="do",
    any_word=True,
    lazy={
        "do": ("mainspring.cli.code:do", "Do a task (the word `do` may be left out)."),
        "list": ("mainspring.cli.code_changes:list_", "Runs on code, and what became of their patches."),
        "report": ("mainspring.cli.code:report", "What a run changed, what was verified of it, and what was not."),
        "diff": ("mainspring.cli.code_changes:diff", "Show the patch of a run."),
        "apply": ("mainspring.cli.code_changes:apply", "Put the patch of a run into your files, or on a branch."),
        "undo": ("mainspring.cli.code_changes:undo", "Take back a run's edits, or a patch that was applied."),
        "scan": ("mainspring.cli.code_scan:scan", "Look for vulnerabilities, secrets and dangerous changes."),
    },
)
def code() -> None:
    """Have a task done on a git repository: mainspring code "TASK" [--repo DIR].

    The agent works in a copy of the repository, with your uncommitted changes in it; your own files are not touched.
    What it leaves is a patch, which is verified in fresh copies before the run may end as done.

    \b
    Examples:
      mainspring code "paginate() loses the last page; mend it"
      mainspring code "Add a --dry-run option to sync" --repo ~/project --model openai:NAME
      mainspring code diff last
      mainspring code apply last --branch pagination
    """


@click.command()
@click.argument("task")
@click.option(
    "--repo",
    "-r",
    metavar="DIR",
    default=".",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of the git repository (default: this one).",
)
@click.option("--model", "-m", metavar="MODEL", help="Such as local, openai:NAME, a URL. [env: MAINSPRING_MODEL]")
@click.option("--tests", metavar="COMMAND", help="How the project's tests are run (default: detected).")
@click.option(
    "--harness",
    type=click.Choice(["auto", "full", "light"]),
    default="auto",
    show_default=True,
    help="How much is done around the model: full for weak ones, light for strong ones.",
)
@click.option(
    "--attempts",
    "-n",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="Runs side by side, each in a copy of its own; the best patch is reported.",
)
@click.option("--in-place", is_flag=True, help="Work in your own files instead of a copy.")
@click.option("--branch", metavar="NAME", help="When it is done, commit the patch to this new branch.")
@click.option("--effort", type=click.Choice(["auto", "none", "low", "medium", "high"]), help="How much thinking.")
@click.option(
    "--limit", "limits", multiple=True, metavar="NAME=NUMBER", help="usd, steps, tokens, seconds ... Repeatable."
)
@click.option(
    "--grant", "grants", multiple=True, metavar="'TOOL arg=value ... [xN]'", help="Let such calls pass. Repeatable."
)
@click.option("--by", metavar="NAME", help="On whose behalf it acts (default: the user's name).")
@click.option("--json", "json_", is_flag=True, help="Print every event, then the report, as one JSON object per line.")
@click.option("--quiet", "-q", is_flag=True, help="Print only the report.")
@click.option("--no-input", is_flag=True, help="Never ask at the terminal; exit 3 when a person is needed.")
def do(
    task: str,
    repo: Path,
    model: str | None,
    tests: str | None,
    harness: str,
    attempts: int,
    in_place: bool,
    branch: str | None,
    effort: str | None,
    limits: tuple[str, ...],
    grants: tuple[str, ...],
    by: str | None,
    json_: bool,
    quiet: bool,
    no_input: bool,
) -> int:
    """Do a TASK on a git repository; `-` reads the task from standard input.

    Progress goes to standard error, the report to standard output. Ctrl-C pauses; `mainspring runs resume` goes on.

    Exit status: 0 done (verified, or nothing to change), 1 failed, 2 wrong usage, 3 waiting, paused or in doubt,
    130 interrupted.
    """
    import os

    from mainspring.cli import origin
    from mainspring.cli.execute import execute
    from mainspring.cli.run import acting_for, merge_limits, parse_limits, read_task
    from mainspring.engineer.start import prepare
    from mainspring.runtime.starting import new_run_id
    from mainspring.store import default_home

    words = read_task(task)
    wanted = parse_limits(limits)
    if json_ and quiet:
        raise click.UsageError("--json prints events, --quiet leaves them out; choose one")
    if in_place and attempts > 1:
        raise click.UsageError("--attempts need copies of their own; leave out --in-place")
    if in_place and branch:
        raise click.UsageError("--in-place leaves the change in your files, --branch on a branch; choose one")
    if not is_text(str(repo)):
        raise click.UsageError(f"the repository's path {str(repo)!a} is not valid UTF-8; rename the folder")
    options = {
        "model": model or os.environ.get("MAINSPRING_MODEL") or "local",
        "harness": harness,
        "tests": tests or "",
        "effort": effort or "",
        "grant": "\n".join(grants),
    }
    chosen = {name: value for name, value in options.items() if value}
    declared = origin.load(origin.Origin("code", builtin=True, options=chosen))
    person = acting_for(by)
    output = Output.claim()
    if attempts > 1:
        return _several(
            words, repo, attempts, chosen, merge_limits(declared.limits, wanted), person, output, json_, branch
        )
    run_id = new_run_id()
    made = prepare(repo, run_id, default_home(), in_place=in_place, report=_quietly if quiet or json_ else _say)
    status = execute(
        declared,
        lambda **watching: declared.run(
            words,
            workspace=made.path,
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
        answer=False,
    )
    status, result = settle(status, run_id, output, json_=json_)
    if status == 0 and branch is not None:
        _branch(result, branch, words)
    return status


@click.command()
@click.argument("run", default="last")
@click.option("--json", "json_", is_flag=True, help="One JSON object.")
def report(run: str, json_: bool) -> int:
    """What a RUN changed, what was verified of it, and what was not."""
    from mainspring.cli.find import load

    tell(load(run).id, Output.claim(), json_=json_)
    return 0


def _several(
    task: str,
    repo: Path,
    attempts: int,
    options: dict[str, str],
    limits: Any,
    person: str,
    output: Output,
    json_: bool,
    branch: str | None,
) -> int:
    """Attempts side by side; a line for each step of each, then the report of the best."""
    from mainspring.cli import origin
    from mainspring.cli.status import FAILED
    from mainspring.engineer import code_sync

    def declare(number: int) -> Any:
        own = {**options, "seed": str(number * 10_000), "name": f"code-{number + 1}"}
        return origin.load(origin.Origin("code", builtin=True, options=own))

    def seen(number: int, event: Any) -> None:
        if event.seq is None:
            return
        if json_:
            output.json({"kind": event.kind, "attempt": number + 1, "seq": event.seq, "payload": event.payload})
        elif event.kind == "effect.intended":
            note(f"[{number + 1}] {safe(str(event.payload.get('tool')))}")

    result = code_sync(task, repo, agent=declare, attempts=attempts, watch=seen, limits=limits, by=person)
    tell(result.run.id, output, json_=json_)
    if result.done and branch is not None:
        _branch(result, branch, task)
    return 0 if result.done else FAILED


def _branch(result: CodeResult, name: str, task: str) -> None:
    """Commit exactly the patch that was reported, whatever the working copy holds by now."""
    from mainspring.code.git import load, make_branch
    from mainspring.store import default_home

    patch = result.report.patch
    if not patch:
        note(f"no branch {safe(name, exact=True)}: nothing was changed")
        return
    made = load(default_home(), result.run.id)
    commit = make_branch(made.repository, patch, name, task.strip().splitlines()[0][:72])
    made.with_branch(name, commit)
    note(f"branch {safe(name, exact=True)}: commit {commit[:12]}")


def _say(line: str) -> None:
    note(safe(line))


def _quietly(line: str) -> None:
    """Progress that nobody reads."""
