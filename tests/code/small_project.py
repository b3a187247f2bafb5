"""A small project with tests of its own, and a model that says what it is told to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mainspring.messages import Message, Usage, assistant

SHAPES = '''"""Shapes."""


def clamp(value, low, high):
    """Keep value between low and high."""
    if value < low:
        return low
    if value > high:
        return high
    return value


def area(width, height):
    """Area of a rectangle, 0 for an impossible one."""
    width = clamp(width, 0, 1000)
    height = clamp(height, 0, 1000)
    return width * height


class Counter:
    """Counts words."""

    def __init__(self):
        self.seen = {}

    def add(self, word):
        """One more of word; returns how many there are now."""
        self.seen[word] = self.seen.get(word, 0) + 1
        return self.seen[word]
'''

TESTS = """from shapes import Counter, area, clamp


def test_clamp():
    assert clamp(5, 0, 10) == 5
    assert clamp(-3, 0, 10) == 0
    assert clamp(30, 0, 10) == 10


def test_area():
    assert area(2, 3) == 6
    assert area(-2, 3) == 0


def test_counter():
    counter = Counter()
    assert counter.add("a") == 1
    assert counter.add("a") == 2
    assert counter.add("b") == 1
"""

COMMAND = "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 python -m pytest"


def make_project(folder: Path) -> Path:
    """A folder with a module and its tests, all of which pass."""
    (folder / "tests").mkdir(parents=True)
    (folder / "shapes.py").write_text(SHAPES)
    (folder / "tests" / "test_shapes.py").write_text(TESTS)
    (folder / "conftest.py").write_text("")
    return folder


def break_line(project: Path, old: str, new: str) -> None:
    """Replace a line of the module, which must be there."""
    file = project / "shapes.py"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


class Told:
    """An inner model whose answers come from a function of the prompt and of how the answer begins.

    With `infill` it has the control words of a model that fills gaps.
    """

    name = "told"
    takes_prefill = True

    def __init__(self, say: Callable[[str, str], str], *, infill: bool = True) -> None:
        self.say = say
        self.asked: list[tuple[str, str]] = []
        self.words = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>") if infill else ()

    async def prepare(self) -> tuple[None, Any]:
        """What a local model says of itself."""
        return None, SimpleNamespace(control_tokens=self.words)

    async def respond(self, messages: Sequence[Message], tools: Any, settings: Any) -> Message:
        """What the function says."""
        begin = settings.extra.get("prefill", "")
        self.asked.append((messages[-1].text, begin))
        return assistant(self.say(messages[-1].text, begin), usage=Usage(10, 2, calls=1))
