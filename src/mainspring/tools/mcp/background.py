"""One thread with an event loop of its own, in which all servers' sessions live as long as the process.

A program may use any number of event loops, one after another (`run_sync` makes one for each run); a session belongs to
one. It also keeps the kernel's tie between a server and its parent, which holds as long as the thread that started it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")
_lock = threading.Lock()
_running: tuple[int, asyncio.AbstractEventLoop] | None = None


def _loop() -> asyncio.AbstractEventLoop:
    global _running
    with _lock:
        if _running is None or _running[0] != os.getpid():  # a forked child has no such thread
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="mainspring-mcp", daemon=True).start()
            _running = (os.getpid(), loop)
        return _running[1]


def submit(work: Coroutine[Any, Any, _T]) -> concurrent.futures.Future[_T]:
    """Begin `work` in the background loop."""
    return asyncio.run_coroutine_threadsafe(work, _loop())


async def there(work: Coroutine[Any, Any, _T]) -> _T:
    """Do `work` in the background loop and wait for it here; a cancellation reaches it."""
    return await asyncio.wrap_future(submit(work))


def wait(work: Coroutine[Any, Any, _T]) -> _T:
    """Do `work` in the background loop and block until it is done."""
    future = submit(work)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
