"""Which files decide how tests are run."""

from __future__ import annotations

import pytest

from mainspring.engineer.steering import steers


@pytest.mark.parametrize(
    "path",
    [
        *("conftest.py", "a/b/conftest.py", "pyproject.toml", "Makefile", "build/rules.mk", "package.json", "a.pth"),
        *("jest.config.js", ".mocharc.json", "web/vitest.config.mts", ".cargo/config.toml", "sitecustomize.py"),
    ],
)
def test_settings_of_runners_steer(path: str) -> None:
    assert steers(path)


@pytest.mark.parametrize("path", ["paging.py", "tests/test_paging.py", "README.md", "src/makefile.py", "config.py"])
def test_code_and_tests_do_not(path: str) -> None:
    assert not steers(path)


@pytest.mark.parametrize(
    "command", ["sh ci/run.sh -q", "./ci/run.sh", "cd x; ci/run.sh;", "sh 'ci/run.sh", "(ci/run.sh)"]
)
def test_a_script_that_the_configured_command_names_steers(command: str) -> None:
    assert steers("ci/run.sh", command)
    assert not steers("ci/other.sh", command)
