"""The search itself, run in a process of its own so that no pattern and no ignore file can hold up a run.

It reads its question as JSON from standard input and writes its answer as JSON to standard output.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mainspring.errors import ToolError
from mainspring.tools.paths import locate, printable
from mainspring.tools.textfile import encoding_of

MAX_FILE_BYTES = 4 << 20
_MAX_FILES = 200_000
_LINE_CHARACTERS = 240
_PER_FILE = 30
# Folders that hold no source text of the project even when no ignore file names them.
_SKIPPED = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv"})


@dataclass
class Answer:
    """What was found: `rows` are ``path:line: text``."""

    rows: list[str] = field(default_factory=list)
    matches: int = 0
    files: int = 0
    searched: int = 0
    names: list[str] = field(default_factory=list)
    skipped: int = 0
    complete: bool = True


@dataclass(frozen=True)
class Question:
    """What to look for; `deadline` is in seconds of the monotonic clock."""

    workspace: Path
    home: Path | None
    query: str
    path: str
    glob: str
    regex: bool
    limit: int
    deadline: float


def search(question: Question) -> Answer:
    """Search the files under a path. Raises ToolError for a wrong pattern or path."""
    from pathspec import GitIgnoreSpec

    # As in ripgrep's smart case: a query without capitals finds both.
    flags = re.MULTILINE | (0 if any(c.isupper() for c in question.query) else re.IGNORECASE)
    source = question.query if question.regex else re.escape(question.query)
    try:
        pattern = re.compile(source, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise ToolError(f"query {question.query!r} is no regular expression: {error}; set regex=false") from None
    wanted = GitIgnoreSpec.from_lines([question.glob]) if question.glob else None
    answer = Answer()
    for path in _files(question, answer):
        if time.monotonic() > question.deadline:
            answer.complete = False
            break
        if wanted is not None and not wanted.match_file(path):
            continue
        if not question.regex and question.query.lower() in path.lower():
            answer.names.append(printable(path))
        _search_file(question, path, pattern, answer)
    return answer


def _search_file(question: Question, path: str, pattern: re.Pattern[str], answer: Answer) -> None:
    text = _text(question, path)
    if text is None:
        answer.skipped += 1
        return
    answer.searched += 1
    shown = printable(path)
    here, last, number, counted = 0, -1, 1, 0
    for match in pattern.finditer(text):
        start = text.rfind("\n", 0, match.start()) + 1
        if start == last:
            continue
        number += text.count("\n", counted, start)
        counted = last = start
        here += 1
        if len(answer.rows) < question.limit and here <= _PER_FILE:
            end = text.find("\n", start)
            line = text[start : end if end >= 0 else len(text)].rstrip("\r")
            if len(line) > _LINE_CHARACTERS:
                left = max(0, match.start() - start - _LINE_CHARACTERS // 3)
                line = f"...{line[left : left + _LINE_CHARACTERS]}..."
            answer.rows.append(f"{shown}:{number}: {line}")
    if here:
        answer.files += 1
        answer.matches += here


def _text(question: Question, path: str) -> str | None:
    try:
        with locate(question.workspace, path, home=question.home) as place:
            fd = place.open()
    except ToolError:
        return None
    with os.fdopen(fd, "rb") as file:
        if os.fstat(fd).st_size > MAX_FILE_BYTES:
            return None
        data = file.read(MAX_FILE_BYTES)
    encoding = encoding_of(data, whole=True)
    return None if encoding is None else encoding.decode(data)


def _files(question: Question, answer: Answer) -> Iterator[str]:
    """Paths of the plain files under the question's path, without what ignore files name. Links are not followed."""
    root = Path(os.path.realpath(question.workspace))
    with locate(root, question.path, home=question.home) as place:
        status = place.status()
        parts = place.parts
    if status is None:
        raise ToolError(f"{printable(question.path)} does not exist")
    home = None if question.home is None else os.path.realpath(question.home)
    start = root.joinpath(*parts)
    if not start.is_dir():
        yield "/".join(parts)
        return
    rules = _Ignored(root)
    for depth in range(len(parts) + 1):
        rules.enter("/".join(parts[:depth]))
    pending = ["/".join(parts)]
    seen = 0
    while pending:
        folder = pending.pop()
        rules.enter(folder)
        try:
            with os.scandir(root / folder) as found:
                entries = sorted(found, key=lambda e: e.name)
        except OSError:
            continue
        folders = []
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_symlink() or entry.name in _SKIPPED or entry.path == home:
                continue
            if entry.is_dir(follow_symlinks=False):
                if not rules.ignores(path + "/"):
                    folders.append(path)
            elif entry.is_file(follow_symlinks=False) and not rules.ignores(path):
                seen += 1
                if seen > _MAX_FILES:
                    answer.complete = False
                    return
                yield path
        pending += reversed(folders)


class _Ignored:
    """The ``.gitignore`` files of a tree; the one nearest to a path decides."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._rules: dict[str, Any] = {}

    def enter(self, folder: str) -> None:
        from pathspec import GitIgnoreSpec

        if folder in self._rules:
            return
        names = [".gitignore"] + ([".git/info/exclude"] if not folder else [])
        lines: list[str] = []
        for name in names:
            try:
                with locate(self._root, f"{folder}/{name}" if folder else name) as place:
                    fd = place.open()
                with os.fdopen(fd, "rb") as file:
                    lines += file.read(1 << 20).decode("utf-8", "replace").splitlines()
            except (ToolError, OSError):
                continue
        try:
            self._rules[folder] = GitIgnoreSpec.from_lines(lines) if lines else None
        except ValueError:
            self._rules[folder] = None  # git, too, goes on without rules that it cannot read

    def ignores(self, path: str) -> bool:
        folder = path.rstrip("/")
        while folder:
            folder = folder.rpartition("/")[0]
            rules = self._rules.get(folder)
            if rules is not None:
                verdict = rules.check_file(path[len(folder) + 1 :] if folder else path).include
                if verdict is not None:
                    return bool(verdict)
        return False


def main() -> None:
    """Answer the question on standard input."""
    asked = json.load(sys.stdin)
    seconds = asked.pop("seconds")
    # The asker ends us when the time is up; if it died itself, the kernel does.
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 5, int(seconds) + 5))
    home = asked.pop("home")
    question = Question(
        workspace=Path(asked.pop("workspace")),
        home=None if home is None else Path(home),
        deadline=time.monotonic() + seconds,
        **asked,
    )
    try:
        answer: dict[str, Any] = vars(search(question))
    except ToolError as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
