"""What a reading process takes from itself before it looks at a file.

Limits of memory, files and descriptors; a filter of system calls (seccomp) that leaves it no socket, no other
program, no sight of other processes. Where bubblewrap works, the process has besides no files but the system's and
Python's: see `children`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import struct
import sys

#: prctl(2): linux/prctl.h.
_SET_PDEATHSIG, _SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER_MODE = 1, 38, 22, 2
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
#: Calls that a reader never needs (x86_64, aarch64): sockets, programs, signals to and memory of other processes.
_REFUSED: dict[str, tuple[int, int]] = {
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "kill": (62, 129),
    "tkill": (200, 130),
    "mount": (165, 40),
    "setns": (308, 268),
    "unshare": (272, 97),
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "userfaultfd": (323, 282),
}


def confine(memory_mb: int, parent: int | None) -> bool:
    """Take from this process what reading a file does not need.

    Args:
        memory_mb: most memory, in millions of bytes.
        parent: the process to die with, when this one was started by it directly.

    Returns:
        Whether the filter of system calls holds; the limits always do.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if parent is not None and sys.platform == "linux":
        libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 64_000_000)  # attachments are laid down to be read
    _limit(resource.RLIMIT_NOFILE, 256)
    _limit(resource.RLIMIT_AS, memory_mb * 1_000_000)
    return _filter(libc)


def allow_seconds(seconds: float) -> None:
    """Let this process use so much more processor time, as much as its owner waits at most."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(used.ru_utime + used.ru_stime + min(seconds, 1e7)) + 10
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _limit(which: int, most: int) -> None:
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(which, (most, most))


def _filter(libc: ctypes.CDLL) -> bool:
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in _AUDIT:
        return False
    lines = [(0x20, 0, 0, 4), (0x15, 1, 0, _AUDIT[machine]), (0x06, 0, 0, 0x00050000 | errno.ENOSYS), (0x20, 0, 0, 0)]
    if machine == "x86_64":  # the calls of x32 have numbers of their own
        lines += [(0x35, 0, 1, 0x40000000), (0x06, 0, 0, 0x00050000 | errno.ENOSYS)]
    for numbers in _REFUSED.values():
        number = numbers[0 if machine == "x86_64" else 1]
        lines += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | errno.EPERM)]
    lines.append((0x06, 0, 0, 0x7FFF0000))
    program = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *line) for line in lines))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    filter_ = Program(len(lines), ctypes.addressof(program))
    return bool(libc.prctl(_SET_SECCOMP, _FILTER_MODE, ctypes.byref(filter_), 0, 0) == 0)
