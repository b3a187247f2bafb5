"""The crash benchmark's audit must see each kind of wrong, or its zeros mean nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.crash.audit import Report, RunAudit
from benchmarks.crash.jobs import payload_digest
from benchmarks.crash.plans import Plan
from benchmarks.crash.witness import Facts
from mainspring.label import SYSTEM
from mainspring.store import Event


def _events(*lines: tuple[str, dict[str, Any]]) -> list[Event]:
    return [Event("r", seq, 0.0, kind, 1, SYSTEM, payload, "") for seq, (kind, payload) in enumerate(lines, 1)]


def _intended(tool: str, settlement: str, n: int = 0, approval: str | None = None) -> tuple[str, dict[str, Any]]:
    payload = {"tool": tool, "call_id": f"c{n}", "arguments": {"n": n}, "settlement": settlement}
    return "effect.intended", payload | {"approval": approval}


def _done(intent: int, n: int = 0, **more: Any) -> tuple[str, dict[str, Any]]:
    payload = {"intent": intent, "call_id": f"c{n}", "content": [], "is_error": False, "settled": "ran"}
    return "effect.done", payload | more


def _parked(intent: int) -> tuple[str, dict[str, Any]]:
    return "effect.parked", {"intent": intent, "reason": "why"}


def _asked(n: int = 0) -> tuple[str, dict[str, Any]]:
    return "approval.requested", {"id": f"a{n}", "call_id": f"c{n}", "arguments": {"n": n}}


def _answered(answer: str, n: int = 0) -> tuple[str, dict[str, Any]]:
    return "approval.answered", {"id": f"a{n}", "answer": answer}


def _audit(
    events: list[Event],
    *,
    tool: str = "publish",
    acts: int = 1,
    status: str = "done",
    agent: str = "crash-allows",
    told: tuple[str, ...] = (),
) -> Report:
    facts, report = Facts(), Report()
    (facts.reads if tool == "look" else facts.acts)["r", 0] = acts
    plan = Plan(agent, (((tool, 0),),))
    RunAudit("r", plan, status, events, facts, report).check([line.split(" ") for line in told])
    return report


WELL = _events(_intended("publish", "opaque"), _done(1))


def test_a_clean_run_has_no_findings() -> None:
    payload = payload_digest(WELL[1].payload)
    report = _audit(WELL, told=(f"event r 2 effect.done {payload}", "seen r c0"))
    assert report.findings == []
    assert report.total["acknowledged_events"] == 1
    assert _audit(_events(_intended("look", "read"), _done(1)), tool="look", acts=3).findings == []


@pytest.mark.parametrize("acts", [2, 3])
def test_a_second_act_is_a_duplicate(acts: int) -> None:
    assert _audit(WELL, acts=acts).total["duplicates"] == 1


def test_a_second_outcome_is_a_duplicate() -> None:
    assert _audit([*WELL, *_events(_done(1))]).total["duplicates"] == 1


def test_an_outcome_that_nobody_saw_is_lost() -> None:
    assert _audit(WELL, acts=0).total["lost"] > 0


def test_an_act_without_an_intent_is_lost() -> None:
    assert _audit(_events(("run.ended", {})), status="cancelled").total["lost"] > 0


def test_a_run_that_is_done_without_its_effect_is_lost() -> None:
    assert _audit(_events(("run.ended", {})), acts=0).total["lost"] == 1


def test_an_announced_event_that_is_gone_is_lost() -> None:
    assert _audit(WELL, told=("event r 3 run.ended 0123",)).total["lost"] == 1
    assert _audit(WELL, told=("event r 2 effect.done 0123",)).total["lost"] == 1


def test_an_answer_that_only_the_model_saw_is_lost() -> None:
    assert _audit(WELL, told=("seen r c7",)).total["lost"] == 1


@pytest.mark.parametrize("status", ["running", "waiting", "in_doubt", "failed"])
def test_a_run_that_does_not_end_well_is_unsettled(status: str) -> None:
    assert _audit(WELL, status=status).total["unsettled"] == 1


def test_an_approval_that_lets_two_acts_through() -> None:
    events = _events(_asked(), _answered("approved"), _intended("publish", "opaque", 0, "a0"), _done(3))
    assert _audit(events, agent="crash-asks").findings == []
    assert _audit(events, agent="crash-asks", acts=2).total["approvals_used_twice"] == 1


def test_an_approval_that_lets_two_calls_through() -> None:
    events = _events(
        *(_asked(), _answered("approved"), _intended("publish", "opaque", 0, "a0"), _done(3)),
        *(_intended("publish", "opaque", 1, "a0"), _done(5, 1)),
    )
    assert _audit(events, agent="crash-asks").total["approvals_used_twice"] == 1


@pytest.mark.parametrize("answer", ["denied", "expired"])
def test_an_act_without_approval(answer: str) -> None:
    events = _events(_asked(), _answered(answer), _intended("publish", "opaque"), _done(3))
    assert _audit(events, agent="crash-asks").total["acted_without_approval"] == 1


def test_doubts_must_be_honest() -> None:
    intended, settle = _intended("publish", "opaque"), ("doubt.answered", {"intent": 1, "answer": "happened"})
    honest = _audit(_events(intended, _parked(1), settle))
    assert honest.findings == []
    assert honest.total["parked"] == 1
    assert _audit(_events(intended, _parked(9), settle)).total["parked_without_intent"] == 1
    assert _audit(_events(intended, _done(1), _parked(1))).total["parked_needlessly"] == 1
    again = _audit(_events(intended, _parked(1), _parked(1), settle))
    assert again.total["parked_needlessly"] == 1
    reconciled = _events(_intended("book", "reconcile"), _parked(1), settle)
    assert _audit(reconciled, tool="book").total["parked_needlessly"] == 1


def test_asking_again_after_another_attempt_is_honest() -> None:
    did_not = ("doubt.answered", {"intent": 1, "answer": "did_not"})
    retried = ("effect.retried", {"intent": 1, "attempt": 2})
    happened = ("doubt.answered", {"intent": 1, "answer": "happened"})
    events = _events(_intended("publish", "opaque"), _parked(1), did_not, retried, _parked(1), happened)
    report = _audit(events)
    assert report.findings == []
    assert report.total["parked"] == 2


def test_a_call_given_up_owes_nothing() -> None:
    abort = ("doubt.answered", {"intent": 1, "answer": "abort"})
    events = _events(_intended("publish", "opaque"), _parked(1), abort)
    assert _audit(events, acts=0).findings == []
    assert _audit(events, acts=1).findings == []
    assert _audit(events, acts=2).total["duplicates"] == 1


def test_a_tool_that_failed_is_found() -> None:
    assert _audit(_events(_intended("publish", "opaque"), _done(1, is_error=True))).total["errors"] == 1
