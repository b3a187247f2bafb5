"""An MCP server as a child process: bounded, with an environment of its own, gone when we are gone.

The SDK's own transport inherits more of our environment, keeps a line of any length in memory, and leaves the child
running when we are killed; so the pipes are ours and the protocol is the SDK's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from mainspring.errors import ToolError

#: Variables that a server inherits; everything else is named in its `env`.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "USER", "LOGNAME")
#: Lines on standard output that are no message, before a server is given up.
MAX_GARBAGE = 100
_GRACE_S = 2.0
_LAUNCH = """\
import ctypes, os, sys
try:
    ctypes.CDLL(None).prctl(1, 9)
except (OSError, AttributeError):
    pass
if os.getppid() != int(sys.argv[1]):
    os._exit(0)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Errors:
    """What went wrong on a server's side, for a person: the end of its standard error, and garbage it printed.

    Attributes:
        ended: why we ended it, in our own words, or "".
    """

    def __init__(self, limit: int = 4_000) -> None:
        self._limit = limit
        self._text = ""
        self.ended = ""

    def end(self, why: str) -> None:
        """Note why we ended the server."""
        self.ended = why
        self.add(f"[ended by Mainspring: {why}]\n")

    def add(self, text: str) -> None:
        """Keep the end of it."""
        self._text = (self._text + text)[-self._limit :]

    @property
    def tail(self) -> str:
        """The last lines, or ""."""
        return self._text.strip()


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The variables that a server gets: a few plain ones of ours, and what its settings name."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ} | dict(extra)


@contextlib.asynccontextmanager
async def stdio(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | None,
    max_line: int,
    errors: Errors,
    on_end: Callable[[], None],
) -> AsyncIterator[Any]:
    """Start a server; yields the SDK's pair of streams. When it ends or misbehaves, the read stream is closed.

    Raises:
        ToolError: the program is not there, or the folder is not.
    """
    import anyio

    if shutil.which(command[0], path=env.get("PATH")) is None:
        raise ToolError(f"there is no program {command[0]!r}; install it, or correct the server's command")
    if cwd is not None and not os.path.isdir(cwd):
        raise ToolError(f"there is no folder {cwd!r}, which the server should start in")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
        limit=max_line,
    )
    to_session, from_server = anyio.create_memory_object_stream[Any](0)
    to_server, from_session = anyio.create_memory_object_stream[Any](0)
    work = [
        asyncio.create_task(_read(process, to_session, errors, max_line, on_end)),
        asyncio.create_task(_write(process, from_session, to_session)),
        asyncio.create_task(_keep(process, errors)),
    ]
    try:
        yield from_server, to_server
    finally:
        stop = asyncio.ensure_future(_stop(process))
        try:
            await asyncio.shield(stop)
        finally:
            for task in work:
                task.cancel()
            for stream in (to_session, from_server, to_server, from_session):
                stream.close()


async def _read(
    process: asyncio.subprocess.Process, out: Any, errors: Errors, max_line: int, on_end: Callable[[], None]
) -> None:
    import anyio

    assert process.stdout is not None
    try:
        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, ConnectionError):
            await _messages(process.stdout, out, errors, max_line)
    finally:
        out.close()
        await asyncio.sleep(0.05)  # requests in flight learn of it first
        on_end()


async def _messages(stdout: asyncio.StreamReader, out: Any, errors: Errors, max_line: int) -> None:
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter

    garbage = 0
    while garbage < MAX_GARBAGE:
        try:
            line = await stdout.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return
        except asyncio.LimitOverrunError:
            errors.end(f"it sent a line of more than {max_line:,} bytes")
            return
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            garbage += bool(line.strip())
            errors.add(f"[no message: {line[:100]!a}]\n")
            continue
        await out.send(SessionMessage(message))
    errors.end("it prints text that is no message on its standard output")


async def _write(process: asyncio.subprocess.Process, source: Any, out: Any) -> None:
    assert process.stdin is not None
    try:
        async with source:
            async for message in source:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                process.stdin.write(text.encode() + b"\n")
                await process.stdin.drain()
    except (ConnectionError, OSError):
        out.close()  # the session learns that nobody listens, instead of waiting


async def _keep(process: asyncio.subprocess.Process, errors: Errors) -> None:
    assert process.stderr is not None
    while data := await process.stderr.read(4096):
        errors.add(data.decode("utf-8", "replace"))


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Close its input, wait a moment, then end it with everything that it started."""
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError, ConnectionError):
        await asyncio.wait_for(process.wait(), _GRACE_S)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # also what the server left behind
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _GRACE_S)
