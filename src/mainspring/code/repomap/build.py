"""The map of a repository."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainspring.code.repomap.known import known
from mainspring.code.repomap.rank import Question, rank
from mainspring.code.repomap.render import FIRST, Line, fit, lines_of
from mainspring.code.repomap.seeds import places
from mainspring.code.repomap.tokens import estimate
from mainspring.errors import ToolError

if TYPE_CHECKING:
    from mainspring.code.index import CodeIndex

__all__ = ["RepoMap", "repo_map"]

#: A heading has about as many tokens or more, so more files than that do not fit, and no symbol is taken that is worth
#: less than the heading of the last one.
_TOKENS_A_FILE = 12
_MOST_FILES = 2_000


@dataclass(frozen=True, slots=True)
class RepoMap:
    """A map.

    Args:
        text: a heading for each file, best first, with the line numbers and signatures of its best symbols below it.
        files: the files in it, in that order.
        tokens: its length, as it was counted.
        symbols: how many symbols it shows.
        of: how many files could have been in it.
    """

    text: str
    files: tuple[str, ...]
    tokens: int
    symbols: int = 0
    of: int = 0


def repo_map(
    index: CodeIndex,
    budget: int,
    task: str = "",
    failing: Iterable[str] = (),
    open_files: Iterable[str] = (),
    recent: bool = True,
    count: Callable[[str], int] | None = None,
) -> RepoMap:
    """The part of a repository that matters for a task, in at most `budget` tokens.

    Files are weighed by a random walk over who uses whose names that starts at what the task names, the failing tests
    and the open files; by the task's words in names and paths; by paths that resemble those of the failing tests; and
    by what changed lately. Files that are open or hold the failing tests are left out: whoever asks has them already.
    Without any question it is the map of what everything else depends on.

    Args:
        index: of the repository, brought up to date (`refresh` or `update`).
        budget: in tokens.
        task: what is to be done, in words.
        failing: paths or ids of failing tests, such as ``tests/test_a.py::TestA::test_b``.
        open_files: paths.
        recent: whether what the last commits changed counts.
        count: counts the tokens of a text; by default an estimate from its length.

    Raises:
        ToolError: the budget is not positive.
        StoreError: the index cannot be read.
    """
    if budget < 1:
        raise ToolError(f"a map needs a budget of at least 1 token, not {budget}; 1,000 to 8,000 are useful")
    with index.lock:
        kept = known(index)
        question = Question(task, places(index, failing), places(index, open_files), index.recent() if recent else ())
        ranked = rank(index, kept, question)
        graph = index.graph
        seen = frozenset(name for place in (*question.failing, *question.opened) for name in graph.uses(place.file))
        most = min(_MOST_FILES, budget // _TOKENS_A_FILE + 10)
        lines: list[Line] = []
        floor = ranked[most - 1][1] if len(ranked) >= most else 0.0
        for file, score in ranked[:most]:
            # Symbols of a file that is worth little would never be taken before the last heading.
            rich = score * FIRST > floor
            lines += lines_of(index, file, score, question.words, seen) if rich else [Line(file, score)]
        lines.sort(key=lambda line: -line.worth)
        text, tokens, taken = fit(graph, lines, budget, count or estimate)
        files = tuple(dict.fromkeys(graph.path(line.file) for line in lines[:taken]))
        symbols = sum(line.symbol is not None for line in lines[:taken])
        return RepoMap(text, files, tokens, symbols, len(ranked))
