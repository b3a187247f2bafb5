"""`mainspring demo`: fetch a real package, break one line of it, and have an agent find and mend it.

The agent is told nothing of what was broken: it sees the package's folder and the tests that fail, like anybody.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from mainspring.code.breaking.mutate import Mutation, mutations
from mainspring.code.breaking.sdist import SourceError, fetch, source_named
from mainspring.errors import MainspringError

#: What is broken when nothing else is asked for.
DEFAULT_PACKAGE = "webcolors"
TASK = "A change broke this package. Find the fault and mend it, until all of the package's own tests pass."
_CANDIDATES = 40
_SECONDS = 900.0


@dataclass(slots=True)
class _Show:
    """Prints for people with rich, or one JSON object a line for programs."""

    json_lines: bool
    out: TextIO = field(default_factory=lambda: sys.stdout)
    console: Any = None
    streaming: bool = False

    def __post_init__(self) -> None:
        if not self.json_lines:
            from rich.console import Console

            self.console = Console(file=self.out, highlight=False, soft_wrap=True)

    def say(self, kind: str, text: str, style: str = "", /, **fields: Any) -> None:
        """One thing that happened."""
        if self.json_lines:
            print(json.dumps({"event": kind, "text": text, **fields}, ensure_ascii=False), file=self.out, flush=True)
            return
        self.end_stream()
        from rich.text import Text

        self.console.print(Text(text, style=style))

    def stream(self, text: str) -> None:
        """A piece of what the model writes."""
        if self.json_lines or not self.console.is_terminal:
            return
        self.streaming = True
        from rich.text import Text

        self.console.print(Text(text.replace("\n", "\n    "), style="dim"), end="")

    def end_stream(self) -> None:
        """Go to a new line after what the model wrote."""
        if self.streaming:
            self.streaming = False
            self.console.print()

    def diff(self, text: str) -> None:
        """A unified diff, coloured."""
        if self.json_lines:
            return
        from rich.text import Text

        for line in text.splitlines():
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            self.console.print(Text("  " + line, style="bold" if line[:3] in ("+++", "---") else style))


def run_demo(
    model: str = "local",
    package: str | None = None,
    seed: int = 0,
    workspace: Path | None = None,
    json_lines: bool = False,
) -> int:
    """Break a package and have an agent mend it. Returns 0 when its tests pass in the end, else 1.

    Args:
        model: who proposes the changes.
        package: one of :data:`mainspring.code.breaking.sdist.SOURCES`, by name.
        seed: chooses the broken line.
        workspace: an empty or missing folder to work in; by default a new one that is kept.
        json_lines: print one JSON object per line.
    """
    show = _Show(json_lines)
    started = time.monotonic()
    try:
        return _demo(show, model, package or DEFAULT_PACKAGE, seed, workspace, started)
    except MainspringError as error:
        show.end_stream()
        print(f"error: {error}", file=sys.stderr)
        return 1


def _demo(show: _Show, model: str, package: str, seed: int, workspace: Path | None, started: float) -> int:
    from mainspring.code.repair.agent import repair_agent
    from mainspring.code.repair.planner import RepairPlanner

    if importlib.util.find_spec("pytest") is None:
        raise SourceError(f"the packages' own tests need pytest: {sys.executable} -m pip install pytest")
    source = source_named(package)
    folder = workspace or Path(tempfile.mkdtemp(prefix=f"mainspring-demo-{source.name}-"))
    show.say(
        "fetch", f"1. Fetching the source of {source.name} {source.version} ({source.licence}) into {folder}", "bold"
    )
    fetch(source, folder)
    show.say("break", f"2. Running its tests, and breaking one line that they notice (seed {seed})", "bold")
    mutation, before = break_one_line(folder, source.files(folder), source.test_command, seed, show.say)
    sound = (folder / mutation.path).read_text(encoding="utf-8").split("\n")
    sound[mutation.line - 1] = mutation.before
    show.say(
        "broken",
        f"   {mutation.path}:{mutation.line} in {mutation.function} ({mutation.kind.replace('_', ' ')})\n"
        f"     was: {mutation.before.strip()}\n     now: {mutation.after.strip()}",
        path=mutation.path,
        line=mutation.line,
        function=mutation.function,
        kind=mutation.kind,
        before=mutation.before,
        after=mutation.after,
        passed_before=before,
    )
    show.say("agent", f"3. The agent ({model}) gets the folder and is told none of this", "bold")
    broken = (folder / mutation.path).read_text(encoding="utf-8").split("\n")
    agent = repair_agent(model, folder, source.test_command, seconds=_SECONDS)
    run = agent.run_sync(TASK, on_event=_narrator(show))
    show.end_stream()
    mended = (folder / mutation.path).read_text(encoding="utf-8").split("\n")
    changes = "\n".join(difflib.unified_diff(broken, mended, mutation.path, mutation.path, n=2, lineterm=""))
    passed, text = whole_suite(folder, source.test_command)
    solved = run.status == "done" and passed
    same = [line.rstrip() for line in mended] == [line.rstrip() for line in sound]
    if changes:
        show.say("mended", "4. What the agent changed", "bold", diff=changes)
        show.diff(changes)
    headline = text.split("\n", 1)[0]
    show.say("tests", f"   The package's own tests, run once more by the demo itself: {headline}", passed=passed)
    planner = agent.models[0]
    usage = planner.usage.get(run.id, run.usage) if isinstance(planner, RepairPlanner) else run.usage
    cost = "price unknown" if usage.usd is None else f"{usage.usd:.4f} USD" if usage.usd else "0 USD"
    verdict = "Mended" if solved else f"Not mended: {run.reason or run.output or run.status}"
    how = " (the very line that it was)" if solved and same else ""
    seconds = time.monotonic() - started
    show.say(
        "result",
        f"{verdict}{how}. {run.steps} steps, {usage.calls} model calls, {usage.input_tokens:,} tokens read "
        f"({usage.cache_read_tokens:,} of them from the cache), {usage.output_tokens:,} written, "
        f"{seconds:.0f} s, {cost}.\n"
        f"Every step: mainspring runs show {run.id}",
        "bold green" if solved else "bold red",
        solved=solved,
        run=run.id,
        status=run.status,
        steps=run.steps,
        calls=usage.calls,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cache_read_tokens,
        output_tokens=usage.output_tokens,
        usd=usage.usd,
        seconds=round(seconds, 1),
        workspace=str(folder),
    )
    return 0 if solved else 1


def break_one_line(
    root: Path,
    files: list[str],
    test_command: str,
    seed: int,
    say: Callable[..., None] | None = None,
) -> tuple[Mutation, int]:
    """Apply the first mutation of the seed's order that the tests notice. Returns it and the tests that passed before.

    A mutation counts as noticed when tests fail, at least as many as one, while others still pass, and the run ends by
    itself in time.

    Raises:
        SourceError: the tests do not pass to begin with, or notice none of the first mutations.
    """
    from mainspring.tools.runners import run_tests

    sound = run_tests(root, None, "", test_command, 120)
    if not sound.ok or not sound.passed:
        raise SourceError(f"the tests of {root} do not pass before anything is broken: {sound.text()[:600]}")
    limit = max(20.0, sound.seconds * 6)
    for mutation in mutations(root, files, seed)[:_CANDIDATES]:
        mutation.apply(root)
        report = run_tests(root, None, "", test_command, limit)
        if report.counted and report.failed and report.passed and not report.errors and report.ended == "exit":
            if say is not None:
                say("noticed", f"   {sound.passed} tests passed; now {report.failed} fail", failed=report.failed)
            return mutation, sound.passed
        mutation.revert(root)
    raise SourceError(f"no mutation of seed {seed} is noticed by the tests; try another --seed")


def whole_suite(root: Path, test_command: str) -> tuple[bool, str]:
    """Whether all tests pass, and the report."""
    from mainspring.tools.runners import run_tests

    report = run_tests(root, None, "", test_command, 300)
    return report.ok and report.passed > 0, report.text()


def _narrator(show: _Show) -> Callable[[Any], None]:
    """Tells what the agent does, from the run's events."""

    def hear(event: Any) -> None:
        payload = event.payload
        if event.kind == "delta":
            show.stream(payload["text"])
        elif event.kind == "model.answered":
            from mainspring.messages import decode

            message = decode(payload["message"])
            if message.text and message.tool_calls:
                show.say("step", "   " + message.text.replace("\n", "\n     "), step=payload["step"])
        elif event.kind == "effect.done" and payload["tool"] in ("execute_tests", "locate_fault"):
            text = payload["content"][0]["text"] if payload["content"] else ""
            show.say(payload["tool"], "     " + _summary(payload["tool"], text), "cyan", seconds=payload["seconds"])

    return hear


def _summary(tool: str, text: str) -> str:
    if tool == "execute_tests":
        return text.split("\n", 1)[0]
    try:
        found = json.loads(text)
    except ValueError:
        return text[:200]
    suspects = ", ".join(f"{s['function']} ({s['score']:.2f})" for s in found["suspects"][:4])
    return f"{found['failed']} failing and {found['passed']} passing tests traced; suspects: {suspects}"
