"""The processes of each run in this process of Mainspring: who may see them, how many there are, when they end."""

from __future__ import annotations

import atexit
import os
import re
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mainspring.errors import DeclarationError, SandboxError, ToolError
from mainspring.tools import aside
from mainspring.tools.limits import SandboxLimits
from mainspring.tools.network import Loopback
from mainspring.tools.sandbox import Sandbox, new_loopback
from mainspring.tools.shells.process import Process
from mainspring.tools.shells.records import Lost, Records
from mainspring.tools.surroundings import Surroundings

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_REMEMBERED = 50
_LOOK_S = 1.0
_SWEEP_S = 5.0


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What the processes of a run may do.

    Args:
        count: processes that run at once.
        idle_s: seconds after which they are ended when the run has had no call for any of them.
        max_s: seconds after which one is ended in any case.
        memory_share: memory of each, as a part of what a command may use (`SandboxLimits.total_memory_bytes`).

    Raises:
        DeclarationError: a number is not above 0.
    """

    count: int = 8
    idle_s: float = 1800.0
    max_s: float = 4 * 3600.0
    memory_share: float = 0.25

    def __post_init__(self) -> None:
        for name in ("count", "idle_s", "max_s", "memory_share"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise DeclarationError(f"process limit {name} must be a number above 0, not {value!r}")


class RunProcesses:
    """The processes of one run. Made by :func:`of_run`.

    Args:
        run_id: the run; only its own calls reach them.
        home: Mainspring's folder, or None.
    """

    def __init__(self, run_id: str, home: Path | None) -> None:
        self.run_id = run_id
        self.home = home
        self.loopback: Loopback | None = None
        self.idle_s = ProcessLimits().idle_s
        self._records = Records(home, run_id)
        self._processes: dict[str, Process] = {}
        self._lock = threading.RLock()
        self._closed = False
        self._touched = time.monotonic()
        self._sweep_at = 0.0
        self.lost = {lost.name: lost for lost in self._records.left()}
        self.notes: list[str] = []
        for lost in self.lost.values():
            if lost.before is not None:
                if lost.workspace.is_dir():
                    self.notes += aside.set_aside(lost.workspace, lost.before, self._without())
                self._records.write(replace(lost, before=None))

    def start(
        self,
        name: str,
        command: str,
        workspace: Path,
        limits: SandboxLimits,
        allowed: ProcessLimits,
        record: Path | None = None,
        around: Surroundings = Surroundings(),  # noqa: B008 - it cannot be changed
    ) -> Process:
        """Start a process. An empty name gets a number.

        Raises:
            ToolError: the name is unfit or in use, or there are too many.
            SandboxError: the sandbox cannot be set up.
        """
        with self._lock:
            if self._closed:
                raise ToolError("the run has ended; no process can be started")
            running = [p.name for p in self._processes.values() if not p.ended.is_set()]
            if not name:
                name = next(
                    f"p{n}" for n in range(1, 10**6) if f"p{n}" not in self._processes and f"p{n}" not in self.lost
                )
            if not _NAME.match(name):
                raise ToolError(f"name {name!r} is not usable: 1 to 32 letters, digits, '_' or '-'")
            if name in running:
                raise ToolError(f"process {name!r} is running already; choose another name or stop it first")
            if len(running) >= allowed.count:
                raise ToolError(f"{len(running)} processes run already ({', '.join(running)}); stop one first")
            if self.loopback is None:
                self.loopback = new_loopback()
            self.idle_s = allowed.idle_s
            self._touched = time.monotonic()
            limits = replace(limits, total_memory_bytes=max(int(limits.total_memory_bytes * allowed.memory_share), 1))
            sandbox = Sandbox(
                workspace,
                home=self.home,
                limits=limits,
                python=around.python,
                read_only=around.read_only,
                loopback=self.loopback,
            )
            process = Process(name, command, sandbox, allowed.max_s, record)
            self._records.write(Lost(name, command, sandbox.workspace, process.before))
            self._processes[name] = process
            self.lost.pop(name, None)
        try:
            process.start()
        except SandboxError:
            with self._lock:
                del self._processes[name]
                self._records.remove(name)
            raise
        self._forget()
        return process

    def get(self, name: str) -> Process:
        """A process of this run. Raises ToolError when there is none of that name, saying what became of it."""
        self._touched = time.monotonic()
        with self._lock:
            process = self._processes.get(name)
            if process is not None:
                return process
            if name in self.lost:
                command = self.lost[name].command or "bash"
                raise ToolError(
                    f"process {name!r} ended when Mainspring itself was ended; what it showed is gone. "
                    f"If it is still needed, start it again: {command[:300]}"
                )
            known = ", ".join(self._processes) or "none was started, or they ended when the run stopped to wait"
            raise ToolError(f"this run has no process {name!r}; there are: {known}")

    def all(self) -> list[Process]:
        """All processes, also those that have ended."""
        self._touched = time.monotonic()
        with self._lock:
            return list(self._processes.values())

    def touch(self) -> None:
        """A call of the run that has to do with them."""
        self._touched = time.monotonic()

    def close(self, why: str = "the run stopped") -> None:
        """End all of them, and wait until nothing is left."""
        with self._lock:
            self._closed = True
        self._end(why)
        if self.loopback is not None:
            self.loopback.close()
        self._records.clear()

    def look(self) -> None:
        """From time to time: end what is idle, note what has ended, set files aside that run or instruct later."""
        now = time.monotonic()
        with self._lock:
            running = [p for p in self._processes.values() if not p.ended.is_set()]
            for process in self._processes.values():
                if process.ended.is_set():
                    self._records.remove(process.name)
        if not running:
            return
        if now - self._touched > self.idle_s:
            self._end(f"nothing was asked of the run's processes for {self.idle_s:.0f} s")
        elif now >= self._sweep_at:
            self.sweep()

    def sweep(self) -> None:
        """Rename what the running processes have made and no tool may make (see `aside`)."""
        began = time.monotonic()
        with self._lock:
            running = [p for p in self._processes.values() if not p.ended.is_set()]
        workspaces = {p.workspace for p in running}
        for workspace in workspaces:
            here = [p for p in running if p.workspace == workspace]
            notes = aside.set_aside(workspace, _common([p.before for p in here]), self._without())
            here[0].notes += notes
        # A large workspace takes long to look through: then more rarely, a twentieth of the time at most.
        took = time.monotonic() - began
        self._sweep_at = time.monotonic() + max(_SWEEP_S, 20 * took)

    def _end(self, why: str) -> None:
        with self._lock:
            processes = list(self._processes.values())
        enders = [threading.Thread(target=p.stop, args=(why,), daemon=True) for p in processes if not p.ended.is_set()]
        for thread in enders:
            thread.start()
        for thread in enders:
            thread.join()

    def _forget(self) -> None:
        with self._lock:
            over = [p.name for p in self._processes.values() if p.ended.is_set()][:-_REMEMBERED]
            for name in over:
                del self._processes[name]

    def _without(self) -> list[Path]:
        return [] if self.home is None else [Path(os.path.realpath(self.home))]


def _common(records: Sequence[dict[str, list[int | str | None]]]) -> dict[str, list[int | str | None]]:
    """What was there and the same when each of them began."""
    first, *others = records
    return {path: entry for path, entry in first.items() if all(other.get(path) == entry for other in others)}


_runs: dict[tuple[str, str], RunProcesses] = {}
_lock = threading.Lock()
_watcher: threading.Thread | None = None
_pid = 0


def of_run(run_id: str, home: Path | None) -> RunProcesses:
    """The processes of a run, an empty list of them at first."""
    global _watcher, _pid
    key = (str(home), run_id)
    with _lock:
        if _pid != os.getpid():  # the first time, or the copy of a process whose threads were left behind
            _runs.clear()
            _watcher, _pid = None, os.getpid()
            atexit.register(close_all)
        found = _runs.get(key)
        if found is None:
            found = _runs[key] = RunProcesses(run_id, home)
        if _watcher is None or not _watcher.is_alive():
            _watcher = threading.Thread(target=_watch, name="processes", daemon=True)
            _watcher.start()
        return found


def loopback_of(run_id: str, home: Path | None) -> Loopback | None:
    """The network of a run's processes, for a command that is to reach their ports; None when it started none."""
    with _lock:
        found = _runs.get((str(home), run_id))
    if found is None:
        return None
    found.touch()
    return found.loopback


def recover_run(run_id: str, home: Path | None) -> None:
    """After a crash: look at what the run's processes left behind, before anything else uses the workspace."""
    if Records(home, run_id).left():
        of_run(run_id, home)


def close_run(run_id: str, home: Path | None = None) -> None:
    """End the processes of a run, because it ended, waits or was cancelled. Cheap when it has none.

    Args:
        home: Mainspring's folder; None closes the run of that id in each home.
    """
    with _lock:
        keys = [key for key in _runs if key[1] == run_id and home in (None, Path(key[0]))]
        found = [_runs.pop(key) for key in keys]
    for run in found:
        run.close()


def close_all() -> None:
    """End every process of every run; called when Python ends."""
    if _pid != os.getpid():
        return
    with _lock:
        found = list(_runs.values())
        _runs.clear()
    for run in found:
        run.close("Mainspring ended")


def _watch() -> None:
    global _watcher
    while True:
        time.sleep(_LOOK_S)
        with _lock:
            runs = list(_runs.values())
            if not runs:
                _watcher = None
                return
        for run in runs:
            try:
                run.look()
            except OSError as error:  # a workspace that was taken away; the others are still to be looked at
                print(f"mainspring: processes of run {run.run_id}: {error}", file=sys.stderr)
