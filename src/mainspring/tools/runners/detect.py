"""Tells from a workspace's files which test runners it uses, and where."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import ToolError
from mainspring.tools.runners.found import read_plain

_DEPTH = 3
_FOLDERS = 2_000
_PASSED_OVER = frozenset(
    {"node_modules", "vendor", "target", "build", "dist", "venv", "env", "third_party", "testdata", "fixtures"}
)
_PYTEST_FILES = ("pytest.ini", "conftest.py", "tox.ini", "setup.cfg", "pyproject.toml", "setup.py")
_TEST_FILE = re.compile(r"test_.*\.py|.*_test\.py")


@dataclass(frozen=True, slots=True)
class Runner:
    """A test runner that a folder uses.

    Args:
        name: ``"pytest"``, ``"unittest"``, ``"node"``, ``"jest"``, ``"vitest"``, ``"mocha"``, ``"npm"``, ``"go"``,
            ``"cargo"``, ``"maven"``, ``"gradle"``, ``"ctest"`` or ``"make"``.
        folder: where, relative to the workspace; empty for its top.
        reason: what told it.
        confidence: from 0 to 1; a rough order, no probability.
    """

    name: str
    folder: str
    reason: str
    confidence: float


def detect(workspace: str | Path, target: str = "") -> list[Runner]:
    """The runners of a workspace, the likeliest first; with a target, those nearest to it first.

    Args:
        workspace: the project; a repository of many projects has several.
        target: a path in it, or a test id that begins with one.
    """
    top = os.path.realpath(workspace)
    found: list[Runner] = []
    waiting = [""]
    for count, folder in enumerate(waiting):
        if count >= _FOLDERS:
            break
        try:
            with os.scandir(os.path.join(top, folder)) as entries:
                names = {e.name: e.is_dir(follow_symlinks=False) for e in entries}
        except OSError:
            continue
        found += _of_folder(Path(top, folder), folder, names)
        if folder.count("/") + bool(folder) < _DEPTH:
            for name in sorted(names):
                if names[name] and not name.startswith(".") and name not in _PASSED_OVER:
                    waiting.append(f"{folder}/{name}" if folder else name)
    found = _without_parts(found)
    path = target.split("::")[0].strip("/")

    def key(runner: Runner) -> tuple[int, int, float]:
        holds = not runner.folder or path == runner.folder or path.startswith(f"{runner.folder}/")
        near = -runner.folder.count("/") - 1 if runner.folder else 0
        return (0 if holds else 1, near if path and holds else -near, -runner.confidence)

    return sorted(found, key=key)


def detect_runner(workspace: Path) -> str:
    """The name of the runner that all tests of a workspace would be run with. Raises ToolError when there is none."""
    return nearest(workspace).name


def nearest(workspace: Path, target: str = "") -> Runner:
    """The first of `detect`. Raises ToolError when nothing is recognised."""
    found = detect(workspace, target)
    if not found:
        raise ToolError(
            "no tests recognised: looked for pytest or unittest files, package.json, go.mod, Cargo.toml, pom.xml, "
            "build.gradle, CMakeLists.txt and a Makefile with a target check or test; run them with "
            "run_terminal_command, or configure a test command"
        )
    return found[0]


def _of_folder(path: Path, folder: str, names: dict[str, bool]) -> list[Runner]:
    found = []
    python = _python(path, names)
    if python is not None:
        found.append(Runner("pytest", folder, *python))
    if "go.mod" in names:
        found.append(Runner("go", folder, "go.mod", 0.9))
    if "Cargo.toml" in names:
        found.append(Runner("cargo", folder, "Cargo.toml", 0.9))
    if "package.json" in names:
        found += _script(path, folder)
    if "pom.xml" in names:
        found.append(Runner("maven", folder, "pom.xml", 0.85))
    gradle = next((n for n in ("build.gradle", "build.gradle.kts") if n in names), None)
    if gradle:
        found.append(Runner("gradle", folder, gradle, 0.8))
    if "CMakeLists.txt" in names and b"enable_testing" in (read_plain(path, "CMakeLists.txt") or b""):
        found.append(Runner("ctest", folder, "CMakeLists.txt with enable_testing", 0.7))
    for name in ("Makefile", "makefile", "GNUmakefile"):
        goal = re.search(rb"^(check|test):", read_plain(path, name) or b"", re.M) if name in names else None
        if goal:
            found.append(Runner("make", folder, f"{name} with a target {goal[1].decode()}", 0.5))
            break
    return found


def _python(path: Path, names: dict[str, bool]) -> tuple[str, float] | None:
    for name in _PYTEST_FILES:
        if name not in names or names[name]:
            continue
        if name in ("pytest.ini", "conftest.py"):
            return name, 0.95
        if re.search(rb"^\[(tool\.pytest|tool:pytest|pytest\])", read_plain(path, name) or b"", re.MULTILINE):
            return f"{name} configures pytest", 0.95
    here = any(_TEST_FILE.fullmatch(name) for name in names)
    folder = next((n for n in ("tests", "test") if names.get(n) and any(path.joinpath(n).glob("**/test*.py"))), None)
    project = next((name for name in _PYTEST_FILES if name in names), None)
    if here or folder:
        return f"Python tests in {folder or 'this folder'}", 0.88 if project else 0.75
    return (f"{project}, but no test files were seen", 0.3) if project else None


def _script(path: Path, folder: str) -> list[Runner]:
    try:
        package = json.loads(read_plain(path, "package.json") or b"{}")
        script = str((package.get("scripts") or {}).get("test") or "")
        used = {**(package.get("dependencies") or {}), **(package.get("devDependencies") or {})}
    except (ValueError, AttributeError, TypeError, RecursionError):
        return [Runner("npm", folder, "package.json, which cannot be read", 0.2)]
    plain = not re.search(r"[|&;<>$`]", script)
    if re.match(r"node (.* )?--test\b", script) and plain:
        return [Runner("node", folder, f"package.json runs {script[:60]!r}", 0.9)]
    for name in ("vitest", "jest", "mocha"):
        if plain and re.match(rf"(npx )?{name}\b", script):
            return [Runner(name, folder, f"package.json runs {script[:60]!r}", 0.9)]
    if script and "no test specified" not in script:
        return [Runner("npm", folder, f"package.json runs {script[:60]!r}", 0.85)]
    for name in ("vitest", "jest", "mocha"):
        if name in used:
            return [Runner(name, folder, f"package.json uses {name}", 0.6)]
    return [Runner("npm", folder, "package.json without a test script", 0.2)]


def _without_parts(found: list[Runner]) -> list[Runner]:
    """Without folders that a runner above already covers: a package's tests folder, a workspace's member."""
    kept: list[Runner] = []
    for runner in found:  # folders above come first
        above = [
            k for k in kept if k.name == runner.name and (not k.folder or runner.folder.startswith(k.folder + "/"))
        ]
        covers = runner.name in ("pytest", "cargo", "maven", "gradle", "ctest", "make", "go")
        own = runner.reason in ("go.mod", "pytest.ini") or runner.reason.endswith("configures pytest")
        if not (above and covers and not own):
            kept.append(runner)
    return kept
