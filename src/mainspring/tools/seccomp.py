"""The filter of system calls that a sandboxed command runs under: a classic BPF program, made here.

It takes away what no build, test or script needs and what the kernel's past escapes went through: mounting, new
namespaces, tracing other processes, kernel keys, BPF, io_uring, unusual kinds of sockets, typing into a terminal.
A refused call fails with an error number, as it would on a kernel without it; nothing is killed.

Numbers are those of the kernel's own tables (`asm/unistd_64.h` for x86_64, `asm-generic/unistd.h` for aarch64);
a test compares them with the headers of the machine. The layout of `seccomp_data` and the return values are those
of `linux/seccomp.h`, the machine names those of `linux/audit.h`.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

from mainspring.errors import SandboxError

# linux/bpf_common.h
_LOAD, _EQUAL, _GREATER_EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# seccomp_data: int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]. Both machines are little-endian.
_NUMBER, _ARCH = 0, 4
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
#: Flags of `clone` and `unshare` that make a namespace (linux/sched.h). 0x80 (time) is only one for `unshare`.
_NEW_NAMESPACES = 0x7E020000
_NEW_TIME = 0x80
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
#: PER_LINUX, PER_LINUX32, UNAME26, both, ADDR_NO_RANDOMIZE (sanitizers), and the question what it is.
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0x40000, 0xFFFFFFFF)
_X32 = 0x40000000

#: name -> number on x86_64, number on aarch64 (None where the machine has no such call).
DENIED: dict[str, tuple[int | None, int | None]] = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "setns": (308, 268),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "create_module": (174, None),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "fanotify_init": (300, 262),
    "syslog": (103, 116),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "vhangup": (153, 58),
    "nfsservctl": (180, 42),
    "lookup_dcookie": (212, 18),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "memfd_secret": (447, 447),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
}


@dataclass(frozen=True, slots=True)
class _Machine:
    audit: int
    column: int
    clone: int
    unshare: int
    clone3: int
    socket: int
    ioctl: int
    personality: int


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 0, 56, 272, 435, 41, 16, 135),
    "aarch64": _Machine(0xC00000B7, 1, 220, 97, 435, 198, 29, 92),
}


def program(machine: str) -> bytes:
    """The filter for a machine, as `bwrap --seccomp` reads it: 8 bytes an instruction.

    Args:
        machine: as `os.uname` calls it.

    Raises:
        SandboxError: there is no filter for this machine.
    """
    kind = _MACHINES.get(machine)
    if kind is None:
        raise SandboxError(
            f"there is no filter of system calls for {machine!r} machines, only for {' and '.join(_MACHINES)}; "
            "no command runs without one"
        )
    build = _Builder()
    build.load(_ARCH)
    build.unless_equal(kind.audit, errno.ENOSYS)  # a 32-bit program brings other numbers with it
    build.load(_NUMBER)
    if machine == "x86_64":
        build.when(_GREATER_EQUAL, _X32, errno.ENOSYS)
    for numbers in DENIED.values():
        number = numbers[kind.column]
        if number is not None:
            build.when(_EQUAL, number, errno.EPERM)
    # Its flags lie in memory, which a filter cannot read; the C library falls back to `clone`.
    build.when(_EQUAL, kind.clone3, errno.ENOSYS)
    build.call(kind.clone, _Builder.deny_bits(_NEW_NAMESPACES))
    build.call(kind.unshare, _Builder.deny_bits(_NEW_NAMESPACES | _NEW_TIME))
    # The kernel takes the lower half of a command only, so the upper half must not hide one.
    build.call(kind.ioctl, _Builder.deny_values((_TIOCSTI, _TIOCLINUX), argument=1))
    build.call(kind.personality, _Builder.allow_values(_PERSONALITIES, errno.EPERM))
    build.call(kind.socket, _sockets())
    build.result(_ALLOW)
    return build.bytes()


def _sockets() -> list[tuple[int, int, int, int]]:
    """Sockets of the local machine and the internet; of netlink only routing, which lists the interfaces."""
    body = _Builder()
    body.load(_argument(0))
    for family in (_AF_UNIX, _AF_INET, _AF_INET6):
        body.when(_EQUAL, family, 0)
    body.unless_equal(_AF_NETLINK, errno.EAFNOSUPPORT)
    body.load(_argument(2))
    body.unless_equal(0, errno.EAFNOSUPPORT)
    body.result(_ALLOW)
    return body.lines


def _argument(number: int) -> int:
    """Where the lower half of an argument lies."""
    return 16 + 8 * number


class _Builder:
    """Instructions as (code, jump when true, jump when false, constant)."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, int, int, int]] = []

    def load(self, offset: int) -> None:
        self.lines.append((_LOAD, 0, 0, offset))

    def result(self, value: int) -> None:
        self.lines.append((_RETURN, 0, 0, value))

    def when(self, test: int, value: int, number: int) -> None:
        """End with that error number (0: allow) when the test holds."""
        self.lines.append((test, 0, 1, value))
        self.result(_ERRNO | number if number else _ALLOW)

    def unless_equal(self, value: int, number: int) -> None:
        """End with that error number unless what was loaded equals the value."""
        self.lines.append((_EQUAL, 1, 0, value))
        self.result(_ERRNO | number)

    def call(self, number: int, body: list[tuple[int, int, int, int]]) -> None:
        """Look closer at one system call. The body ends the program; others skip it."""
        self.lines.append((_EQUAL, 0, len(body), number))
        self.lines += body

    @staticmethod
    def deny_bits(bits: int) -> list[tuple[int, int, int, int]]:
        body = _Builder()
        body.load(_argument(0))
        body.when(_ANY_BIT, bits, errno.EPERM)
        body.result(_ALLOW)
        return body.lines

    @staticmethod
    def deny_values(values: tuple[int, ...], argument: int) -> list[tuple[int, int, int, int]]:
        body = _Builder()
        body.load(_argument(argument))
        for value in values:
            body.when(_EQUAL, value, errno.EPERM)
        body.result(_ALLOW)
        return body.lines

    @staticmethod
    def allow_values(values: tuple[int, ...], number: int) -> list[tuple[int, int, int, int]]:
        body = _Builder()
        body.load(_argument(0))
        for value in values:
            body.when(_EQUAL, value, 0)
        body.result(_ERRNO | number)
        return body.lines

    def bytes(self) -> bytes:
        return b"".join(struct.pack("<HBBI", *line) for line in self.lines)
