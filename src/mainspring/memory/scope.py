"""Whose memory, and what of it can be seen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose memory: of a person's agent; with `agent` "" of all the person's agents, with `person` "" of everybody.

    An agent that works for two people has two memories, so that nothing of one person comes up for the other.
    """

    person: str = ""
    agent: str = ""

    @classmethod
    def of(cls, principal: Sequence[str]) -> Scope:
        """The scope of a call's principals: people first, the agent itself last."""
        if not principal:
            return cls()
        return cls(principal[0] if len(principal) > 1 else "", principal[-1])


def visible(scope: Scope | None, gone: bool = False) -> tuple[str, tuple[Any, ...]]:
    """The condition for what a scope can see now, or, with `gone`, ever could."""
    clauses: list[str] = []
    values: list[Any] = []
    if scope is not None:
        clauses.append("person IN (?, '') AND agent IN (?, '')")
        values += [scope.person, scope.agent]
    if not gone:
        clauses.append("forgotten_at IS NULL AND (expires_at IS NULL OR expires_at > ?)")
        values.append(time.time())
    return " AND ".join(clauses) or "1", tuple(values)
