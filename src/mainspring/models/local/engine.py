"""The parent's side of the engine: one child process per model file, shared by every run of this process.

A child that crashes, is killed or hangs up fails only the calls it was answering, with an error that may be retried;
the next call starts a fresh one. Calls from any thread or event loop wait in the child's queue, one after the other.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from mainspring.errors import ContextWindowError, ModelError
from mainspring.models.local.folders import make_folder

Frame: TypeAlias = dict[str, Any]
Sink: TypeAlias = Callable[[Frame], None]

_BATCH = 256  # tokens between two looks at the cancel flag while a prompt is read
_LOG_LIMIT = 4 << 20
_DEAF_S = 180.0  # a child that ignores a cancellation for so long hangs


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What makes two engines the same.

    Args:
        path: the GGUF file.
        context: tokens of prompt and answer together.
        threads: CPU threads that compute.
        idle_s: seconds without a call after which the process ends and gives its memory back.
    """

    path: Path
    context: int
    threads: int
    idle_s: float = 900.0


def default_threads() -> int:
    """CPUs that this process may use, or ``MAINSPRING_LOCAL_THREADS``. Raises ModelError when that is no count."""
    if text := os.environ.get("MAINSPRING_LOCAL_THREADS"):
        if not text.isdigit() or not 1 <= int(text) <= 1024:
            raise ModelError(f"MAINSPRING_LOCAL_THREADS is {text!r}; set it to a number from 1 to 1024")
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


class _Child:
    """One running process and the two threads that write to and read from it."""

    def __init__(self, config: EngineConfig, log: Path) -> None:
        self.config = config
        self.log = log
        self.process: subprocess.Popen[str] | None = None
        self.dead = False
        self.sinks: dict[int, Sink] = {}
        self._cancelled: dict[int, float] = {}  # calls whose end the child has not confirmed, since when
        self._lock = threading.Lock()
        self._outbox: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._ready = False
        self._bye = False
        self._failure: str | None = None
        self._log_start = log.stat().st_size if log.exists() else 0
        # The kernel ties "die with the parent" to the thread that started the child: this one lives as long.
        threading.Thread(target=self._own, name=f"engine {config.path.name}", daemon=True).start()

    def submit(self, number: int, request: Frame, sink: Sink) -> bool:
        """Queue a request; False when the child is gone already."""
        with self._lock:
            if self._cancelled and time.monotonic() - min(self._cancelled.values()) > _DEAF_S:
                self.close()
                return False
            if self.dead:
                return False
            self.sinks[number] = sink
        if not self._ready:
            sink({"loading": True})
        self._outbox.put({**request, "id": number})
        return True

    def cancel(self, number: int) -> None:
        """Stop working on a request; nothing more of it is delivered."""
        with self._lock:
            self.sinks.pop(number, None)
            self._cancelled[number] = time.monotonic()
        self._outbox.put({"cancel": number})

    def close(self) -> None:
        """End the process now."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()

    def _own(self) -> None:
        code: int | None = None
        try:
            code = self._run()
        except OSError as error:
            self._failure = f"it cannot be started: {error}"
        with self._lock:
            self.dead = True
            sinks, self.sinks = self.sinks, {}
        self._outbox.put(None)
        for sink in sinks.values():
            sink({"died": self._obituary(code), "final": self._failure is not None, "idle": self._bye})

    def _run(self) -> int:
        config = {
            "path": str(self.config.path),
            "context": self.config.context,
            "threads": self.config.threads,
            "batch": _BATCH,
            "cache_mib": 1024,
            "idle_s": self.config.idle_s,
            "parent": os.getpid(),
        }
        script = Path(__file__).with_name("child.py")
        # Compute threads that wait must sleep, not spin: where other programs want the same cores, spinning made
        # generation ten times slower.
        with self.log.open("ab") as log:
            # -P keeps the folder that the user happens to be in from shadowing modules of the engine.
            process = subprocess.Popen(
                [sys.executable, "-P", str(script), json.dumps(config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                env={"OMP_WAIT_POLICY": "passive", **os.environ},
                start_new_session=True,
            )
        self.process = process
        threading.Thread(target=self._write, args=(process,), daemon=True).start()
        assert process.stdout is not None
        for line in process.stdout:
            try:
                self._deliver(json.loads(line))
            except ValueError:
                break  # a line cut short by the child's death
        process.kill()
        return process.wait()

    def _deliver(self, frame: Frame) -> None:
        if "ready" in frame:
            self._ready = True
        elif "bye" in frame:
            self._bye = True
        elif "failed" in frame:
            self._failure = str(frame["failed"])
        elif "id" in frame:
            with self._lock:
                sink = self.sinks.get(frame["id"])
                if "done" in frame or "error" in frame:
                    self.sinks.pop(frame["id"], None)
                    self._cancelled.pop(frame["id"], None)
            if sink is not None:
                sink(frame)

    def _write(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        try:
            while (frame := self._outbox.get()) is not None:
                process.stdin.write(json.dumps(frame) + "\n")
                process.stdin.flush()
        except OSError:
            pass  # the reader notices the death and tells everybody who waits
        finally:
            with suppress(OSError):
                process.stdin.close()

    def _obituary(self, code: int | None) -> str:
        if self._failure is not None:
            hint = "; install the package libgomp1 (Debian, Ubuntu) or libgomp" if "libgomp" in self._failure else ""
            return f"{self._failure}{hint}{self._last_words()}"
        if code is not None and code < 0:
            try:
                return f"ended by signal {signal.Signals(-code).name}"
            except ValueError:
                return f"ended by signal {-code}"
        return f"ended with exit status {code}{self._last_words()}"

    def _last_words(self) -> str:
        """llama.cpp's own errors of this start, from the log."""
        try:
            with self.log.open("rb") as file:
                file.seek(self._log_start)
                lines = file.read(1 << 20).decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        errors = [line.split(" E ", 1)[1].strip() for line in lines if " E " in line]
        words = errors[:3] or [line.strip() for line in lines[-1:]]
        return f" ({'; '.join(words)})" if words else ""


