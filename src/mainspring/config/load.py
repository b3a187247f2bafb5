"""Finding and reading `mainspring.toml`.

It gives authority, so it is read only from where a person put it: `MAINSPRING_CONFIG`, or Mainspring's home. A file of
that name in the current folder or in a workspace is never read: a repository could carry it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.config.checks import At, known, names, references
from mainspring.config.sections import (
    SECTIONS,
    Approvals,
    FleetSettings,
    LibrarySettings,
    MemorySettings,
    Person,
    PolicyFiles,
    RateSettings,
    SandboxSettings,
    ScheduleSettings,
    SwarmSettings,
)
from mainspring.config.servers import ServerSettings, ToolSettings
from mainspring.errors import DeclarationError

if TYPE_CHECKING:
    from mainspring.tool import Tool

NAME = "mainspring.toml"
#: Largest file that is read, in bytes; a person's own settings are a few kilobytes.
MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Config:
    """A checked configuration. Without a file, everything is at its default.

    Args:
        path: the file, or None.
        digest: SHA-256 (hex) of the file's bytes, "" without a file.
        tools: a tool's name -> what a person says of it.
        mcp: server name -> settings.
        secrets: name -> where it is kept, as `mainspring.secrets.Secrets` takes it.
        rates: pattern of model names -> how fast they may be asked.
    """

    path: Path | None = None
    digest: str = ""
    policy: PolicyFiles = field(default_factory=PolicyFiles)
    people: Mapping[str, Person] = field(default_factory=dict)
    approvals: Approvals = field(default_factory=Approvals)
    tools: Mapping[str, ToolSettings] = field(default_factory=dict)
    mcp: Mapping[str, ServerSettings] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    library: LibrarySettings = field(default_factory=LibrarySettings)
    swarm: SwarmSettings = field(default_factory=SwarmSettings)
    rates: Mapping[str, RateSettings] = field(default_factory=dict)
    fleet: FleetSettings = field(default_factory=FleetSettings)
    schedules: ScheduleSettings = field(default_factory=ScheduleSettings)

    def apply_to(self, tool: Tool) -> Tool:
        """The tool as the configuration has it: a copy, or the tool itself when nothing is said of it.

        Raises:
            DeclarationError: the configuration names arguments that the tool lacks.
        """
        from mainspring.config.tools import configured

        settings = self.tools.get(tool.name)
        return tool if settings is None else configured(tool, settings)

    def file(self, path: str) -> Path:
        """A path from the configuration: relative ones start at its folder."""
        base = self.path.parent if self.path is not None else Path.cwd()
        return (base / Path(path).expanduser()).absolute()


def find_config(home: str | Path | None = None) -> Path | None:
    """The configuration that holds: `MAINSPRING_CONFIG`, or ``mainspring.toml`` in the home; None without one.

    Raises:
        DeclarationError: `MAINSPRING_CONFIG` names a file that is not there.
    """
    named = os.environ.get("MAINSPRING_CONFIG")
    if named:
        path = Path(named).expanduser().absolute()
        if not path.exists():
            raise DeclarationError(f"MAINSPRING_CONFIG names {path}, which is not there; correct or unset it")
        return path
    folder = Path(home if home is not None else os.environ.get("MAINSPRING_HOME") or "~/.mainspring")
    path = folder.expanduser().absolute() / NAME
    return path if os.path.lexists(path) else None


def load_config(home: str | Path | None = None, path: str | Path | None = None) -> Config:
    """Read the configuration.

    Args:
        home: Mainspring's home; by default `MAINSPRING_HOME` or ``~/.mainspring``.
        path: read this file instead of looking for one.

    Raises:
        DeclarationError: the file cannot be read, can be changed by others, or says something that is not allowed.
    """
    found = Path(path).expanduser().absolute() if path is not None else find_config(home)
    if found is None:
        return Config()
    data = _read(found)
    text = _decode(found, data)
    return _checked(found, text, _parse(found, text), hashlib.sha256(data).hexdigest())


def _read(path: Path) -> bytes:
    try:
        # Without O_NONBLOCK a named pipe in its place would hang every command.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise DeclarationError(f"{path} cannot be read: {error.strerror}") from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise DeclarationError(f"{path} is no file; it must be a text file in TOML")
    with open(descriptor, "rb") as file:
        if found.st_mode & stat.S_IWOTH:
            raise DeclarationError(f"{path} can be changed by everybody on this machine; run: chmod o-w {path}")
        if found.st_size > MAX_BYTES:
            raise DeclarationError(f"{path} has {found.st_size:,} bytes; at most {MAX_BYTES:,} are read")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DeclarationError(f"{path} has more than {MAX_BYTES:,} bytes")
    return data


def _decode(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DeclarationError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} is no UTF-8; save the file as UTF-8"
        ) from None


def _parse(path: Path, text: str) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError(f"{path} is no TOML: {error}") from None
    except RecursionError:
        raise DeclarationError(f"{path} is nested too deeply") from None


def _checked(path: Path, text: str, tables: dict[str, object], digest: str) -> Config:
    at = At(str(path), text)
    config = Config(path, digest, **known(tables, at, SECTIONS))
    for name, server in config.mcp.items():
        for key, value in (*server.env.items(), *server.headers.items(), ("bearer", server.bearer)):
            missing = sorted(references(value) - set(config.secrets))
            if missing:
                raise DeclarationError(
                    f"{at / 'mcp' / name}: {key} names the secret {missing[0]!r}, which [secrets] lacks; "
                    f"it has {names(sorted(config.secrets))}"
                )
    return config
