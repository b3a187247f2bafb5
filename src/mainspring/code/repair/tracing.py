"""Run a package's tests and note which lines each of them executes.

This file is a program of its own: it is handed to the interpreter inside the sandbox, where Mainspring is not
installed, so it imports the standard library and pytest only. It takes one argument, a JSON object:

    failing    ids of the tests known to fail; they run first (pytest ids)
    seconds    when to stop running further passing tests
    per_test   seconds after which one test is given up: a test known to fail counts as failed, another one not at all

Seconds are those of the processor, so that a busy machine changes nothing; four times as many on the clock also end it.

and writes one JSON object on its last line of output, after the mark below.
"""

from __future__ import annotations

import inspect
import json
import os
import reprlib
import signal
import sys
import threading
import time
from typing import Any

MARK = "mainspring-trace:"
#: Failing tests and calls that are described; the rest is only counted, so that the answer stays small.
_DESCRIBED, _CALLS = 12, 300
_CLOCK = 4.0  # seconds on the clock for one of the processor
#: Signal, timer, and how many times the limit of a test.
_TIMERS = ((signal.SIGPROF, signal.ITIMER_PROF, 1.0), (signal.SIGALRM, signal.ITIMER_REAL, _CLOCK))
_ROOT = os.path.realpath(os.getcwd())
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 8


class _TooSlow(BaseException):
    """A test ran past its time; a BaseException, so that the tested code does not catch it."""


def is_test_file(path: str) -> bool:
    """True for files that hold tests or serve them, by the names that test runners go by."""
    parts = path.replace(os.sep, "/").split("/")
    name = parts[-1]
    return (
        any(part in ("test", "tests", "testing") for part in parts[:-1])
        or name.startswith("test_")
        or name.endswith("_test.py")
        or name in ("conftest.py", "tests.py", "test.py", "setup.py", "noxfile.py")
    )


class Tracer:
    """Collects executed lines per test. After :meth:`narrow`, only functions seen until then are traced."""

    def __init__(self) -> None:
        self.lines: set[tuple[str, int]] = set()
        self.calls: dict[tuple[str, int], str] = {}
        self.known: set[Any] | None = None
        self.seen: set[Any] = set()
        self._files: dict[str, str | None] = {}

    def narrow(self) -> None:
        """From now on trace only what was executed so far: it makes passing tests run nearly at full speed."""
        self.known = set(self.seen)

    def path_of(self, filename: str) -> str | None:
        """The file relative to the workspace; None for files outside, tests and installed packages."""
        if filename not in self._files:
            real = os.path.realpath(filename) if os.path.isabs(filename) else ""
            path = os.path.relpath(real, _ROOT) if real.startswith(_ROOT + os.sep) else None
            if path is not None and (is_test_file(path) or "site-packages" in path):
                path = None
            self._files[filename] = path
        return self._files[filename]

    def start(self) -> None:
        """Begin to watch the next test."""
        self.lines = set()
        self.calls = {}
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def stop(self) -> None:
        """Watch no longer."""
        sys.settrace(None)
        threading.settrace(None)

    def _enter(self, frame: Any, event: str, arg: Any) -> Any:
        code = frame.f_code
        if self.known is not None and code not in self.known:
            return None
        path = self.path_of(code.co_filename)
        if path is None:
            return None
        if self.known is not None:
            return self._narrow_line(path)
        self.seen.add(code)
        return self._full_line(path, _arguments(frame))

    def _narrow_line(self, path: str) -> Any:
        def line(frame: Any, event: str, arg: Any) -> Any:
            if event == "line":
                self.lines.add((path, frame.f_lineno))
            return line

        return line

    def _full_line(self, path: str, call: str) -> Any:
        raised = ""

        def line(frame: Any, event: str, arg: Any) -> Any:
            nonlocal raised
            if event == "line":
                raised = ""
                self.lines.add((path, frame.f_lineno))
            elif event == "exception":
                raised = f"raised {arg[0].__name__}"
            elif event == "return":
                outcome = raised if raised and arg is None else f"returned {_repr(arg)}"
                if frame.f_code.co_flags & inspect.CO_GENERATOR:
                    outcome = raised or "(a generator)"
                self.calls[(path, frame.f_code.co_firstlineno)] = f"{call} {outcome}"
            return line

        return line


def _arguments(frame: Any) -> str:
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    names = code.co_varnames[:count]
    given = [f"{name}={_repr(frame.f_locals[name])}" for name in names if name in frame.f_locals and name != "self"]
    return f"{code.co_name}({', '.join(given)})"


def _repr(value: object) -> str:
    try:
        return _SHORT.repr(value)[:120]
    except Exception:
        return f"<{type(value).__name__}>"


