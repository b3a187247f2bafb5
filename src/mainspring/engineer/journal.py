"""Reads a run's journal for what its verifications found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mainspring.engineer.ledger import Verification
from mainspring.tools.undo import RunEventLike

if TYPE_CHECKING:
    from mainspring.runtime.run import Run

VERIFY = "verify_change"


def verifications(events: Iterable[RunEventLike]) -> list[Verification]:
    """Every verification that a run's journal holds, oldest first."""
    intended: set[int] = set()
    found = []
    for event in events:
        payload = event.payload
        if event.kind == "effect.intended" and payload.get("tool") == VERIFY:
            assert event.seq is not None
            intended.add(event.seq)
        elif event.kind == "effect.done" and payload.get("intent") in intended and not payload.get("is_error"):
            try:
                found.append(Verification.decode(_data(payload)))
            except (ValueError, KeyError, TypeError):
                continue  # a run that was imported from elsewhere may hold anything
    return found


def verifications_in(run: Run, digest: str) -> list[Verification]:
    """The verifications of exactly this patch that were made in this home, oldest first.

    What came with an imported journal is left out: whoever wrote the file may have written them.
    """
    from mainspring.runtime.imported import executed_elsewhere
    from mainspring.store import open_store

    elsewhere = executed_elsewhere(open_store(run.home), run.state)
    return [v for v in verifications(e for e in run.events() if e.seq > elsewhere) if v.digest == digest]


def _data(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    text = "".join(part.get("text", "") for part in payload["content"])
    data = json.loads(text)
    if not isinstance(data, Mapping):
        raise TypeError(f"a verification is an object, not {type(data).__name__}")
    return data
