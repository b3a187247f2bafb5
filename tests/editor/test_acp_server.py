"""An editor's side of the protocol against the real server in a process of its own, over its standard streams."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import acp
import pytest
from acp import schema

from calculator import BROKEN, MENDED, repository

SERVED = Path(__file__).with_name("served.py")
pytestmark = pytest.mark.slow


class Editor:
    """Records what it is told, and answers every question with the option named."""

    def __init__(self, answer: str | None) -> None:
        self.answer = answer
        self.updates: list[Any] = []
        self.asked: list[Any] = []

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.updates.append(update)

    async def request_permission(self, session_id: str, tool_call: Any, options: Any, **_: Any) -> Any:
        self.asked.append(tool_call)
        offered = {option.option_id for option in options}
        chosen = next((part for part in (self.answer or "").split() if part in offered), None)
        if chosen is None and self.answer != "forged":
            return schema.RequestPermissionResponse(outcome=schema.DeniedOutcome(outcome="cancelled"))
        outcome = schema.AllowedOutcome(outcome="selected", option_id=chosen or "always")
        return schema.RequestPermissionResponse(outcome=outcome)

    def on_connect(self, conn: Any) -> None:
        """Nothing to keep."""

    @property
    def said(self) -> str:
        return "".join(u.content.text for u in self.updates if u.session_update == "agent_message_chunk")


@asynccontextmanager
async def connected(editor: Editor, home: Path, *arguments: str) -> AsyncIterator[Any]:
    async with acp.spawn_agent_process(
        editor,  # type: ignore[arg-type]
        sys.executable,
        str(SERVED),
        str(home),
        *arguments,
    ) as (connection, _):
        hello = await connection.initialize(protocol_version=acp.PROTOCOL_VERSION)
        assert hello.agent_info.name == "mainspring"
        yield connection


async def ask(connection: Any, repo: Path, words: str) -> tuple[str, str]:
    session = await connection.new_session(cwd=str(repo), mcp_servers=[])
    answer = await connection.prompt(session_id=session.session_id, prompt=[acp.text_block(words)])
    return session.session_id, answer.stop_reason


def talk(editor: Editor, home: Path, repo: Path, words: str, *arguments: str) -> tuple[str, str]:
    async def main() -> tuple[str, str]:
        async with connected(editor, home, *arguments) as connection:
            return await ask(connection, repo, words)

    return asyncio.run(asyncio.wait_for(main(), 180))


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return repository(tmp_path / "repo")


def test_a_verified_patch_is_put_into_the_files_when_the_person_says_so(home: Path, repo: Path) -> None:
    editor = Editor("take")
    _, stop = talk(editor, home, repo, "Mend pages()")
    assert stop == "end_turn"
    assert MENDED in (repo / "paging.py").read_text()
    assert "passed its verification" in editor.said
    kinds = [u.kind for u in editor.updates if u.session_update == "tool_call"]
    assert kinds[0] == "edit"
    assert editor.asked[-1].content[0].type == "diff"


@pytest.mark.parametrize("answer", ["leave", None])
def test_without_a_yes_the_files_stay(home: Path, repo: Path, answer: str | None) -> None:
    talk(Editor(answer), home, repo, "Mend pages()")
    assert BROKEN in (repo / "paging.py").read_text()


@pytest.mark.parametrize(("answer", "told"), [("yes", True), ("no", False), (None, False)])
def test_a_call_with_consequences_is_asked_about(home: Path, repo: Path, answer: str | None, told: bool) -> None:
    editor = Editor(answer)
    talk(editor, home, repo, "announce it")
    assert (home / "announced").exists() is told
    assert "everybody" in editor.asked[0].content[0].content.text


def test_an_option_that_was_not_offered_decides_nothing(home: Path, repo: Path) -> None:
    with pytest.raises(acp.RequestError, match="not offered"):
        talk(Editor("forged"), home, repo, "announce it")
    assert not (home / "announced").exists()


def test_a_session_outlives_the_process_and_goes_on(home: Path, repo: Path) -> None:
    first, again = Editor(None), Editor(None)

    async def main() -> str:
        async with connected(first, home) as connection:
            session_id, _ = await ask(connection, repo, "look around")
        async with connected(again, home) as connection:
            listed = await connection.list_sessions(cwd=str(repo))
            assert [s.session_id for s in listed.sessions] == [session_id]
            await connection.load_session(cwd=str(repo), session_id=session_id, mcp_servers=[])
            shown = list(again.updates)
            assert [u.session_update for u in shown] == ["user_message_chunk", "agent_message_chunk"]
            await connection.prompt(session_id=session_id, prompt=[acp.text_block("and now?")])
        return again.said

    assert "Still nothing." in asyncio.run(asyncio.wait_for(main(), 120))


def test_what_is_no_repository_or_no_session_is_an_error_with_words(home: Path, tmp_path: Path, repo: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()

    async def main() -> None:
        async with connected(Editor(None), home) as connection:
            with pytest.raises(acp.RequestError, match="git"):
                await ask(connection, plain, "look around")
            with pytest.raises(acp.RequestError) as raised:
                await connection.new_session(cwd="relative", mcp_servers=[])
            assert "absolute" in str(raised.value.data)
            with pytest.raises(acp.RequestError) as raised:
                await connection.prompt(session_id="nothing", prompt=[acp.text_block("hello")])
            assert "no session" in str(raised.value.data)
            server = schema.McpServerStdio(name="x", command="sh", args=[], env=[])
            with pytest.raises(acp.RequestError) as raised:
                await connection.new_session(cwd=str(repo), mcp_servers=[server])
            assert "mainspring.toml" in str(raised.value.data)

    asyncio.run(asyncio.wait_for(main(), 60))
