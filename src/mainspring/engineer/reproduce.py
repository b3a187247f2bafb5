"""Has a weak model write a test that fails because of what is asked, so that the repair planner has something to mend.

The idea of turning a report into a failing test first, and of trusting only tests that fail in the right way, is
Libro's (Kang, Yoon and Yoo, 2023). Here a test counts when it fails by an assertion of its own.
"""

from __future__ import annotations

import ast
import re

from mainspring.engineer.testfiles import is_test
from mainspring.messages import Message, system, user

#: Tests to ask for before it is given up.
MAX_TESTS = 4
#: Tokens of one answer.
TOKENS = 320
BEGIN = "```python\n"
STOP = ("```",)

_SYSTEM = "You write one short pytest test. Answer with code only."
_MAP_CHARS = 5_000
_PATH = re.compile(r"^((?!.*\.\.)[\w][\w./-]*\.py)\b", re.MULTILINE)
_WORD = re.compile(r"[a-z]{3,}")
_NO_FAULT = re.compile(
    r"\b(?:SyntaxError|IndentationError|ModuleNotFoundError|ImportError|NameError|fixture '.*' not found)\b"
)


def question(task: str, shown: str) -> list[Message]:
    """The messages that ask for the test.

    Args:
        task: what the person wants.
        shown: a map of the repository, which names its modules and signatures.
    """
    text = (
        f"Parts of a project:\n{shown[:_MAP_CHARS]}\n\nWhat is wrong or wanted:\n{task}\n\n"
        "Write one test function that imports from the project and fails as long as that is not so."
    )
    return [system(_SYSTEM), user(text)]


def usable(answer: str) -> str | None:
    """The test in an answer, or None when it is no module with a test function that asserts something."""
    code = answer.removeprefix(BEGIN).split("```", 1)[0].strip() + "\n"
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return None
    tests = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test")]
    imports = any(isinstance(n, ast.Import | ast.ImportFrom) for n in ast.walk(tree))
    if not tests or not imports or not any(_checks(test) for test in tests):
        return None
    return code


def place(task: str, shown: str) -> str:
    """Where the test goes: beside the tests that the map names, else in ``tests/``."""
    near = next((path for path in _PATH.findall(shown) if is_test(path) and "/" in path), "tests/")
    words = _WORD.findall(task.lower())[:4] or ["task"]
    return f"{near.rpartition('/')[0]}/test_{'_'.join(words)}.py"


def reproduces(outcome: str) -> bool:
    """Whether a test run failed in a way that says something about the project, by what `execute_tests` answered."""
    head = outcome.partition("\n")[0]
    return head.startswith("FAILED") and " failed" in head and _NO_FAULT.search(outcome) is None


def _checks(test: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Assert) or (isinstance(node, ast.Attribute) and node.attr == "raises")
        for node in ast.walk(test)
    )
