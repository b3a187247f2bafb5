"""What a sandboxed command can see: the system, the Python it needs, and the workspace."""

from __future__ import annotations

import contextlib
import os
import pwd
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import SandboxError

SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
# Only what programs need to start and to show text and time; nothing here may hold a credential.
ETC_FILES = (
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "pki/ca-trust/extracted",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
)
_NO_WORKSPACE = (*SYSTEM_FOLDERS, "/etc", "/proc", "/sys", "/dev", "/run", "/boot")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the sandbox's file system.

    `kind` is ``"ro"``, ``"rw"``, ``"link"``, ``"hide"``, or ``"keep"``: read-only, if it is still there by then.
    """

    kind: str
    path: str
    source: str = ""

    def arguments(self) -> list[str]:
        """As bubblewrap's arguments."""
        if self.kind == "link":
            return ["--symlink", self.source, self.path]
        if self.kind == "hide":
            return ["--tmpfs", self.path, "--remount-ro", self.path]
        option = {"ro": "--ro-bind", "keep": "--ro-bind-try", "rw": "--bind"}[self.kind]
        return [option, self.source or self.path, self.path]


def system_mounts() -> list[Mount]:
    """The read-only system: programs and libraries, and a few files of /etc."""
    mounts = []
    for folder in SYSTEM_FOLDERS:
        if os.path.islink(folder):
            mounts.append(Mount("link", folder, os.readlink(folder)))
        elif os.path.isdir(folder):
            mounts.append(Mount("ro", folder))
    if os.path.isdir("/usr/local/etc"):  # settings of what was installed by hand, passwords among them
        mounts.append(Mount("hide", "/usr/local/etc"))
    mounts += [Mount("ro", f"/etc/{name}") for name in ETC_FILES if os.path.exists(f"/etc/{name}")]
    return mounts


def python_mounts(python: Path) -> list[Mount]:
    """What an interpreter needs to start: its environment, its base installation, the links between them.

    Only folders that are a virtual environment or a whole Python installation are shown, so that a link or
    a ``pyvenv.cfg`` written by an agent cannot name any other folder of the machine.
    """
    mounts: list[Mount] = []
    step = Path(os.path.abspath(python))
    for _ in range(40):
        prefix = step.parent.parent
        shown = _installation_mounts(prefix)
        mounts += shown
        mounts += _base_of_environment(prefix)
        try:
            target = os.readlink(step)
        except OSError:
            break
        if not shown and not _in_system(step):
            mounts.append(Mount("link", str(step), target))
        step = Path(os.path.normpath(step.parent / target))
    unique: dict[str, Mount] = {}
    for mount in mounts:
        unique.setdefault(mount.path, mount)
    return list(unique.values())


def credentials(mounts: Iterable[Mount]) -> list[str]:
    """Files in what is shown of Python's installations that may hold a password for a package index."""
    found = (f"{mount.path}/pip.conf" for mount in mounts if mount.kind == "ro" and mount.path not in SYSTEM_FOLDERS)
    return [path for path in found if os.path.isfile(path) and not os.path.islink(path)]


def check_workspace(workspace: Path) -> Path:
    """The workspace's real path.

    Raises:
        SandboxError: it is missing, no folder, part of the system, or holds the user's whole home.
    """
    real = Path(os.path.realpath(workspace))
    if not real.is_dir():
        raise SandboxError(f"workspace {str(workspace)!r} is not a folder; create it or name another one")
    if real == Path("/") or any(real.is_relative_to(s) or Path(s).is_relative_to(real) for s in _NO_WORKSPACE):
        raise SandboxError(f"workspace {str(real)!r} is part of the system; use a folder of its own")
    for home in _user_homes():
        if home.is_relative_to(real):
            raise SandboxError(
                f"workspace {str(real)!r} holds the home folder {str(home)!r}, whose keys and settings no agent "
                "should see; use a project folder inside it"
            )
    return real


def contains(outer: Path, inner: Path) -> bool:
    """True when `inner` is `outer` or lies in it (both real paths)."""
    return inner == outer or inner.is_relative_to(outer)


def default_python(workspace: Path) -> Path:
    """The interpreter for the workspace's code: its own ``.venv``, or the one that runs Mainspring."""
    own = workspace / ".venv" / "bin" / "python"
    return own if own.exists() else Path(sys.executable)


def _user_homes() -> Iterator[Path]:
    names = {os.environ.get("HOME", "")}
    with contextlib.suppress(KeyError):  # a container's user without an entry has only $HOME
        names.add(pwd.getpwuid(os.getuid()).pw_dir)
    for name in names:
        if name and os.path.realpath(name) != "/":
            yield Path(os.path.realpath(name))


def _in_system(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in SYSTEM_FOLDERS)


def _installation_mounts(prefix: Path) -> list[Mount]:
    if _in_system(prefix) or not _is_python(prefix):
        return []
    real = os.path.realpath(prefix)
    paths = dict.fromkeys([str(prefix), real])
    return [Mount("ro", path, real) for path in paths]


def _is_python(prefix: Path) -> bool:
    if any(home.is_relative_to(os.path.realpath(prefix)) for home in _user_homes()):
        return False
    if (prefix / "pyvenv.cfg").is_file() and (prefix / "bin").is_dir():
        return any(prefix.glob("lib/python3*/site-packages"))
    return any(prefix.glob("lib/python3*/os.py"))


def _base_of_environment(prefix: Path) -> list[Mount]:
    try:
        with open(prefix / "pyvenv.cfg", encoding="utf-8", errors="replace") as config:
            lines = config.read(65536).splitlines()
    except OSError:
        return []
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() == "home" and os.path.isabs(value.strip()):
            return _installation_mounts(Path(os.path.normpath(value.strip())).parent)
    return []
