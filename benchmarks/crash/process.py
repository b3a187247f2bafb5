"""Workers: forked, watched and killed, with the points they passed left in shared memory."""

from __future__ import annotations

import json
import mmap
import os
import select
import signal
import struct
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Kill:
    """When a worker dies: the `occurrence`-th time at `point`, or `after_s` seconds after its start."""

    point: str | None = None
    occurrence: int = 1
    after_s: float | None = None


@dataclass
class Ended:
    """How a worker ended.

    Args:
        how: ``"ok"``, ``"killed"`` (by our SIGKILL), ``"error"`` (it raised) or ``"hung"`` (out of time).
        value: what its function returned, or the traceback.
        reached: how often it reached each point.
        point: the point at which it killed itself, if it did.
        seconds: wall time.
    """

    how: Literal["ok", "killed", "error", "hung"]
    value: Any
    reached: dict[str, int] = field(default_factory=dict)
    point: str | None = None
    seconds: float = 0.0


class Trace:
    """Counts of points in memory that outlives the worker."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._index = {name: i for i, name in enumerate(names)}
        self._memory = mmap.mmap(-1, 4 * (len(names) + 1))
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Forget the last worker."""
        self._memory[:] = bytes(len(self._memory))

    def counts(self) -> dict[str, int]:
        """How often each point was reached."""
        numbers = struct.unpack_from(f"{len(self.names)}i", self._memory, 4)
        return {name: number for name, number in zip(self.names, numbers, strict=True) if number}

    def fired(self) -> str | None:
        """The point at which the worker killed itself."""
        (index,) = struct.unpack_from("i", self._memory, 0)
        return self.names[index - 1] if index else None

    def hook(self, kill: Kill | None) -> Callable[[str], None]:
        """What a worker installs as its hook: count, and die where `kill` says."""

        def reach(name: str) -> None:
            index = self._index[name]
            with self._lock:
                (count,) = struct.unpack_from("i", self._memory, 4 * (index + 1))
                count += 1
                struct.pack_into("i", self._memory, 4 * (index + 1), count)
                if kill is not None and kill.point == name and count == kill.occurrence:
                    struct.pack_into("i", self._memory, 0, index + 1)
                    os.kill(os.getpid(), signal.SIGKILL)

        return reach


class Worker:
    """A forked process that runs one function and reports its result over a pipe."""

    def __init__(self, job: Callable[[Callable[[str], None]], Any], trace: Trace, kill: Kill | None) -> None:
        self._trace = trace
        self._kill = kill
        trace.reset()
        self._started = time.monotonic()
        self._pipe, write = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._pipe)
            _be_worker(job, trace.hook(kill), write)
        os.close(write)

    def wait(self, limit_s: float) -> Ended:
        """Kill it when its time has come, collect its result, and reap it."""
        received = bytearray()
        kill_at = None
        if self._kill is not None and self._kill.after_s is not None:
            kill_at = self._started + self._kill.after_s
        give_up_at = self._started + limit_s
        sent = hung = False
        while True:
            now = time.monotonic()
            if kill_at is not None and now >= kill_at and not sent:
                os.kill(self._pid, signal.SIGKILL)
                sent = True
            if now >= give_up_at and not hung:
                os.kill(self._pid, signal.SIGKILL)
                hung = True
            until = give_up_at if kill_at is None or sent else min(kill_at, give_up_at)
            ready, _, _ = select.select([self._pipe], [], [], max(0.0, until - now) if not hung else None)
            if ready:
                chunk = os.read(self._pipe, 1 << 16)
                if not chunk:
                    break
                received += chunk
        os.close(self._pipe)
        _, status = os.waitpid(self._pid, 0)
        seconds = time.monotonic() - self._started
        reached, point = self._trace.counts(), self._trace.fired()
        if hung:
            return Ended("hung", None, reached, point, seconds)
        if os.WIFSIGNALED(status):
            if os.WTERMSIG(status) == signal.SIGKILL and (sent or point is not None):
                return Ended("killed", None, reached, point, seconds)
            return Ended("error", f"ended by signal {os.WTERMSIG(status)}", reached, point, seconds)
        answer = json.loads(received) if received else {"error": f"exit status {status} without a word"}
        if "error" in answer:
            return Ended("error", answer["error"], reached, point, seconds)
        return Ended("ok", answer["value"], reached, point, seconds)


def _be_worker(job: Callable[[Callable[[str], None]], Any], reach: Callable[[str], None], write: int) -> None:
    try:
        try:
            answer = {"value": job(reach)}
        except BaseException:  # the parent is told whatever it was; this process ends here anyway
            answer = {"error": traceback.format_exc()}
        data = json.dumps(answer).encode()
        while data:
            data = data[os.write(write, data) :]
    finally:
        os._exit(0)
