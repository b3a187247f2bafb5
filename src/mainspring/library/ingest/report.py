"""What an index run tells while it works, and at its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Stage: TypeAlias = Literal["find", "read", "encode", "ocr", "wait"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands.

    Args:
        stage: ``find`` (files looked at), ``read`` (files), ``encode`` (pages), ``ocr`` (pages), or ``wait`` (another
            process indexes this library).
        done, total: how many; `total` is 0 while it is not known.
        rate: of them a second, since the stage began.
        what: the file or page in work.
    """

    stage: Stage
    done: int
    total: int
    rate: float
    what: str = ""


#: Called from the thread that asked for the work; must not raise.
Tell: TypeAlias = Callable[[Progress], None]


@dataclass
class Report:
    """What an index run did.

    Args:
        indexed: documents that are new or were read again; `pages` of them.
        unchanged, removed: documents.
        others: files that are no documents (programs, archives, unknown).
        links: symbolic links that were not followed.
        failed: (uri, why) of files and folders that this run tried to read, and could not.
        partly: (uri, why) of documents of which a part could not be read.
        encoded: pages that got vectors in this run; `unencoded`: that are without them.
        read: pages that OCR has read in this run; `unread`: that wait for OCR.
        notes: what else the person should know.
        interrupted: it was stopped; the same call goes on where it stood.
        seconds: how long it took.
    """

    indexed: int = 0
    pages: int = 0
    unchanged: int = 0
    removed: int = 0
    others: int = 0
    links: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    partly: list[tuple[str, str]] = field(default_factory=list)
    encoded: int = 0
    unencoded: int = 0
    read: int = 0
    unread: int = 0
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0


class Meter:
    """Counts what a stage has done and tells of it, a few times a second."""

    def __init__(self, stage: Stage, tell: Tell | None, total: int = 0, *, every_s: float = 0.1) -> None:
        self._stage: Stage = stage
        self._tell, self._every_s = tell, every_s
        self.total = total
        self.done = 0
        self._began = time.monotonic()
        self._told = 0.0

    def step(self, by: int = 1, what: str = "", *, now: bool = False) -> None:
        """Count, and tell when it is time (`now`: in any case)."""
        self.done += by
        at = time.monotonic()
        if self._tell is None or (not now and at - self._told < self._every_s):
            return
        self._told = at
        rate = self.done / max(at - self._began, 1e-9)
        self._tell(Progress(self._stage, self.done, self.total, rate, what))