class Plugin:
    """The pytest side: orders the tests, watches each, and counts lines per outcome."""

    def __init__(self, failing: list[str], seconds: float, per_test: float) -> None:
        self.failing = set(failing)
        self.named = {_name(test) for test in failing}
        self.deadline = time.process_time() + seconds, time.monotonic() + _CLOCK * seconds
        self.per_test = per_test
        self.tracer = Tracer()
        self.failed_tests: list[dict[str, Any]] = []
        self.failed_lines: dict[tuple[str, int], int] = {}
        self.passed_lines: dict[tuple[str, int], int] = {}
        self.imported: set[tuple[str, int]] = set()
        self.calls: dict[tuple[str, int], str] = {}
        self.passed = 0
        self.failed = 0
        self.narrowed = False

    def pytest_collection(self) -> Any:
        # What is executed while the tests are imported is executed for every test.
        self.tracer.start()
        try:
            return (yield)
        finally:
            self.tracer.stop()
            self.imported = self.tracer.lines

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        if not self.failing & {item.nodeid for item in items}:
            # Tests that a class inherits or makes have another id in a report than here; their names are the same.
            self.failing = {item.nodeid for item in items if _name(item.nodeid) in self.named}
        files = {name.split("::")[0] for name in self.failing}
        items.sort(key=lambda i: (i.nodeid not in self.failing, i.nodeid.split("::")[0] not in files))

    def pytest_runtest_protocol(self, item: Any) -> None:
        if item.nodeid not in self.failing and self.failed and not self.narrowed:
            self.tracer.narrow()
            self.narrowed = True
        if self.passed and (time.process_time() > self.deadline[0] or time.monotonic() > self.deadline[1]):
            item.session.shouldstop = "enough tests were traced"

    def pytest_runtest_call(self, item: Any) -> Any:
        def too_slow(number: int, frame: Any) -> None:
            raise _TooSlow(f"gave up after {self.per_test:g} s")

        for number, timer, seconds in _TIMERS:
            signal.signal(number, too_slow)
            signal.setitimer(timer, seconds * self.per_test)
        self.tracer.start()
        try:
            result = yield
        except BaseException as error:
            self._done(item, error)
            raise
        else:
            # A unittest.TestCase does not raise: pytest keeps what went wrong beside the test.
            kept = getattr(item, "_excinfo", None)
            self._done(item, kept[0].value if kept else None)
            return result
        finally:
            for _, timer, _ in _TIMERS:
                signal.setitimer(timer, 0)

    def _done(self, item: Any, error: BaseException | None) -> None:
        self.tracer.stop()
        if error is not None and type(error).__name__ in ("Skipped", "XFailed"):
            return
        if isinstance(error, _TooSlow) and self.failing and item.nodeid not in self.failing:
            return  # it passes when nobody watches
        if error is None:
            self.passed += 1
            for key in self.tracer.lines:
                if key in self.failed_lines:
                    self.passed_lines[key] = self.passed_lines.get(key, 0) + 1
            return
        self.failed += 1
        for key in self.tracer.lines:
            self.failed_lines[key] = self.failed_lines.get(key, 0) + 1
        if len(self.failed_tests) >= _DESCRIBED:
            return
        for key, call in self.tracer.calls.items():
            self.calls.setdefault(key, call)
        source = _source(item)
        source["line"] = _line_in(error, source) if source else None
        self.failed_tests.append({"id": item.nodeid, "error": _message(error), "frames": self._frames(error), **source})

    def _frames(self, error: BaseException) -> list[list[Any]]:
        frames = []
        traceback = error.__traceback__
        while traceback is not None:
            path = self.tracer.path_of(traceback.tb_frame.f_code.co_filename)
            if path is not None:
                frames.append([path, traceback.tb_lineno])
            traceback = traceback.tb_next
        return frames[-8:]


def _name(test: str) -> str:
    """A test's name without its file and class, but with its parameters."""
    head, bracket, parameters = test.partition("[")
    return head.rpartition("::")[2] + bracket + parameters


def _message(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}".strip()
    return text if len(text) <= 600 else text[:400] + " ... " + text[-180:]


def _line_in(error: BaseException, source: dict[str, Any]) -> int | None:
    """The last line of the test's own source that the error came through."""
    traceback, found = error.__traceback__, None
    while traceback is not None:
        inside = source["first"] <= traceback.tb_lineno <= source["last"]
        if inside and os.path.realpath(traceback.tb_frame.f_code.co_filename) == os.path.join(_ROOT, source["path"]):
            found = traceback.tb_lineno
        traceback = traceback.tb_next
    return found


def _source(item: Any) -> dict[str, Any]:
    try:
        lines, first = inspect.getsourcelines(item.obj)
        path = os.path.relpath(inspect.getsourcefile(item.obj) or "", _ROOT)
    except (OSError, TypeError):
        return {}
    return {"path": path, "first": first, "last": first + len(lines) - 1}


def main() -> None:
    """Read the argument, run the tests, write the counts."""
    import pytest

    wanted = json.loads(sys.argv[1])
    for hook in ("pytest_runtest_call", "pytest_collection"):
        setattr(Plugin, hook, pytest.hookimpl(wrapper=True)(getattr(Plugin, hook)))
    plugin = Plugin(wanted["failing"], wanted["seconds"], wanted["per_test"])
    sys.argv = sys.argv[:1]
    options = ["-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "--color=no"]
    options += ["--continue-on-collection-errors", *wanted.get("arguments", ())]
    status = pytest.main(options, plugins=[plugin])
    counted: dict[str, list[list[int]]] = {}
    for path, line in sorted(plugin.failed_lines.keys() | (plugin.imported if plugin.failed else set())):
        bad, good = plugin.failed_lines.get((path, line), 0), plugin.passed_lines.get((path, line), 0)
        if (path, line) not in plugin.failed_lines:
            bad, good = plugin.failed, plugin.passed
        counted.setdefault(path, []).append([line, bad, good])
    answer = {
        "status": int(status),
        "passed": plugin.passed,
        "failed": plugin.failed,
        "tests": plugin.failed_tests,
        "lines": counted,
        "calls": [[path, line, call] for (path, line), call in plugin.calls.items()][:_CALLS],
    }
    sys.stdout.flush()
    print(f"\n{MARK}{json.dumps(answer)}", flush=True)


if __name__ == "__main__":
    main()
