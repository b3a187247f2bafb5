"""What a sandboxed command may use, and what is said when it wanted more."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from mainspring.errors import DeclarationError


def _half_of_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one command may use, with all that it starts.

    Args:
        cpu_s: CPU seconds, of all processes together.
        memory_bytes: address space of each process.
        total_memory_bytes: memory of all processes together; default half of the machine's.
        processes: processes and threads at once.
        open_files: open files of each process.
        file_bytes: size of each file written.
        disk_bytes: what the command may write into the workspace in all.
        tmp_bytes: size of ``/tmp``, of the home folder and of shared memory, each.
        output_bytes: output that is kept, from its beginning and its end.
        network_bytes: sent and received through the proxy, together, when hosts are granted.
        connections: to granted hosts, at once.
    """

    cpu_s: int = 900
    memory_bytes: int = 16 << 30
    total_memory_bytes: int = field(default_factory=_half_of_memory)
    processes: int = 512
    open_files: int = 4096
    file_bytes: int = 2 << 30
    disk_bytes: int = 8 << 30
    tmp_bytes: int = 1 << 30
    output_bytes: int = 256 << 10
    network_bytes: int = 2 << 30
    connections: int = 32

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
                raise DeclarationError(f"sandbox limit {item.name} must be a whole number above 0, not {value!r}")

    def broken(self, ended: str) -> str:
        """What to tell when a limit ended a command: which one, and how much it allows."""
        return {
            "processes": f"it started too many processes (more than {self.processes}, the limit `processes`)",
            "memory": f"it used more than {_mega(self.total_memory_bytes)} of memory (the limit `memory_mb`)",
            "cpu": f"it used more than {self.cpu_s} s of CPU time (the limit `cpu_s`)",
            "disk": f"it wrote more than {_mega(self.disk_bytes)} into the workspace (the limit `disk_mb`)",
        }.get(ended, "")


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """What a person grants the commands of an agent, as the section ``[sandbox]`` of the configuration says it.

    Args:
        hosts: what commands may reach: ``"pypi.org"`` (ports 443 and 80), ``"*.example.com"`` (names below it),
            ``"example.com:8443"``. None by default.
        cpu_s: CPU seconds of one command.
        memory_mb: memory of one command, in units of 1,000,000 bytes.
        processes: processes and threads of one command at once.
        disk_mb: what one command may write into the workspace, in units of 1,000,000 bytes.
        caches: tests may read the toolchains and package caches of the user's home folder.

    Raises:
        DeclarationError: a host is no name, or a number is not above 0.
    """

    hosts: tuple[str, ...] = ()
    cpu_s: int | None = None
    memory_mb: int | None = None
    processes: int | None = None
    disk_mb: int | None = None
    caches: bool = False

    def __post_init__(self) -> None:
        from mainspring.tools.proxy.hosts import parse_hosts

        if isinstance(self.hosts, str) or not all(isinstance(host, str) for host in self.hosts):
            raise DeclarationError(f"sandbox hosts must be a list of names, not {self.hosts!r}")
        if not isinstance(self.caches, bool):
            raise DeclarationError(f"sandbox caches must be true or false, not {self.caches!r}")
        object.__setattr__(self, "hosts", tuple(self.hosts))
        parse_hosts(self.hosts)
        self.limits()

    @classmethod
    def read(cls, settings: Mapping[str, Any] | SandboxSettings | None) -> SandboxSettings:
        """Settings from a mapping, such as a section of a configuration file. Raises DeclarationError."""
        if isinstance(settings, SandboxSettings):
            return settings
        settings = settings or {}
        if not isinstance(settings, Mapping):
            raise DeclarationError(f"sandbox settings must be a mapping or SandboxSettings, not {settings!r}")
        known = [item.name for item in fields(cls)]
        unknown = sorted(str(name) for name in settings if name not in known)
        if unknown:
            raise DeclarationError(f"sandbox settings {unknown} are unknown; there are {known}")
        hosts = settings.get("hosts", ())
        if not isinstance(hosts, Sequence):
            raise DeclarationError(f"sandbox hosts must be a list of names, not {hosts!r}")
        return cls(**{**settings, "hosts": hosts})

    def limits(self, base: SandboxLimits | None = None) -> SandboxLimits:
        """`base` (or the defaults), with what these settings say instead."""
        base = base or SandboxLimits()
        chosen = {item.name: getattr(base, item.name) for item in fields(SandboxLimits)}
        for name, value, unit in (
            ("cpu_s", self.cpu_s, 1),
            ("total_memory_bytes", self.memory_mb, 1_000_000),
            ("processes", self.processes, 1),
            ("disk_bytes", self.disk_mb, 1_000_000),
        ):
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
                raise DeclarationError(f"sandbox setting for {name} must be a whole number above 0, not {value!r}")
            chosen[name] = value * unit
        return SandboxLimits(**chosen)


def _mega(count: int) -> str:
    return f"{count // 1_000_000:,} MB"
