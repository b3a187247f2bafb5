"""The table and the object of ``python -m benchmarks.agentdojo``."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.agentdojo.measure import TaskFigures, measure, used
from benchmarks.agentdojo.world import DEVELOPED_ON, PACKAGE, SUITES, VERSION, load
from benchmarks.output import emit, machine, rounded, table

#: Column -> field, in the table.
_COLUMNS = (
    ("tasks", "tasks"),
    ("done, no question", "no_approval"),
    ("at most one", "one_approval"),
    ("done", "with_approval"),
    ("asked", "approvals_asked"),
    ("ask everything", "ask_everything_approvals"),
    ("pairs", "pairs"),
    ("attacks", "scripted_attacks"),
    ("by calls", "scripted_attacks_by_calls"),
    ("reachable", "reachable_unauthorised"),
    ("steered", "steered_elsewhere"),
    ("data flow", "data_flow_attacks"),
    ("rubber stamp", "rubber_stamp_attacks"),
)


def report(suites: Sequence[str], mode: str, seed: int, detail: bool) -> None:
    """Measure and print."""
    from rich.console import Console
    from rich.progress import Progress

    logging.getLogger("mainspring").setLevel(logging.ERROR)
    started, cpu = time.perf_counter(), time.process_time()
    tasks: dict[str, list[TaskFigures]] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        total = sum(len(load(s).user_tasks) for s in suites)
        bar = progress.add_task("tasks", total=total)
        for suite in suites:
            progress.update(bar, description=suite)
            tasks[suite] = measure(suite, mode, seed, lambda: progress.advance(bar))
    value = figures([t for found in tasks.values() for t in found])
    value["suites"] = {suite: figures(found) for suite, found in tasks.items()}
    value |= {
        "mode": mode,
        "seed": seed,
        "version": f"agentdojo {PACKAGE}, {VERSION}",
        "developed_on": list(DEVELOPED_ON),
        "skipped": [s for s in SUITES if s not in suites],
        "seconds": rounded(time.perf_counter() - started),
        "cpu_s": rounded(time.process_time() - cpu),
        "machine": machine(Path.cwd()),
    }
    if detail:
        value["detail"] = {suite: [_detail(t) for t in found] for suite, found in tasks.items()}
    _print(value, tasks, mode, detail)
    emit(value)


def figures(tasks: Sequence[TaskFigures]) -> dict[str, Any]:
    """The fields of one suite, or of all; docs/guard-measured.md says what each means."""
    asked = sum(len(t.asked) for t in tasks)
    everything = sum(t.everything for t in tasks)
    return {
        "tasks": len(tasks),
        "pairs": sum(t.pairs for t in tasks),
        "no_approval": sum(t.done and not t.asked for t in tasks),
        "one_approval": sum(t.done and len(t.asked) <= 1 for t in tasks),
        "with_approval": sum(t.done for t in tasks),
        "approvals_asked": asked,
        "ask_everything_approvals": everything,
        "ask_everything_without_opening_pages": everything - sum(t.opened for t in tasks),
        "asked_fewer_times": rounded(everything / asked, 3) if asked else None,
        "scripted_attacks": sum(len(t.scripted) for t in tasks),
        "scripted_attacks_by_calls": sum(i not in t.wordy for t in tasks for i in t.scripted),
        "reachable_unauthorised": sum(bool(t.reach.written or t.reach.theirs) for t in tasks),
        "reachable_written": sum(bool(t.reach.written) for t in tasks),
        "reachable_theirs": sum(bool(t.reach.theirs) for t in tasks),
        "steered_elsewhere": sum(bool(t.reach.elsewhere) for t in tasks),
        "data_flow_attacks": sum(bool(t.flow.written) for t in tasks),
        "pages_opened_at_strangers_links": sum(bool(t.flow.links) for t in tasks),
        "rubber_stamp_attacks": sum(len(t.rubber) for t in tasks),
        "rubber_stamp_attacks_by_calls": sum(i not in t.wordy for t in tasks for i in t.rubber),
        "runs_in_which_the_planner_saw_outsiders_text": sum(t.saw for t in tasks),
        "open_to_another_plan": sum(bool(t.other) for t in tasks),
        "variants_tried": sum(t.reach.variants + t.flow.variants for t in tasks),
        "invented": sum(bool(t.problems) for t in tasks),
    }


def _print(value: dict[str, Any], tasks: dict[str, list[TaskFigures]], mode: str, detail: bool) -> None:
    print(f"AgentDojo {PACKAGE} {VERSION}, {mode} mode; labels and planner developed on {' and '.join(DEVELOPED_ON)}\n")
    rows = [[suite, *(found[f] for _, f in _COLUMNS)] for suite, found in value["suites"].items()]
    rows.append(["all", *(value[f] for _, f in _COLUMNS)])
    print(table(["suite", *(c for c, _ in _COLUMNS)], rows))
    print(
        f"\na person is asked {value['approvals_asked']} times; asking before every consequential call would be "
        f"{value['ask_everything_approvals']} times"
    )
    for suite, found in tasks.items():
        for task in found:
            if detail or not task.done or task.scripted:
                print(_line(suite, task))
    print()


def _line(suite: str, task: TaskFigures) -> str:
    lines = [f"{suite} {task.id}: {'done' if task.done else 'NOT DONE'}; {used(task)}"]
    lines += [f"    asked: {a['tool']}: {a['reason']}" for a in task.asked]
    lines += [f"    a planner cannot know: {p}" for p in task.problems]
    if not task.done:
        lines += [f"    {c}" for c in task.complaints]
    for what, found in (
        ("attacks that succeeded", task.scripted),
        ("attacks that a person approved", task.rubber),
        ("an attacker's value decided", task.reach.written),
        ("an attacker's item was chosen", task.reach.theirs),
        ("another item was chosen", task.reach.elsewhere),
        ("data flow", task.flow.written),
        ("pages opened", task.flow.links),
    ):
        if found:
            lines.append(f"    {what}: {', '.join(sorted(found))}")
    return "\n".join(lines)


def _detail(task: TaskFigures) -> dict[str, Any]:
    return {
        "task": task.id,
        "done": task.done,
        "means": task.means,
        "asked": task.asked,
        "problems": task.problems,
        "scripted": task.scripted,
        "rubber_stamp": task.rubber,
        "written": sorted(task.reach.written),
        "theirs": sorted(task.reach.theirs),
        "elsewhere": sorted(task.reach.elsewhere),
        "data_flow": sorted(task.flow.written),
        "links": sorted(task.flow.links),
    }
