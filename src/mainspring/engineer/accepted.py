"""Findings that a person accepted, beside the run's record; no sandbox sees this folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mainspring.errors import StoreError, ToolError


def accepted(home: Path, run_id: str) -> dict[str, str]:
    """Finding id -> reason, of what a person accepted in this run. Raises StoreError when the file is damaged."""
    path = _file(home, run_id)
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}; remove it to have the findings asked about again") from None
    return {str(key): str(value) for key, value in data.items()}


def add(home: Path, run_id: str, finding: str, reason: str) -> None:
    """Note one more. Raises ToolError for an empty id or reason."""
    if not finding.strip() or not reason.strip():
        raise ToolError("name the finding's id and the reason why it is no fault")
    path = _file(home, run_id)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with open(partial, "w", encoding="utf-8") as file:
        json.dump({**accepted(home, run_id), finding: reason}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _file(home: Path, run_id: str) -> Path:
    return home / "code" / f"{run_id}.accepted.json"
