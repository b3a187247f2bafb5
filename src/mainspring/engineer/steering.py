"""Which files decide how a project's tests are run, so that a change of them can make any test pass."""

from __future__ import annotations

import posixpath
import re
import shlex
from pathlib import PurePosixPath

_NAMES = frozenset(
    {
        *("conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", "tox.ini", "setup.cfg", "pyproject.toml"),
        *("noxfile.py", "sitecustomize.py", "usercustomize.py", "setup.py", "manage.py"),
        *("Makefile", "makefile", "GNUmakefile", "CMakeLists.txt", "package.json", ".npmrc"),
        *("go.mod", "go.work", "Cargo.toml", "pom.xml", "gradlew", "mvnw", "settings.gradle", "settings.gradle.kts"),
        *("build.gradle", "build.gradle.kts", "gradle.properties", "build.rs"),
    }
)
_PATTERNS = re.compile(
    r".*\.(?:mk|pth|cmake)|\.(?:mocharc|babelrc|swcrc)(?:\..*)?|(?:jest|vitest|vite|babel|karma|playwright)\.config\..*"
)


def steers(path: str, command: str | None = None) -> bool:
    """Whether a file decides how tests are found, run, helped or judged.

    Args:
        path: relative to the repository.
        command: how the tests are run, when it was configured: a script that it names steers too.
    """
    place = PurePosixPath(path)
    if place.name in _NAMES or _PATTERNS.fullmatch(place.name) or ".cargo" in place.parts or ".mvn" in place.parts:
        return True
    return path in _named(command)


def _named(command: str | None) -> frozenset[str]:
    """Paths that a shell command's words may be."""
    try:
        words = shlex.split(command or "", comments=True)
    except ValueError:
        words = (command or "").split()
    bare = (word.strip(";&|()'\"") for word in words)
    return frozenset(posixpath.normpath(word) for word in bare if word)
