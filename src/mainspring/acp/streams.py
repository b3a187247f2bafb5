"""The protocol's own streams: standard input and output, taken away from everything else in this process."""

from __future__ import annotations

import asyncio
import os
import sys

from mainspring.errors import ToolError

#: The longest message that is read, bytes: pictures travel in it.
MAX_MESSAGE = 50 << 20


async def own_streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams to the editor. From now on whatever else prints goes to standard error, and finds no input.

    A line that a tool, a library or a program prints to standard output would else be read as the protocol.

    Raises:
        ToolError: standard input or output is no pipe.
    """
    sys.stdout.flush()
    taken, given = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MAX_MESSAGE)
    try:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(taken, "rb", 0))
        # Its flow control is what a writer needs; nothing is read through it.
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(given, "wb", 0)
        )
    except ValueError:
        raise ToolError(
            "standard input and output have to be pipes or sockets: an editor starts this command, see docs/acp.md"
        ) from None
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)
