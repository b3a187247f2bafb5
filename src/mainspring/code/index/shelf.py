"""Keeps the indexes that a model's tools ask: one a repository, opened once, and looked at again when it is due."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from mainspring.code.index.repository import CodeIndex
from mainspring.errors import ToolError
from mainspring.tool import ToolContext
from mainspring.tools.paths import locate

#: Seconds for which the files are not looked at again: one step of a model asks several things.
_FRESH_S = 2.0
_KEPT = 4


class Shelf:
    """Indexes for tools; several tools may share one, and then hold each index in memory once.

    Args:
        workspace: the repository, when it is not to come from the run.
        index: the index of it, when there is one already.
    """

    def __init__(self, workspace: Path | None = None, index: CodeIndex | None = None) -> None:
        self._workspace = workspace
        self._given = index
        self._open: dict[tuple[str, str], CodeIndex] = {}
        self._looked: dict[CodeIndex, float] = {}
        self._lock = threading.Lock()

    def index(self, context: ToolContext) -> CodeIndex:
        """The index of the repository that a call is about, brought up to date.

        Raises:
            ToolError: the run has no workspace.
            StoreError: the home cannot be written.
        """
        with self._lock:
            index = self._given
            if index is None:
                key = (os.path.realpath(self._root(context)), str(context.home))
                index = self._open.pop(key, None) or CodeIndex.open(key[0], context.home)
                self._open[key] = index  # the newest last
                while len(self._open) > _KEPT:
                    old = self._open.pop(next(iter(self._open)))
                    self._looked.pop(old, None)
                    old.close()
            if time.monotonic() - self._looked.get(index, float("-inf")) >= _FRESH_S:
                index.refresh(lambda done, of: context.report(f"indexing: {done:,} of {of:,} files"))
                self._looked[index] = time.monotonic()
            return index

    def inside(self, path: str, context: ToolContext) -> str:
        """A path as the index has it. Raises ToolError when it leads out of the repository, or to nothing."""
        with locate(self._root(context), path, home=context.home) as place:
            return "/".join(place.parts)

    def _root(self, context: ToolContext) -> Path:
        root = self._given.root if self._given is not None else self._workspace or context.workspace
        if root is None:
            raise ToolError("this run has no workspace; start it with workspace=... (or --workspace DIR)")
        return root
