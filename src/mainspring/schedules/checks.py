"""Whether there is anything to do, found out without a model: a file that is there or has changed, a command's exit
status, a function of the agent's declaration."""

from __future__ import annotations

import glob
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mainspring.agent import Agent
from mainspring.errors import DeclarationError, MainspringError

KINDS = ("exists", "changed", "command", "python")
#: Seconds that a command or function may take.
TIMEOUT_S = 60.0
_MOST_FILES = 10_000


class CheckFailed(MainspringError):
    """A check could not say whether there is anything to do."""


def check_check(check: Any) -> None:
    """Raises DeclarationError when `check` is none of ``{"exists": GLOB}``, ``{"changed": GLOB}``,
    ``{"command": [PROGRAM, ...]}``, ``{"python": NAME}``."""
    if check is None:
        return
    if not isinstance(check, Mapping) or len(check) != 1 or next(iter(check)) not in KINDS:
        raise DeclarationError(f"a check says one of {KINDS}, such as {{'exists': 'in/*.csv'}}, not {check!r:.200}")
    (kind, value), *_ = check.items()
    if kind == "command":
        if (
            isinstance(value, str)
            or not isinstance(value, Sequence)
            or not all(isinstance(v, str) and v for v in value)
        ):
            raise DeclarationError(f"a check's command is a list of texts, the program first, not {value!r:.200}")
        if not value:
            raise DeclarationError("a check's command is empty; name a program")
    elif not isinstance(value, str) or not value or "\0" in value:
        raise DeclarationError(f"a check's {kind} is a text, not {value!r:.200}")


def look(check: Mapping[str, Any], workspace: str | None, agent: Agent, kept: Any) -> tuple[bool, Any]:
    """Whether there is something to do, and what to know at the next look.

    Args:
        workspace: the schedule's folder, which relative paths and commands are in.
        kept: what the last look gave.

    Raises:
        CheckFailed: it cannot be told.
    """
    (kind, value), *_ = check.items()
    if kind == "exists":
        return bool(_found(value, workspace, 1)), None
    if kind == "changed":
        seen = _seen(_found(value, workspace, _MOST_FILES))
        return seen != kept, seen
    if kind == "command":
        return _command(value, workspace), None
    return _python(value, agent), None


def _found(pattern: str, workspace: str | None, most: int) -> list[str]:
    root = Path(workspace) if workspace else Path.cwd()
    paths: list[str] = []
    try:
        for path in glob.iglob(str(root / Path(pattern).expanduser()), recursive=True):
            paths.append(path)
            if len(paths) > most:
                break
    except (OSError, ValueError) as error:
        raise CheckFailed(f"cannot look for {pattern!r}: {error}") from None
    return sorted(paths[:most])


def _seen(paths: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        try:
            stat = os.stat(path)
        except OSError:
            continue
        digest.update(f"{path!r} {stat.st_mtime_ns} {stat.st_size} {stat.st_ino}\n".encode())
    return digest.hexdigest()


def _command(command: Sequence[str], workspace: str | None) -> bool:
    """Exit status 0: there is something to do; 1: nothing. In the sandbox, where it can change nothing."""
    from mainspring.tools.sandbox import Sandbox

    with tempfile.TemporaryDirectory(prefix="mainspring-check-") as empty:
        try:
            shown = [workspace] if workspace else []
            # The shell only goes to the folder that the command may read; nothing of the command is read by it.
            inside = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', workspace or ".", *command]
            result = Sandbox(empty, read_only=shown).run(inside, timeout_s=TIMEOUT_S)
        except MainspringError as error:
            raise CheckFailed(f"the check's command cannot be run: {error}") from None
    if result.exit_code not in (0, 1):
        said = result.output.strip()[-500:]
        raise CheckFailed(f"the check's command ended with status {result.exit_code}, which is neither 0 nor 1: {said}")
    return result.exit_code == 0


def _python(name: str, agent: Agent) -> bool:
    """The function of the agent's own declaration; it is the person's code, as its tools are."""
    function = find_function(name, agent)
    try:
        return bool(function())
    except Exception as error:
        raise CheckFailed(f"the check {name!r} failed: {type(error).__name__}: {error}") from None


def find_function(name: str, agent: Agent) -> Any:
    """A function of the file that declares `agent`; raises CheckFailed when there is none."""
    import sys

    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None) or {}
        if callable(names.get(name)) and any(value is agent for value in list(names.values())):
            return names[name]
    registered = _functions.get(name)
    if registered is None:
        raise CheckFailed(f"the file of agent {agent.name!r} has no function {name!r}; declare it there")
    return registered


_functions: dict[str, Any] = {}


def register(name: str, function: Any) -> None:
    """Let schedules of this process name a function, for programs that declare agents elsewhere than in a file."""
    _functions[name] = function
