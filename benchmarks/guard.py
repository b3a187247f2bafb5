"""``python -m benchmarks.guard``: what the guard costs a step, how fast it decides, how fast code mode runs.

The cost of a step is measured inside real runs, one for each mode: the CPU of the thread that drives the run is taken
around everything that the guard does there (checking and deciding calls, filling handles in, the planner's view of
answers, folding labels and grants), and summed from one model call to the next. The rest of the step is what the
same run would cost without it.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.guard_rates import BOB, decisions, programs
from benchmarks.output import emit, machine, note, rounded, table
from benchmarks.peers.environment import cache_folder
from mainspring import Agent, Message, ModelSettings, ToolCallPart, Usage, tool
from mainspring.guard import Grant
from mainspring.messages import assistant
from mainspring.model import ToolSpec

MODES = ("plain", "contained", "clean", "tainted")
BODY = "What a stranger wrote, at some length. " * 50

#: Everything that the guard does in a run, by module and name; what one of these calls of another counts once.
WORK = (
    ("mainspring.runtime.gate", "Gate.decide"),
    ("mainspring.runtime.gate", "Gate.check"),
    ("mainspring.runtime.effects", "outcome"),
    ("mainspring.runtime.effects", "Effects._resolved"),
    ("mainspring.runtime.guarded", "GuardState.started"),
    ("mainspring.runtime.guarded", "GuardState.add_handle"),
    ("mainspring.runtime.guarded", "GuardState.base"),
    ("mainspring.runtime.guarded", "GuardState.mark"),
    ("mainspring.runtime.guarded", "GuardState.value"),
)


@dataclass
class Clock:
    """CPU of the driving thread that was spent in the guard, in nanoseconds, by what it was spent on."""

    spent: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    depth: int = 0

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, timed where nothing around it is timed already."""

        def stop(began: int) -> None:
            self.depth -= 1
            if self.depth == 0:
                took = time.thread_time_ns() - began
                self.spent += took
                self.parts[name] = self.parts.get(name, 0) + took

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def timed(*args: Any, **kwargs: Any) -> Any:
                self.depth += 1
                began = time.thread_time_ns()
                try:
                    return await function(*args, **kwargs)
                finally:
                    stop(began)

            return timed

        @functools.wraps(function)
        def timed_plain(*args: Any, **kwargs: Any) -> Any:
            self.depth += 1
            began = time.thread_time_ns()
            try:
                return function(*args, **kwargs)
            finally:
                stop(began)

        return timed_plain


@contextmanager
def measured(clock: Clock) -> Iterator[None]:
    """Time the guard's work. Raises AttributeError when something of it is not where it is looked for."""
    import importlib

    changed: list[tuple[Any, str, Any]] = []
    try:
        for module, path in WORK:
            owner: Any = importlib.import_module(module)
            *above, name = path.split(".")
            for step in above:
                owner = getattr(owner, step)
            original = getattr(owner, name)
            changed.append((owner, name, original))
            setattr(owner, name, clock.around(path, original))
        yield
    finally:
        for owner, name, original in reversed(changed):
            setattr(owner, name, original)


class Worker:
    """A model that reads a page and mails it on, in turn; between its calls the clock is read."""

    clean = True
    context_window = 1_000_000_000
    name = "worker"

    def __init__(self, steps: int, clock: Clock, clean: bool) -> None:
        self.steps, self.clock, self.clean_run = steps, clock, clean
        self.at: list[tuple[int, int]] = []

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """The next of its calls."""
        step = len(self.at)
        self.at.append((self.clock.spent, time.process_time_ns()))
        usage = Usage(calls=1)
        if step == self.steps:
            return assistant("done", usage=usage)
        if step % 2 == 0:
            return assistant("", ToolCallPart(f"c{step}", "page", {"n": step}), usage=usage)
        body = f"It says: ${{v{step}.body}}" if self.clean_run else "It says that all is well."
        return assistant("", ToolCallPart(f"c{step}", "send", {"to": BOB, "body": body}), usage=usage)


