"""`mainspring grants`: given with exact values, listed with their use, taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_program import json_lines, mainspring

from mainspring.store import Changes, NewEvent, open_store


@pytest.fixture
def run(home: Path) -> str:
    grant = {"tool": "look", "arguments": {}, "count": 2, "expires_at": None, "by": "user", "why": "look at it"}
    guard = {"mode": "clean", "principals": ["ann", "agent:clerk"], "grants": [grant]}
    store = open_store(home)
    lease, _ = store.create("r1", [NewEvent("run.started", {"guard": guard})], agent="clerk", task="t")
    store.append(lease, [], Changes(status="waiting", release=True)).done.result()
    return "r1"


def test_given_listed_revoked(home: Path, run: str) -> None:
    given = mainspring(
        *("grants", "give", run, "--tool", "pay", "--arg", "to=bob", "--arg", "to=cid", "--arg", "amount=5"),
        *("--count", "3", "--until", "2h", "--by", "ann", "--reason", "bills", "--json"),
        home=home,
    )
    [line] = json_lines(given.stdout)
    grant = line["grant"]
    assert (grant["arguments"], grant["count"], grant["by"]) == ({"to": ["bob", "cid"], "amount": [5]}, 3, "ann")
    assert grant["expires_at"] > 1e9
    [item] = open_store(home).inbox(run)
    assert (item.kind, item.payload["grant"], item.payload["by"]) == ("grant.given", grant, "ann")
    assert item.payload["channel"]["kind"] == "cli"
    shown = mainspring("grants", "list", run, home=home).stdout
    assert 'pay 3 times with to "bob" or "cid", amount 5' in shown
    assert "look 2 times" in shown
    mainspring("grants", "revoke", line["id"], "--by", "ann", home=home)
    listed = {g["tool"]: g for g in json_lines(mainspring("grants", "list", run, "--json", home=home).stdout)}
    assert (listed["pay"]["revoked"], listed["look"]["revoked"], listed["pay"]["waiting"]) == (True, False, True)
    mainspring("grants", "revoke", "agent:clerk", "--by", "ann", "--reason", "odd", home=home)
    mainspring("grants", "restore", line["id"], "--by", "ann", home=home)
    assert open_store(home).revoked() == {"agent:clerk"}
    assert [x["revoked"] for x in json_lines(mainspring("grants", "revoked", "--json", home=home).stdout)] == [
        True,
        True,
        False,
    ]
    assert "odd" in mainspring("grants", "revoked", home=home).stdout


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        (("--arg", "to"), 2, "NAME=VALUE"),
        (("--arg", "amount=NaN"), 2, "no number"),
        (("--count", "0"), 2, "count"),
        (("--until", "soon"), 2, "--until takes"),
        (("--until", "2001-01-01"), 2, "is over"),
        (("--by", "clerk"), 1, "the agent of this run"),
        (("--by", "agent:clerk"), 1, "no person"),
        (("--by", "eve"), 1, "taken back"),
    ],
)
def test_what_is_refused_gives_nothing(home: Path, run: str, more: tuple[str, ...], status: int, said: str) -> None:
    open_store(home).revoke("eve", by="ann")
    refused = mainspring("grants", "give", run, "--tool", "pay", *more, home=home, expect=status)
    assert said in refused.stderr
    assert open_store(home).inbox(run) == []


def test_a_run_that_is_not_there(home: Path) -> None:
    assert "no run begins" in mainspring("grants", "list", "x", home=home, expect=1).stderr
