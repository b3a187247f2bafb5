"""`mainspring schedule`: what it takes, what it refuses and says, and what it keeps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import pytest
from cli_program import json_lines, mainspring

from mainspring.cli import schedule_words as words

AGENTS = """
from mainspring import Agent, ScriptedModel, tool

@tool(effect="irreversible", authority=["to"])
def pay(to: str) -> str:
    return "paid " + to

@tool(effect="read")
def look() -> str:
    return "seen"

def anything() -> bool:
    return False

clerk = Agent("clerk", model=ScriptedModel(["done"]), tools=[pay, look])
failing = Agent("failing", model=ScriptedModel([]))
"""


@pytest.fixture
def agents(tmp_path: Path, home: Path) -> Path:
    home.mkdir(exist_ok=True)
    path = tmp_path / "agents.py"
    path.write_text(AGENTS)
    return path


def add(home: Path, agents: Path, name: str, *more: str | Path, expect: int = 0) -> Any:
    given = ("schedule", "add", name, "-a", f"{agents}:clerk", "-t", "Do it", *more)
    return mainspring(*given, home=home, expect=expect)


def listed(home: Path) -> dict[str, Any]:
    return {x["name"]: x for x in json_lines(mainspring("schedule", "list", "--json", home=home).stdout)}


def test_a_schedule_is_shown_on_the_clock_that_it_means(home: Path, agents: Path) -> None:
    more = ("--cron", "0 9 29 2 *", "--zone", "Europe/Berlin", "--tool", "pay", "--grant", "pay to=bob x2")
    said = add(home, agents, "leap", *more, "--cap", "usd=5", "--limit", "usd=1", "--late", "30m").stdout
    assert said.count("09:00:00 +0100") == 3
    assert 'pay 2 times with to "bob"' in said
    assert f"mainspring serve --agent {agents}:clerk" in said
    kept = listed(home)["leap"]
    assert kept["trigger"] == {"cron": "0 9 29 2 *", "zone": "Europe/Berlin"}
    assert (kept["tools"], kept["caps"], kept["limits"]["usd"], kept["late_s"]) == (["pay"], {"usd": 5}, 1, 1800)
    assert kept["limits"]["steps"] == 200  # the agent's own stay
    assert [g["by"] for g in kept["grants"]] == [kept["by"]]
    assert "added by" in mainspring("schedule", "show", "leap", home=home).stdout


def test_a_dry_run_keeps_nothing_and_a_change_keeps_the_history(home: Path, agents: Path) -> None:
    dry = json_lines(add(home, agents, "a", "--every", "1h30m", "--dry-run", "--json").stdout)[0]
    assert (dry["trigger"], dry["kept"], len(dry["next"])) == ({"every": 5400.0}, False, 3)
    assert listed(home) == {}
    add(home, agents, "a", "--every", "1h")
    assert "'a'" in add(home, agents, "a", "--every", "2h", expect=1).stderr
    assert "changed a" in add(home, agents, "a", "--every", "2h", "--replace").stdout
    shown = json_lines(mainspring("schedule", "show", "a", "--json", home=home).stdout)[0]
    assert shown["trigger"] == {"every": 7200.0}
    assert [c["what"] for c in shown["changes"]] == ["added", "changed"]


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        (["--cron", "0 25 * * *"], 1, "hour"),
        (["--cron", "* * *"], 1, "five fields"),
        (["--cron", "0 9 * * *", "--zone", "Europe/Nowhere"], 1, "Europe/Nowhere"),
        (["--every", "soon"], 2, "1h30m"),
        (["--every", "0s"], 2, "above 0"),
        (["--at", "2001-01-01T09:00"], 2, "that time is over"),
        (["--at", "yesterday"], 2, "2027-03-01T09:00"),
        (["--at", "2027-03-28T02:30", "--zone", "Europe/Berlin"], 2, "leave this time out"),
        (["--at", "3d", "--expires", "1d"], 1, "never fire"),
        ([], 2, "--cron, --every"),
        (["--every", "1h", "--cron", "* * * * *"], 2, "--cron and --every"),
        (["--every", "1h", "--zone", "UTC"], 2, "--zone says whose clock"),
        (["--every", "1h", "--tool", "delete"], 1, "has look, pay"),
        (["--every", "1h", "--tool", "look", "--grant", "pay to=bob"], 1, "there is look"),
        (["--every", "1h", "--grant", "pay amount=3"], 1, "no argument 'amount'"),
        (["--every", "1h", "--cap", "dollars=3"], 2, "usd=5"),
        (["--every", "1h", "--cap", "usd=none"], 2, "no number above 0"),
        (["--every", "1h", "--check-python", "nothing"], 1, "no function 'nothing'"),
        (["--every", "1h", "--check-exists", "a", "--check-command", "b"], 2, "choose one"),
        (["--webhook", "orders"], 2, "--secret NAME"),
        (["--webhook", "orders", "--secret", "k", "--set", "colour=red"], 1, "colour"),
        (["--webhook", "a/b", "--secret", "k"], 1, "a/b"),
        (["--mail", "nobody", "--secret", "k"], 2, "USER@HOST"),
        (["--letters", "desk"], 2, "--sender AGENT"),
        (["--inbox", "/does/not/exist"], 2, "does not exist"),
        (["--every", "1h", "--secret", "k"], 2, "--secret goes with --mail or --webhook"),
        (["--every", "1h", "--by", "agent:clerk"], 1, "agent"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(
    home: Path, agents: Path, more: list[str], status: int, said: str
) -> None:
    assert said in add(home, agents, "bad", *more, expect=status).stderr
    assert mainspring("schedule", home=home).stdout.startswith("there is no schedule")


def test_a_person_gives_no_more_than_they_may(home: Path, agents: Path) -> None:
    (home / "mainspring.toml").write_text(
        '[people.ann]\nmay_approve = ["look"]\n[people.bob]\nmay_approve = ["*"]\n'
        '[[approvals.rules]]\ntools = ["pay"]\npeople = 2\n'
    )
    grant = ("--every", "1h", "--grant", "pay to=eve")
    assert "may not answer for pay" in add(home, agents, "a", *grant, "--by", "ann", expect=1).stderr
    assert "wants 2 people" in add(home, agents, "a", *grant, "--by", "bob", expect=1).stderr
    assert "nobody is called" in add(home, agents, "a", "--every", "1h", "--by", "eve", expect=1).stderr
    add(home, agents, "a", "--every", "1h", "--by", "bob")
    for command in ("pause", "resume", "run-now", "remove"):
        assert "nobody is called" in mainspring("schedule", command, "a", "--by", "eve", home=home, expect=1).stderr
    mainspring("people", "revoke", "bob", "--by", "ann", home=home)
    assert "were taken back" in mainspring("schedule", "pause", "a", "--by", "bob", home=home, expect=1).stderr
    assert listed(home)["a"]["paused"] is None


def test_pausing_resuming_removing(home: Path, agents: Path) -> None:
    add(home, agents, "a", "--every", "1h")
    mainspring("schedule", "pause", "a", "--reason", "Ann is away", home=home)
    assert listed(home)["a"]["paused"] == "Ann is away"
    assert "paused" in mainspring("schedule", home=home).stdout
    assert "Ann is away" in mainspring("schedule", "run-now", "a", home=home, expect=1).stderr
    assert "resumed a; next" in mainspring("schedule", "resume", "a", home=home).stdout
    assert mainspring("schedule", "list", "--attention", home=home).stdout == "nothing wants a person\n"
    assert "removed a" in mainspring("schedule", "remove", "a", home=home).stdout
    assert "there is no schedule 'a'" in mainspring("schedule", "show", "a", home=home, expect=1).stderr


def test_what_fails_and_what_nobody_serves_is_seen_at_a_glance(home: Path, agents: Path) -> None:
    mainspring(
        *("schedule", "add", "f", "-a", f"{agents}:failing", "-t", "x", "--every", "1h", "--failures", "1"), home=home
    )
    mainspring("schedule", "run-now", "f", home=home)
    tick = ("schedule", "tick", "--once", "-a", agents)
    mainspring(*tick, "--work", home=home)
    assert listed(home)["f"]["last"]["status"] == "failed"
    history = json_lines(mainspring("schedule", "history", "f", "--json", home=home).stdout)
    assert [h["status"] for h in history] == ["failed"]
    from mainspring.schedules import Schedules
    from mainspring.schedules.kept import KIND
    from mainspring.store import open_store

    store = open_store(home)
    kept = store.kept(KIND, "f")
    assert kept is not None
    store.keep(KIND, "f", kept.body, version=kept.version, due_at=time.time() - 600)
    assert "not served for 10m" in listed(home)["f"]["wants"]
    assert "nothing serves it" in mainspring("schedule", "show", "f", home=home).stdout
    mainspring(*tick, home=home)
    assert listed(home)["f"]["wants"] == "paused"
    assert [a.kind for a in Schedules(store).get("f").attention] == ["failing"]
    # What another Mainspring wrote, and this one cannot read, hides nothing and can be removed.
    store.keep(KIND, "odd", {"schedule": {"colour": "red"}}, version=0, due_at=None)
    assert "colour" in mainspring("schedule", home=home).stderr
    assert list(listed(home)) == ["f"]
    mainspring("schedule", "remove", "odd", home=home)
    assert store.kept(KIND, "odd") is None


def test_sources(home: Path, agents: Path, tmp_path: Path) -> None:
    (home / "mainspring.toml").write_text('[secrets]\nhook = "env:HOOK"\n')
    noted = add(home, agents, "hook", "--webhook", "orders", "--secret", "hook")
    assert "cannot be read here" in noted.stderr
    assert (
        "belongs to the schedule 'hook'"
        in add(home, agents, "b", "--webhook", "orders", "--secret", "hook", expect=1).stderr
    )
    add(home, agents, "desk", "--letters", "desk", "--sender", "boss")
    from mainspring.store import open_store

    mailbox = open_store(home).kept("mailbox", "desk")
    assert mailbox is not None
    assert mailbox.body["senders"] == ["boss"]
    mainspring("schedule", "remove", "desk", home=home)
    assert open_store(home).kept("mailbox", "desk") is None
    add(home, agents, "in", "--inbox", tmp_path, "--set", "settle_s=0", "--batch", "5")
    kept = listed(home)["in"]
    assert (kept["trigger"]["source"], kept["batch"]) == (
        {"kind": "inbox", "folder": str(tmp_path), "settle_s": 0},
        5,
    )
    assert "settle_s = 0" in mainspring("schedule", "show", "in", home=home).stdout
    add(home, agents, "post", "--mail", "ann@corp.example@imap.corp.example:993/Archive", "--secret", "hook")
    assert listed(home)["post"]["trigger"]["source"] == {
        **{"kind": "mail", "host": "imap.corp.example", "user": "ann@corp.example", "password": "secret:hook"},
        **{"port": 993, "mailbox": "Archive"},
    }


def test_times_of_the_day_that_comes_twice() -> None:
    first = words.moment("2027-10-31T02:30", "Europe/Berlin", 0.0, "--at")
    assert first == 1824942600.0  # 00:30 UTC: the first of the two
    assert words.moment("90m", None, 100.0, "--at") == 100.0 + 5400
    with pytest.raises(click.UsageError, match="unknown"):
        words.moment("2027-10-31T02:30", "../etc", 0.0, "--at")
