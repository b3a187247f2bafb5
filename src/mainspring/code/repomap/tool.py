"""The tool that shows a model a map of its workspace."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mainspring.code.index import CodeIndex
from mainspring.code.repomap.build import repo_map
from mainspring.errors import ToolError
from mainspring.tool import Tool, ToolContext
from mainspring.tools.paths import locate
from mainspring.tools.provenance import WORKSPACE

__all__ = ["repo_map_tool"]

_LEAST, _MOST = 200, 8_000
_QUESTION = 20_000
_MOST_OPEN = 50
#: Seconds for which the files are not looked at again: one step of a model asks several things.
_FRESH_S = 2.0
_KEPT = 4


def repo_map_tool(
    workspace: Path | None = None, index: CodeIndex | None = None, count: Callable[[str], int] | None = None
) -> Tool:
    """A tool that maps the repository that a run works on. It only reads.

    Args:
        workspace: the repository, when it is not to come from the run.
        index: the index of it, when there is one already; it is brought up to date before each map.
        count: counts the tokens of a text; by default an estimate.
    """
    maps = _Maps(workspace, index, count)
    make: Callable[..., Tool] = Tool
    return make(maps.repo_map, effect="read", authority=[], selector=["about", "open_files"], label=WORKSPACE)


@dataclass
class _Maps:
    workspace: Path | None
    index: CodeIndex | None
    count: Callable[[str], int] | None
    _open: OrderedDict[tuple[str, str], CodeIndex] = field(default_factory=OrderedDict)
    _looked: dict[CodeIndex, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def repo_map(
        self, context: ToolContext, about: str = "", open_files: list[str] | None = None, tokens: int = 2000
    ) -> str:
        """Show the repository's files that matter, best first, with line numbers and signatures.

        Args:
            about: the task, an error message or names, in words
            open_files: paths that you have read, and failing tests; left out of the map
            tokens: length of the map, 200 to 8000
        """
        if not _LEAST <= tokens <= _MOST:
            raise ToolError(f"tokens is {tokens}; choose {_LEAST} to {_MOST}")
        if len(about) > _QUESTION:
            raise ToolError(f"about has {len(about):,} characters; say it in at most {_QUESTION:,}")
        given = open_files or []
        if len(given) > _MOST_OPEN:
            raise ToolError(f"open_files has {len(given)} paths; give at most {_MOST_OPEN}")
        index = self._index(context)
        inside = [self._inside(index.root, path, context) for path in given]
        tests = [path for path in inside if index.is_test(path.partition("::")[0])]
        others = [path for path in inside if path not in tests]
        found = repo_map(index, tokens, about, tests, others, count=self.count)
        if not found.files:
            return "the workspace has no source files in a language known here; use search_codebase"
        more = found.of - len(found.files)
        return found.text + (f"({more:,} more files)\n" if more > 0 else "")

    def _inside(self, root: Path, path: str, context: ToolContext) -> str:
        plain, colons, test = path.partition("::")
        with locate(root, plain, home=context.home) as place:
            return "/".join(place.parts) + colons + test

    def _index(self, context: ToolContext) -> CodeIndex:
        with self._lock:
            index = self.index
            if index is None:
                root = self.workspace or context.workspace
                if root is None:
                    raise ToolError("this run has no workspace; start it with workspace=... (or --workspace DIR)")
                key = (str(root), str(context.home or ""))
                index = self._open.get(key)
                if index is None:
                    index = self._open[key] = CodeIndex.open(root, context.home)
                self._open.move_to_end(key)
                while len(self._open) > _KEPT:
                    _, old = self._open.popitem(last=False)
                    self._looked.pop(old, None)
                    old.close()
            now = time.monotonic()
            if now - self._looked.get(index, float("-inf")) > _FRESH_S:
                index.refresh(lambda done, of: context.report(f"indexing: {done:,} of {of:,} files"))
                self._looked[index] = time.monotonic()
            return index
