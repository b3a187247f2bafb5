"""Which files are tests, and which hold no behaviour at all, told from their paths."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_FOLDERS = frozenset({"tests", "test", "testing", "__tests__", "spec", "specs", "testdata", "fixtures"})
_NAMES = re.compile(
    r"(?:test_.*|.*_tests?|conftest)\.py$"
    r"|.*_test\.(?:go|cc|cpp|c|rs)$"
    r"|.*(?:\.|_|-)(?:test|spec)\.[cm]?[jt]sx?$"
    r"|(?:Test.*|.*Tests?|.*TestCase|.*IT)\.(?:java|kt|scala)$"
)
_WORDS = frozenset({".md", ".rst", ".txt", ".adoc", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".po", ".pot"})
_NOT_WORDS = frozenset({"requirements.txt", "constraints.txt", "CMakeLists.txt"})


def is_test(path: str) -> bool:
    """Whether a file belongs to the tests, by the habits of pytest, unittest, node, Go, Rust, Maven and CTest."""
    place = PurePosixPath(path)
    return bool(_NAMES.match(place.name)) or any(part.lower() in _FOLDERS for part in place.parts[:-1])


def is_prose(path: str) -> bool:
    """Whether a file is words or pictures for people, so that no test can show a change of it."""
    place = PurePosixPath(path)
    if place.name in _NOT_WORDS or place.name.startswith("requirements"):
        return False
    return place.suffix.lower() in _WORDS or place.name in ("LICENSE", "AUTHORS", "NOTICE", "CODEOWNERS")
