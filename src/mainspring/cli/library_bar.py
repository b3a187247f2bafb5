"""How far indexing is: a bar for each stage on a terminal, with a rate."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mainspring.cli.output import note
from mainspring.cli.render import count, one_line

if TYPE_CHECKING:
    from mainspring.library.ingest import Progress

_STAGES = {
    "wait": ("another process is indexing", ""),
    "find": ("finding", "files"),
    "read": ("reading", "files"),
    "encode": ("encoding", "pages"),
    "ocr": ("reading pictures", "pages"),
}


@contextlib.contextmanager
def shown(quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """What to give as `progress`: draws on standard error where that is a terminal, else says only why it waits."""
    if quiet or not sys.stderr.isatty():
        yield _Plain()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from mainspring.models.local.progress import Progress as Download

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(), TextColumn("{task.fields[what]}", markup=False),
    )  # fmt: skip
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        drawn = _Drawn(bar)
        before, Download.listener = Download.listener, drawn.download
        try:
            yield drawn
        finally:
            Download.listener = before


class _Plain:
    def __init__(self) -> None:
        self._said = False

    def __call__(self, progress: Progress) -> None:
        if progress.stage == "wait" and not self._said:
            self._said = True
            note(f"another process ({one_line(progress.what)}) is indexing this library; waiting for it")


class _Drawn:
    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._tasks: dict[str, Any] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.stage == "find":
            return  # counted by the bar of what is read
        title, unit = _STAGES[progress.stage]
        rate = f"{count(progress.rate) if progress.rate >= 10 else f'{progress.rate:.1f}'} {unit}/s" if unit else ""
        self._draw(title, progress.done, progress.total or None, rate, one_line(progress.what.rpartition("/")[2], 40))

    def download(self, title: str, done: int, total: int) -> None:
        self._draw(one_line(title), done >> 20, total >> 20 or None, "MiB", "")

    def _draw(self, title: str, done: int, total: int | None, rate: str, what: str) -> None:
        if title not in self._tasks:
            self._tasks[title] = self._bar.add_task(title, total=total, rate="", what="")
        self._bar.update(self._tasks[title], completed=done, total=total, rate=rate, what=what)
