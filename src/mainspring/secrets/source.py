"""Where a secret is kept, and how its value is read at the last moment."""

from __future__ import annotations

import os
import shlex
import signal
import stat
import subprocess
from pathlib import Path

from mainspring.errors import ToolError

#: A shorter secret occurs by chance in ordinary text, so that it could not be kept out of what a model sees.
MIN_CHARACTERS = 8
MAX_BYTES = 65_536
#: Seconds that a `command:` may take.
COMMAND_S = 30.0


def read_source(name: str, source: str, folder: Path | None = None) -> str:
    """The value of the secret `name`; a line end after it does not count.

    Args:
        source: ``env:VARIABLE``, ``file:PATH`` (a plain file of the user's own with mode 0600) or ``command:PROGRAM
            ARGUMENT...`` (started without a shell; what it prints is the value).
        folder: what a relative path is relative to, and where the command starts.

    Raises:
        ToolError: it cannot be read, is no text, or is shorter than `MIN_CHARACTERS`. The value is never quoted.
    """
    kind, _, place = source.partition(":")
    if kind == "env":
        value = os.environ.get(place)
        if value is None:
            raise ToolError(f"secret {name!r}: the environment variable {place} is not set")
    elif kind == "file":
        value = _decoded(name, _from_file(name, place, folder))
    elif kind == "command":
        value = _decoded(name, _from_command(name, place, folder))
    else:
        raise ToolError(f"secret {name!r}: it must be kept in env:NAME, file:PATH or command:...")
    value = value.removesuffix("\n").removesuffix("\r")
    if "\0" in value or not _encodes(value):
        raise ToolError(f"secret {name!r}: its value is no text")
    if len(value) < MIN_CHARACTERS or not value.strip():
        raise ToolError(
            f"secret {name!r} has {len(value)} characters; at least {MIN_CHARACTERS} are needed, as a shorter one "
            "occurs by chance and cannot be kept out of results and logs"
        )
    return value


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decoded(name: str, data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise ToolError(f"secret {name!r} is larger than {MAX_BYTES:,} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ToolError(f"secret {name!r}: its value is no UTF-8 text") from None


def _from_file(name: str, place: str, folder: Path | None) -> bytes:
    path = Path(place).expanduser()
    path = path if folder is None else folder / path
    try:
        # Not blocking: a named pipe must not hold up the run. The check is made on what was opened.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ToolError(f"secret {name!r}: {path} cannot be opened: {error.strerror}") from None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise ToolError(f"secret {name!r}: {path} is no plain file")
        if found.st_uid not in (os.getuid(), 0):
            raise ToolError(f"secret {name!r}: {path} belongs to another user")
        if found.st_mode & 0o077:
            raise ToolError(
                f"secret {name!r}: {path} can be read or written by others (mode {found.st_mode & 0o777:04o}); "
                f"run: chmod 600 {shlex.quote(str(path))}"
            )
        return os.read(fd, MAX_BYTES + 1)
    finally:
        os.close(fd)


def _from_command(name: str, place: str, folder: Path | None) -> bytes:
    try:
        command = shlex.split(place)
    except ValueError as error:
        raise ToolError(f"secret {name!r}: its command cannot be read: {error}") from None
    if not command:
        raise ToolError(f"secret {name!r}: its command is empty")
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it may quote the secret
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolError(f"secret {name!r}: {command[0]} cannot be started: {error.strerror}") from None
    with process:
        try:
            data, _ = process.communicate(timeout=COMMAND_S)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise ToolError(f"secret {name!r}: {command[0]} did not end within {COMMAND_S:g} s") from None
            raise
    if process.returncode:
        raise ToolError(f"secret {name!r}: {command[0]} ended with status {process.returncode}")
    return data
