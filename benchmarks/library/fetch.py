"""Fetches the packages of the set and takes single files out of them, without installing anything."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.library.documents import Package


class FetchError(Exception):
    """A package cannot be had, or is not the one that the set was made from."""


def fetch(package: Package, folder: Path, note: Callable[[str], None]) -> tuple[Path, str]:
    """The package's file, in `folder`, and its SHA-256; fetched when it is not there.

    A registry that no longer serves the pinned version gives its newest: the digest then says so.

    Raises:
        FetchError: no client for its registry, or the registry does not give it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{package.name.replace('/', '-').lstrip('@')}_{package.version.replace(':', '%3a')}"
    held = folder / f"{name}.{'deb' if package.registry == 'debian' else 'tgz'}"
    if held.is_file():
        digest = _digest(held)
        if digest == package.sha256:
            return held, digest
    note(f"fetching {package.name} {package.version} from {package.registry} ...")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        got = _debian(package, Path(scratch)) if package.registry == "debian" else _npm(package, Path(scratch))
        digest = _digest(got)
        if digest != package.sha256:
            note(f"{package.name}: the registry serves another file ({got.name}) than the set was made from")
        shutil.move(got, held)
    return held, digest


def take(package: Package, file: Path, paths: Iterable[str]) -> dict[str, bytes]:
    """The bytes of some files of a fetched package, unpacked where they end in ``.gz``.

    Raises:
        FetchError: one is not in it.
    """
    wanted = set(paths)
    found: dict[str, bytes] = {}
    if package.registry == "debian":
        whole = io.BytesIO(_run(["dpkg-deb", "--fsys-tarfile", str(file)]))
    else:
        whole = io.BytesIO(file.read_bytes())
    with tarfile.open(fileobj=whole) as archive:
        for member in archive:
            path = member.name.removeprefix("./")
            if path in wanted and member.isfile():
                handle = archive.extractfile(member)
                assert handle is not None
                data = handle.read()
                found[path] = gzip.decompress(data) if path.endswith(".gz") else data
    lacking = sorted(wanted - set(found))
    if lacking:
        raise FetchError(f"{package.name} ({file.name}) does not hold {', '.join(lacking)}")
    return found


def _debian(package: Package, scratch: Path) -> Path:
    try:
        _run(["apt-get", "download", "-q", f"{package.name}={package.version}"], scratch)
    except FetchError:
        _run(["apt-get", "download", "-q", package.name], scratch)
    return _only(scratch, "*.deb", package)


def _npm(package: Package, scratch: Path) -> Path:
    _run(["npm", "pack", "--silent", f"{package.name}@{package.version}"], scratch)
    return _only(scratch, "*.tgz", package)


def _only(scratch: Path, pattern: str, package: Package) -> Path:
    files = list(scratch.glob(pattern))
    if len(files) != 1:
        raise FetchError(f"the registry gave no file for {package.name} {package.version}")
    return files[0]


def _run(command: list[str], folder: Path | None = None) -> bytes:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=600, check=False)
    except FileNotFoundError:
        raise FetchError(f"{command[0]} is not installed here; the set needs it to fetch its documents") from None
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        raise FetchError(f"{' '.join(command)} failed: {told[-1] if told else done.returncode}; try: apt-get update")
    return done.stdout


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