class Engine:
    """The engine of one model file; starts its child when it is first needed."""

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._number = 0

    @property
    def pid(self) -> int | None:
        """Process id of the living child, or None."""
        child = self._child
        return None if child is None or child.dead or child.process is None else child.process.pid

    def close(self) -> None:
        """End the child; the next call starts another."""
        with self._lock:
            if self._child is not None:
                self._child.close()

    def _submit(self, request: Frame, sink: Sink) -> tuple[_Child, int]:
        with self._lock:
            self._number += 1
            if self._child is None or not self._child.submit(self._number, request, sink):
                self._child = _Child(self.config, _log_file(self.config.path))
                self._child.submit(self._number, request, sink)
            return self._child, self._number

    async def complete(
        self,
        messages: list[dict[str, str]],
        *,
        prefill: str = "",
        schema: Mapping[str, Any] | None = None,
        params: Mapping[str, Any],
    ) -> AsyncGenerator[Frame]:
        """Frames of one answer: ``{"text": piece}`` ..., then ``{"done": {...}}``.

        Before them may come ``{"loading": True}`` and ``{"reading": [tokens of the prompt read, in all]}``.

        Closing the iterator early, or cancelling the task, stops the generation.

        Raises:
            ModelError: the engine refused the request, could not start, or died (then it may be retried).
        """
        request = {"messages": messages, "prefill": prefill, "schema": schema, "params": dict(params)}
        while True:
            idle = False
            async with aclosing(self._frames(request)) as frames:
                async for frame in frames:
                    if "died" in frame and frame["idle"]:
                        idle = True  # it had just gone to sleep: start it again
                    elif "died" in frame:
                        raise ModelError(
                            f"the engine of {self.config.path.name} {_what_happened(frame)}",
                            retryable=not frame["final"],
                        )
                    elif "error" in frame:
                        raise _refusal(frame["error"], self.config)
                    else:
                        yield frame
            if not idle:
                return

    async def _frames(self, request: Frame) -> AsyncGenerator[Frame]:
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[Frame] = asyncio.Queue()

        def sink(frame: Frame) -> None:
            with suppress(RuntimeError):  # the loop that asked was closed: nobody waits for this any more
                loop.call_soon_threadsafe(arrived.put_nowait, frame)

        child, number = self._submit(request, sink)
        ended = False
        try:
            while not ended:
                frame = await arrived.get()
                ended = "done" in frame or "error" in frame or "died" in frame
                yield frame
        finally:
            if not ended:
                child.cancel(number)


def _what_happened(frame: Frame) -> str:
    if frame["final"]:
        return f"cannot start: {frame['died']}"
    return f"{frame['died']}; the next call starts a fresh one"


def _refusal(error: Mapping[str, Any], config: EngineConfig) -> ModelError:
    if error.get("type") == "exceed_context_size_error":
        return ContextWindowError(
            f"the prompt has {error.get('n_prompt_tokens')} tokens and {config.path.name} was started with a context "
            f"of {error.get('n_ctx')}; shorten it, or set MAINSPRING_LOCAL_CONTEXT to more (memory grows with it)"
        )
    status = error.get("code")
    return ModelError(
        f"the engine of {config.path.name} refused the call: {error.get('message')}",
        retryable=isinstance(status, int) and status >= 500,
    )


def _log_file(path: Path) -> Path:
    log = make_folder("logs") / f"{path.stem}.log"
    try:
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            os.replace(log, log.with_suffix(".log.1"))
    except OSError:
        pass  # another process rotated it first
    return log


_engines: dict[tuple[int, EngineConfig], Engine] = {}
_engines_lock = threading.Lock()


def engine_for(config: EngineConfig) -> Engine:
    """This process's engine for `config`; a forked process gets engines of its own."""
    with _engines_lock:
        return _engines.setdefault((os.getpid(), config), Engine(config))


@atexit.register
def close_engines() -> None:
    """End every engine of this process."""
    with _engines_lock:
        for (pid, _), engine in _engines.items():
            if pid == os.getpid():
                engine.close()
