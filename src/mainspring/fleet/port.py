"""The port behind which a dispatcher stands: who says to which worker that a run is ready.

A dispatcher has one duty: each run that `Store.ready` names is resumed at least once, by some worker. All else is
settled without it. That a run is executed by one process at a time is the lease's affair, that no effect happens twice
the effect protocol's, and what a run is at is in the journal alone. So a dispatcher may lose what it knows, call twice,
or call for a run that is done: `Worker.resume` finds nothing to do and returns.
"""

from __future__ import annotations

from typing import Protocol

from mainspring.fleet.worker import Worker


class Dispatcher(Protocol):
    """Has runs resumed at least once."""

    async def run(self, worker: Worker) -> None:
        """Have `worker` take its share of what is ready, until it is told to stop and its runs have let go."""
        ...


class Polling:
    """The simplest dispatcher: each worker looks into the journal itself. Needs nothing beside the journal."""

    async def run(self, worker: Worker) -> None:
        """See :class:`Dispatcher`."""
        await worker.run()
