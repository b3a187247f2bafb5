"""Rights that were given once do not come back by a fork, an import, a repeat, a plan or a crash."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, DidNotHappen, Message, Run, ScriptedModel, Tool, points, tool
from mainspring.errors import ApprovalError
from mainspring.guard import Grant
from mainspring.messages import ToolCallPart, assistant
from mainspring.store import open_store

FORBIDDEN = '@id("no_payments") forbid (principal, action, resource == Tool::"pay");'
TWO_OF = (
    "[people.ann]\n[people.bob]\n[people.carl]\n"
    '[[approvals.rules]]\ntools = ["pay"]\npeople = 2\napprovers = ["bob", "carl"]\n'
)
ANY = Grant("pay", {"account": "any"}, 9)
TRUSTED = Grant("pay", {"account": "trusted"}, 9)


class Died(BaseException):
    """Stands for the death of the process."""


@contextmanager
def dying(at: str) -> Iterator[None]:
    def die(name: str) -> None:
        if name == at:
            raise Died

    points.hook = die
    try:
        yield
    except Died:
        pass
    finally:
        points.hook = None


def call(name: str, id: str = "c", /, **arguments: Any) -> Message:
    return assistant("", ToolCallPart(f"{name}-{id}", name, arguments))


PAY = call("pay", account="X")


@pytest.fixture
def paid() -> list[str]:
    return []


def pay_tool(paid: list[str], settlement: str = "keyed") -> Tool:
    async def pay(account: str) -> str:
        paid.append(account)
        return "paid"

    async def hangs_once(account: str) -> str:
        if not (paid or points.hook):
            paid.append("maybe")
            await asyncio.sleep(5)
        return await pay(account)

    async def keyed(account: str, key: str) -> str:
        return await pay(account)

    def denies(account: str) -> DidNotHappen:
        return DidNotHappen()

    more: dict[str, Any] = {"effect": "irreversible", "authority": ["account"], "name": "pay"}
    if settlement == "keyed":
        return Tool(keyed, idempotency="key", **more)
    if settlement == "reconciled":
        return Tool(pay, reconcile=denies, **more)
    return Tool(hangs_once, timeout_s=0.05, **more)


def payer(lines: Sequence[Any], *tools: Any, **more: Any) -> Agent:
    more = {"guard": "clean", "grants": []} | more
    return Agent("payer", model=ScriptedModel(lines), tools=list(tools), **more)


def moved(run: Run, home: Path) -> Run:
    out = io.StringIO()
    run.export(out)
    out.seek(0)
    return Run.import_(out, home)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_fork_of_an_imported_run_has_no_grants(home: Path, tmp_path: Path, paid: list[str], depth: int) -> None:
    pay = pay_tool(paid)
    theirs = payer(["hello"], pay, grants=[ANY]).run_sync("go", home=home)
    run = moved(theirs, tmp_path / "other")
    for _ in range(depth):
        run = run.fork()
    run.send("go on")
    run.resume_sync(payer(["hello", PAY, "end"], pay))
    assert (run.status, paid) == ("waiting", [])


def test_forks_do_not_multiply_a_grant(home: Path, paid: list[str]) -> None:
    agent = payer(["look", PAY, "end"], pay_tool(paid), grants=[Grant("pay", {"account": "trusted"}, 1)])
    run = agent.run_sync("go", home=home)
    run.send("and pay")
    run.resume_sync(agent)
    assert paid == ["X"]
    for step in (0, 1):
        fork = run.fork(step=step)
        if step:
            fork.send("and pay")
        fork.resume_sync(agent)
        fork.resume_sync(agent)
        assert paid == ["X"]


def test_a_person_gives_a_fork_its_grant_anew(home: Path, paid: list[str]) -> None:
    agent = payer(["look", PAY, "end"], pay_tool(paid), grants=[TRUSTED])
    fork = agent.run_sync("go", home=home).fork()
    fork.grant(TRUSTED, by="ann")
    fork.send("and pay")
    assert fork.resume_sync(agent).status == "done"
    assert paid == ["X"]


@pytest.mark.parametrize("forked", [False, True])
@pytest.mark.parametrize("mode", ["clean", "tainted"])
def test_in_an_imported_run_only_exact_values_are_trusted(
    home: Path, tmp_path: Path, paid: list[str], mode: str, forked: bool
) -> None:
    agent = payer(["hello", PAY, "end"], pay_tool(paid), guard=mode, grants=[])
    theirs = agent.run_sync("go", home=home)
    run = moved(theirs, tmp_path / "other")
    if forked:
        run = run.fork()
    run.grant(TRUSTED, by="ann")
    run.send("go on")
    run.resume_sync(agent)
    assert (run.status, paid) == ("waiting", [])
    assert run.state.label.strangers == frozenset({"imported"})

    run = moved(theirs, tmp_path / "third")
    run.grant(Grant("pay", {"account": ("X",)}), by="ann")
    run.send("go on")
    assert run.resume_sync(agent).status == "done"
    assert paid == ["X"]


def test_what_an_imported_journal_calls_ours_is_a_strangers(home: Path, tmp_path: Path, paid: list[str]) -> None:
    @tool(effect="read", authority=(), fields={"account": "system"})
    def look() -> dict[str, str]:
        return {"account": "EVE"}

    pay = pay_tool(paid)
    theirs = payer([call("look"), "hello"], look, pay).run_sync("go", home=home)
    run = moved(theirs, tmp_path / "other")
    run.grant(TRUSTED, by="ann")
    run.send("pay what you found")
    run.resume_sync(payer(["", "", call("pay", account="$v1.account"), "end"], look, pay))
    assert (run.status, paid) == ("waiting", [])
    assert all("imported" in label.sources for label in run.state.guard.handles["v1"].labels.values())


PLAN = call("ask_person", question="May I?", plan=[{"tool": "pay", "arguments": {"account": "X"}, "count": 1}])


def test_a_plan_is_asked_of_whoever_the_rules_name(home: Path, paid: list[str]) -> None:
    (home / "mainspring.toml").write_text(TWO_OF)
    agent = payer([PLAN, PAY, "end"], pay_tool(paid))
    run = agent.run_sync("go", home=home)
    (asked,) = run.pending()
    with pytest.raises(ApprovalError):
        asked.approve(by="ann")
    asked.approve(by="bob")
    run.resume_sync(agent)
    assert (run.status, paid) == ("waiting", [])
    run.pending()[0].approve(by="carl")
    run.resume_sync(agent)
    assert (run.status, paid) == ("done", ["X"])


def test_a_plan_of_what_a_limit_forbids_is_not_asked(home: Path, paid: list[str]) -> None:
    (home / "limits.cedar").write_text(FORBIDDEN)
    (home / "mainspring.toml").write_text('[policy]\nlimits = ["limits.cedar"]\n')
    run = payer([PLAN, "end"], pay_tool(paid)).run_sync("go", home=home)
    assert (run.status, paid) == ("done", [])
    (refused,) = [e.payload for e in run.events() if e.kind == "call.refused"]
    assert refused["tool"] == "ask_person"
    assert "pay is not possible" in refused["reason"]


def forbid(home: Path, how: str) -> None:
    if how == "revoked":
        open_store(home).revoke("payer", by="ann", reason="stop")
    elif how == "grant":
        open_store(home).revoke(TRUSTED.id, by="ann", reason="stop")
    else:
        (home / "limits.cedar").write_text(FORBIDDEN)
        (home / "mainspring.toml").write_text('[policy]\nlimits = ["limits.cedar"]\n')


@pytest.mark.parametrize("how", ["revoked", "limit", "grant"])
@pytest.mark.parametrize("settlement", ["keyed", "reconciled"])
def test_what_was_begun_is_not_repeated_without_a_right(home: Path, paid: list[str], settlement: str, how: str) -> None:
    agent = payer([PAY, "end"], pay_tool(paid, settlement), grants=[TRUSTED])
    with dying("intent.committed"):
        agent.run_sync("go", home=home, run_id="r")
    forbid(home, how)
    run = Run.load("r", home).resume_sync(agent)
    assert (run.status, paid) == ("in_doubt", [])


@pytest.mark.parametrize("how", ["revoked", "limit"])
def test_who_says_that_it_did_not_happen_gives_no_right(home: Path, paid: list[str], how: str) -> None:
    agent = payer([PAY, "end"], pay_tool(paid, "unknown"), grants=[TRUSTED])
    run = agent.run_sync("go", home=home)
    assert (run.status, paid) == ("in_doubt", ["maybe"])
    forbid(home, how)
    run.pending()[0].settle("did_not", by="ann")
    assert run.resume_sync(agent).status == "done"
    assert paid == ["maybe"]


@pytest.mark.parametrize("settlement", ["keyed", "reconciled"])
def test_with_its_right_a_call_is_repeated(home: Path, paid: list[str], settlement: str) -> None:
    one = Grant("pay", {"account": "trusted"}, 1)  # which this very call has used up
    agent = payer([PAY, "end"], pay_tool(paid, settlement), grants=[one])
    with dying("intent.committed"):
        agent.run_sync("go", home=home, run_id="r")
    run = Run.load("r", home).resume_sync(agent)
    assert (run.status, paid) == ("done", ["X"])
