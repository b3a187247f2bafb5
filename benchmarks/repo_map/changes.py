"""Known changes: what the next release of a package touched, and what could be known before it was made.

A case of kind ``release`` has the changelog's new lines as its text and the tests that the release changed as failing
ones; the files to be found are the source files whose code it changed. A case of kind ``test`` has one changed test
alone, and the names of the tests that are new in it as its text; to be found are those changed source files that this
test imports, directly or through one other file. The tree is always that of the release before, unchanged.
"""

from __future__ import annotations

import ast
import hashlib
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmarks.peers.environment import cache_folder
from benchmarks.repo_map.imports import reach
from benchmarks.repo_map.packages import Package
from mainspring.code.breaking.sdist import fetch

Tree = dict[str, bytes]

#: Changes of more source files than this are several changes in one.
MOST_FILES = 8
#: A longer text is the changelog of several releases, or a moved file.
_MOST_TEXT = 20_000
_TEST_NAME = re.compile(r"^(?:test_.*|.*_tests?|tests?|conftest)\.py$")
_TEST_FOLDERS = frozenset({"test", "tests", "testing", "testsuite", "t", "test-data", "testdata"})
#: Folders and files at the top that are no part of what is shipped.
_ASIDE = frozenset(
    {"doc", "docs", "example", "examples", "setup.py", "conftest.py", "tools", "utils", "scripts", "misc", "bin"}
    | {"release", "packaging", "hacking", "build", "asv_bench", "benchmarks", "requirements", "extra", "bench"}
)
_CHANGELOG = re.compile(r"change|news|releases/|history", re.IGNORECASE)
_NO_CHANGELOG = re.compile(r"announce|egg-info|contributing", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Case:
    """A change to be found.

    Args:
        package, old, new: from which release to which.
        kind: ``"release"`` or ``"test"``.
        text: the task, in words.
        tests: failing tests: paths in the old release.
        truth: source files of the old release that the change touched.
    """

    package: str
    old: str
    new: str
    kind: str
    text: str
    tests: tuple[str, ...]
    truth: frozenset[str]


def read(package: Package, version: str) -> Tree:
    """The files of a release; it is fetched first if need be. Links are left out.

    Raises:
        SourceError: it cannot be fetched, or is another file than the pinned one.
    """
    source, cache = package.source(version), cache_folder()
    archive = cache / "sources" / f"{source.name}-{version}.tar.gz"
    if not archive.exists() or hashlib.sha256(archive.read_bytes()).hexdigest() != source.sha256:
        with tempfile.TemporaryDirectory(dir=cache, prefix="release-") as scratch:
            fetch(source, Path(scratch, "tree"), cache / "sources")
    found: Tree = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            file = tar.extractfile(member) if member.isfile() and ".." not in path.parts else None
            if file is not None:
                found[path.as_posix()] = file.read()
    return found


def is_test(path: str) -> bool:
    """Whether a file is a test, or helps tests."""
    *folders, name = path.split("/")
    return bool(_TEST_NAME.match(name)) or not _TEST_FOLDERS.isdisjoint(folders)


def is_source(path: str) -> bool:
    """Whether a file is Python that the package ships."""
    return path.endswith(".py") and not is_test(path) and path.split("/", 1)[0] not in _ASIDE


def cases(package: Package, old: str, new: str, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[Case]:
    """The cases that one step between releases gives: at most one of each kind."""
    python = [path for path in sorted(before) if path.endswith(".py")]
    changed = [path for path in python if _differs(before[path], after.get(path))]
    truth = frozenset(path for path in changed if is_source(path))
    tests = tuple(path for path in changed if is_test(path) and path in after)
    text = changelog(before, after)
    found: list[Case] = []
    if 1 <= len(truth) <= MOST_FILES and (text or tests):
        found.append(Case(package.name, old, new, "release", text, tests, truth))
    for test in tests:
        near = truth & reach(before, test, 2)
        names = new_tests(before[test], after[test])
        if 1 <= len(near) <= MOST_FILES and names:
            found.append(Case(package.name, old, new, "test", " ".join(names), (test,), frozenset(near)))
            break
    return found


def changelog(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    """The lines that are new in the files that tell of changes; "" when there are too many of them."""
    lines: list[str] = []
    for path in sorted(after):
        if not path.lower().endswith((".rst", ".txt", ".md")) or before.get(path) == after[path]:
            continue
        if not _CHANGELOG.search(path) or _NO_CHANGELOG.search(path):
            continue
        known = set(_text(before.get(path, b"")).splitlines())
        lines += [line for line in _text(after[path]).splitlines() if line not in known]
    text = "\n".join(lines)
    return text if len(text) <= _MOST_TEXT else ""


def new_tests(before: bytes, after: bytes) -> list[str]:
    """Names of the tests that are new or changed."""
    old = dict(_functions(before))
    return list(dict.fromkeys(name for name, code in _functions(after) if old.get(name) != code))


def _functions(data: bytes) -> Iterator[tuple[str, str]]:
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield node.name, ast.dump(node)


def _differs(before: bytes, after: bytes | None) -> bool:
    """Whether the code differs, beyond comments, docstrings and digits (versions and years)."""
    return after is None or (before != after and _code(before) != _code(after))


def _code(data: bytes) -> str:
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return _text(data)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                del body[0]
    return re.sub(r"\d+", "", ast.dump(tree))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
