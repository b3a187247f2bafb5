"""Runs that act on the world, on workers that meet every kind of trouble, until all have ended."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.fleet.hosts import Blow, Host
from benchmarks.fleet.world import World
from benchmarks.output import note
from mainspring.errors import MainspringError
from mainspring.runtime.run import Run
from mainspring.store import Store

#: How often each kind of trouble is drawn.
KINDS = (("kill", 5), ("freeze", 4), ("cut", 4), ("database", 1))


@dataclass(slots=True)
class Trouble:
    """What was done, and whether anything went wrong while doing it."""

    blows: list[Blow] = field(default_factory=list)
    answers: int = 0
    seconds: float = 0.0


def endure(
    store: Store,
    runs: Sequence[str],
    hosts: Sequence[Host],
    world: World,
    restart_database: Callable[[], None],
    *,
    lease_s: float,
    seed: int,
    limit_s: float,
) -> Trouble:
    """Let all runs end, whatever happens to their workers; gives up after `limit_s`."""
    trouble = Trouble()
    over = threading.Event()
    person = threading.Thread(target=_person, args=(store, world, over, trouble), daemon=True)
    person.start()
    beside = threading.Semaphore(max(1, len(hosts) // 4))  # most of the hosts are well at any time
    threads = [
        threading.Thread(
            target=_strike, args=(host, lease_s, random.Random(seed * 1000 + host.number), over, trouble, beside)
        )
        for host in hosts
    ]
    threads.append(threading.Thread(target=_restart, args=(restart_database, random.Random(seed), over, trouble)))
    for thread in threads:
        thread.start()
    began = time.monotonic()
    said = 0.0
    try:
        while time.monotonic() - began < limit_s:
            left = _unfinished(store, runs)
            if not left:
                break
            if time.monotonic() - said > 5:
                said = time.monotonic()
                note(f"  {len(runs) - left} of {len(runs)} runs done, {len(trouble.blows)} blows")
            time.sleep(0.3)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        person.join()
    trouble.seconds = time.monotonic() - began
    return trouble


def _unfinished(store: Store, runs: Sequence[str]) -> int:
    wanted = set(runs)
    for _ in range(100):
        try:
            return sum(1 for row in store.rows(limit=10_000) if row.id in wanted and row.status != "done")
        except MainspringError:  # the database restarts
            time.sleep(0.2)
    raise SystemExit("the database does not come back")


def _strike(
    host: Host,
    lease_s: float,
    draw: random.Random,
    over: threading.Event,
    trouble: Trouble,
    beside: threading.Semaphore,
) -> None:
    """One kind of trouble after another for one host."""
    kinds = [kind for kind, _ in KINDS[:3]]
    weights = [weight for _, weight in KINDS[:3]]
    while not over.wait(draw.uniform(1.0, 4.0) * lease_s):
        with beside:
            _blow(host, lease_s, draw, over, trouble, draw.choices(kinds, weights)[0])


def _blow(host: Host, lease_s: float, draw: random.Random, over: threading.Event, trouble: Trouble, kind: str) -> None:
    if not host.alive:
        host.start()
    elif kind == "kill":
        trouble.blows.append(host.kill())
        over.wait(draw.uniform(0.0, lease_s))
        host.start()
        over.wait(lease_s)  # until it works again
    elif kind == "freeze":
        trouble.blows.append(host.freeze(draw.uniform(0.5, 2.5) * lease_s))
    else:
        trouble.blows.append(host.cut(draw.uniform(0.5, 2.5) * lease_s))


def _restart(restart: Callable[[], None], draw: random.Random, over: threading.Event, trouble: Trouble) -> None:
    while not over.wait(draw.uniform(20.0, 40.0)):
        trouble.blows.append(Blow("database", time.time(), 0))
        restart()


def _person(store: Store, world: World, over: threading.Event, trouble: Trouble) -> None:
    """Somebody who answers doubts by looking what happened, as people do."""
    while not over.wait(0.5):
        with contextlib.suppress(MainspringError):
            for row in store.rows(status="in_doubt", limit=1000):
                for doubt in Run(row.id, store).pending():
                    if world.happened(row.id, int(doubt.arguments["step"])):
                        doubt.settle("happened", by="ann", value="it had happened")
                    else:
                        doubt.settle("did_not", by="ann")
                    trouble.answers += 1
