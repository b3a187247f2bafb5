"""The filter of system calls: its numbers are the kernel's, and it decides what it says."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from mainspring.errors import SandboxError
from mainspring.tools.seccomp import DENIED, program

ALLOW = 0x7FFF0000
X86, ARM = 0xC000003E, 0xC00000B7


def decide(code: bytes, number: int, arch: int, *arguments: int) -> int:
    """Run the program as the kernel does; the error number, or 0 for a call that is let through."""
    words = [number, arch, 0, 0]
    for argument in (*arguments, *[0] * (6 - len(arguments))):
        words += [argument & 0xFFFFFFFF, argument >> 32]
    loaded = at = 0
    while True:
        operation, yes, no, constant = struct.unpack_from("<HBBI", code, at * 8)
        at += 1
        if operation == 0x20:
            loaded = words[constant // 4]
        elif operation == 0x06:
            assert constant == ALLOW or constant & 0xFFFF0000 == 0x50000
            return 0 if constant == ALLOW else constant & 0xFFFF
        else:
            holds = {0x15: loaded == constant, 0x35: loaded >= constant, 0x45: bool(loaded & constant)}[operation]
            at += yes if holds else no


MACHINES = [("x86_64", X86, 0), ("aarch64", ARM, 1)]
CALLS = {
    "x86_64": {"clone": 56, "unshare": 272, "socket": 41, "ioctl": 16, "personality": 135, "write": 1},
    "aarch64": {"clone": 220, "unshare": 97, "socket": 198, "ioctl": 29, "personality": 92, "write": 64},
}


@pytest.mark.parametrize(("machine", "arch", "column"), MACHINES)
def test_decisions(machine: str, arch: int, column: int) -> None:
    code = program(machine)
    calls = CALLS[machine]
    for name, numbers in DENIED.items():
        number = numbers[column]
        if number is not None:
            assert decide(code, number, arch) == errno.EPERM, name
    assert decide(code, calls["write"], arch, 1, 0, 5) == 0
    assert decide(code, 435, arch) == errno.ENOSYS, "clone3"
    threads = 0x3D0F00
    assert decide(code, calls["clone"], arch, threads) == 0
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert decide(code, calls["clone"], arch, flag | 17) == errno.EPERM
        assert decide(code, calls["unshare"], arch, flag) == errno.EPERM
    assert decide(code, calls["unshare"], arch, 0x80) == errno.EPERM
    assert decide(code, calls["unshare"], arch, 0x200) == 0
    for family in (1, 2, 10):
        assert decide(code, calls["socket"], arch, family, 1, 0) == 0
    assert decide(code, calls["socket"], arch, 16, 3, 0) == 0
    assert decide(code, calls["socket"], arch, 16, 3, 9) == errno.EAFNOSUPPORT, "audit"
    for family in (0, 3, 4, 17, 29, 31, 38, 40, 44):
        assert decide(code, calls["socket"], arch, family, 1, 0) == errno.EAFNOSUPPORT
    assert decide(code, calls["ioctl"], arch, 0, 0x5412) == errno.EPERM
    assert decide(code, calls["ioctl"], arch, 0, 0x5412 | 1 << 32) == errno.EPERM, "the upper half does not hide it"
    assert decide(code, calls["ioctl"], arch, 0, 0x541C) == errno.EPERM
    assert decide(code, calls["ioctl"], arch, 0, 0x5413) == 0
    assert decide(code, calls["personality"], arch, 0xFFFFFFFF) == 0
    assert decide(code, calls["personality"], arch, 0x400000) == errno.EPERM
    other = ARM if arch == X86 else X86
    for foreign in (other, 0x40000003):
        assert decide(code, calls["write"], foreign) == errno.ENOSYS


def test_the_other_table_of_x86_is_closed() -> None:
    code = program("x86_64")
    for number in (1, 165, 41):
        assert decide(code, number | 0x40000000, X86) == errno.ENOSYS
    assert decide(code, 0xFFFFFFFF, X86) == errno.ENOSYS


@pytest.mark.parametrize(
    ("header", "column"),
    [("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 0), ("/usr/include/asm-generic/unistd.h", 1)],
)
def test_numbers_are_the_kernels(header: str, column: int) -> None:
    if not Path(header).exists():
        pytest.skip("the kernel's headers are not installed")
    found = re.findall(r"#define\s+__NR(?:3264)?_(\w+)\s+(\d+)\b", Path(header).read_text())
    table = {name: int(number) for name, number in found}
    missing = {"quotactl_fd", "memfd_secret", "process_madvise", "mount_setattr"}  # younger than some headers
    for name, numbers in DENIED.items():
        if numbers[column] is not None and not (name in missing and name not in table):
            assert table[name] == numbers[column], name
    for machine, _, where in MACHINES:
        if where == column:
            for name, number in CALLS[machine].items():
                assert table[name] == number, name


def test_an_unknown_machine_is_refused() -> None:
    with pytest.raises(SandboxError, match="no filter of system calls for 'riscv64'"):
        program("riscv64")
