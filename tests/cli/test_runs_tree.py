"""`mainspring runs show ID --tree`: what it draws, of small trees and of a thousand sub-agents."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from cli_program import json_lines, mainspring

from mainspring import Agent, ScriptedModel
from mainspring.runtime.bounds import Bounds
from mainspring.store import Changes, NewEvent, close_stores, open_store

STATUSES = {7: "failed", 500: "waiting"}


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home with a run that started a thousand others; one failed, one waits, one went on running."""
    home = tmp_path_factory.mktemp("home")
    Agent("root", model=ScriptedModel(["all done"])).run_sync("do\x1b[2J much", home=home, run_id="root")
    model = Agent("part", model=ScriptedModel(["done"])).run_sync("one", home=home, run_id="pattern")
    store = open_store(home)
    pattern = [(e.kind, e.payload, e.label, e.version) for e in model.events()]
    store.create("alone", [], agent="part", task="no event", parent="pattern")[1].done.result()
    last = None
    for index in range(1000):
        events = [NewEvent(kind, copy.deepcopy(payload), label) for kind, payload, label, _ in pattern]
        cause = {"run": "root", "intent": 2, "index": index}
        status = STATUSES.get(index, "done")
        started = NewEvent("run.started", {**events[0].payload, "bounds": Bounds(cause=cause).encode()}, version=2)
        end = NewEvent("run.ended", {**events[-1].payload, "status": status, "reason": "out of\x1b[2J luck"})
        rest = events[1:-1] if status == "waiting" else [*events[1:-1], end]
        lease, _ = store.create(f"root.2.{index}", [started, *rest], agent="part", task=f"part {index}", parent="root")
        last = store.append(lease, [], Changes(status=status, release=True))
    assert last is not None
    last.done.result()
    close_stores()
    return home, "root"


def test_a_thousand_sub_agents_are_folded_but_for_the_telling_ones(family: tuple[Path, str]) -> None:
    home, run = family
    shown = mainspring("runs", "show", run, "--tree", home=home).stdout
    lines = shown.splitlines()
    assert lines[0].split() == ["RUN", "STATUS", "TIME", "TOOK", "STEPS", "TOKENS", "SPENT", "TASK"]
    assert len(lines) < 20
    assert "\x1b" not in shown
    [failed] = [line for line in lines if " part .2.7 " in line]
    assert "failed" in failed
    assert "out of" in failed
    [folded] = [line for line in lines if "more" in line and "--all" in line]
    assert "1 waiting" in folded
    assert "1,001 (own 1)" in lines[1]
    assert "critical path (*): 2 steps" in shown


def test_all_shows_every_one(family: tuple[Path, str]) -> None:
    home, run = family
    lines = mainspring("runs", "show", run, "--tree", "--all", home=home).stdout.splitlines()
    assert sum(" part .2." in line for line in lines) == 1000
    assert not any("--all" in line for line in lines)


def test_as_json(family: tuple[Path, str]) -> None:
    home, run = family
    *nodes, whole = json_lines(mainspring("runs", "show", run, "--tree", "--json", home=home).stdout)
    assert len(nodes) == whole["runs"] == 1001
    assert nodes[0]["with_below"]["steps"] == 1001
    assert sum(n["steps"] for n in nodes) == 1001
    assert sum(n["critical"] for n in nodes) == len(whole["path"]["runs"]) == 2
    assert [n["status"] for n in nodes if n["index"] in STATUSES] == list(STATUSES.values())


def test_a_run_without_a_journal_is_shown_as_such(family: tuple[Path, str]) -> None:
    home, _ = family
    shown = mainspring("runs", "show", "pattern", "--tree", home=home).stdout
    assert " part alone " in shown


def test_the_beginning_of_an_id_means_the_run_and_not_its_sub_agents(family: tuple[Path, str]) -> None:
    home, run = family
    for text, meant in (
        ("roo", run),
        ("last", run),
        ("root", run),
        ("root.2.7", "root.2.7"),
        ("root.2.99", "root.2.99"),
    ):
        assert json_lines(mainspring("runs", "show", text, "--json", home=home).stdout)[0]["run_id"] == meant
    assert "several runs begin with 'root.2.3'" not in mainspring("runs", "show", "root.2.3", home=home).stderr
    assert "several runs" in mainspring("runs", "show", "root.2.", home=home, expect=1).stderr


def test_wrong_use(family: tuple[Path, str]) -> None:
    home, run = family
    assert "stands alone" in mainspring("runs", "show", run, "--tree", "--events", home=home, expect=2).stderr
    assert "belongs to --tree" in mainspring("runs", "show", run, "--all", home=home, expect=2).stderr
    assert "no run begins with" in mainspring("runs", "show", "nope", "--tree", home=home, expect=1).stderr


def test_a_run_that_may_split_says_what_was_decided_and_goes_on_in_another_process(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "clerk.py"
    file.write_text(SPLITTER)
    task = "Look up:\n1. Ann\n2. Bob\n3. Cid\n4. Dee"
    done = mainspring("run", task, "-a", file, "--strategy", "auto", home=home)
    assert "strategy: split: it names 4 parts" in done.stderr
    assert done.stdout.strip() == "all four"
    shown = mainspring("runs", "show", "last", "--tree", home=home).stdout
    assert shown.count("└ ") + shown.count("├ ") == 4
    assert "strategy: split: it names 4 parts" in shown
    assert "split at event" in shown
    plain = mainspring("run", "Hello", "-a", file, "--strategy", "auto", home=home)
    assert "strategy: alone: its words name no parts" in plain.stderr
    rows = json_lines(mainspring("runs", "--json", home=home).stdout)
    split = next(row["id"] for row in rows if row["task"].startswith("Look up") and row["parent"] is None)
    fork = mainspring("runs", "fork", split, "--step", "0", home=home).stdout.strip()
    again = mainspring("runs", "resume", fork, home=home)  # by the origin that the journal names
    assert again.stdout.strip() == "all four"


SPLITTER = """
from mainspring import Agent
from mainspring.messages import Message, TextPart, ToolCallPart, Usage


class Clerk:
    name = "clerk"

    async def respond(self, messages, tools, settings):
        told = "Split this task" in messages[0].text
        if not told or messages[-1].role == "tool":
            part = TextPart("all four" if told else "one")
        else:
            part = ToolCallPart("c1", "spawn", {"tasks": ["a", "b", "c", "d"]})
        return Message("assistant", (part,), usage=Usage(10, 1, calls=1, usd=0.0))


clerk = Agent("clerk", model=Clerk())
"""
