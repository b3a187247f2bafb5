"""A worker process whose runs DBOS distributes: ``python dbos_worker.py HOME URL``."""

import asyncio
import signal
import sys
from pathlib import Path

from fleet_agents import clerk, dawdler

from mainspring.fleet import DBOSDispatcher, Worker
from mainspring.store import open_store


async def main(home: str, url: str) -> None:
    worker = Worker(open_store(Path(home)), [clerk, dawdler], report=lambda said: print(said, flush=True))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await DBOSDispatcher(url).run(worker)


asyncio.run(main(*sys.argv[1:]))
