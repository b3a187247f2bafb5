"""Attacks through a project's tests: runs that end early or rewrite their results must not be told as passed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from mainspring.tools.limits import SandboxLimits
from mainspring.tools.runners import TestReport, run_tests
from mainspring.tools.runners.watching import understand

_QUICK = "[pytest]\naddopts = -p no:langsmith_plugin -p no:hypothesispytest -p no:anyio -p no:timeout\n"
_FAILS = "def test_fails():\n    assert 1 == 2\n"
_FINE = "def test_fine():\n    pass\n"


def run(workspace: Path, home: Path, tests: str, conftest: str = "", **settings: object) -> TestReport:
    (workspace / "pytest.ini").write_text(_QUICK)
    (workspace / "test_it.py").write_text(tests)
    if conftest:
        (workspace / "conftest.py").write_text(conftest)
    return run_tests(workspace, home, timeout_s=30, **settings)  # type: ignore[arg-type]


def test_control_an_honest_run_passes(workspace: Path, home: Path) -> None:
    report = run(workspace, home, _FINE, "import pytest\n\n@pytest.fixture\ndef x():\n    return 1\n")
    assert report.ok
    assert (report.collected, report.outcomes) == (1, {"test_it.py::test_fine": "passed"})


def test_control_an_expected_failure_is_not_taken_for_a_masked_one(workspace: Path, home: Path) -> None:
    assert run(workspace, home, "import pytest\n\n@pytest.mark.xfail\ndef test_x():\n    assert 0\n\n" + _FINE).ok


_REWRITES = """
import pytest
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    report.outcome = "passed"
    report.longrepr = None
"""
_EXITS = "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"
_FORGES = """
import atexit, os, pathlib
def forge():
    for path in pathlib.Path("/run/scratch").glob("*.xml"):
        path.write_text("<testsuites><testsuite><testcase name='a'/></testsuite></testsuites>")
    os._exit(0)
