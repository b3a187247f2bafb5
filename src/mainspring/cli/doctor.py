"""`mainspring doctor`: what is there, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import click

from mainspring.cli import doctor_guard, doctor_library
from mainspring.cli.approvals import json_option
from mainspring.cli.doctor_guard import Check
from mainspring.cli.output import Output
from mainspring.cli.render import bytes_text, safe
from mainspring.errors import MainspringError

_CHECKED_RUNS = 50
_ROOM = 1 << 30  # bytes; a journal grows slowly, but a full disk stops every run


@click.command()
@json_option
def doctor(json_: bool) -> int:
    """Say what is missing on this machine and how to get it.

    Values of keys are never shown. Exit status: 0 when all that is needed is there, 1 otherwise.
    """
    output = Output.plain()
    fine = True
    for check in checks():
        fine = fine and (check.ok or not check.needed)
        if json_:
            output.json(asdict(check))
            continue
        mark = "ok      " if check.ok else "MISSING " if check.needed else "optional"
        output.text(f"{mark}  {check.name}: {safe(check.found)}")
        if check.fix and not check.ok:
            output.text(f"          → {safe(check.fix)}")
    if not json_:
        output.text("\nall that is needed is there" if fine else "\nsomething that is needed is missing")
    return 0 if fine else 1


def checks() -> Iterator[Check]:
    """Every check, in order, each made when it is asked for."""
    yield _python()
    yield from _guarded("home", _home)
    yield from _guarded("journal", _journal)
    yield _disk()
    yield from _guarded("configuration", doctor_guard.configuration)
    yield from _guarded("audit key", doctor_guard.audit_key)
    yield from _guarded("pins", doctor_guard.pins)
    yield from _guarded("sandbox", doctor_guard.sandbox)
    keys = _keys()
    yield from _guarded("local model", lambda: _local(needed=not keys.ok))
    yield keys
    yield from _guarded("library", doctor_library.library)
    yield _uv()


def _guarded(name: str, check: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """A check that breaks is a finding too, and must not hide the ones after it."""
    try:
        yield from check()
    except (MainspringError, OSError, ImportError) as error:
        yield Check(name, False, True, str(error), "see the message; then run `mainspring doctor` again")


def _python() -> Check:
    found = f"{platform.python_version()} ({sys.executable})"
    return Check("python", sys.version_info >= (3, 11), True, found, "install Python 3.11 or newer")


def _home() -> Iterator[Check]:
    from mainspring.store import default_home

    home = default_home()
    existing = _existing(home)
    try:
        with tempfile.TemporaryFile(dir=existing):
            ok = True
    except OSError:
        ok = False
    found = str(home) + ("" if home == existing else " (will be made)") + ("" if ok else " cannot be written")
    yield Check("home", ok, True, found, "set MAINSPRING_HOME to a folder that you may write")


def _journal() -> Iterator[Check]:
    from mainspring.store import default_home, open_store

    database = os.environ.get("MAINSPRING_DATABASE_URL", "").strip()
    if not database and not default_home().exists():
        yield Check("journal", True, True, "empty: nothing ran yet")
        return
    try:
        store = open_store()
        rows = store.rows(limit=_CHECKED_RUNS)
    except MainspringError as error:
        yield Check("journal", False, True, str(error), "see the message; the journal itself was not changed")
        return
    damaged, events = [], 0
    for row in rows:
        try:
            events += store.verify(row.id)
        except MainspringError as error:
            damaged.append(str(error))
    if damaged:
        fix = "keep a copy of the home; the other runs are not affected, this one can still be read with `runs show`"
        yield Check("journal", False, True, "; ".join(damaged), fix)
        return
    where = f"{getattr(store, 'name', 'PostgreSQL')} answers; " if database else ""
    said = f"{where}hash chains of the newest {len(rows)} runs are whole ({events:,} events)"
    yield Check("journal", True, True, said)


def _disk() -> Check:
    from mainspring.store import default_home

    free = shutil.disk_usage(_existing(default_home())).free
    return Check("disk", free >= _ROOM, True, f"{bytes_text(free)} free", f"make room: less than {bytes_text(_ROOM)}")


def _local(needed: bool) -> Iterator[Check]:
    """The local model; needed when there is no key for another one. Memory comes and goes, so it never is."""
    from mainspring.models.local.doctor import status

    for name, ok, found, fix in status():
        yield Check(name, ok, needed and not name.startswith("memory"), found, fix)


def _keys() -> Check:
    names = sorted(
        name
        for name, value in os.environ.items()
        if value and (name.endswith("_API_KEY") or name.startswith("MAINSPRING_KEY_"))
    )
    fix = "set a provider's key, such as ANTHROPIC_API_KEY or OPENAI_API_KEY, to use its models"
    return Check("provider keys", bool(names), False, ", ".join(names) or "none set", fix)


def _uv() -> Check:
    found = shutil.which("uv")
    return Check("uv", found is not None, False, found or "not found", "python -m pip install uv")


def _existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
