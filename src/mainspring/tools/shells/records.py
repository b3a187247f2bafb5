"""Notes on disk of what runs, so that the next process of Mainspring knows what a crash has ended, and what of it still
has to be looked at."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Lost:
    """A process that ended with a crash.

    Args:
        name, command: as they were given.
        workspace: where it ran.
        before: what was protected there when it began, or None when that has been looked at since.
    """

    name: str
    command: str
    workspace: Path
    before: Mapping[str, Sequence[int | str | None]] | None


class Records:
    """The notes of one run. Without a home there are none."""

    def __init__(self, home: Path | None, run_id: str) -> None:
        self._folder: Path | None = None
        if home is not None and run_id:
            self._folder = home / "processes" / hashlib.sha256(run_id.encode()).hexdigest()[:32]

    def write(self, lost: Lost) -> None:
        """Note a process before it starts."""
        if self._folder is None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = None if lost.before is None else {path: list(entry) for path, entry in lost.before.items()}
        noted = {"name": lost.name, "command": lost.command, "workspace": str(lost.workspace), "before": before}
        temporary = self._folder / f".{secrets.token_hex(4)}"
        temporary.write_text(json.dumps(noted), encoding="utf-8")
        os.replace(temporary, self._folder / f"{lost.name}.json")

    def remove(self, name: str) -> None:
        """Its end was seen."""
        if self._folder is not None:
            (self._folder / f"{name}.json").unlink(missing_ok=True)

    def clear(self) -> None:
        """The run ended."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def left(self) -> list[Lost]:
        """What is noted of an earlier process of Mainspring."""
        found = []
        if self._folder is not None:
            with contextlib.suppress(OSError):
                for path in sorted(self._folder.glob("*.json")):
                    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                        noted: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                        workspace = Path(noted["workspace"])
                        found.append(Lost(noted["name"], noted["command"], workspace, noted["before"]))
        return found
