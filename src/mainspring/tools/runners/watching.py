"""A pytest plugin that tells, over a pipe, which tests were collected, began and ended.

A pipe takes nothing back: a test that ends the process, or a `conftest.py` that rewrites the report afterwards, cannot
make untold what was told. Each line carries a number drawn for the run, so that a line which the project wrote by
chance is no line of ours. Code that looks for the number finds it: this is a detector, not a proof.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field

NAME = "mainspring_watching"
VARIABLE = "MAINSPRING_WATCHING"
_MOST_BYTES = 64 << 20
SOURCE = """
import json, os
import pytest

_fd, _, _nonce = os.environ.pop("MAINSPRING_WATCHING", "").partition(":")
_raised = {}
_pid = os.getpid()

def _tell(what, **more):
    if _nonce and os.getpid() == _pid:
        try:
            os.write(int(_fd), (json.dumps([_nonce, os.getpid(), what, more]) + "\\n").encode())
        except OSError:
            pass

def _ending_children():
    # A child of os.fork that comes back from the test would run all other tests again and write over the report.
    # One that was forked around the test, as pytest-forked does, goes on.
    before = os.getpid()
    outcome = yield
    if os.getpid() != before:
        os._exit(1 if outcome.excinfo else 0)

class _Watching:
    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session):
        _tell("collected", count=len(session.items))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item):
        yield from _ending_children()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item):
        yield from _ending_children()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item):
        yield from _ending_children()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid):
        _tell("begin", test=nodeid[:500])

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_makereport(self, item, call):
        yield
        error = call.excinfo
        if error is not None and error.type.__name__ not in ("Skipped", "XFailed", "Exit"):
            marked = item.get_closest_marker("xfail") is not None
            if not marked:
                _raised[item.nodeid, call.when] = error.type.__name__

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report):
        raised = _raised.pop((report.nodeid, report.when), "")
        masked = raised if report.outcome == "passed" else ""
        _tell("report", test=report.nodeid[:500], when=report.when, outcome=report.outcome, masked=masked,
              seconds=round(getattr(report, "duration", 0), 4))

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid):
        _tell("end", test=nodeid[:500])

    def pytest_deselected(self, items):
        _tell("deselected", count=len(items))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session, exitstatus):
        _tell("finish", status=int(exitstatus))

def pytest_configure(config):
    if _nonce and not hasattr(config, "workerinput"):
        _tell("start")
        config.pluginmanager.register(_Watching(), "mainspring_watching_hooks")
"""


@dataclass(slots=True)
class Watched:
    """What the plugin told.

    Args:
        begun: it was loaded.
        collected: tests that pytest meant to run, or None before it had looked.
        outcomes: test id -> its worst outcome so far.
        seconds: test id -> how long its phases took.
        running: tests that began and did not end.
        masked: tests that raised something and were reported as passed.
        status: pytest's exit status at the session's end, or None when it never came to it.
    """

    begun: bool = False
    collected: int | None = None
    outcomes: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    running: dict[str, None] = field(default_factory=dict)
    masked: list[str] = field(default_factory=list)
    status: int | None = None
    pid: int = 0


class Pipe:
    """The reading end of the plugin's pipe, emptied by a thread while the tests run."""

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce
        self._read, self.write = os.pipe()
        self._data = bytearray()
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    @property
    def variable(self) -> str:
        """What the plugin is told in its environment."""
        return f"{self.write}:{self._nonce}"

    def _drain(self) -> None:
        while piece := os.read(self._read, 1 << 16):
            if len(self._data) < _MOST_BYTES:
                self._data += piece

    def close(self) -> Watched:
        """What was told, once nothing of the run is left."""
        os.close(self.write)
        self._thread.join(10)
        if not self._thread.is_alive():
            os.close(self._read)
        return understand(bytes(self._data), self._nonce)


def understand(data: bytes, nonce: str) -> Watched:
    """Read the plugin's lines; those without the run's number are none of them."""
    seen = Watched()
    for line in data.decode("utf-8", "replace").splitlines():
        try:
            number, pid, what, more = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            continue
        if number != nonce or not isinstance(more, dict):
            continue
        if what == "start" and not seen.begun:
            seen.begun, seen.pid = True, pid
        if pid != seen.pid:  # a test that forked: its child runs on to the end as well
            continue
        _take(seen, what, more)
    return seen


def _take(seen: Watched, what: str, more: dict[str, object]) -> None:
    test = str(more.get("test", ""))
    if what == "collected":
        seen.collected = int(str(more.get("count", 0)))
    elif what == "begin":
        seen.running[test] = None
    elif what == "end":
        seen.running.pop(test, None)
    elif what == "report":
        told = str(more.get("outcome"))
        if told == "failed" and more.get("when") != "call":
            told = "error"
        order = ("passed", "skipped", "failed", "error")
        known = seen.outcomes.get(test, "passed")
        if told in order:
            seen.outcomes[test] = max(told, known, key=order.index)
        seen.seconds[test] = seen.seconds.get(test, 0.0) + float(str(more.get("seconds", 0)))
        if more.get("masked"):
            seen.masked.append(test)
    elif what == "finish":
        seen.status = int(str(more.get("status", 0)))