def _run(mode: str, steps: int, home: Path, timed: bool = True) -> tuple[list[float], list[float], dict[str, float]]:
    """Milliseconds of the guard and of the whole process, step by step, and the guard's by part."""
    clock = Clock()
    model = Worker(steps, clock, mode == "clean")

    @tool(effect="read", authority=(), fields={"id": "system", "sender": "attested"})
    async def page(n: int) -> dict[str, Any]:
        """Read a page."""
        return {"id": n, "sender": BOB, "title": "A page", "body": BODY}

    @tool(effect="irreversible", authority=["to"], fields={"id": "system"})
    async def send(to: str, body: str) -> dict[str, int]:
        """Send a text."""
        return {"id": len(body)}

    grants = [Grant("send", {"to": (f"{n}@corp.example",)}, steps) for n in range(4)]
    grants.append(Grant("send", {"to": (BOB,)}, steps))
    limits = {"steps": None, "repeats": None, "tool_failures": None}
    agent = Agent("bench", model=model, tools=[page, send], guard=mode, grants=grants, limits=limits)
    if timed:
        with measured(clock):
            run = agent.run_sync("Read the pages and mail them to bob@corp.example.", home=home)
    else:
        run = agent.run_sync("Read the pages and mail them to bob@corp.example.", home=home)
    if run.status != "done" or run.mode != mode or len(model.at) != steps + 1:
        raise SystemExit(f"the {mode} run ended as {run.status} ({run.reason}) after {len(model.at)} model calls")
    pairs = list(itertools.pairwise(model.at))
    guard = [(b[0] - a[0]) / 1e6 for a, b in pairs]
    whole = [(b[1] - a[1]) / 1e6 for a, b in pairs]
    return guard, whole, {name: ns / 1e6 / steps for name, ns in clock.parts.items()}


def _steps(steps: int, scratch: Path) -> dict[str, Any]:
    from mainspring.store import close_stores

    found: dict[str, Any] = {}
    for mode in MODES:
        note(f"{mode}: {steps} steps")
        home = scratch / mode
        home.mkdir()
        _run(mode, 20, home)  # first imports and compiled schemas are nobody's cost of a step
        guard, whole, parts = _run(mode, steps, home)
        _, bare, _ = _run(mode, steps, home, timed=False)
        close_stores()
        tenth = max(1, steps // 10)
        found[mode] = {
            "mean_ms": rounded(statistics.mean(guard)),
            "p50_ms": rounded(statistics.median(guard)),
            "p95_ms": rounded(sorted(guard)[int(len(guard) * 0.95)]),
            "step_ms": rounded(statistics.mean(bare)),
            "timed_step_ms": rounded(statistics.mean(whole)),
            "share": rounded(statistics.mean(guard) / statistics.mean(whole)),
            "last_over_first": rounded(statistics.mean(guard[-tenth:]) / statistics.mean(guard[:tenth])),
            "parts_ms": {name: rounded(ms) for name, ms in sorted(parts.items(), key=lambda p: -p[1])},
        }
    return found


def _timer_ms() -> float:
    """What timing one call costs by itself, within the interval that is counted."""
    clock = Clock()
    empty = clock.around("empty", lambda: None)
    for _ in range(20_000):
        empty()
    return clock.spent / 1e6 / 20_000


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument("--quick", action="store_true", help="60 steps a mode instead of 400, and shorter loops")
    options = parser.parse_args()
    steps, seconds = (60, 0.1) if options.quick else (400, 1.0)
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="guard-") as scratch:
        modes = _steps(steps, Path(scratch))
        decided, stepped = decisions(seconds), programs(seconds)
        result: dict[str, Any] = {
            # Of the mode in which it costs most.
            "cpu_ms_per_step": max(m["mean_ms"] for m in modes.values()),
            # Of the kind of call that is decided most slowly, and of the slowest of three programs.
            "decisions_per_s": min(decided.values()),
            "interpreter_steps_per_s": min(stepped.values()),
            "modes": modes,
            "decisions": decided,
            "programs": stepped,
            "timer_ms": rounded(_timer_ms()),
            "steps": steps,
            "skipped": [],
            "machine": machine(Path(scratch)),
        }
    _print(result)
    emit(result)


def _print(result: dict[str, Any]) -> None:
    fields = ("mean_ms", "p50_ms", "p95_ms", "step_ms", "share", "last_over_first")
    print(f"Guard: runs of {result['steps']} steps, one model call and one tool call each; CPU in ms\n")
    head = ["mode", "guard mean", "p50", "p95", "whole step", "share", "last/first tenth"]
    print(table(head, [[mode, *(m[f] for f in fields)] for mode, m in result["modes"].items()]))
    names = sorted({n for m in result["modes"].values() for n in m["parts_ms"]})
    print()
    rows = [[n, *(m["parts_ms"].get(n) for m in result["modes"].values())] for n in names]
    print(table(["part, ms a step", *result["modes"]], rows))
    print()
    print(table(["decisions", "a second"], [[n, v] for n, v in result["decisions"].items()]))
    print()
    print(table(["programs", "steps a second"], [[n, v] for n, v in result["programs"].items()]))
    print()


if __name__ == "__main__":
    main()
