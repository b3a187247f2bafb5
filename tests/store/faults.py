"""Ways to break the disk under a process, with what a plain Debian has: namespaces, limits and seccomp."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import shutil
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_TSYNC = 1
_SECCOMP_RET_ERRNO = 0x00050000
_SECCOMP_RET_ALLOW = 0x7FFF0000
#: Numbers of seccomp, fsync and fdatasync, by machine.
_SYSCALLS = {"x86_64": (317, 74, 75), "aarch64": (277, 82, 83)}


def can_fail_fsync() -> bool:
    """Whether :func:`fail_fsync` knows this machine."""
    return sys.platform == "linux" and platform.machine() in _SYSCALLS


def fail_fsync() -> None:
    """From now on every fsync and fdatasync of this process fails with EIO. It cannot be taken back."""
    seccomp, fsync, fdatasync = _SYSCALLS[platform.machine()]
    answer = _SECCOMP_RET_ERRNO | errno.EIO
    lines = [
        (0x20, 0, 0, 0),  # load the number of the system call
        (0x15, 1, 0, fsync),  # fsync: jump to the error
        (0x15, 0, 1, fdatasync),  # anything but fdatasync: jump over the error
        (0x06, 0, 0, answer),
        (0x06, 0, 0, _SECCOMP_RET_ALLOW),
    ]
    program = b"".join(struct.pack("=HBBI", *line) for line in lines)
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(lines), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    if libc.syscall(seccomp, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, head):
        raise OSError(ctypes.get_errno(), "seccomp")


def mount_command() -> list[str] | None:
    """How to start a program that may mount file systems of its own; None where that is not allowed."""
    if shutil.which("unshare") is None:
        return None
    for command in (["unshare", "-m"], ["unshare", "-r", "-m"]):
        tried = subprocess.run([*command, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
        if tried.returncode == 0:
            return command
    return None


def script(body: str, *arguments: object, before: list[str] | None = None, mount: str = "") -> Any:
    """Run Python source in a process of its own and return the JSON object on its last line.

    `before` starts a namespace, in which the shell commands of `mount` run first.
    """
    program = [sys.executable, "-c", textwrap.dedent(body), *(str(a) for a in arguments)]
    if before is not None:
        program = [*before, "sh", "-ec", f'{mount}\nexec "$@"', "sh", *program]
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
