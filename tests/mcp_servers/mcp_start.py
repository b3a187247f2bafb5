"""Starts the servers of this folder for tests."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def command(name: str, *arguments: object) -> str:
    """The command line of a server in this folder."""
    import shlex

    return shlex.join([sys.executable, str(HERE / f"{name}.py"), *map(str, arguments)])


@contextlib.contextmanager
def http(name: str, *arguments: object, port: int | None = None) -> Iterator[str]:
    """A server of this folder over HTTP; yields its URL."""
    port = port or free_port()
    process = subprocess.Popen([sys.executable, str(HERE / f"{name}.py"), *map(str, arguments), "--http", str(port)])
    try:
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server does not listen"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def write(path: Path, tools: list[dict[str, Any]] | dict[str, Any]) -> Path:
    """What `listing.py` is to list."""
    path.write_text(json.dumps(tools))
    return path


def find(name: str, **properties: str) -> dict[str, Any]:
    """A tool as a server lists it; `properties` are name and type of its arguments."""
    schema = {"type": "object", "properties": {k: {"type": v} for k, v in properties.items()}}
    return {"name": name, "description": f"The tool {name}.", "inputSchema": schema}
