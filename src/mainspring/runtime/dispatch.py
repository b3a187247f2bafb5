"""Whether runs that a run starts are executed beside it, or go into the journal for any worker; and how a worker asks
for its runs back."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

#: True inside a run that a worker executes: what it starts is enqueued, and it sleeps (`NotYet`) until that has ended,
#: so that no worker's place is held by somebody who only waits.
handing_over: ContextVar[bool] = ContextVar("handing_over", default=False)

#: True inside a run whose creator executes it beside itself, and sees when it stops: it need not be woken then.
attended: ContextVar[bool] = ContextVar("attended", default=False)


@dataclass(slots=True)
class Leaving:
    """What a worker that stops wants of the runs that it executes.

    Args:
        asked: let go before the next model call or effect; the run is ready for any worker at once.
        hurried: give up model calls that are under way as well.
    """

    asked: bool = False
    hurried: bool = False


#: Set inside a run that a worker executes.
leaving: ContextVar[Leaving | None] = ContextVar("leaving", default=None)
