"""`mainspring code list`, `diff`, `apply` and `undo`: what became of runs on code, and taking their patches or not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.find import run_id as find_run_id
from mainspring.cli.output import Output, OutputGoneError, mute, note
from mainspring.cli.render import ago, bytes_text, columns, cut, one_line, safe
from mainspring.errors import RunNotFoundError, ToolError

if TYPE_CHECKING:
    from mainspring.code.git import Applied, CodeRecord, ConflictError
    from mainspring.code.patch import FileChange, Patch

_BAR = 40
run_argument = click.argument("run", default="last", metavar="[RUN]")


@click.command("list")
@click.option("--limit", "-n", default=30, show_default=True, type=click.IntRange(1), help="At most so many.")
@json_option
def list_(limit: int, json_: bool) -> None:
    """Runs on code, newest first, and what became of their patches."""
    from itertools import islice

    from mainspring.code.git import list_applied, records
    from mainspring.store import default_home

    home, output = default_home(), Output.plain()
    rows = []
    for record in islice(records(home), limit):
        status, task, created = _run(record.run_id)
        became = _became(record, list_applied(home, record.run_id))
        saved = None if record.saved is None else len(record.saved)
        if json_:
            output.json(
                {
                    "run_id": record.run_id,
                    "status": status,
                    "task": task,
                    "repository": str(record.repository),
                    "copy": str(record.path) if record.exists else None,
                    "files": saved,
                    "branches": dict(record.branches),
                    "became": became,
                }
            )
            continue
        files = "?" if saved is None else str(saved)
        age = ago(created) if created else "?"
        rows.append((record.run_id, status, files, cut(safe(became), 40), age, one_line(task, 50)))
    if not json_ and not rows:
        output.text('no runs on code; start one with: mainspring code "TASK"')
    elif rows:
        output.text("\n".join(columns(rows, ("ID", "STATUS", "FILES", "PATCH", "AGE", "TASK"))))


@click.command()
@run_argument
@click.option("--stat", is_flag=True, help="Only the files, and how many lines changed.")
@json_option
def diff(run: str, stat: bool, json_: bool) -> None:
    """Show the patch of a RUN (default: the newest), as `git diff` would; `git apply` takes it.

    \b
    Examples:
      mainspring code diff
      mainspring code diff 3f2 --stat
      mainspring code diff 3f2 | git apply
    """
    patch = load_record(run).patch()
    output = Output.plain()
    if json_:
        for change in patch.changes:
            output.json(_as_json(change) | ({} if stat else {"diff": change.diff()}))
    elif not patch:
        note("no file was changed")
    elif stat:
        output.text("\n".join(stat_lines(patch)))
    elif output.is_terminal:
        output.text(patch.diff().rstrip("\n"))
    else:
        _raw(output, patch.diff())


@click.command()
@run_argument
@click.option("--merge", is_flag=True, help="Join with what you changed since, where it is on other lines.")
@click.option("--branch", metavar="NAME", help="Commit it to this new branch; your files stay as they are.")
@click.option("--message", "-m", metavar="TEXT", help="The commit's message (default: the task).")
@click.option("--include-uncommitted", is_flag=True, help="Where it builds on uncommitted changes, commit them too.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def apply(
    run: str,
    merge: bool,
    branch: str | None,
    message: str | None,
    include_uncommitted: bool,
    yes: bool,
    json_: bool,
) -> None:
    """Put the patch of a RUN (default: the newest) into your files, or on a branch.

    A file that you changed since is never overwritten: then nothing is written, and the files and lines are named.
    `mainspring code undo` takes it back.

    \b
    Examples:
      mainspring code apply
      mainspring code apply 3f2 --merge
      mainspring code apply 3f2 --branch fix-paging
    """
    from mainspring.code.git import ConflictError, Repository, apply_to, make_branch

    if branch is None and (message is not None or include_uncommitted):
        raise click.UsageError("--message and --include-uncommitted go with --branch")
    if branch is not None and merge:
        raise click.UsageError("--merge is for your files; a branch is joined with what is committed anyway")
    record = load_record(run)
    _resting(record)
    if record.copy.is_in_place and branch is None:
        raise ToolError(f"run {record.run_id} worked in your own files, so its changes are there already")
    patch = record.patch()
    if not patch:
        raise ToolError(f"run {record.run_id} changed no file; there is nothing to apply")
    repository = Repository.find(record.repository.top)
    where = f"branch {branch} of {repository}" if branch else str(repository)
    if yes:
        note(_verified(record, patch))
    else:
        _ask(record, patch, where)
    record = record.keep(patch)
    output = Output.plain()
    try:
        if branch is not None:
            words = message or one_line(_run(record.run_id)[1], 72) or "Apply a patch"
            commit = make_branch(repository, patch, branch, words, include_uncommitted=include_uncommitted)
            record.with_branch(branch, commit)
            told: dict[str, Any] = {"run_id": record.run_id, "branch": branch, "commit": commit}
            text = f"branch {branch}: commit {commit[:12]}, {_files(len(patch.changes))}"
        else:
            done = apply_to(repository, patch, home=record.home, run_id=record.run_id, merge=merge)
            told = {
                "run_id": record.run_id,
                "applied": done.id,
                "files": list(done.paths),
                "merged": list(done.merged),
            }
            text = f"applied {_files(len(done.paths))} to {repository}"
            if done.merged:
                text += f", {len(done.merged)} of them merged with your changes"
            text += f"; take it back: mainspring code undo {record.run_id}"
    except ConflictError as error:
        if json_:
            output.json(_conflicts(record.run_id, error))
        raise
    if json_:
        output.json(told)
    else:
        output.text(text)


@click.command()
@run_argument
@click.option(
    "--last", type=click.IntRange(1), metavar="N", help="The newest N times that it was applied (default: 1)."
)
@click.option("--all", "all_", is_flag=True, help="Every time that it was applied, and the branches that it made.")
@json_option
def undo(run: str, last: int | None, all_: bool, json_: bool) -> None:
    """Take back the patch of a RUN (default: the newest) that was applied to your files.

    Of a run that worked in your own files (--in-place), its changes are taken back. A file that you changed since is
    left, and then nothing is written.

    \b
    Examples:
      mainspring code undo
      mainspring code undo 3f2 --all
    """
    from mainspring.code.git import ConflictError, list_applied, undo_applied

    if last is not None and all_:
        raise click.UsageError("--last and --all exclude each other")
    record = load_record(run)
    _resting(record)
    output = Output.plain()
    undone: list[str] = []
    try:
        if record.copy.is_in_place:
            undone.append(_take_back(record))
        else:
            done = [a for a in list_applied(record.home, record.run_id) if a.state == "done"]
            for applied in list(reversed(done))[: None if all_ else last or 1]:
                undo_applied(record.home, applied)
                undone.append(f"took back {_files(len(applied.paths))} in {applied.repository}")
        if all_:
            undone += _remove_branches(record)
    except ConflictError as error:
        if json_:
            output.json({**_conflicts(record.run_id, error), "undone": undone})
        raise
    if json_:
        output.json({"run_id": record.run_id, "undone": undone})
        return
    for line in undone:
        output.text(line)
    if not undone:
        note(f"nothing was undone: no patch of run {record.run_id} is applied")


def stat_lines(patch: Patch) -> list[str]:
    """The files of a patch with their changed lines, as `git diff --stat` shows them."""
    rows, added, removed = [], 0, 0
    for change in patch.changes:
        name = safe(change.path, exact=True).replace("\n", "\\n")
        if change.binary:
            sides = (len(change.before or b""), len(change.after or b""))
            rows.append((name, "Bin", f"{bytes_text(sides[0])} -> {bytes_text(sides[1])}"))
            continue
        plus, minus = len(change.added_lines()), len(change.removed_lines())
        added, removed = added + plus, removed + minus
        scale = max(1.0, (plus + minus) / _BAR)
        mark = {"added": " (new)", "removed": " (gone)"}.get(change.kind, "")
        rows.append((name, str(plus + minus), "+" * round(plus / scale) + "-" * round(minus / scale) + mark))
    wide, high = max(len(r[0]) for r in rows), max(len(r[1]) for r in rows)
    lines = [f" {name:{wide}} | {count:>{high}} {bar}".rstrip() for name, count, bar in rows]
    return [*lines, f" {_files(len(rows))}, +{added} -{removed}"]


def load_record(text: str) -> CodeRecord:
    """The record of the run that `text` names; ``last`` is the newest run on code."""
    from mainspring.code.git import load, records
    from mainspring.store import default_home

    home = default_home()
    if text == "last":
        newest = next(records(home), None)
        if newest is None:
            raise RunNotFoundError('there is no run on code yet; start one with: mainspring code "TASK"')
        return newest
    return load(home, find_run_id(text))


def _run(run_id: str) -> tuple[str, str, float]:
    """Status, task and beginning of a run; empty when its journal is gone."""
    from mainspring.cli.status import status_text
    from mainspring.store import open_store

    try:
        row = open_store().row(run_id)
    except RunNotFoundError:
        return "?", "", 0.0
    return status_text(row.status, row.alive), row.task, row.created_at


def _resting(record: CodeRecord) -> None:
    if _run(record.run_id)[0] == "running":
        raise ToolError(f"run {record.run_id} is working; pause it first (Ctrl-C there), or cancel it")


def _became(record: CodeRecord, applied: list[Applied]) -> str:
    made = [f"branch {name}" for name in record.branches]
    if record.copy.is_in_place:
        made.insert(0, "in your files")
    elif applied:
        made.insert(0, {"done": "applied"}.get(applied[-1].state, applied[-1].state))
    return ", ".join(made) or ("not applied" if record.saved else "none kept" if record.saved is None else "empty")


def _ask(record: CodeRecord, patch: Patch, where: str) -> None:
    """Show what would be applied and to what, and how it was verified; go on only after a yes."""
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here; say --yes to apply the patch")
    for line in stat_lines(patch):
        note(line)
    note(safe(f"{_verified(record, patch)}; see it whole: mainspring code diff {record.run_id}"))
    if not click.confirm(safe(f"Apply it to {where}?"), err=True):
        raise ToolError("nothing was applied")


def _verified(record: CodeRecord, patch: Patch) -> str:
    from mainspring.engineer.journal import verifications_in
    from mainspring.runtime.run import Run

    try:
        found = verifications_in(Run.load(record.run_id, record.home), patch.digest)
    except RunNotFoundError:
        found = []
    if not found:
        return "NOT verified: nothing was tested of this patch as it is"
    return "verified: it passed its checks" if found[-1].passed else "NOT verified: it failed its checks"


def _take_back(record: CodeRecord) -> str:
    """Take back what a run changed in the person's own files."""
    from mainspring.code.git import Repository, apply_to
    from mainspring.code.git.changes import inverse

    patch = record.kept_patch() if record.saved is not None else record.patch()
    if not patch:
        raise ToolError(f"run {record.run_id} changed no file; there is nothing to take back")
    done = apply_to(Repository.find(record.repository.top), inverse(patch), home=record.home)
    return f"took back {_files(len(done.paths))} in {record.repository}"


