"""What an import costs, and which room may know which."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mainspring

SOURCE = Path(mainspring.__file__).parent

#: Heavy libraries that a plain run does without until something needs them.
HEAVY = {
    "pydantic",
    "click",
    "rich",
    "xllamacpp",
    "pydantic_ai",
    "httpx",
    "langchain_core",
    "openai",
    "anthropic",
    "cedarpy",
    "mcp",
    "tree_sitter",
    "bandit",
    "pyte",
    "acp",
    "psycopg",
    "dbos",
    "obstore",
    "starlette",
    "uvicorn",
    "cronsim",
    "watchfiles",
    "prometheus_client",
    "opentelemetry",
    "numpy",
    "PIL",
    "pypdfium2",
    "onnx",
    "onnxruntime",
    "tokenizers",
    "rapidocr",
    "cv2",
    "av",
    "docx",
    "pptx",
    "openpyxl",
    "selectolax",
    "faiss",
    "torch",
    "transformers",
    "qdrant_client",
}

#: Every room by its height. A room may import what stands lower; `SIDEWAYS` and `DOORS` name the exceptions.
HEIGHT = {
    "__main__": 8,  # `python -m mainspring`
    "cli": 7,
    "console": 7,
    "lab": 6,
    "swarm": 6,
    "schedules": 6,
    "fleet": 6,
    "telemetry": 6,
    "acp": 6,
    "engineer": 6,
    "langchain": 6,
    "audit": 6,
    "runtime": 5,
    "guard": 4,
    "models": 4,
    "tools": 4,
    "code": 4,
    "library": 4,
    "memory": 4,
    "skills": 4,
    "store": 3,
    "config": 2,
    "secrets": 1,
    "agent": 2,  # the nouns, from what knows most to what knows least
    "tool": 1,
    "model": 0,
    "content": 0,
    "value": 0,
    "signature": 0,
    "messages": -1,
    "names": -1,
    "label": -1,
    "points": -2,
    "errors": -2,
    "lexical": -2,
    "threads": -2,
}

#: Rooms on one floor of which the first may use the second.
SIDEWAYS = {
    ("skills", "guard"),
    ("memory", "guard"),
    ("memory", "library"),
    ("code", "library"),
    ("library", "guard"),
    ("library", "tools"),
    ("library", "models"),
    ("code", "tools"),
    ("code", "models"),
    ("acp", "engineer"),
    ("engineer", "swarm"),
    ("schedules", "swarm"),
    ("fleet", "swarm"),
    ("fleet", "schedules"),
    ("fleet", "telemetry"),
    ("label", "errors"),
    ("messages", "errors"),
}

#: Imports that point up, inside functions only. An agent is the door from a declaration to its runs.
DOORS = {("agent.py", "runtime")}

#: The package itself is the public face: it names everything, and loads it on first use.
FACE = "__init__.py"


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a statement loads in a fresh process."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{n.split('.')[0] for n in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "import mainspring",
        "from mainspring import Agent, tool, Run, Policy",
        "from mainspring import Agent, tool, Run, Policy, ScriptedModel, ToolContext, Happened, Message, Label",
        "import mainspring.runtime, mainspring.store",
        "from mainspring import Agent, tool\n@tool(effect='read')\ndef f(a: int) -> int: ...\n"
        "Agent('a', model='local', tools=[f]).digest()",
        "import mainspring.tools",
        "import mainspring.models",
    ],
)
def test_an_import_loads_nothing_heavy(statement: str) -> None:
    found = loaded_by(statement)
    assert "mainspring" in found
    assert found & HEAVY == set()


def test_the_check_would_see_a_heavy_import() -> None:
    assert "pydantic" in loaded_by("import pydantic")


def test_the_public_names_are_there() -> None:
    program = "import mainspring\nfor name in mainspring.__all__: getattr(mainspring, name)"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert set(mainspring.__all__) <= set(dir(mainspring))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        mainspring.Nothing  # noqa: B018


def imports(path: Path) -> Iterator[tuple[str, int, str]]:
    """`(room, line, where)` of each import of ours; `where` is "top", "function" or "types"."""

    def walk(node: ast.AST, where: str) -> Iterator[tuple[str, int, str]]:
        for child in ast.iter_child_nodes(node):
            inside = where
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                inside = "function"
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                inside = "types"
            modules: list[str] = []
            if isinstance(child, ast.Import):
                modules = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}:{child.lineno}: write imports in full"
                modules = [child.module or ""]
                if child.module == "mainspring":
                    modules = [f"mainspring.{alias.name}" for alias in child.names]
            for module in modules:
                parts = module.split(".")
                if parts[0] == "mainspring" and len(parts) > 1:
                    yield parts[1], child.lineno, inside
            yield from walk(child, inside)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), "top")


def complaints(path: Path, source: Path) -> list[str]:
    """Imports of a file that point up or sideways."""
    name = str(path.relative_to(source))
    room = path.relative_to(source).parts[0].removesuffix(".py")
    found = []
    for target, line, where in imports(path):
        if target == room or target.startswith("_"):
            continue
        # `from mainspring import NAME` counts as the room that NAME lives in.
        lives_in = target if target in HEIGHT else mainspring._HOME[target].split(".")[0]
        allowed = (
            HEIGHT[lives_in] < HEIGHT[room]
            or (room, lives_in) in SIDEWAYS
            or where == "types"  # no code runs: the names are only read by type checkers
            or ((name, target) in DOORS and where == "function")
        )
        if not allowed:
            found.append(f"{name}:{line}: {room} must not import {target}")
    return found


FILES = sorted(p for p in SOURCE.rglob("*.py") if p != SOURCE / FACE)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    assert complaints(path, SOURCE) == []


def test_every_room_has_its_place() -> None:
    rooms = {p.relative_to(SOURCE).parts[0].removesuffix(".py") for p in FILES}
    assert rooms <= set(HEIGHT)


@pytest.mark.parametrize(
    ("where", "text", "complaint"),
    [
        ("store/x.py", "from mainspring.runtime import start", "store must not import runtime"),
        ("guard/x.py", "import mainspring.runtime.run", "guard must not import runtime"),
        ("store/x.py", "from mainspring import Run", "store must not import Run"),
        ("tools/x.py", "def f():\n    import mainspring.code", "tools must not import code"),
        ("agent.py", "from mainspring.runtime import start", "agent must not import runtime"),
        ("tool.py", "def f():\n    from mainspring.agent import Agent", "tool must not import agent"),
    ],
)
def test_the_check_would_see_an_import_that_points_up(tmp_path: Path, where: str, text: str, complaint: str) -> None:
    path = tmp_path / where
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    (found,) = complaints(path, tmp_path)
    assert complaint in found
