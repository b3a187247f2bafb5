"""What goes to standard output: answers and JSON lines, and nothing else."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from mainspring.cli.render import safe
from mainspring.errors import MainspringError


class OutputGoneError(MainspringError):
    """Nobody reads our standard output any more, or it was closed from the start."""


#: Descriptors that were closed when the process started.
_closed: set[int] = set()


def secure_streams() -> None:
    """Make the three standard streams safe to use, whatever state the caller left them in.

    A closed descriptor is filled with /dev/null, as the next file opened (the journal, say) would take its
    number and receive what is printed. Characters that a stream cannot encode are written as escapes.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            _closed.add(number)
            os.open(os.devnull, mode)  # takes the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def mute(stream: TextIO | None) -> None:
    """Send a broken stream to /dev/null, so that flushing it at exit does not fail again."""
    if stream is None:
        return
    try:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, stream.fileno())
        os.close(sink)
    except (OSError, ValueError):
        return


class Output:
    """Standard output for one command.

    `claim` takes the descriptor away from everybody else: what a tool or its children print afterwards goes to
    standard error, so that `--json` stays JSON.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty()

    @classmethod
    def claim(cls) -> Output:
        """Own standard output from now on."""
        sys.stdout.flush()
        own = os.dup(1)
        os.dup2(2, 1)
        encoding = sys.stdout.encoding or "utf-8"
        return cls(open(own, "w", encoding=encoding, errors="backslashreplace"))

    @classmethod
    def plain(cls) -> Output:
        """Standard output as it is, for commands that run nobody else's code."""
        return cls(sys.stdout)

    @property
    def utf8(self) -> TextIO:
        """The stream as UTF-8, whatever the locale, for files passed through. Raises OutputGoneError."""
        stream = self._open_stream()
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="strict")
        return stream

    def _open_stream(self) -> TextIO:
        if 1 in _closed:
            raise OutputGoneError("standard output is closed; open it, or send it to a file")
        return self._stream

    def text(self, text: str) -> None:
        """Write text and a newline, made harmless for terminals. Raises OutputGoneError."""
        self._write(safe(text) + "\n")

    def json(self, value: Mapping[str, Any]) -> None:
        """Write one JSON object on a line, in ASCII. Raises OutputGoneError."""
        self._write(json.dumps(value, default=_jsonable) + "\n")

    def _write(self, text: str) -> None:
        stream = self._open_stream()
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            mute(self._stream)
            raise OutputGoneError("nobody reads standard output any more") from None
        except OSError as error:
            mute(self._stream)
            raise OutputGoneError(f"standard output cannot be written: {error.strerror}") from None


def _jsonable(value: Any) -> Any:
    from mainspring.content import jsonable
    from mainspring.messages import Usage, encode_usage

    return encode_usage(value) if isinstance(value, Usage) else jsonable(value)


def to_text(value: object) -> str:
    """A run's output as text: text as it is, everything else as indented JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, default=_jsonable)


def note(text: str) -> None:
    """Tell the person something on standard error; a reader that went away is no reason to stop."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        mute(sys.stderr)
