"""Starts the coding agent on a repository: a working copy, the run in it, and its report."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.agent import Agent
from mainspring.engineer.report import Report
from mainspring.errors import DeclarationError, RunNotFoundError, ToolError

if TYPE_CHECKING:
    from mainspring.code.git import CodeRecord
    from mainspring.runtime.run import Run


#: Seeds that one attempt may use before it meets those of the next.
_SEEDS = 10_000


@dataclass(frozen=True, slots=True)
class CodeResult:
    """What came of a task on code.

    Args:
        run: the run that did it.
        report: what was changed and verified.
    """

    run: Run
    report: Report

    @property
    def done(self) -> bool:
        """Whether the run ended as done: with a patch that was verified exactly as it is, or with nothing changed."""
        return self.report.done


def prepare(
    repo: str | os.PathLike[str],
    run_id: str,
    home: Path,
    *,
    in_place: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> CodeRecord:
    """Make the working copy in which a run will work, and note it under the run's id.

    Args:
        repo: a folder of a git repository.
        run_id: the run's id, which it has to be started with.
        home: Mainspring's folder.
        in_place: work in the person's own tree instead of a copy.
        report: receives lines of progress.

    Raises:
        ToolError: it is no git repository, or a copy cannot be made; nothing is left behind.
    """
    from mainspring.code.git import Repository, WorkingCopy, record

    try:
        WorkingCopy.sweep(home)  # what crashes left; a copy that a run's record names stays
    except ToolError as error:
        report(f"an old copy stays: {error}")
    repository = Repository.find(Path(repo))
    make = WorkingCopy.in_place if in_place else WorkingCopy.make
    return record(home, run_id, make(repository, home, run_id, report))


async def code(
    task: str,
    repo: str | os.PathLike[str] = ".",
    *,
    agent: Callable[[int], Agent] | None = None,
    model: Any = "local",
    test_command: str | None = None,
    in_place: bool = False,
    home: str | Path | None = None,
    attempts: int = 1,
    first_verified: bool = False,
    beside: int | None = None,
    watch: Callable[[int, Any], None] | None = None,
    **options: Any,
) -> CodeResult:
    """Have a task done on a repository. The repository's own files stay as they are; the result is a patch.

    Args:
        task: what is to be done.
        repo: a folder of the repository.
        agent: makes the declaration for an attempt (0, 1, ...), as :func:`mainspring.engineer.agent.code_agent` does;
            made of `model` when None.
        model: a model's name or object.
        test_command: how the project's tests are run; detected when None.
        in_place: work in the repository's own tree.
        home: Mainspring's folder; default ``~/.mainspring``.
        attempts: runs to start beside each other, each in a working copy of its own; the best patch is the result.
        first_verified: begin no further attempt once one is verified, and cancel those under way.
        beside: how many attempts at the same time; default all of them.
        watch: receives each event of each attempt, with the attempt's number from 0.
        options: of :meth:`mainspring.agent.Agent.run`, such as `limits` or `by`.

    Raises:
        DeclarationError: `attempts` or `beside` is no number from 1.
        ToolError: it is no git repository, or a working copy cannot be made.
        ModelError: there is no such model.
    """
    from mainspring.engineer.agent import code_agent
    from mainspring.engineer.attempts import best, until
    from mainspring.runtime.run import Run
    from mainspring.runtime.starting import new_run_id
    from mainspring.store import default_home

    for name, value in (("attempts", attempts), ("beside", beside if beside is not None else 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise DeclarationError(f"{name} is a whole number from 1, not {value!r}")
    base = Path(home).expanduser() if home is not None else default_home()
    runs: dict[int, str] = {}
    stopped: set[int] = set()

    async def attempt(number: int) -> CodeResult | None:
        run_id = new_run_id()
        if agent is not None:
            declared = agent(number)
        else:
            declared = code_agent(model, test_command=test_command, seed=number * _SEEDS, name=_name(number))
        made = await asyncio.to_thread(prepare, repo, run_id, base, in_place=in_place)
        if number in stopped:  # while its copy was made
            await asyncio.to_thread(made.remove)
            return None
        runs[number] = run_id
        own = options if watch is None else {**options, "on_event": partial(watch, number)}
        run = await declared.run(task, workspace=made.path, run_id=run_id, home=base, **own)
        return await asyncio.to_thread(finish, run)

    def enough(result: CodeResult | None) -> bool:
        return first_verified and result is not None and result.done and result.report.verified

    async def stop(number: int) -> None:
        stopped.add(number)
        if number in runs:
            with contextlib.suppress(RunNotFoundError):  # it begins at this very moment, and is waited for
                run = Run.load(runs[number], base)
                await asyncio.to_thread(run.cancel, by="mainspring", reason="another attempt was verified")

    made = await until(attempt, attempts, enough, stop, beside=attempts if beside is None else beside)
    return best([result for result in made if result is not None])


def _name(number: int) -> str:
    return "code" if number == 0 else f"code-{number + 1}"


def code_sync(task: str, repo: str | os.PathLike[str] = ".", **options: Any) -> CodeResult:
    """:func:`code` for programs without an event loop."""
    from mainspring.runtime.execution import run_blocking

    return run_blocking(code(task, repo, **options))


def finish(run: Run) -> CodeResult:
    """Keep the final patch of a run that ended, and make its report."""
    from mainspring.code.git import load

    report = Report.of(run)
    load(run.home, run.id).keep(report.patch)
    return CodeResult(run, report)
