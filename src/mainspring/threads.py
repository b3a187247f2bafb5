"""Blocking calls beside an event loop, each in a thread of its own.

Not in the loop's pool: a call that hangs would keep its place there for ever, calls behind it would begin after they
had been given up, and the process could not end before it does.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")
_NAME = "mainspring-call-"


async def in_thread(function: Callable[[], _T], key: str = "") -> _T:
    """Call `function` in a new thread and wait for it. When the waiting is cancelled, the thread goes on.

    Args:
        key: what :func:`at_work` knows the thread by.

    Raises:
        RuntimeError: it raised StopIteration, which no future can carry, or SystemExit or KeyboardInterrupt, which
            would end our loop instead of the call. Everything else comes out unchanged.
    """
    context = contextvars.copy_context()
    future: Future[_T] = Future()
    future.set_running_or_notify_cancel()

    def work() -> None:
        try:
            value = context.run(function)
        except (StopIteration, SystemExit, KeyboardInterrupt) as error:
            wrapped = RuntimeError(f"{type(error).__name__}: {error}")
            wrapped.__cause__ = error
            future.set_exception(wrapped)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(value)

    threading.Thread(target=work, name=_NAME + key, daemon=True).start()
    import asyncio  # who awaits this has it already; who only imports this module need not wait for it

    return await asyncio.wrap_future(future)


def at_work(key: str) -> bool:
    """True while a thread of this process that was begun under `key` has not ended."""
    return any(thread.name == _NAME + key for thread in threading.enumerate())
