"""Test runs: which runner, what failed, where and why; and runs that do not end well."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mainspring.errors import ToolError
from mainspring.tools.runners import Frame, detect_runner, run_tests
from mainspring.tools.runners.junit import read_junit

# The plugins of our own environment take seconds to load, and no project here needs them.
QUICK = "[pytest]\naddopts = -p no:langsmith_plugin -p no:hypothesispytest -p no:anyio -p no:timeout\npythonpath = .\n"
TESTS = """
import unittest
import pytest
from pkg.calc import add, deep

def test_add():
    assert add(1, 2) == 3

class TestMore:
    @pytest.mark.parametrize("n", ["a::b"])
    def test_deep(self, n):
        deep(n)

    def test_fine(self):
        pass

    @pytest.mark.skip
    def test_skipped(self):
        pass

@pytest.fixture
def broken():
    raise RuntimeError("no database")

def test_setup(broken):
    pass
"""


@pytest.fixture
def project(workspace: Path) -> Path:
    for folder in ("pkg", "tests"):
        (workspace / folder).mkdir()
    (workspace / "pytest.ini").write_text(QUICK)
    (workspace / "pkg" / "__init__.py").write_text("")
    (workspace / "pkg" / "calc.py").write_text(
        "def add(a, b):\n    return a - b\n\n\ndef deep(x):\n    return add(x, '1')\n"
    )
    (workspace / "tests" / "test_calc.py").write_text(TESTS)
    return workspace


def test_pytest_failures_are_told_apart_and_located(project: Path, home: Path) -> None:
    before = sorted(p for p in project.rglob("*"))
    report = run_tests(project, home)
    assert (report.runner, report.exit_code, report.ok, report.counted) == ("pytest", 1, False, True)
    assert (report.passed, report.failed, report.errors, report.skipped) == (1, 2, 1, 1)
    add, deep, setup = report.failures
    assert (add.id, add.kind, add.message) == ("tests/test_calc.py::test_add", "failed", "assert -1 == 3")
    assert add.location == "tests/test_calc.py:7"
    assert deep.id == "tests/test_calc.py::TestMore::test_deep[a::b]"
    assert deep.frames == (
        Frame("tests/test_calc.py", 12, "test_deep"),
        Frame("pkg/calc.py", 6, "deep"),
        Frame("pkg/calc.py", 2, "add"),
    )
    assert deep.message.startswith("TypeError: unsupported operand")
    assert (setup.kind, setup.message) == ("error", "RuntimeError: no database")
    assert report.text().splitlines()[0].startswith("FAILED (exit code 1): 1 passed, 2 failed, 1 errors, 1 skipped in")
    assert sorted(p for p in project.rglob("*")) == before, "a test run leaves nothing behind"


def test_the_id_of_a_failure_can_be_run_alone(project: Path, home: Path) -> None:
    report = run_tests(project, home, "'tests/test_calc.py::TestMore::test_deep[a::b]'")
    assert (report.passed, report.failed, report.errors) == (0, 1, 0)
    report = run_tests(project, home, "tests/test_calc.py::TestMore::test_fine")
    assert report.ok
    assert report.text().startswith("PASSED: 1 passed in")


def test_a_module_that_cannot_be_imported_does_not_hide_the_others(project: Path, home: Path) -> None:
    (project / "tests" / "test_broken.py").write_text("import absent_module\n")
    report = run_tests(project, home)
    assert (report.passed, report.failed, report.errors) == (1, 2, 2)
    broken = report.failures[0]
    assert broken.id == "tests/test_broken.py"
    assert broken.message == "ModuleNotFoundError: No module named 'absent_module'"


def test_a_configured_command(project: Path, home: Path) -> None:
    report = run_tests(project, home, "-k add", command="python -m pytest -q tests")
    assert (report.failed, report.command) == (1, "python -m pytest -q tests -k add")
    report = run_tests(project, home, command="echo all is well; exit 4")
    assert (report.runner, report.exit_code, report.counted) == ("custom", 4, False)
    assert report.text() == "FAILED (exit code 4): echo all is well; exit 4\n\nall is well"


def test_unittest(workspace: Path, home: Path) -> None:
    (workspace / "test_it.py").write_text(
        "import unittest\n\nclass TestIt(unittest.TestCase):\n"
        "    def test_a(self):\n        self.assertEqual(1, 2)\n"
        "    def test_b(self):\n        raise ValueError('bad')\n"
        "    def test_c(self):\n        pass\n"
        "    @unittest.skip('later')\n    def test_d(self):\n        pass\n"
    )
    report = run_tests(workspace, home, command=f"{sys.executable} -m unittest -v")
    assert (report.passed, report.failed, report.errors, report.skipped) == (1, 1, 1, 1)
    assert [(f.id, f.kind, f.message, f.location) for f in report.failures] == [
        ("test_it.TestIt.test_b", "error", "ValueError: bad", "test_it.py:7"),
        ("test_it.TestIt.test_a", "failed", "AssertionError: 1 != 2", "test_it.py:5"),
    ]


def test_a_test_that_hangs_is_ended(workspace: Path, home: Path) -> None:
    (workspace / "pytest.ini").write_text(QUICK)
    (workspace / "test_slow.py").write_text("import time\n\ndef test_slow():\n    time.sleep(1000)\n")
    report = run_tests(workspace, home, timeout_s=8)
    assert report.timed_out
    assert not report.ok
    assert report.exit_code is None
    assert report.text().startswith("TIMED OUT after 8 s")


def test_no_tests_and_no_runner(workspace: Path, home: Path) -> None:
    with pytest.raises(ToolError, match="no tests recognised"):
        run_tests(workspace, home)
    (workspace / "go.mod").write_text("module x\n")
    assert detect_runner(workspace) == "go"
    (workspace / "pytest.ini").write_text(QUICK)
    report = run_tests(workspace, home)
    assert (report.exit_code, report.passed) == (5, 0)
    assert "no tests ran" in report.text()
    with pytest.raises(ToolError, match="cannot be read"):
        run_tests(workspace, home, "tests/'a")


def test_a_missing_toolchain_is_named(workspace: Path, home: Path) -> None:
    if os.path.exists("/usr/bin/cargo"):
        pytest.skip("this machine has cargo where the sandbox sees it")
    (workspace / "Cargo.toml").write_text("[package]\n")
    with pytest.raises(ToolError, match="need the Rust toolchain"):
        run_tests(workspace, home)


def test_a_forged_report_is_data_only(tmp_path: Path) -> None:
    secret = tmp_path / "secret.xml"
    secret.write_text("<testsuites><testcase name='leak'/></testsuites>")
    (tmp_path / "linked.xml").symlink_to(secret)
    os.mkfifo(tmp_path / "pipe.xml")
    bomb = '<!DOCTYPE a [<!ENTITY x "xx"><!ENTITY y "&x;&x;">]><testsuites><testcase name="&y;"/></testsuites>'
    (tmp_path / "bomb.xml").write_text(bomb)
    (tmp_path / "half.xml").write_text("<testsuites><testcase")
    with open(tmp_path / "huge.xml", "wb") as file:
        file.truncate(1 << 30)
    for name in ("linked.xml", "pipe.xml", "bomb.xml", "half.xml", "huge.xml", "absent.xml"):
        assert read_junit(tmp_path, name, tmp_path) is None
    assert read_junit(tmp_path, "secret.xml", tmp_path) is not None


def test_a_process_with_many_open_files_can_still_run_commands(tmp_path: Path) -> None:
    import os
    import resource

    from mainspring.tools.sandbox import Sandbox

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        assert Sandbox(tmp_path).run(["true"]).exit_code == 0
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
