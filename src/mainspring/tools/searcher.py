"""The search itself, run in a process of its own so that no pattern and no ignore file can hold up a run.

It reads its question as JSON from standard input and writes its answer as JSON to standard output.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mainspring.errors import ToolError
from mainspring.tools.paths import locate, printable
from mainspring.tools.textfile import encoding_of

MAX_FILE_BYTES = 4 << 20
_MAX_FILES = 200_000
_MAX_DEPTH = 200
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


class File(NamedTuple):
    """A file to search: the open folder that holds it, its name there, its path from the workspace."""

    folder: int
    name: str
    path: str


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
    for file in _files(question, answer):
        if time.monotonic() > question.deadline:
            answer.complete = False
            break
        if wanted is not None and not wanted.match_file(file.path):
            continue
        if not question.regex and question.query.lower() in file.path.lower():
            answer.names.append(printable(file.path))
        _search_file(question, file, pattern, answer)
    return answer


def _search_file(question: Question, file: File, pattern: re.Pattern[str], answer: Answer) -> None:
    text = _text(file.folder, file.name)
    if text is None:
        answer.skipped += 1
        return
    answer.searched += 1
    shown = printable(file.path)
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


def _text(folder: int, name: str) -> str | None:
    fd = _open(folder, name)
    if fd is None:
        return None
    with os.fdopen(fd, "rb") as file:
        if os.fstat(fd).st_size > MAX_FILE_BYTES:
            return None
        data = file.read(MAX_FILE_BYTES)
    encoding = encoding_of(data, whole=True)
    return None if encoding is None else encoding.decode(data)


def _open(folder: int, name: str) -> int | None:
    """A plain file of an open folder, or None. Links are not followed, and a pipe does not make us wait."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def _files(question: Question, answer: Answer) -> Iterator[File]:
    """The plain files under the question's path, without what ignore files name."""
    with locate(question.workspace, question.path, home=question.home) as place:
        if place.status() is None:
            raise ToolError(f"{printable(question.path)} does not exist")
        walk = _Walk(question.home, answer)
        fd = place.open()
        try:
            if not stat.S_ISDIR(os.fstat(fd).st_mode):
                yield File(place.folder, place.name, "/".join(place.parts))
                return
            for depth in range(len(place.parts)):  # rules above the searched folder hold in it
                with locate(question.workspace, "/".join(place.parts[:depth]) or ".") as above:
                    handle = above.open()
                    walk.enter(handle, "/".join(place.parts[:depth]))
                    os.close(handle)
            yield from walk.files(fd, "/".join(place.parts))
        finally:
            os.close(fd)


class _Walk:
    """Goes down a tree from one open folder to the next, honouring the ``.gitignore`` files on the way."""

    def __init__(self, home: Path | None, answer: Answer) -> None:
        self._answer = answer
        self._seen = 0
        self._rules: list[tuple[str, Any]] = []
        self._home = None
        if home is not None and home.exists():
            self._home = (home.stat().st_dev, home.stat().st_ino)

    def files(self, fd: int, folder: str) -> Iterator[File]:
        depth = len(self._rules)
        self.enter(fd, folder)
        with os.scandir(fd) as found:
            entries = sorted(found, key=lambda e: e.name)
        below = []
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_symlink() or entry.name in _SKIPPED:
                continue
            if entry.is_dir(follow_symlinks=False):
                if not self._ignores(path + "/"):
                    below.append((entry.name, path))
            elif entry.is_file(follow_symlinks=False) and not self._ignores(path):
                self._seen += 1
                if self._seen > _MAX_FILES:
                    self._answer.complete = False
                    return
                yield File(fd, entry.name, path)
        for name, path in below:
            yield from self._below(fd, name, path)
        del self._rules[depth:]

    def _below(self, fd: int, name: str, path: str) -> Iterator[File]:
        if path.count("/") > _MAX_DEPTH:
            self._answer.complete = False
            return
        try:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        except OSError:
            return
        try:
            status = os.fstat(inner)
            if (status.st_dev, status.st_ino) != self._home:
                yield from self.files(inner, path)
        finally:
            os.close(inner)

    def enter(self, fd: int, folder: str) -> None:
        """Read the rules that a folder brings."""
        from pathspec import GitIgnoreSpec

        lines: list[str] = []
        for name in (".gitignore", ".git/info/exclude"):
            handle = _open(fd, name)
            if handle is not None:
                with os.fdopen(handle, "rb") as file:
                    lines += file.read(1 << 20).decode("utf-8", "replace").splitlines()
        if lines:
            with contextlib.suppress(ValueError):  # git, too, goes on without rules that it cannot read
                self._rules.append((f"{folder}/" if folder else "", GitIgnoreSpec.from_lines(lines)))

    def _ignores(self, path: str) -> bool:
        for prefix, rules in reversed(self._rules):  # the one nearest to the path decides
            verdict = rules.check_file(path[len(prefix) :]).include
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
