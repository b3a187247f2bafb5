"""DBOS on PostgreSQL as the dispatcher: a workflow for each wake-up of a run, taken from a queue by any worker.

DBOS holds none of our truth. A workflow executes one stretch, from a wake-up until the run ends or waits, and ends; it
never waits for a wake-up itself, which is another workflow. Its traps and what is done about them:

- Workflows of another application version are left lying: ours is pinned, and changes with the workflow alone.
- What a dead process had begun is resumed only by a process of the same executor id, or by a paid service: here each
  process looks into the journal for what is ready, an interrupted run is, and its next epoch makes another workflow.
- Private calls break with the next release: only DBOS's documented names are used.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from mainspring.errors import MainspringError
from mainspring.fleet.worker import POLL_S, Report, Worker

#: Changes only when the workflow below does: workers of other versions of Mainspring take each other's wake-ups.
VERSION = "mainspring-1"
QUEUE = "mainspring-wake-ups"
#: Seconds after which a run that is still ready is asked for again, doubling each time.
AGAIN_S = 5.0
#: Runs that are asked for at one look.
_BATCH = 256


@dataclass(slots=True)
class _Asked:
    epoch: int
    times: int
    again: float


class DBOSDispatcher:
    """Distributes wake-ups through a DBOS queue.

    Args:
        url: the PostgreSQL database in which DBOS keeps its tables, such as ``postgresql://user@host/dbos``.
        poll_s: seconds between looks for runs that are ready.

    One per process, as DBOS is.
    """

    def __init__(self, url: str, *, poll_s: float = POLL_S, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._poll_s = poll_s
        self._monotonic = monotonic
        self._asked: dict[str, _Asked] = {}

    async def run(self, worker: Worker) -> None:
        """See :class:`mainspring.fleet.port.Dispatcher`."""
        from dbos import DBOS, DBOSConfig, SetWorkflowID

        loop = asyncio.get_running_loop()
        config: DBOSConfig = {
            "name": "mainspring",
            "system_database_url": self._url,
            "application_version": VERSION,
            "executor_id": f"mainspring-{uuid.uuid4()}",  # nobody may take us for a process that has died
            "log_level": "WARNING",
            "max_executor_threads": worker.places + 8,
        }
        DBOS(config=config)

        @DBOS.workflow(name="mainspring.resume")
        def resume(run_id: str) -> bool:
            return asyncio.run_coroutine_threadsafe(worker.resume(run_id), loop).result()

        def enqueue(run_id: str, workflow_id: str) -> None:
            with SetWorkflowID(workflow_id):  # several processes ask for the same wake-up: it is one workflow
                DBOS.enqueue_workflow(QUEUE, resume, run_id)

        def launch() -> None:
            DBOS.launch()
            DBOS.register_queue(QUEUE, worker_concurrency=worker.places, polling_interval_sec=self._poll_s)

        await asyncio.to_thread(launch)
        try:
            while not worker.stopping:
                try:
                    await asyncio.to_thread(self._feed, worker, enqueue)
                except MainspringError as error:
                    worker.report(Report("failed", text=f"{error}; trying again"))
                await worker.pause(self._poll_s)
        finally:
            await worker.settle()
            await asyncio.to_thread(DBOS.destroy, destroy_registry=True)

    def _feed(self, worker: Worker, enqueue: Callable[[str, str], None]) -> None:
        """Put a workflow into the queue for each run that is ready and was not asked for lately."""
        now = self._monotonic()
        ready = worker.ready(_BATCH)
        self._asked = {row.id: self._asked[row.id] for row in ready if row.id in self._asked}
        for row in ready:
            before = self._asked.get(row.id)
            if before is None or before.epoch != row.epoch:
                before = self._asked[row.id] = _Asked(row.epoch, 0, now)
            if now < before.again:
                continue
            # The epoch grows with each stretch, and tells this wake-up from the ones before. A process that died
            # between taking the workflow and taking the run leaves the epoch as it was: so it is counted as well.
            enqueue(row.id, f"{row.id}:{row.epoch}:{before.times}")
            before.again = now + AGAIN_S * 2.0 ** min(before.times, 8)
            before.times += 1
