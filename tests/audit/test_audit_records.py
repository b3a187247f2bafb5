"""Who did what, for whom, and why it was allowed: from real runs to records, searches and signed files."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, Policy, Run, ScriptedModel, ToolCallPart, tool
from mainspring.audit import AuditRecord, Search, check_export, export, grants_of, records, search
from mainspring.errors import StoreError
from mainspring.guard import Grant
from mainspring.runtime.pending import give_grant
from mainspring.store import open_store
from mainspring.store.keys import read_public, signer


@tool
def pay(to: str, amount: int) -> str:
    """Pay somebody."""
    if amount > 100:
        raise ValueError("too much")
    return f"paid {amount} to {to}"


@tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


def paying(*amounts: int) -> list[Any]:
    return [ToolCallPart("", "pay", {"to": "bob", "amount": amount}) for amount in amounts]


def run_of(home: Path, *script: Any, run_id: str, policy: Policy | None = None) -> Run:
    agent = Agent("clerk", model=ScriptedModel([*script]), tools=[pay, look], policy=policy)
    return agent.run_sync("Pay bob what he is owed", home=home, run_id=run_id)


def by_action(home: Path, run_id: str, action: str) -> list[AuditRecord]:
    return [r for r in records(open_store(home), run_id) if r.action == action]


def test_a_run_is_told_in_records(home: Path) -> None:
    run = run_of(home, *paying(5, 200), "Done.", run_id="a")
    run.pending()[0].approve(by="ann", reason="invoice 17", channel={"kind": "cli", "user": "ann"})
    run.resume_sync()
    run.pending()[0].approve(by="bob")
    run.resume_sync()
    assert run.status == "done"
    found = records(open_store(home), "a")
    assert [r.seq for r in found] == sorted(r.seq for r in found)
    assert {r.seq: r.hash for r in found}.items() <= {e.seq: e.hash for e in run.events()}.items()
    started = found[0]
    assert (started.action, started.agent, started.what) == ("started", "clerk", "Pay bob what he is owed")
    assert started.principals[-1] == "agent:clerk"
    first, second = by_action(home, "a", "effect")
    assert (first.tool, first.what, first.outcome) == ("pay", {"to": "bob", "amount": 5}, "done")
    assert (second.outcome, second.by) == ("error", "agent:clerk")
    assert (first.people, second.people) == (("ann",), ("bob",))
    yes = by_action(home, "a", "approval answered")[0]
    assert (yes.by, yes.outcome, yes.why, yes.approval) == ("ann", "approved", "invoice 17", first.approval)
    assert (yes.tool, yes.what, yes.channel["user"]) == ("pay", {"to": "bob", "amount": 5}, "ann")
    assert by_action(home, "a", "ended")[0].outcome == "done"


def test_refusals_and_denials_are_records(home: Path) -> None:
    run = run_of(home, *paying(5), "No then.", run_id="a")
    run.pending()[0].deny(by="ann", reason="not now")
    run.resume_sync()
    assert [(r.by, r.outcome, r.why) for r in by_action(home, "a", "approval answered")] == [
        ("ann", "denied", "not now")
    ]
    run_of(home, *paying(5), "No then.", run_id="b", policy=Policy(deny=["pay"]))
    (refused,) = by_action(home, "b", "call refused")
    assert (refused.tool, refused.outcome, refused.by) == ("pay", "denied", "agent:clerk")


def test_an_effect_in_doubt_is_so_until_a_person_settles_it(home: Path) -> None:
    from mainspring.label import SYSTEM
    from mainspring.store import Changes, NewEvent

    run = run_of(home, *paying(5), "Done.", run_id="a")
    run.pending()[0].approve(by="ann")
    store = open_store(home)
    lease = store.acquire("a")
    seq = lease.head_seq + 1
    intent = {"step": 1, "call_id": "c", "tool": "pay", "arguments": {"to": "bob"}, "approval": None}
    parked = {"intent": seq, "call_id": "c", "tool": "pay", "reason": "killed"}
    events = [NewEvent("effect.intended", intent, SYSTEM), NewEvent("effect.parked", parked, SYSTEM)]
    store.append(lease, events).done.result()
    assert by_action(home, "a", "effect")[-1].outcome == "in doubt"
    said = {"intent": seq, "attempt": 1, "answer": "happened", "by": "ann", "value": None, "reason": "I looked"}
    store.append(lease, [NewEvent("doubt.answered", said, SYSTEM)], Changes(release=True)).done.result()
    assert by_action(home, "a", "effect")[-1].outcome == "done"
    assert by_action(home, "a", "doubt answered")[0].by == "ann"


def test_grants_are_listed_with_their_use(home: Path) -> None:
    run = run_of(home, *paying(5, 6, 7), "Done.", run_id="a")
    run.pending()[0].approve(by="ann", grant=True, times=2)
    held = grants_of(open_store(home), "a")
    assert [(h.grant.by, h.grant.count, h.used, h.waiting) for h in held if h.grant.by == "ann"] == [
        ("ann", 2, 0, True)
    ]
    give_grant("a", Grant("pay", {"to": ("bob",), "amount": (6, 7)}, 2), by="ben", home=home, reason="the rest")
    run.resume_sync()
    assert run.status == "done", run.pending()  # the two others were covered
    mine = {h.grant.by: h for h in grants_of(open_store(home), "a")}
    assert (mine["ben"].used, mine["ben"].waiting, mine["ben"].revoked) == (2, False, False)
    assert mine["ann"].used == 0
    effects = by_action(home, "a", "effect")
    assert [e.grant for e in effects] == ["", mine["ben"].grant.id, mine["ben"].grant.id]
    given = by_action(home, "a", "grant given")
    assert {(g.by, g.tool) for g in given} == {("ann", "pay"), ("ben", "pay")}
    open_store(home).revoke(mine["ben"].grant.id, by="ann")
    assert {h.grant.by: h.revoked for h in grants_of(open_store(home), "a")}["ben"]


def test_searches(home: Path) -> None:
    run = run_of(home, *paying(5), "Done.", run_id="a")
    run.pending()[0].approve(by="Ann")
    run.resume_sync()
    run_of(home, "Nothing to do.", run_id="b")
    store = open_store(home)
    store.revoke("eve", by="ann", reason="left")

    def found(**wanted: Any) -> list[tuple[str, str]]:
        return [(r.run, r.action) for r in search(store, Search(**wanted))]

    assert found(person=" ANN ") == [("a", "approval answered"), ("a", "effect"), (":revocations", "revoked")]
    assert found(tool="pay", outcome="done") == [("a", "effect")]
    assert {run for run, _ in found(agent="clerk")} == {"a", "b"}
    assert ("a", "effect") in found(text='"TO": "BOB"')
    assert found(action="started", run="b") == [("b", "started")]
    assert found(text="left") == [(":revocations", "revoked")]
    assert found(since=2e9) == found(until=1.0) == found(person="nobody") == []


def test_long_texts_are_cut_and_named_by_their_digest(home: Path) -> None:
    text = "é" * 50_000
    run_of(home, ToolCallPart("", "pay", {"to": text, "amount": 5}), "x", run_id="a")
    (asked,) = by_action(home, "a", "approval asked")
    assert asked.what["to"]["characters"] == 50_000
    assert len(json.dumps(asked.encode())) < 5000


# --- signed files ---


@pytest.fixture
def exported(home: Path) -> list[str]:
    run = run_of(home, *paying(5), "Done.", run_id="a")
    run.pending()[0].approve(by="ann")
    run.resume_sync()
    out = io.StringIO()
    store = open_store(home)
    assert export(search(store, Search()), out, home, {"search": {}}) == len(out.getvalue().splitlines()) - 2
    return out.getvalue().splitlines(keepends=True)


def test_a_file_is_checked_with_the_public_key_alone(home: Path, tmp_path: Path, exported: list[str]) -> None:
    (tmp_path / "home.pub").write_text(signer(home).public.pem)
    key = read_public(tmp_path / "home.pub")
    found = list(check_export(exported, key))
    assert found == [json.loads(json.dumps(r.encode())) for r in search(open_store(home), Search())]


def test_every_change_to_a_file_is_found(home: Path, tmp_path: Path, exported: list[str]) -> None:
    key = signer(home).public
    (tmp_path / "other").mkdir()
    with pytest.raises(StoreError, match="line 1: the signature"):
        list(check_export(exported, signer(tmp_path / "other").public))
    for n in range(len(exported)):
        changes = [
            [*exported[:n], *exported[n + 1 :]],  # dropped
            [*exported[: n + 1], *exported[n:]],  # doubled
            [*exported[:n], exported[n].replace(",", ", ", 1), *exported[n + 1 :]],
            [*exported[:n], exported[n].replace('"n":', '"n":1', 1), *exported[n + 1 :]],
            [*exported[:n], '{"n":1}\n', *exported[n + 1 :]],
            [*exported[:n], "[" * 100_000, *exported[n + 1 :]],
        ]
        if n:
            changes.append([*exported[: n - 1], exported[n], exported[n - 1], *exported[n + 1 :]])
        for changed in changes:
            with pytest.raises(StoreError, match=r"line \d+|no end"):
                list(check_export(changed, key))
    changed = [line.replace("bob", "eve") for line in exported]
    with pytest.raises(StoreError, match="signature is not"):
        list(check_export(changed, key))
    with pytest.raises(StoreError, match="no end"):
        list(check_export([], key))


def test_the_program_in_the_documentation_checks_a_file(home: Path, tmp_path: Path, exported: list[str]) -> None:
    import re
    import subprocess
    import sys

    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    file, key = tmp_path / "audit.jsonl", tmp_path / "home.pub"
    key.write_text(signer(home).public.pem)
    for lines, fine in ((exported, True), (exported[:-1], False), ([*exported[:1], *exported[2:]], False)):
        file.write_text("".join(lines))
        done = subprocess.run([sys.executable, "-c", program, str(file), str(key)], capture_output=True, text=True)
        assert (done.returncode == 0) == fine, done.stderr
    file.write_text("".join(exported).replace("bob", "eve"))
    done = subprocess.run([sys.executable, "-c", program, str(file), str(key)], capture_output=True, text=True)
    assert "InvalidSignature" in done.stderr
