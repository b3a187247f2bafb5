"""Reading from a child process's pipe."""

from __future__ import annotations

import os
import select
import time


def read_exactly(handle: int, size: int, until: float) -> bytes:
    """So many bytes from a pipe.

    Args:
        handle: the pipe's descriptor.
        until: of the monotonic clock.

    Raises:
        TimeoutError: they did not come in time.
        EOFError: the other side has ended.
    """
    parts = bytearray()
    while len(parts) < size:
        left = until - time.monotonic()
        if left <= 0 or not select.select([handle], [], [], left)[0]:
            raise TimeoutError("the other process took too long")
        part = os.read(handle, min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError("the other process ended")
        parts += part
    return bytes(parts)
