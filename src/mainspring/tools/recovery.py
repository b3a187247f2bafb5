"""Settles a command after a crash: did it end, did it change anything, or can nobody tell?

Before a command, its workspace's fingerprint is journaled with the intent. While it runs, a record names the
first process of its sandbox. When it has ended, its answer is written beside that, before the journal has it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mainspring.tool import DidNotHappen, Happened, Settled, ToolContext, Unknown
from mainspring.tools import fingerprint
from mainspring.tools.aside import entries, set_aside
from mainspring.tools.supervise import process_start, readable

_KEPT = 200
_NAMED = 12


def prepare(workspace: Path, home: Path | None) -> dict[str, Any]:
    """What the intent of a command records: the state of its workspace."""
    state = fingerprint.take(workspace, home)
    if home is not None:
        state.save(home)
    found = entries(Path(os.path.realpath(workspace)), without=_without(home)).items()
    kept = {os.path.relpath(path, os.path.realpath(workspace)): entry.record() for path, entry in found}
    return {"workspace": state.digest, "complete": state.complete, "protected": kept}


def record_file(context: ToolContext) -> Path | None:
    """Where the running sandbox of this call is written down, or None without a home and a key."""
    return _file(context, "running")


def remember(context: ToolContext, answer: str) -> None:
    """Write a command's answer to disk, so that a crash right after it does not leave it in doubt."""
    target = _file(context, "answers")
    if target is None:
        return
    temporary = target.with_suffix(f".{secrets.token_hex(4)}")
    with open(temporary, "w", encoding="utf-8", errors="replace") as file:
        file.write(answer)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(target)
    fingerprint.forget_old(target.parent, _KEPT)


def reconcile(workspace: Path, context: ToolContext, *, alone: bool = True) -> Settled:
    """Whether the command took effect. What is still running of it is ended first.

    Args:
        workspace: where it ran.
        context: of its call.
        alone: it could reach no host, so that the workspace shows everything that it did.
    """
    _end_leftover(record_file(context))
    answer = _file(context, "answers")
    if answer is not None and answer.exists():
        return Happened(answer.read_text(encoding="utf-8"))
    prepared: Mapping[str, Any] | None = context.prepared
    if prepared is None:
        return Unknown("nothing was recorded before the command")
    real = Path(os.path.realpath(workspace))
    # Journals of earlier versions list only `.git`, with nothing but its inode.
    earlier = {path: [inode, None, 0] for path, inode in prepared.get("git", {}).items()}
    before = {os.path.join(real, path): record for path, record in prepared.get("protected", earlier).items()}
    set_aside(real, before, without=_without(context.home), only_git="protected" not in prepared)
    now = fingerprint.take(workspace, context.home)
    if now.digest == prepared["workspace"] and now.complete:
        if not alone:
            return Unknown("the process died while the command ran, and it may have told or changed something outside")
        return DidNotHappen()
    known = fingerprint.Fingerprint.load(context.home, prepared["workspace"]) if context.home else None
    if known is None or not (now.complete and prepared["complete"]):
        return Unknown("the process died while the command ran, and the workspace may have changed")
    changes = known.changes(now)
    named = ", ".join(changes[:_NAMED]) + (f" and {len(changes) - _NAMED} more" if len(changes) > _NAMED else "")
    return Unknown(f"the process died while the command ran, and files changed: {named}")


def _without(home: Path | None) -> list[Path]:
    return [] if home is None else [Path(os.path.realpath(home))]


def _end_leftover(record: Path | None) -> None:
    """Kill a sandbox that outlived its owner, and wait until it is gone."""
    if record is None:
        return
    try:
        noted = json.loads(record.read_text(encoding="utf-8"))
        handle = os.pidfd_open(int(noted["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return  # it never started, or it is gone
    try:
        if process_start(int(noted["pid"])) == noted["start"]:  # else the number belongs to another process by now
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            readable(handle, 30)
    finally:
        os.close(handle)
    record.unlink(missing_ok=True)


def _file(context: ToolContext, kind: str) -> Path | None:
    if context.home is None or not context.key:
        return None
    folder = context.home / "commands" / kind
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / hashlib.sha256(f"{context.run_id}\0{context.key}".encode()).hexdigest()[:32]
