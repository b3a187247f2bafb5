"""Runs as JSON lines: for audits, backups and moving a run to another home.

The first line is a header, then one line an event with its whole payload and hash, then the approvals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, TextIO

from mainspring.errors import JournalVersionError, StoreError
from mainspring.store.protocol import Store

FORMAT = 1


def export_run(store: Store, run_id: str, out: TextIO) -> int:
    """Write a run to `out`, its chain checked first; returns the number of events."""
    count = store.verify(run_id)
    row = asdict(store.row(run_id))
    row.pop("alive")
    _line(out, {"mainspring_export": FORMAT, "run": row | {"head_seq": count}})
    for event in store.events(run_id):
        if event.seq > count:  # it went on while we wrote
            break
        value = asdict(event)
        value.pop("run_id")
        value["label"] = event.label.encode()
        _line(out, {"event": value})
    for approval in store.approvals(run_id=run_id):
        _line(out, {"approval": asdict(approval)})
    return count


def import_run(store: Store, lines: Iterable[str]) -> str:
    """Read a run written by :func:`export_run` and return its id. All or nothing.

    Raises:
        StoreError: a line is damaged or missing, the chain does not fit, or the run is in this home already.
        JournalVersionError: the file is from a newer Mainspring.
    """
    header: dict[str, Any] | None = None
    events: list[dict[str, Any]] = []
    approvals: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise StoreError(f"line {number} is no JSON ({error}); nothing was imported") from None
        if not isinstance(value, dict):
            raise StoreError(f"line {number} is no JSON object; nothing was imported")
        if header is None:
            version = value.get("mainspring_export")
            if not isinstance(version, int) or not isinstance(value.get("run"), dict):
                raise StoreError("this is no export of a Mainspring run: its first line is no header")
            if version > FORMAT:
                raise JournalVersionError(f"the export has format {version}; this Mainspring knows {FORMAT}")
            header = value["run"]
        elif "event" in value:
            events.append(value["event"])
        elif "approval" in value:
            approvals.append(value["approval"])
        else:
            raise StoreError(f"line {number} is neither event nor approval; nothing was imported")
    if header is None:
        raise StoreError("the export is empty")
    try:
        store.restore(header, events, approvals)
    except (KeyError, TypeError) as error:
        raise StoreError(f"the export is damaged ({error!r}); nothing was imported") from None
    return str(header["id"])


def _line(out: TextIO, value: dict[str, Any]) -> None:
    out.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
