"""`mainspring schedule tick`: fire what is due, for those who use the system's cron."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import click

from mainspring.cli.worker import Lines, agent_option, load_agents

if TYPE_CHECKING:
    from mainspring.agent import Agent
    from mainspring.schedules import Scheduler
    from mainspring.store import Store

#: Longest time between two looks while it stays, in seconds: another process may add a schedule.
_LONGEST_S = 5.0


@click.command()
@agent_option
@click.option("--once", is_flag=True, help="Look once, fire what is due, and exit.")
@click.option("--work", is_flag=True, help="With --once: execute what was fired as well, and exit when it rests.")
@click.option("--json", "json_", is_flag=True, help="One JSON object per line.")
def tick(files: tuple[str, ...], once: bool, work: bool, json_: bool) -> int:
    """Fire what is due. Runs are put into the journal; a worker executes them, or --work does.

    With --once it is a line of the system's cron; without, it stays and looks when something is due. Any number of
    them, and of `mainspring serve`, may look at the same journal: nothing fires twice.

    \b
    Examples:
      * * * * *  mainspring schedule tick --once --work --agent /srv/clerk.py      (a line of a crontab)
      mainspring schedule tick --agent clerk.py
    """
    if work and not once:
        raise click.UsageError("--work goes with --once; to fire and to execute all the time: mainspring serve")
    from mainspring.schedules import Scheduler
    from mainspring.store import open_store

    lines = Lines(json_)
    agents, _ = load_agents(files)
    store = open_store()
    scheduler = Scheduler(store, {a.name: a for a in agents}, report=lambda line: lines.say("schedule", text=line))
    if not once:
        _stay(scheduler)
    scheduler.tick()
    if work:
        _execute(store, agents, lines)
    return 0


def _stay(scheduler: Scheduler) -> None:
    while True:
        due = scheduler.tick()
        time.sleep(_LONGEST_S if due is None else min(max(due - time.time(), 0.01), _LONGEST_S))


def _execute(store: Store, agents: list[Agent], lines: Lines) -> None:
    from mainspring.fleet import Worker

    asyncio.run(Worker(store, agents, report=lines.report).run(until_idle=True))