def _remove_branches(record: CodeRecord) -> list[str]:
    from mainspring.code.git.branches import remove_branch

    told = []
    for name, commit in dict(record.branches).items():
        try:
            remove_branch(record.repository, name, commit)
        except ToolError as error:
            note(safe(str(error)))
            continue
        record = record.without_branch(name)
        told.append(f"deleted branch {name} (it was at {commit[:12]})")
    return told


def _as_json(change: FileChange) -> dict[str, Any]:
    return {
        "path": change.path,
        "change": change.kind,
        "binary": change.binary,
        "added": len(change.added_lines()),
        "removed": len(change.removed_lines()),
    }


def _conflicts(run_id: str, error: ConflictError) -> dict[str, Any]:
    found = [{"path": c.path, "lines": [list(spot) for spot in c.lines], "reason": c.reason} for c in error.conflicts]
    return {"run_id": run_id, "applied": None, "conflicts": found}


def _files(number: int) -> str:
    return f"{number} file{'' if number == 1 else 's'}"


def _raw(output: Output, text: str) -> None:
    """Write a diff byte for byte, for another program. Raises OutputGoneError."""
    stream = output.utf8
    try:
        stream.flush()
        stream.buffer.write(text.encode("utf-8", "surrogateescape"))
        stream.buffer.flush()
    except BrokenPipeError:
        mute(stream)
        raise OutputGoneError("nobody reads standard output any more") from None
