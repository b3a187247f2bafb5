"""The ledger of a verification, and how it is read back from a journal."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from mainspring.engineer.journal import verifications
from mainspring.engineer.ledger import Check, Verification

PASSED = Verification(
    "d1", 2, (Check("syntax", "passed", "2 changed files"), Check("scan", "not done", "no data")), 1.5
)
FAILED = Verification("d1", 2, (Check("syntax", "failed", "a.py: line 3"),), 0.5)


@dataclass
class Event:
    kind: str
    seq: int
    payload: dict[str, Any] = field(default_factory=dict)


def journal(*found: Verification | str, tool: str = "verify_change", is_error: bool = False) -> list[Event]:
    events = []
    for number, one in enumerate(found):
        text = one if isinstance(one, str) else json.dumps(one.encode())
        events.append(Event("effect.intended", number * 2, {"tool": tool}))
        payload = {"intent": number * 2, "content": [{"type": "text", "text": text}]}
        events.append(Event("effect.done", number * 2 + 1, payload | ({"is_error": True} if is_error else {})))
    return events


def test_what_is_written_is_read() -> None:
    assert Verification.decode(json.loads(json.dumps(PASSED.encode()))) == PASSED


def test_one_failed_check_fails_the_whole_and_an_undone_one_does_not() -> None:
    assert PASSED.passed
    assert [check.name for check in PASSED.undone] == ["scan"]
    assert not FAILED.passed


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "{}", '{"patch": "d1", "files": 1, "checks": [["a", "fine", "b"]]}']
)
def test_what_is_no_verification_is_not_taken_for_one(text: str) -> None:
    assert verifications(journal(text)) == []


def test_verifications_are_read_in_their_order() -> None:
    other = Verification("d2", 1, PASSED.checks)
    assert verifications(journal(PASSED, other, FAILED)) == [PASSED, other, FAILED]


def test_another_tool_cannot_speak_for_it() -> None:
    assert verifications(journal(PASSED, tool="run_terminal_command")) == []
    assert verifications(journal(PASSED, is_error=True)) == []
