"""Telling a person how far a download is: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeAlias

Report: TypeAlias = Callable[[int, int], None]  # bytes done, bytes in all

_LINES_EVERY_S = 10.0


def announce(text: str) -> None:
    """Tell a program that draws its own screen what a model is busy with; nobody else is told."""
    if Progress.listener is not None:
        Progress.listener(text, 0, 0)


class Progress:
    """Shows one download on standard error; use it as a context manager and call it with (done, total) bytes.

    A program that draws its own screen sets `Progress.listener` to a function of (title, done, total); then nothing
    is printed here.
    """

    listener: Callable[[str, int, int], None] | None = None

    def __init__(self, title: str) -> None:
        self.title = title
        self._bar: Any = None
        self._task: Any = None
        self._last: float | None = None
        self._finished = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` bytes are here."""
        if Progress.listener is not None:
            Progress.listener(self.title, done, total)
        elif sys.stderr.isatty():
            self._draw(done, total)
        elif not self._finished and (done >= total or self._is_time()):
            self._finished = done >= total
            self._last = time.monotonic()
            print(f"{self.title}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB", file=sys.stderr, flush=True)

    def _is_time(self) -> bool:
        return self._last is None or time.monotonic() - self._last >= _LINES_EVERY_S

    def note(self, text: str) -> None:
        """Say something that is not a number of bytes."""
        if Progress.listener is not None:
            Progress.listener(text, 0, 0)
        else:
            print(text, file=sys.stderr, flush=True)

    def _draw(self, done: int, total: int) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(self.title, total=total)
        self._bar.update(self._task, completed=done, total=total)
