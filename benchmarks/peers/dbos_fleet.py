"""DBOS alone on PostgreSQL: workflows of so many steps, started side by side. Run inside the peer's environment.

A step is a model call and a tool call, each a DBOS step of its own; with ``--records 1`` both are one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from importlib.metadata import version

from dbos import DBOS, DBOSConfig

BYTES = 2_000


@DBOS.step()
async def step(number: int) -> str:
    """One step: an answer of `BYTES` bytes."""
    return f"page {number}".ljust(BYTES, ".")


@DBOS.step()
async def think(number: int) -> dict[str, object]:
    """What a model would answer: the next call."""
    return {"call": "look", "step": number, "usage": {"in": 100, "out": 10}}


@DBOS.workflow()
async def run(steps: int, records: int) -> int:
    """So many steps, one after the other."""
    for number in range(steps):
        if records == 2:
            await think(number)
        await step(number)
    return steps


async def work(runs: int, steps: int, records: int) -> int:
    """All workflows at once."""
    handles = [await DBOS.start_workflow_async(run, steps, records) for _ in range(runs)]
    return sum([await handle.get_result() for handle in handles])


def main() -> None:
    """Say that it is ready, wait for the word, work, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url")
    parser.add_argument("--setup", action="store_true")
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--records", type=int, default=2)
    options = parser.parse_args()
    config: DBOSConfig = {
        "name": "fleet",
        "system_database_url": options.url,
        "executor_id": f"worker-{options.worker}",
        "application_version": "1",
        "run_admin_server": False,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    if options.setup:
        DBOS.destroy()
        return
    asyncio.run(work(1, 1, 2))
    print("ready", flush=True)
    sys.stdin.readline()
    cpu, began = _cpu(), time.time()
    done = asyncio.run(work(options.runs, options.steps, options.records))
    ended, cpu = time.time(), _cpu() - cpu
    versions = {"dbos": version("dbos")}
    print(json.dumps({"began": began, "ended": ended, "cpu_s": cpu, "steps": done, "versions": versions}), flush=True)
    DBOS.destroy()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
