"""A run's final answer as it is printed: inert where strangers' words may have ended up in it."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from mainspring.cli.output import to_text

if TYPE_CHECKING:
    from mainspring.label import Label
    from mainspring.runtime.run import Run

_AROUND = "<>()[]{}\"'`.,;:!?"


def answer_label(run: Run) -> Label:
    """Who may have written the run's answer, and who may read it."""
    from mainspring.store import open_store

    for event in open_store(run.home).events_of(run.id, ("run.ended",), newest_first=True):
        return event.label
    return run.state.label


def answer_text(run: Run) -> str:
    """The answer for people. Where a stranger may have written in it, it fetches nothing and leads nowhere unknown."""
    answer = run.state.output
    if answer in (None, ""):
        return ""
    label = answer_label(run)
    return to_text(inert_value(answer, label, known_hosts(run.task)) if label.strangers else answer)


def answer_json(run: Run) -> dict[str, Any]:
    """The answer for programs: ``output`` as it is, its ``label``, and ``inert``, which may be rendered anywhere."""
    answer = run.state.output
    if answer is None:
        return {"output": None, "label": None, "inert": None}
    label = answer_label(run)
    return {
        "output": answer,
        "label": json.loads(label.encode()),
        "inert": to_text(inert_value(answer, label, known_hosts(run.task))),
    }


def inert_value(value: Any, label: Label, hosts: Collection[str] = ()) -> Any:
    """A text as inert Markdown; of other data every text in it, so that JSON stays JSON."""
    from mainspring.guard.outputs import inert

    if isinstance(value, str):
        return inert(value, label, known_hosts=hosts)
    if isinstance(value, list | tuple):
        return [inert_value(item, label, hosts) for item in value]
    if isinstance(value, dict):
        return {inert_value(key, label, hosts): inert_value(item, label, hosts) for key, item in value.items()}
    return value


def known_hosts(task: str) -> frozenset[str]:
    """The hosts of the addresses that the user wrote into the task; what was pasted into it does not count."""
    from mainspring.guard.outputs.hosts import read_address
    from mainspring.guard.words import segments

    words = [word for part in segments(task) if not part.pasted for word in part.text.split() if "://" in word]
    return frozenset(address.host for word in words if (address := read_address(word.strip(_AROUND))).web)
