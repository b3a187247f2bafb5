"""The tool that shows a model a map of its workspace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mainspring.code.index import CodeIndex, Shelf
from mainspring.code.repomap.build import repo_map
from mainspring.errors import ToolError
from mainspring.tool import Tool, ToolContext
from mainspring.tools.provenance import WORKSPACE

__all__ = ["repo_map_tool"]

_LEAST, _MOST = 200, 8_000
_QUESTION = 20_000
_MOST_OPEN = 50


def repo_map_tool(
    workspace: Path | None = None,
    index: CodeIndex | None = None,
    count: Callable[[str], int] | None = None,
    shelf: Shelf | None = None,
) -> Tool:
    """A tool that maps the repository that a run works on. It only reads.

    Args:
        workspace: the repository, when it is not to come from the run.
        index: the index of it, when there is one already; it is brought up to date before each map.
        count: counts the tokens of a text; by default an estimate.
        shelf: keeps the indexes instead, for tools that share them.
    """
    maps = _Maps(shelf or Shelf(workspace, index), count)
    make: Callable[..., Tool] = Tool
    return make(maps.repo_map, effect="read", authority=[], selector=["about", "open_files"], label=WORKSPACE)


@dataclass
class _Maps:
    shelf: Shelf
    count: Callable[[str], int] | None

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
        index = self.shelf.index(context)
        inside = [self._inside(path, context) for path in given]
        tests = [path for path in inside if index.is_test(path.partition("::")[0])]
        others = [path for path in inside if path not in tests]
        found = repo_map(index, tokens, about, tests, others, count=self.count)
        if not found.files:
            return "the workspace has no source files in a language known here; use search_codebase"
        more = found.of - len(found.files)
        return found.text + (f"({more:,} more files)\n" if more > 0 else "")

    def _inside(self, path: str, context: ToolContext) -> str:
        plain, colons, test = path.partition("::")
        return self.shelf.inside(plain, context) + colons + test
