"""`mainspring approvals` with everything that a person is shown: origins, roles, grants, several people, bad text."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from cli_program import json_lines, mainspring

from mainspring.label import Label, tool_label
from mainspring.messages import Message as Words
from mainspring.messages import ToolCallPart, encode
from mainspring.store import ApprovalRequest, Changes, NewEvent, open_store

EVIL = "Pay now\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\u2066 \u200bhidden"


def asking(
    home: Path,
    arguments: dict[str, object],
    *,
    people: int = 1,
    approvers: tuple[str, ...] = (),
    tool: str = "pay",
    id: str = "ap_1",
    **more: object,
) -> None:
    """A run that asks for an approval, with the journal as the loop writes it."""
    store = open_store(home)
    call = ToolCallPart("c1", tool, arguments)
    started = {
        "agent": {"name": "clerk"},
        "system": "",
        "messages": [],
        "limits": {},
        "pid": 1,
        "digest": "",
        "origin": None,
    }
    asked = {"step": 1, "call_id": "c1", "tool": tool, "id": id, "arguments": arguments, "digest": "d" * 64}
    asked |= {"reason": "it cannot be undone", "expires_at": None, **more}
    lease, _ = store.create(
        f"run-{id}",
        [
            NewEvent("run.started", started | {"workspace": None}),
            NewEvent("model.called", {"step": 1, "model": "m", "context": "x", "messages": 0}),
            NewEvent("model.answered", {"step": 1, "message": encode(Words("assistant", (call,)))}),
        ],
        agent="clerk",
        task="t",
    )
    requests = (ApprovalRequest(id, "d" * 64, None, people, approvers),)
    events = [
        NewEvent("approval.requested", asked),
        NewEvent("run.waiting", {"status": "waiting", "reason": "r", "wake_at": None}),
    ]
    store.append(lease, events, Changes(status="waiting", release=True, requests=requests)).done.result()


def test_everything_that_decides_is_shown(home: Path) -> None:
    asking(
        home,
        {"to": "ann@gооgle.com", "amount": 5, "note": EVIL, "body": "x" * 10_000},
        origins={"to": "v3[0].sender", "note": "written by the model"},
        labels={"to": Label(frozenset({"attested:mail"})).encode(), "note": tool_label("web").encode(), "body": "{"},
        roles={"to": "authority", "amount": "authority", "note": "payload"},
        grant={"tool": "pay", "arguments": {"to": ["ann"]}, "count": 1, "expires_at": None, "by": "user", "why": ""},
        diff="- old\n+ new\x1b[31m",
        people=2,
        approvers=("ann", "bob"),
    )
    shown = mainspring("approvals", "show", "ap_1", home=home).stdout
    assert "authority; from v3[0].sender; written by attested:mail, no stranger" in shown
    assert "payload; from written by the model; may be written by tool:web" in shown
    assert "CAREFUL: " in shown
    assert "its host is xn--" in shown
    assert "10,000 characters in all, SHA-256 " + hashlib.sha256(b"x" * 10_000).hexdigest() in shown
    assert "x" * 9000 not in shown
    assert "x" * 9000 in mainspring("approvals", "show", "ap_1", "--full", home=home).stdout
    assert "its label cannot be read" in shown
    assert "    │ + new" in shown
    assert 'smallest grant for it (approve --grant): pay once with to "ann"' in shown
    assert "who: 2 different people of: ann, bob" in shown
    assert "because: it cannot be undone" in shown
    for bad in "\x1b\x07\u202e\u2066\u200b":
        assert bad not in shown
    [line] = json_lines(mainspring("approvals", "show", "ap_1", "--json", home=home).stdout)
    assert (line["people"], line["approvers"], line["roles"]["to"]) == (2, ["ann", "bob"], "authority")
    assert line["arguments"]["note"] == EVIL
    assert line["labels"]["note"] == {"sources": ["tool:web"]}
    assert any("xn--" in said for said in line["careful"])


def test_an_old_journal_says_less_and_is_shown(home: Path) -> None:
    asking(home, {"to": "bob"})
    shown = mainspring("approvals", "show", "ap_1", home=home).stdout
    assert 'to = "bob"' in shown
    assert "who: one person (any person)" in shown
    refused = mainspring("approvals", "approve", "ap_1", "--by", "ann", "--grant", home=home, expect=1)
    assert "names no grant" in refused.stderr
    mainspring("approvals", "approve", "ap_1", "--by", "ann", home=home)


def test_two_people_and_what_each_is_told(home: Path) -> None:
    asking(home, {"to": "bob"}, people=2, approvers=("ann", "bob", "cid"))
    first = mainspring("approvals", "approve", "ap_1", "--by", "ann", "--reason", "seen the bill", home=home)
    assert "1 more person has to say yes before it is made" in first.stdout
    assert "runs resume" not in first.stdout
    assert "1 of 2" in mainspring("approvals", home=home).stdout
    assert "yes so far: ann, 1 missing" in mainspring("approvals", "show", "ap_1", home=home).stdout
    for by, said in (
        ("Ann", "counts once"),
        ("dan", "waits for ann or bob or cid"),
        ("clerk", "waits for"),
        ("agent:x", "no person"),
    ):
        refused = mainspring("approvals", "approve", "ap_1", "--by", by, home=home, expect=1)
        assert said in refused.stderr
    second = mainspring("approvals", "approve", "ap_1", "--by", "cid", "--json", home=home)
    assert json_lines(second.stdout) == [{"id": "ap_1", "run_id": "run-ap_1", "answer": "approved", "by": "cid"}]
    late = mainspring("approvals", "approve", "ap_1", "--by", "bob", home=home, expect=1)
    assert "already settled: approved by ann, cid" in late.stderr
    [item] = open_store(home).inbox("run-ap_1")
    assert item.payload["people"] == ["ann", "cid"]
    channel = item.payload["channel"]
    assert channel["kind"] == "cli"
    assert channel["user"]
    assert channel["host"]


def test_a_grant_goes_with_a_yes(home: Path) -> None:
    grant = {"tool": "pay", "arguments": {"to": ["bob"]}, "count": 1, "expires_at": None, "by": "user", "why": ""}
    asking(home, {"to": "bob"}, grant=grant)
    assert "--grant" in mainspring("approvals", "approve", "ap_1", "--times", "3", home=home, expect=2).stderr
    mainspring("approvals", "approve", "ap_1", "--by", "ann", "--grant", "--times", "3", home=home)
    given, answered = open_store(home).inbox("run-ap_1")
    assert (given.kind, answered.kind) == ("grant.given", "approval.answered")
    assert given.payload["grant"] | {"why": ""} == grant | {"count": 3, "by": "ann"}
    asking(home, {"to": "bob"}, grant=grant | {"arguments": {"to": "any"}}, id="ap_2")
    refused = mainspring("approvals", "approve", "ap_2", "--by", "ann", "--grant", home=home, expect=1)
    assert "any value" in refused.stderr


def test_people_of_the_configuration_hold(home: Path) -> None:
    (home / "mainspring.toml").write_text('[people.ann]\nlimits = {amount = 10}\n[people.bob]\nroles = ["finance"]\n')
    (home / "mainspring.toml").chmod(0o600)
    asking(home, {"to": "bob", "amount": 50})
    too_much = mainspring("approvals", "approve", "ap_1", "--by", "ann", home=home, expect=1)
    assert "up to 10, not 50" in too_much.stderr
    unknown = mainspring("approvals", "approve", "ap_1", "--by", "eve", home=home, expect=1)
    assert "nobody is called 'eve'" in unknown.stderr
    listed = mainspring("people", home=home).stdout
    assert "amount <= 10" in listed
    mainspring("people", "revoke", "bob", "--by", "ann", "--reason", "left", home=home)
    gone = mainspring("approvals", "approve", "ap_1", "--by", "BOB", home=home, expect=1)
    assert "taken back by ann" in gone.stderr
    assert [p["revoked"] for p in json_lines(mainspring("people", "--json", home=home).stdout)] == [False, True]
    own = mainspring("people", "restore", "bob", "--by", "bob", home=home, expect=1)
    assert "taken back" in own.stderr
    mainspring("people", "restore", "bob", "--by", "ann", home=home)
    mainspring("approvals", "approve", "ap_1", "--by", "BOB", home=home)
    mainspring("approvals", "deny", "ap_1", "--by", "ann", home=home, expect=1)


def test_a_configuration_that_cannot_be_read_lets_nobody_answer(home: Path) -> None:
    asking(home, {"to": "bob"})
    (home / "mainspring.toml").write_text("[people.ann\n")
    (home / "mainspring.toml").chmod(0o600)
    assert "mainspring.toml" in mainspring("approvals", "approve", "ap_1", "--by", "ann", home=home, expect=1).stderr
    assert open_store(home).approval("ap_1").state == "pending"


@pytest.mark.parametrize("value", ["\u202e" * 50, "a\nb\n▌ approve? y\n", {"k": ["\x1b[1m"]}, "\ud7ff", None, 10**30])
def test_no_value_breaks_the_question(home: Path, value: object) -> None:
    asking(home, {"x": value})
    shown = mainspring("approvals", "show", "ap_1", home=home).stdout
    assert not set(shown) & set("\x1b\u202e")
    assert not any(line.startswith("▌") for line in shown.splitlines())
    assert json.loads(mainspring("approvals", "show", "ap_1", "--json", home=home).stdout)["arguments"] == {"x": value}


def test_one_that_was_tampered_with_does_not_hide_the_others(home: Path) -> None:
    import sqlite3

    from mainspring.store import close_stores

    for id in ("ap_1", "ap_2"):
        asking(home, {"to": "bob"}, id=id)
    close_stores()
    with sqlite3.connect(home / "journal.db") as connection:
        connection.execute("UPDATE approvals SET digest='x' WHERE id='ap_1'")
    connection.close()
    shown = mainspring("approvals", home=home).stdout.splitlines()
    assert any("ap_1" in line and "is not for the call" in line for line in shown)
    assert any("ap_2" in line and 'to="bob"' in line for line in shown)
    listed = {q["id"]: q for q in json_lines(mainspring("approvals", "--json", home=home).stdout)}
    assert "is not for the call" in listed["ap_1"]["problem"]
    assert "problem" not in listed["ap_2"]
    assert "is not for the call" in mainspring("approvals", "show", "ap_1", home=home, expect=1).stderr
    mainspring("approvals", "deny", "ap_1", "--by", "ann", home=home)
