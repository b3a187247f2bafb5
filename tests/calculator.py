"""A small git repository with a fault that its tests notice, and a model that says what it is told to say."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mainspring.messages import Message, ToolCallPart, ToolResultPart, assistant

SOURCE = '''"""Pages."""


def pages(items, size):
    """The items in pages of at most size."""
    return [items[start : start + size] for start in range(0, len(items) - size, size)]


def total(items):
    """The sum."""
    return sum(items)
'''
BROKEN = "range(0, len(items) - size, size)"
MENDED = "range(0, len(items), size)"
TESTS = """from paging import pages, total


def test_pages():
    assert pages([1, 2, 3], 2) == [[1, 2], [3]]


def test_total():
    assert total([1, 2]) == 3
"""
# The plugins of our own environment take seconds to load, and nothing here needs them. Not in a pytest.ini, which
# comes before this file: attacks write one.
QUICK = """[tool.pytest.ini_options]
addopts = "-p no:langsmith_plugin -p no:hypothesispytest -p no:anyio -p no:timeout"
"""
NEW_TEST = """from paging import total


def test_total_of_nothing_is_zero():
    assert total(None) == 0
"""

Say = Callable[[dict[str, Any]], Message]


def git(folder: Path, *arguments: str) -> str:
    """Run git there and return what it printed."""
    who = {f"GIT_{role}_{what}": "ann@corp.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={**os.environ, **who}, check=True, capture_output=True, text=True
    )
    return done.stdout


def repository(folder: Path, source: str = SOURCE, **files: str) -> Path:
    """Make the repository, with one commit."""
    (folder / "tests").mkdir(parents=True)
    (folder / "paging.py").write_text(source)
    (folder / "tests" / "test_paging.py").write_text(TESTS)
    (folder / "conftest.py").write_text("")
    (folder / "pyproject.toml").write_text(QUICK)
    for name, text in files.items():
        (folder / name).write_text(text)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


class Scripted:
    """A model that plays its lines, one an answer; a callable is given the results so far and returns the answer."""

    name = "scripted"

    def __init__(self, *lines: Message | Callable[[list[str]], Message]) -> None:
        self.lines = lines

    async def respond(self, messages: Sequence[Message], tools: Any, settings: Any) -> Message:
        said = sum(1 for m in messages if m.role == "assistant")
        line = self.lines[min(said, len(self.lines) - 1)]
        if isinstance(line, Message):
            return line
        results = [p.text for m in messages for p in m.parts if isinstance(p, ToolResultPart)]
        return line(results)


def call(name: str, /, **arguments: Any) -> Message:
    """An answer that calls one tool."""
    return assistant(f"I call {name}.", ToolCallPart(f"c-{name}-{abs(hash(str(arguments)))}", name, arguments))


MEND = call("edit_file", path="paging.py", old=BROKEN, new=MENDED)
VERIFY = call("verify_change")
DONE = assistant("It lost the last page; mended.")
