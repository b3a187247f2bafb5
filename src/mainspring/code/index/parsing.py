"""Reading and parsing files: a few small ones here, many or large ones in processes beside this one.

A parser is native code that reads what strangers wrote. In a process of its own it can neither hang nor end this one.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import mainspring
from mainspring.code.index.extract import extract
from mainspring.code.index.facts import Facts
from mainspring.code.index.files import MAX_BYTES, read_plain, why_left_out
from mainspring.code.index.languages import language_of
from mainspring.code.index.words import cut, words_of
from mainspring.tools.pipes import read_exactly

__all__ = ["GIVEN_UP", "Parsed", "parse", "parse_all", "worker"]

Progress = Callable[[int, int], None]
#: Why nothing is kept of a file that a parser could not deal with.
GIVEN_UP = "too hard to parse (given up)"
#: Bytes that are parsed here at most: a person's file takes milliseconds, a hostile one of this size seconds.
_HERE_BYTES = 256 << 10
_HERE_FILES = 40
_PROCESSES = 2
#: Seconds for one file; a person's largest takes about one.
_SECONDS = 10.0
_MEMORY = 4 << 30
_START = "import sys; sys.path.insert(0, sys.argv[1]); from mainspring.code.index.parsing import worker; worker()"


@dataclass(slots=True)
class Parsed:
    """A file that was read: what is kept of it, or why nothing is."""

    digest: bytes
    left_out: str = ""
    head: str = ""
    packed: bytes = b""
    words: tuple[str, str, str] = ("", "", "")
    facts: Facts | None = None


def parse(root: Path, path: str, known: bytes | None = None) -> Parsed | None:
    """Read and parse one file; None when its content still has the digest `known`."""
    try:
        data = read_plain(root, path)
    except (OSError, ValueError):
        return Parsed(b"", left_out="unreadable")
    digest = hashlib.blake2b(data, digest_size=16).digest()
    if digest == known:
        return None
    why = f"larger than {MAX_BYTES >> 20} MB" if len(data) > MAX_BYTES else why_left_out(path, data)
    language = language_of(path, data)
    if why or language is None:
        return Parsed(digest, left_out=why or "of no known language")
    facts = extract(path, data, language)
    head, packed = facts.encode()
    names = " ".join(dict.fromkeys(part for symbol in facts.symbols for part in cut(symbol.name)))
    folders = " ".join(part for piece in path.split("/") for part in cut(piece.rpartition(".")[0] or piece))
    folders = folders.encode("utf-8", "replace").decode()  # a name that is no UTF-8 cannot be stored as text
    return Parsed(digest, "", head, packed, (folders, names, words_of(data)), facts)


def parse_all(
    root: Path, sizes: Mapping[str, int], known: Mapping[str, bytes], progress: Progress | None = None
) -> Iterator[tuple[str, Parsed | None]]:
    """Parse files (path -> bytes), in any order; None for one whose content is as it was."""
    if len(sizes) <= _HERE_FILES and sum(sizes.values()) <= _HERE_BYTES:
        for count, path in enumerate(sizes, 1):
            yield path, parse(root, path, known.get(path))
            if progress is not None:
                progress(count, len(sizes))
        return
    # The largest first, so that no process is left with one at the end.
    paths = sorted(sizes, key=lambda path: (-sizes[path], path))
    todo: queue.SimpleQueue[str] = queue.SimpleQueue()
    for path in paths:
        todo.put(path)
    done: queue.Queue[tuple[str, Parsed | None]] = queue.Queue(maxsize=64)
    stop = threading.Event()
    count = min(_PROCESSES, len(paths), os.cpu_count() or 1)
    workers = [
        threading.Thread(target=_feed, args=(root, todo, known, done, stop), name=f"index-{n}") for n in range(count)
    ]
    for thread in workers:
        thread.start()
    try:
        for number in range(1, len(paths) + 1):
            yield done.get()
            if progress is not None:
                progress(number, len(paths))
    finally:
        stop.set()
        while any(thread.is_alive() for thread in workers):
            with contextlib.suppress(queue.Empty):
                done.get(timeout=0.01)


def _feed(
    root: Path,
    todo: queue.SimpleQueue[str],
    known: Mapping[str, bytes],
    done: queue.Queue[tuple[str, Parsed | None]],
    stop: threading.Event,
) -> None:
    """Give files to one process and pass on its answers; a process that hangs or ends is replaced."""
    process: _Process | None = None
    try:
        while not stop.is_set():
            try:
                path = todo.get_nowait()
            except queue.Empty:
                return
            answer: Parsed | None = Parsed(b"", left_out=GIVEN_UP)
            try:
                process = process or _Process()
                answer = process.ask(root, path, known.get(path))
            except (OSError, EOFError, ValueError, TypeError):
                if process is not None:
                    process.end()
                process = None
            done.put((path, answer))
    finally:
        if process is not None:
            process.end()


class _Process:
    """One process that parses."""

    def __init__(self) -> None:
        source = str(Path(mainspring.__file__).resolve().parent.parent)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _START, source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout

    def ask(self, root: Path, path: str, known: bytes | None) -> Parsed | None:
        """Parse one file there. Raises OSError or EOFError when the process hangs or ends."""
        question = marshal.dumps((os.fsencode(root), os.fsencode(path), known))
        self._in.write(len(question).to_bytes(4, "big") + question)
        self._in.flush()
        until = time.monotonic() + _SECONDS
        size = int.from_bytes(read_exactly(self._out.fileno(), 4, until), "big")
        answer = marshal.loads(read_exactly(self._out.fileno(), size, until))
        return None if answer is None else Parsed(*answer)

    def end(self) -> None:
        """End it."""
        self._process.kill()
        with contextlib.suppress(OSError):
            self._in.close()
        self._out.close()
        self._process.wait()


def worker() -> None:
    """What a process that parses does: reads questions from standard input until there are no more."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    read, write = sys.stdin.buffer, sys.stdout.buffer
    while head := read.read(4):
        root, path, known = marshal.loads(read.read(int.from_bytes(head, "big")))
        found = parse(Path(os.fsdecode(root)), os.fsdecode(path), known)
        answer = None if found is None else (found.digest, found.left_out, found.head, found.packed, found.words)
        data = marshal.dumps(answer)
        write.write(len(data).to_bytes(4, "big") + data)
        write.flush()
