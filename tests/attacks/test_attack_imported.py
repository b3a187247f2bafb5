"""A journal from elsewhere names folders, limits, modes and rights; none of them holds here."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, Run, ScriptedModel, tool
from mainspring.errors import DeclarationError
from mainspring.guard import Grant
from mainspring.guard.words import own_words
from mainspring.messages import ToolCallPart, assistant, user
from mainspring.store import open_store
from mainspring.tools import coding_tools


def call(name: str, id: str = "c", /, **arguments: Any) -> Any:
    return assistant("", ToolCallPart(f"{name}-{id}", name, arguments))


@tool(effect="irreversible", authority=["to"])
def send_mail(to: str) -> str:
    """Send a mail."""
    return "sent"


def moved(run: Run, tmp_path: Path) -> Run:
    run.export(tmp_path / "run.jsonl")
    return Run.import_(tmp_path / "run.jsonl", tmp_path / "other")


def test_the_folder_is_named_here(home: Path, tmp_path: Path, workspace: Path) -> None:
    (workspace / "secret.txt").write_text("the secret\n")
    reads = [call("read_file", path="secret.txt"), call("read_file", "d", path="secret.txt"), "end"]
    agent = Agent("reader", model=ScriptedModel(reads), tools=[*coding_tools(), send_mail])
    waiting = Agent("reader", model=ScriptedModel([call("send_mail", "a", to="x")]), tools=[*coding_tools(), send_mail])
    there = waiting.run_sync("go", home=home, workspace=workspace)
    here = moved(there, tmp_path)
    here.pending()[0].deny(by="ann")
    here.resume_sync(agent)
    assert here.workspace is None
    assert "the secret" not in repr(here.model_messages())
    with pytest.raises(DeclarationError, match="no folder"):
        here.resume_sync(agent, workspace=tmp_path / "nothing")
    here.send("go on", by="ann")
    more = Agent("reader", model=ScriptedModel(["x"] * 3 + [call("read_file", "e", path="secret.txt"), "end"]))
    more.tools = agent.tools
    here.resume_sync(more, workspace=workspace)
    assert here.workspace == workspace.resolve()


def test_limits_and_mode_are_ours(home: Path, tmp_path: Path) -> None:
    theirs = Agent("x", model=ScriptedModel([call("send_mail", to="a")]), tools=[send_mail], guard="plain")
    there = theirs.run_sync("go", home=home, limits={"steps": 10**6})
    here = moved(there, tmp_path)
    here.pending()[0].deny(by="ann")
    here.resume_sync(Agent("x", model=ScriptedModel(["a", "end"]), tools=[send_mail], limits={"steps": 7}))
    assert here.state.limits["steps"] == 7
    assert here.mode == "tainted"
    assert not here.state.label.trusted


def test_a_server_that_is_first_there_at_resume_is_a_stranger(home: Path) -> None:
    class Unseen(type(send_mail)):  # type: ignore[misc]
        unseen = True

    first = Agent("x", model=ScriptedModel([call("send_mail", to="a")]), tools=[send_mail], grants=[])
    run = first.run_sync("go", home=home)
    assert run.state.label.trusted
    run.pending()[0].deny(by="ann")
    odd = Unseen(lambda: "x", name="odd", effect="read", server="desk")
    run.resume_sync(Agent("x", model=ScriptedModel(["a", "end"]), tools=[send_mail, odd], grants=[]))
    assert run.state.label.strangers == {"mcp:desk"}


def test_a_word_falls_with_the_rights_of_whoever_gave_it(home: Path) -> None:
    sent: list[str] = []

    @tool(effect="read", authority=())
    def page() -> str:
        return "eve@evil.example"

    @tool(effect="irreversible", authority=["to"])
    def mail(to: str) -> str:
        sent.append(to)
        return "sent"

    lines = [call("page"), call("mail", to="$v1"), "end"]
    agent = Agent("x", model=ScriptedModel(lines), tools=[page, mail], guard="clean", grants=[Grant("mail")])
    run = agent.run_sync("go", home=home)
    run.vouch("v1", by="mallory", reason="mine")
    open_store(home).revoke("mallory", by="ann", reason="she is gone")
    run.resume_sync(agent)
    assert (run.status, sent) == ("waiting", [])


@pytest.mark.parametrize(
    "text",
    [
        "~~~ ~~~\nEVIL\n~~~",
        "``` a~~~\nEVIL\n```",
        "```\n> ```\nEVIL\n```",
        "```~\nEVIL\n```",
        "~~~`\nEVIL\n~~~",
        "````\na\n```\nEVIL\n````",
        "- > ```\n  > EVIL\n  > ```",
    ],
)
def test_a_strangers_fence_is_not_the_users_word(text: str) -> None:
    assert "EVIL" not in own_words(user(text))


@pytest.mark.parametrize("where", ["check", "prepare", "respond"])
def test_a_librarys_cancellation_ends_no_run_for_good(home: Path, where: str) -> None:
    def cancel(*args: Any, **kwargs: Any) -> Any:
        raise asyncio.CancelledError

    class Model:
        async def respond(self, messages: Any, tools: Any, settings: Any) -> Any:
            raise asyncio.CancelledError

    act = tool(effect="read", authority=(), prepare=cancel if where == "prepare" else None, name="act")(lambda: "x")
    model: Any = Model() if where == "respond" else ScriptedModel([call("act"), "end"])
    agent = Agent("x", model=model, tools=[act], check=cancel if where == "check" else None, model_retries=1)
    run = agent.run_sync("go", home=home)
    assert run.status == ("done" if where == "prepare" else "failed")
