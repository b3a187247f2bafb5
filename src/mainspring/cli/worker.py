"""`mainspring worker`: execute the runs of a journal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.output import Output, OutputGoneError, note
from mainspring.cli.render import cut, one_line, safe
from mainspring.cli.status import INTERRUPTED

if TYPE_CHECKING:
    from mainspring.agent import Agent
    from mainspring.fleet import Report, Worker
    from mainspring.store import Store
    from mainspring.telemetry import Traces

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds beyond the grace that a stop may take before the process ends all the same.
_MARGIN_S = 5.0

agent_option = click.option(
    "--agent",
    "-a",
    "files",
    multiple=True,
    required=True,
    metavar="FILE[:ATTR]",
    help="A Python file that declares agents; runs of others are left to other workers. Repeatable.",
)
queue_option = click.option(
    "--queue", "queues", multiple=True, metavar="NAME", help="Only runs of this queue, and of none. Repeatable."
)
concurrency_option = click.option(
    "--concurrency",
    "-c",
    type=click.IntRange(1),
    metavar="N",
    help="Most runs at the same time (default: [fleet] concurrency, 64).",
)


@click.command()
@agent_option
@queue_option
@concurrency_option
@click.option("--until-idle", is_flag=True, help="Stop when nothing is ready any more.")
@json_option
def worker(
    files: tuple[str, ...], queues: tuple[str, ...], concurrency: int | None, until_idle: bool, json_: bool
) -> int:
    """Execute runs that are ready: put in with `run --detach`, woken, answered, or left by a process that died.

    Any number of workers may share a journal. SIGTERM or Ctrl-C: nothing new is taken up, each run is let go at its
    next step, and another worker goes on with it at once; twice: the process ends now, and nothing is lost either.

    \b
    Examples:
      mainspring worker --agent clerk.py
      mainspring worker -a clerk.py -a reviewer.py:reviewer --queue night --concurrency 16 --json
    """
    from mainspring.fleet import Worker
    from mainspring.store import open_store

    lines = Lines(json_)
    agents, declare = load_agents(files)
    store = open_store()
    traces = traces_of(store)
    working = Worker(
        store,
        agents,
        concurrency=concurrency,
        queues=queues or None,
        watch=None if traces is None else traces.watch,
        report=lines.report,
        declare=declare,
    )
    lines.say("started", text=f"runs of {', '.join(a.name for a in agents)} in {store.home}")
    try:
        return execute(working, lambda: working.run(until_idle=until_idle), lines)
    finally:
        if traces is not None:
            traces.close()


class Lines:
    """What a service says: plain lines on standard error, or JSON lines on standard output."""

    def __init__(self, json: bool) -> None:
        self._output = Output.claim()  # tools print to standard error, whatever they are
        self._json = json

    def report(self, said: Report) -> None:
        """Say what a worker reports."""
        self.say(**{name: text for name, text in asdict(said).items() if text})

    def say(self, kind: str, **fields: str) -> None:
        """One line; a reader that went away is no reason to stop working."""
        if self._json:
            with contextlib.suppress(OutputGoneError):
                self._output.json({"kind": f"worker.{kind}", "at": time.time(), **fields})
            return
        words = [kind, fields.get("run_id", ""), fields.get("agent", ""), fields.get("status", "")]
        text = cut(one_line(safe(fields.get("text", ""))), 500)
        note(f"{time.strftime('%H:%M:%S')} {' '.join(safe(w) for w in words if w)}" + (f": {text}" if text else ""))


def traces_of(store: Store) -> Traces | None:
    """What sends traces where the usual variable names a collector, else None. Raises DeclarationError."""
    if not any(os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("ENDPOINT", "TRACES_ENDPOINT")):
        return None
    from mainspring.telemetry import Traces

    return Traces(store)


def load_agents(files: Sequence[str]) -> tuple[list[Agent], Callable[[Agent, str], Agent]]:
    """The agents that files declare, and what makes one as the person who started a run wanted it.

    Raises:
        DeclarationError: a file cannot be read, or two declare agents of one name.
    """
    from mainspring.cli import origin
    from mainspring.errors import DeclarationError

    found: dict[str, Agent] = {}
    for text in files:
        for agent in origin.load_all(text):
            if agent.name in found:
                raise DeclarationError(
                    f"two agents are called {agent.name!r}: {found[agent.name].origin} and {agent.origin}; "
                    "a worker could not tell whose run it is, so rename one"
                )
            found[agent.name] = agent
    changed: dict[tuple[str, str], Agent] = {}

    def declare(agent: Agent, text: str) -> Agent:
        """With the options that its run was started with, as `mainspring runs resume` does."""
        from mainspring.agent import declared

        was = origin.parse(text) if text else None
        if was is None or was.builtin or not was.options:
            return agent
        if (agent.name, text) not in changed:
            place = origin.parse(agent.origin or "")
            before = dict(declared)
            try:
                made = origin.load(origin.Origin(place.place, place.attribute, options=was.options))
            finally:
                declared.update(before)  # other runs know the agent as its file has it
            changed[agent.name, text] = made
        return changed[agent.name, text]

    return _with_members(list(found.values())), declare


def _with_members(agents: Sequence[Agent]) -> list[Agent]:
    """The agents and the sub-agents that they may start, whose runs the same worker executes."""
    from mainspring.errors import DeclarationError
    from mainspring.swarm import members

    found = {agent.name: agent for agent in agents}
    for agent in agents:
        for name, member in members([agent]).items():
            known = found.setdefault(name, member)
            if known is not member and known.digest() != member.digest():
                raise DeclarationError(
                    f"two agents are called {name!r}, and one is a sub-agent of {agent.name!r}; a worker could not "
                    "tell whose run it is, so rename one"
                )
    return list(found.values())


def execute(working: Worker, serve: Callable[[], Any], lines: Lines) -> int:
    """Run a service until it ends or a signal stops it; returns the exit status."""
    from mainspring.runtime.execution import run_blocking

    pressed: list[int] = []

    def stop(number: int) -> None:
        pressed.append(number)
        if len(pressed) > 1:
            lines.say("killed", text="stopped at once; other workers settle what was under way")
            os._exit(INTERRUPTED)
        name = signal.Signals(number).name
        lines.say("asked", text=f"{name}: nothing new is taken up (again: stop at once)")
        working.stop()
        assert working.settings is not None
        timer = threading.Timer(working.settings.grace + _MARGIN_S, os._exit, (INTERRUPTED,))
        timer.daemon = True  # for a tool that holds the event loop itself
        timer.start()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, stop, number)
        await serve()

    run_blocking(main())
    return 0
