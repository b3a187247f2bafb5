"""Exit statuses, and words for where a run stands."""

from __future__ import annotations

FAILED, USAGE, WAITING, INTERRUPTED = 1, 2, 3, 130


def status_text(status: str, alive: bool) -> str:
    """A run's status for people: one that runs without a living process was interrupted."""
    return "interrupted" if status == "running" and not alive else status


def answer_hint(kind: str, id_: str) -> str:
    """The command that answers an open question."""
    if kind == "doubt":
        return f"mainspring approvals settle {id_} --answer happened|did-not|abort"
    return f"mainspring approvals approve|deny {id_}"
