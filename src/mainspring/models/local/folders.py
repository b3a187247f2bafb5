"""Where the weights, logs and locks of local models lie, and how a file's digest is remembered."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mainspring.errors import ModelError

_CHUNK = 1 << 20


def cache_folder() -> Path:
    """The cache: ``MAINSPRING_CACHE``, else ``$XDG_CACHE_HOME/mainspring``, else ``~/.cache/mainspring``."""
    if own := os.environ.get("MAINSPRING_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base and os.path.isabs(base) else Path.home() / ".cache") / "mainspring"


def make_folder(*names: str) -> Path:
    """A folder inside the cache, made when it is missing. Raises ModelError when that fails."""
    folder = cache_folder().joinpath(*names)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"cannot make the cache folder {folder}: {error.strerror or error}; "
            "set MAINSPRING_CACHE to one you can write"
        ) from None
    return folder


def digest_of(path: Path, stop: threading.Event | None = None) -> str:
    """SHA-256 of a file, as hex. Raises ModelError when `stop` is set meanwhile."""
    state = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            state.update(chunk)
            if stop is not None and stop.is_set():
                raise ModelError("stopped while checking the weights", retryable=True)
    return state.hexdigest()


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".verified.json")


def remember(path: Path, digest: str, *, beside: Path | None = None) -> None:
    """Note that `path`, as it is now, has `digest`, so that later starts need not read it all again.

    Args:
        beside: where the file is about to be moved to, when it still has another name.
    """
    stat = path.stat()
    note = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": digest}
    write_atomically(_sidecar(beside or path), json.dumps(note))


def is_unchanged(path: Path) -> bool:
    """True when `path` still is what was noted of it; read in full only when size or time of change differ."""
    try:
        note = json.loads(_sidecar(path).read_text("utf-8"))
        stat = path.stat()
        if (stat.st_size, stat.st_mtime_ns) == (note["size"], note["mtime_ns"]):
            return True
        if stat.st_size != note["size"] or digest_of(path) != note["sha256"]:
            return False
        remember(path, note["sha256"])
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False


def is_verified(path: Path, size: int, digest: str) -> bool:
    """True when `path` has this size and digest; read in full only when it changed since it was last checked."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return False
    if stat.st_size != size:
        return False
    try:
        note = json.loads(_sidecar(path).read_text("utf-8"))
        if note == {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": digest}:
            return True
    except (OSError, ValueError):
        pass  # no note or a damaged one: the file itself decides
    if digest_of(path) != digest:
        return False
    remember(path, digest)
    return True


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old or the new one, never half."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    partial.write_text(text, "utf-8")
    os.replace(partial, path)


@contextmanager
def only_one(path: Path, stop: threading.Event, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock beside `path`, so that two processes do not fetch the same file at once.

    Args:
        waiting: called once when somebody else holds it.

    Raises:
        ModelError: `stop` was set while waiting.
    """
    with path.with_name(path.name + ".lock").open("a") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    waiting()
                    told = True
                if stop.is_set():
                    raise ModelError("stopped while waiting for another download", retryable=True) from None
                time.sleep(0.2)
        yield
