"""Which files are tests, and which are only words."""

from __future__ import annotations

import pytest

from mainspring.engineer.testfiles import is_prose, is_test


@pytest.mark.parametrize(
    "path",
    [
        "tests/test_a.py", "pkg/tests/helpers.py", "test_a.py", "a_test.py", "conftest.py", "pkg/a_test.go",
        "src/a.test.ts",
        "src/a.spec.jsx", "src/__tests__/a.js", "src/test/java/p/ATest.java", "tests/it.rs",
    ],
)  # fmt: skip
def test_tests(path: str) -> None:
    assert is_test(path)


@pytest.mark.parametrize("path", ["src/a.py", "testimony.py", "latest.go", "src/main/java/p/Contest.java", "attest.ts"])
def test_what_is_no_test(path: str) -> None:
    assert not is_test(path)


@pytest.mark.parametrize("path", ["README.md", "docs/a.rst", "logo.svg", "LICENSE", "notes.txt"])
def test_words(path: str) -> None:
    assert is_prose(path)


@pytest.mark.parametrize(
    "path", ["requirements.txt", "requirements-dev.txt", "CMakeLists.txt", "a.py", "pyproject.toml"]
)
def test_what_changes_behaviour(path: str) -> None:
    assert not is_prose(path)
