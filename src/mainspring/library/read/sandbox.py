"""How a process is started that looks at strangers' files: in a sandbox where there is one, without our secrets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import mainspring
from mainspring.errors import SandboxError


def start(
    module: Sequence[str], scratch: str | None, *, more: Mapping[str, str] | None = None, **popen: Any
) -> subprocess.Popen[bytes]:
    """Start a module of this package, to be called in the thread of `starter`.

    Args:
        module: its name, and its arguments.
        scratch: a folder for its temporary files, without a sandbox; None: in the sandbox.
        more: what its environment has besides.
        **popen: as for `subprocess.Popen`.
    """
    command = [sys.executable, "-s", "-P", "-m", *module]
    if scratch is None:
        command = [*sandbox(), "--", *command]
    return subprocess.Popen(
        command,
        stderr=subprocess.DEVNULL,
        env=environment(scratch or "/tmp") | dict(more or {}),
        cwd="/",
        start_new_session=True,
        **popen,
    )


@lru_cache(maxsize=1)
def starter() -> ThreadPoolExecutor:
    """One thread that lives as long as this process: what it starts dies with it."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="mainspring-readers")


os.register_at_fork(after_in_child=starter.cache_clear)  # the thread is the parent's


def environment(temporary: str) -> dict[str, str]:
    """Nothing of ours but where Python's modules lie: keys and passwords stay here."""
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": temporary,
        "TMPDIR": temporary,
        "PYTHONPATH": os.pathsep.join(map(str, _modules())),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def _modules() -> list[Path]:
    """Folders of modules: that of this package, and those that PYTHONPATH names."""
    named = [Path(part) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(part)]
    return [Path(mainspring.__file__).resolve().parent.parent, *named]


@lru_cache(maxsize=1)
def sandbox_works() -> bool:
    """Whether bubblewrap is installed and may make namespaces here; looked at once."""
    try:
        command = [*sandbox(), "--", sys.executable, "-S", "-c", ""]
        return subprocess.run(command, env=environment("/tmp"), capture_output=True, timeout=20).returncode == 0
    except (OSError, SandboxError, subprocess.SubprocessError):
        return False


def sandbox() -> list[str]:
    """Bubblewrap's arguments: the system and Python to read, and nothing else; no network; dies with us."""
    from mainspring.tools.mounts import Mount, python_mounts, system_mounts
    from mainspring.tools.sandbox import bwrap_version

    bwrap = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin:" + os.environ.get("PATH", ""))
    if bwrap is None:
        raise SandboxError("bubblewrap is not installed")
    arguments = [bwrap, "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"]
    arguments += ["--hostname", "reader", "--die-with-parent", "--proc", "/proc", "--dev", "/dev"]
    arguments += ["--size", "256000000"] if bwrap_version() >= (0, 8) else []
    arguments += ["--tmpfs", "/tmp"]
    mounts = [*system_mounts(), *python_mounts(Path(sys.executable))]
    # Only the packages of these folders, and not what else a project keeps beside its source.
    mounts += [Mount("ro", str(folder / "mainspring")) for folder in _modules()[:1]]
    mounts += [Mount("ro", str(folder)) for folder in _modules()[1:] if folder.is_dir()]
    for mount in dict.fromkeys(mounts):
        arguments += mount.arguments()
    return [*arguments, "--remount-ro", "/", "--chdir", "/"]
