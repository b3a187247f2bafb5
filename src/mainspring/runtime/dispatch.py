"""Whether runs that a run starts are executed beside it, or go into the journal for any worker."""

from __future__ import annotations

from contextvars import ContextVar

#: True inside a run that a worker executes: what it starts is enqueued, and it sleeps (`NotYet`) until that has ended,
#: so that no worker's place is held by somebody who only waits.
handing_over: ContextVar[bool] = ContextVar("handing_over", default=False)
