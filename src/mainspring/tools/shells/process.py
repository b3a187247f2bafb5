"""One process with a terminal, in a sandbox of its own; two threads look after it until nothing of it is left."""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import select
import signal
import socket
import sys
import termios
import threading
import time
from pathlib import Path

from mainspring.errors import SandboxError, ToolError
from mainspring.tools import aside
from mainspring.tools.sandbox import CommandResult, Sandbox
from mainspring.tools.shells.output import COLUMNS, ROWS, Output

_ENVIRONMENT = {
    "TERM": "linux",
    "NCURSES_NO_UTF8_ACS": "1",  # lines are drawn as characters, not by a switch of the character set
    "PS1": r"\W \$ ",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "HISTFILE": "/dev/null",
}
_TIOCGSID = 0x5429  # asm-generic/ioctls.h: the session of a terminal
_SETUP_S = 60.0
_GRACE_S = 1.5
_PIECE = 1 << 18
_PAUSE_S = 0.02
_FLOOD_S = 0.001
_WRITE_S = 5.0


class Process:
    """A command in a terminal. It ends with this process of Mainspring, at the latest.

    Args:
        name: what it is called within its run.
        command: for bash; empty for an interactive one.
        sandbox: where it runs.
        max_s: seconds after which it is ended.
        record: a file that names the sandbox's first process while it runs, or None.

    Attributes:
        before: what was protected in the workspace when it began (see `aside`).
        notes: what a person should know, to be told once.
        ended: set when nothing of it is left.
    """

    def __init__(self, name: str, command: str, sandbox: Sandbox, max_s: float, record: Path | None = None) -> None:
        self.name = name
        self.command = command
        self.output = Output()
        self.ended = threading.Event()
        self.started_at = time.monotonic()
        self.notes: list[str] = []
        self._sandbox = sandbox
        self._max_s = max_s
        self._record = record
        self._stop = threading.Event()
        self._why = ""
        self._ready = threading.Event()
        self._master = -1
        self._had_terminal = False
        self._lock = threading.Lock()
        self._result: CommandResult | None = None
        self._error: Exception | None = None
        self._seconds = 0.0
        without = [] if sandbox.home is None else [sandbox.home]
        found = aside.entries(sandbox.workspace, without=without)
        self.before = {path: entry.record() for path, entry in found.items()}
        ours, theirs = socket.socketpair()
        self._reader = threading.Thread(target=self._read, args=(ours,), name=f"terminal-{name}", daemon=True)
        self._owner = threading.Thread(target=self._own, args=(theirs,), name=f"process-{name}", daemon=True)

    @property
    def workspace(self) -> Path:
        """The folder that it may write."""
        return self._sandbox.workspace

    def start(self) -> None:
        """Begin, and return when it has a terminal. Raises SandboxError when it cannot."""
        self._reader.start()
        self._owner.start()  # the sandbox dies with the thread that began it, so the thread stays with it
        if not self._ready.wait(_SETUP_S):
            self.stop("it was not ready in time")
        if self._error is not None:
            raise self._error
        if not self._had_terminal and self._result is not None:
            said = self._result.output.strip()[-500:] or "it ended without a word"
            raise SandboxError(f"the process has no terminal: {said}")

    def write(self, data: bytes) -> None:
        """Type into its terminal. Raises ToolError when it has ended or does not take all of it."""
        deadline = time.monotonic() + _WRITE_S
        sent = 0
        while sent < len(data):
            with self._lock:
                if self._master < 0 or self.ended.is_set():
                    raise ToolError(f"process {self.name!r} {self.state()}; nothing can be typed into it any more")
                if not self._reader.is_alive():
                    raise ToolError(f"process {self.name!r} has closed its terminal; nothing can be typed into it")
                with contextlib.suppress(BlockingIOError):
                    # A terminal's line takes 4,095 bytes; what comes faster than it is read would be lost.
                    sent += os.write(self._master, data[sent : sent + 1024])
                    continue
            if time.monotonic() > deadline:
                raise ToolError(
                    f"process {self.name!r} reads no input: it took {sent:,} of {len(data):,} bytes; "
                    "read it, send <ctrl-c>, or stop it"
                )
            time.sleep(_PAUSE_S)

    def stop(self, why: str, gently: bool = False) -> None:
        """End it and wait until nothing of it is left.

        Args:
            why: for whoever asks later.
            gently: ask it to end first, and give it a moment.
        """
        if gently and not self.ended.is_set():
            self._signal(signal.SIGTERM if self.command else signal.SIGHUP)
            self.ended.wait(_GRACE_S)
        if not self.ended.is_set():
            self._why = self._why or why
            self._stop.set()
            self.ended.wait(_SETUP_S)

    def state(self) -> str:
        """Whether it runs, or how it ended."""
        if not self.ended.is_set():
            return f"running for {_duration(time.monotonic() - self.started_at)}"
        result = self._result
        if result is None:
            return f"ended: {self._error}"
        if result.ended == "exit":
            return f"ended: exit code {result.exit_code}"
        if result.ended == "timeout":
            return f"ended: the time limit of {_duration(self._max_s)} was reached"
        if result.ended == "cancelled":
            return f"ended: {self._why}"
        return f"ended: {result.notes[0]}"

    def take_notes(self) -> list[str]:
        """What nobody was told yet."""
        notes, self.notes = self.notes, []
        return notes

    def _own(self, channel: socket.socket) -> None:
        try:
            from mainspring.tools.shells import inside

            fd = channel.fileno()
            program = Path(inside.__file__).read_text(encoding="utf-8")
            command = ["bash", "-c", self.command] if self.command else ["bash", "--norc", "--noprofile", "-i"]
            self._result = self._sandbox.run(
                [sys.executable, "-I", "-S", "-c", program, str(fd), str(ROWS), str(COLUMNS), *command],
                timeout_s=self._max_s,
                env=_ENVIRONMENT,
                stop=self._stop,
                record=self._record,
                inherit=[fd],
            )
            limit = self._result.ended not in ("exit", "timeout", "cancelled")
            self.notes += self._result.notes[1:] if limit else self._result.notes
        except Exception as error:  # told by `start`, or by whoever asks
            self._error = error if isinstance(error, SandboxError) else SandboxError(str(error))
        finally:
            channel.close()
            self._reader.join(10)
            self._close()
            self.ended.set()
            self._ready.set()

    def _read(self, channel: socket.socket) -> None:
        with channel:
            try:
                _, passed, _, _ = socket.recv_fds(channel, 1, 1)
            except OSError:
                passed = []
            if not passed:
                return
            os.set_blocking(passed[0], False)
            os.set_inheritable(passed[0], False)
            self._master = passed[0]
            self._had_terminal = True  # the process may be over, and its terminal closed, before anybody looks
            self._ready.set()
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        while True:
            patience_s = self.output.patience_s
            if not poll.poll(None if patience_s is None else patience_s * 1000):
                self.output.settle()
                continue
            data = _take(self._master)
            if data is None:
                break
            if data and not self.output.feed(data):
                time.sleep(_FLOOD_S)  # what is not drawn is taken in larger pieces, which costs less
        self.output.settle()

    def _close(self) -> None:
        with self._lock:
            if self._master >= 0:
                os.close(self._master)
                self._master = -1

    def _signal(self, number: int) -> None:
        """Ask the program that leads the terminal's session, and the one in front, to end."""
        pids = set()
        with self._lock:
            if self._master < 0:
                return
            for question in (_TIOCGSID, termios.TIOCGPGRP):
                answer = array.array("i", [0])
                with contextlib.suppress(OSError):
                    fcntl.ioctl(self._master, question, answer)
                    pids.add(answer[0])
        for pid in pids:
            with contextlib.suppress(OSError):
                handle = os.pidfd_open(pid)
                try:
                    # A number may belong to another process by now; nothing but a sandbox has other namespaces.
                    if os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid"):
                        signal.pidfd_send_signal(handle, number)
                        signal.pidfd_send_signal(handle, signal.SIGCONT)
                finally:
                    os.close(handle)


def _take(master: int) -> bytes | None:
    """What a terminal holds now, bounded; None at its end."""
    pieces: list[bytes] = []
    size = 0
    while size < _PIECE:
        try:
            data = os.read(master, 1 << 16)
        except BlockingIOError:
            break
        except OSError as error:
            if error.errno == errno.EIO and pieces:
                break
            return None
        if not data:
            return b"".join(pieces) or None
        pieces.append(data)
        size += len(data)
    return b"".join(pieces)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