atexit.register(forge)
"""
_DESELECTS = "def pytest_collection_modifyitems(items):\n    items[:] = []\n"


@pytest.mark.parametrize(
    ("conftest", "tests", "told"),
    [
        (_REWRITES, _FAILS, "reported as passed"),
        (_EXITS, _FAILS, "ended with status 1"),
        (_FORGES, _FAILS, "hides 1 failures"),
        (_DESELECTS, _FAILS, "nothing ran"),
        ("import os\nos._exit(0)\n", _FAILS, "no report"),
        ("", "import os\n\ndef test_end():\n    os._exit(0)\n\n" + _FAILS, "died early"),
        ("", "import pytest\n\n@pytest.mark.skip\n" + _FAILS, "skipped"),
    ],
)
def test_no_forged_or_empty_run_has_passed(workspace: Path, home: Path, conftest: str, tests: str, told: str) -> None:
    report = run(workspace, home, tests, conftest)
    assert not report.ok
    assert told in report.text().partition("\n")[0]
    assert not report.text().startswith("PASSED")


def test_the_test_that_ends_the_process_is_named(workspace: Path, home: Path) -> None:
    report = run(workspace, home, _FINE + "\nimport os\n\ndef test_end():\n    os._exit(0)\n")
    assert report.unfinished == ("test_it.py::test_end",)
    assert (report.passed, report.errors, report.collected) == (1, 1, 2)


def test_the_test_that_hangs_is_named(workspace: Path, home: Path) -> None:
    (workspace / "pytest.ini").write_text(_QUICK)
    (workspace / "test_it.py").write_text(_FINE + "\ndef test_hang():\n    import time\n    time.sleep(99)\n")
    report = run_tests(workspace, home, timeout_s=6)
    assert report.timed_out
    assert report.unfinished == ("test_it.py::test_hang",)
    assert "did not end: test_it.py::test_hang" in report.text()


def test_a_forked_child_and_a_line_without_the_number_tell_nothing() -> None:
    lines = [
        ["n", 10, "start", {}],
        ["n", 10, "report", {"test": "a", "when": "call", "outcome": "failed"}],
        ["n", 11, "finish", {"status": 0}],
        ["other", 10, "finish", {"status": 0}],
    ]
    data = "\n".join(map(json.dumps, lines)).encode() + b"\n\xff[[\n"
    seen = understand(data, "n")
    assert (seen.outcomes, seen.status) == ({"a": "failed"}, None)
    assert understand(json.dumps(lines[0]).encode(), "n").begun


def test_files_that_tests_remove_are_told(workspace: Path, home: Path) -> None:
    (workspace / "kept.txt").write_text("mine")
    (workspace / "lost.txt").write_text("mine")
    body = "import os\n\ndef test_a():\n    os.remove('lost.txt')\n    open('kept.txt', 'w').write('x')\n"
    body += "    open('new', 'w')\n"
    report = run(workspace, home, body)
    assert report.changed == ("~kept.txt", "-lost.txt")
    assert "changed 2 files that were there before" in report.text()


def test_output_without_end_and_escape_codes(workspace: Path, home: Path) -> None:
    body = "import os\n\ndef test_a():\n    for _ in range(300):\n        os.write(2, b'\\x1b[31m\\xff\\x00' * 20000)\n"
    body += "    assert 0\n"
    report = run_tests_with_output(workspace, home, body)
    assert report.failed == 1
    assert len(report.output) < 400_000
    assert "\x1b" not in report.text() + report.output


def run_tests_with_output(workspace: Path, home: Path, body: str) -> TestReport:
    (workspace / "pytest.ini").write_text(_QUICK.replace("addopts =", "addopts = -s"))
    (workspace / "test_it.py").write_text(body)
    return run_tests(workspace, home, timeout_s=30, limits=SandboxLimits())


def test_an_empty_or_broken_off_unittest_run(workspace: Path, home: Path) -> None:
    (workspace / "test_it.py").write_text(
        "import os, unittest\n\nclass T(unittest.TestCase):\n    def test_a(self):\n        os._exit(0)\n"
    )
    report = run_tests(workspace, home, command="python -m unittest -v", timeout_s=30)
    assert not report.ok
    assert "died early" in report.text() or "nothing ran" in report.text()
    (workspace / "test_it.py").write_text("")
    assert not run_tests(workspace, home, command="python -m unittest", timeout_s=30).ok


_FORKS = """
import os

def test_forks():
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0

def test_fine():
    pass
"""


def test_a_child_that_runs_on_through_pytest_tells_nothing(workspace: Path, home: Path) -> None:
    for _ in range(4):
        report = run(workspace, home, _FORKS)
        assert report.ok, report.text()
        assert report.outcomes == dict.fromkeys(("test_it.py::test_forks", "test_it.py::test_fine"), "passed")
    inside = "import unittest\n" + _FORKS.replace(
        "def test_forks():", "class T(unittest.TestCase):\n  def test_forks(self):"
    )
    report = run(workspace, home, inside.replace("child, 0)[1]", "child, 0)[0]").replace("== 0", "> 0"))
    assert report.ok, report.text()
    # Nobody waits for this child: the parent ends first or last, and its own failure is what counts.
    left = _FORKS.replace("if child:", "if not child:").replace("assert os.waitpid(child, 0)[1] == 0", "pass")
    for _ in range(4):
        report = run(workspace, home, left + "\n" + _FAILS)
        assert (report.passed, report.failed, report.broken) == (2, 1, ""), report.text()


def test_a_daemon_that_a_test_leaves_is_ended(workspace: Path, home: Path) -> None:
    daemon = "import time\nfor n in range(600):\n    open('beats', 'a').write('x')\n    time.sleep(0.05)\n"
    (workspace / "daemon.py").write_text(daemon)
    body = "import os, subprocess, sys, time\n\ndef test_leaves():\n"
    body += "    subprocess.Popen([sys.executable, 'daemon.py'], start_new_session=True)\n"
    body += "    while not os.path.exists('beats'):\n        time.sleep(0.05)\n"
    assert run(workspace, home, body).ok
    size = (workspace / "beats").stat().st_size
    time.sleep(0.4)
    assert size == (workspace / "beats").stat().st_size
