"""The agent that an editor talks to: a session is a run, so it survives the editor, this process and a crash."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import acp
from acp import schema, text_block, tool_content, tool_diff_content, update_agent_message_text
from acp.interfaces import Client

import mainspring
from mainspring.acp.asking import answer, choice
from mainspring.acp.prompts import parts_of
from mainspring.acp.streams import own_streams
from mainspring.acp.updates import Narrator
from mainspring.agent import Agent
from mainspring.errors import MainspringError, RunNotFoundError, ToolError
from mainspring.messages import Part
from mainspring.runtime.journal import RunEvent
from mainspring.runtime.run import Run
from mainspring.runtime.starting import new_run_id

if TYPE_CHECKING:
    from mainspring.code.git import CodeRecord

_TAKE = schema.PermissionOption(option_id="take", name="Put it into my files", kind="allow_once")
_LEAVE = schema.PermissionOption(option_id="leave", name="Leave it as a patch", kind="reject_once")
#: Sessions of one answer to `session/list`.
_PAGE = 50
#: Seconds that runs have to pause in when the editor went away; the journal is whole at any instant.
_PARTING_S = 20.0


@dataclass(slots=True)
class Session:
    """One conversation with the editor.

    Args:
        run_id: also the session's id.
        folder: where the editor works.
        made: its working copy was made.
        begun: the run was started.
        idle: set while no prompt is being worked on.
        stop: set when the person pressed stop during it.
        applied: digest of the patch that was offered last.
        told: the run's events on their way to the editor.
    """

    run_id: str
    folder: Path
    made: CodeRecord | None = None
    begun: bool = False
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    applied: str = ""
    told: asyncio.Queue[RunEvent | None] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self.idle.set()

    @property
    def busy(self) -> bool:
        """Whether a prompt is being worked on."""
        return not self.idle.is_set()


class Server:
    """Speaks the agent's side of the protocol.

    Args:
        declare: makes the agent's declaration, as :func:`mainspring.engineer.code_agent` does.
        home: Mainspring's folder.
        by: on whose behalf the runs act, and who answers at the editor.
        in_place: edit the editor's own files instead of a copy whose patch is offered at the end.
    """

    def __init__(self, declare: Callable[[], Agent], home: Path, *, by: str, in_place: bool = False) -> None:
        self._declare = declare
        self._home = home
        self._by = by
        self._in_place = in_place
        self._sessions: dict[str, Session] = {}
        self._client: Client | None = None

    def on_connect(self, conn: Client) -> None:
        """The editor is there."""
        self._client = conn

    @property
    def client(self) -> Client:
        """The editor's side of the connection."""
        assert self._client is not None
        return self._client

    async def initialize(
        self, protocol_version: int, client_capabilities: Any = None, client_info: Any = None, **_: Any
    ) -> schema.InitializeResponse:
        """What this agent can do."""
        return schema.InitializeResponse(
            protocol_version=min(protocol_version, acp.PROTOCOL_VERSION),
            agent_info=schema.Implementation(name="mainspring", title="Mainspring", version=mainspring.__version__),
            agent_capabilities=schema.AgentCapabilities(
                load_session=True,
                prompt_capabilities=schema.PromptCapabilities(image=True, audio=False, embedded_context=True),
                session_capabilities=schema.SessionCapabilities(list=schema.SessionListCapabilities()),
            ),
            auth_methods=[],
        )

    async def authenticate(self, method_id: str, **_: Any) -> schema.AuthenticateResponse:
        """Nothing to do: whoever can start this process on this account is the person."""
        return schema.AuthenticateResponse()

    async def new_session(
        self, cwd: str, additional_directories: Any = None, mcp_servers: Any = None, **_: Any
    ) -> schema.NewSessionResponse:
        """Begin a conversation about the folder `cwd`."""
        folder = _folder(cwd)
        if mcp_servers:
            # A server that a project's settings name is a stranger's program; people configure theirs themselves.
            raise acp.RequestError.invalid_params(
                {"mcp_servers": "configure MCP servers in mainspring.toml (see docs/mcp.md), not in the editor"}
            )
        session = Session(new_run_id(), folder)
        self._sessions[session.run_id] = session
        return schema.NewSessionResponse(session_id=session.run_id)

    async def load_session(
        self, cwd: str, session_id: str, mcp_servers: Any = None, additional_directories: Any = None, **_: Any
    ) -> schema.LoadSessionResponse:
        """Show a conversation again, from its journal, and go on with it.

        Only a run on the code of this very folder: the rights and the folder of another run are not the editor's.
        """
        folder = _folder(cwd)
        known = self._sessions.get(session_id)
        if known is not None and known.busy:
            raise acp.RequestError.invalid_params({"session_id": f"session {session_id} is working on a prompt"})
        try:
            run = await asyncio.to_thread(Run.load, session_id, self._home)
            made = await asyncio.to_thread(code_record, self._home, session_id)
            if not _within(folder, made.repository.top):
                raise ToolError(f"run {session_id} works on {made.repository.top}, not on {folder}; open it there")
            events = await asyncio.to_thread(run.events)
        except MainspringError as error:
            raise _failed(error) from None
        narrator = Narrator(replay=True)
        for event in events:
            for update in narrator.tell(event):
                await self.client.session_update(session_id=session_id, update=update)
        self._sessions[session_id] = Session(session_id, folder, made, begun=True)
        return schema.LoadSessionResponse()

    async def list_sessions(
        self, cwd: str | None = None, cursor: str | None = None, **_: Any
    ) -> schema.ListSessionsResponse:
        """Conversations that can be gone on with, newest first."""
        found = []
        for run in await asyncio.to_thread(Run.list, self._home, None, _PAGE):
            try:
                place = code_record(self._home, run.id).repository.top
            except MainspringError:
                continue  # a run on something else than code
            if cwd is None or _within(Path(cwd), place):
                found.append(schema.SessionInfo(session_id=run.id, cwd=str(place), title=run.task[:80]))
        return schema.ListSessionsResponse(sessions=found)

    async def prompt(self, session_id: str, prompt: list[Any], **_: Any) -> schema.PromptResponse:
        """Work on what the person said, until it is done or needs them."""
        session = self._session(session_id)
        if session.busy:
            raise acp.RequestError.invalid_params(
                {"session_id": f"session {session_id} is working on a prompt already"}
            )
        session.idle.clear()
        session.stop.clear()
        try:
            return await self._work(session, parts_of(prompt))
        except MainspringError as error:
            raise _failed(error) from None
        finally:
            session.idle.set()

    async def cancel(self, session_id: str, **_: Any) -> None:
        """Pause after the effect under way; nothing is lost, and the next prompt goes on from there."""
        session = self._sessions.get(session_id)
        if session is not None and session.busy:
            await self._stop(session, "stopped in the editor")

    async def leave(self) -> None:
        """Pause what is being worked on, since the editor went away; wait a while for that."""
        busy = [session for session in self._sessions.values() if session.busy]
        for session in busy:
            await self._stop(session, "the editor went away")
        if busy:
            await asyncio.wait({asyncio.ensure_future(s.idle.wait()) for s in busy}, timeout=_PARTING_S)

    async def _stop(self, session: Session, reason: str) -> None:
        session.stop.set()
        if session.begun:
            try:
                run = await asyncio.to_thread(Run.load, session.run_id, self._home)
                await asyncio.to_thread(run.pause, reason)
            except MainspringError:  # it is not journaled yet, or has just ended: `_work` sees the mark
                return

    async def _work(self, session: Session, words: list[str | Part]) -> schema.PromptResponse:
        teller = asyncio.ensure_future(self._tell(session))
        try:
            run = await self._go_on(session, words)
            while run is not None and run.status in ("waiting", "in_doubt") and run.pending():
                answered = []
                for one in run.pending():
                    if session.stop.is_set():
                        break
                    answered.append(await answer(self.client, session.run_id, one, by=self._by, stop=session.stop))
                if session.stop.is_set() or not any(answered):
                    break
                run = await run.resume(self._declare(), on_event=self._watcher(session))
        finally:
            session.told.put_nowait(None)
            await teller
        if run is None or session.stop.is_set():
            return schema.PromptResponse(stop_reason="cancelled")
        await self._report(session, run)
        return schema.PromptResponse(stop_reason="cancelled" if session.stop.is_set() else "end_turn")

    async def _go_on(self, session: Session, words: list[str | Part]) -> Run | None:
        """The run, when it needs a person or has ended; None when it was stopped before it was begun."""
        from mainspring.engineer.start import prepare

        if session.begun:
            try:
                run = Run.load(session.run_id, self._home)
            except RunNotFoundError:  # it could not be started, say for a model that is not there
                session.begun = False
            else:
                run.send(words, by=self._by)
                return await run.resume(self._declare(), on_event=self._watcher(session))
        if session.made is None:
            session.made = await asyncio.to_thread(
                prepare, session.folder, session.run_id, self._home, in_place=self._in_place
            )
        if session.stop.is_set():
            return None
        session.begun = True
        return await self._declare().run(
            words,
            workspace=session.made.path,
            run_id=session.run_id,
            home=self._home,
            by=self._by,
            on_event=self._watcher(session),
        )

    async def _report(self, session: Session, run: Run) -> None:
        """How it ended, what was verified, and the patch for the person to take."""
        from mainspring.engineer.start import finish

        result = await asyncio.to_thread(finish, run)
        report, patch = result.report, result.report.patch
        if run.status != "done" or patch:
            await self._say(session, "\n\n" + report.text())
        # Only what was verified exactly as it is now is offered: a process may have written after the last check.
        offered = patch and result.done and report.verified and session.applied != patch.digest
        record = code_record(self._home, session.run_id)
        if not offered or record.copy.is_in_place:
            return
        session.applied = patch.digest
        top = record.repository.top
        changes = [
            tool_diff_content(str(top / c.path), c.text("after"), c.text("before") or None)
            if not c.binary and c.after is not None
            else tool_content(text_block(f"{c.kind}: {c.path}"))
            for c in patch.changes
        ]
        call = schema.ToolCallUpdate(
            tool_call_id=f"patch-{patch.digest[:12]}",
            title=f"Put the patch into your files ({len(patch.changes)} files)?",
            kind="edit",
            status="pending",
            content=[*changes, tool_content(text_block(report.text().partition("\n")[0]))],
        )
        if await choice(self.client, session.run_id, call, [_TAKE, _LEAVE], session.stop) == "take":
            from mainspring.code.git import apply_to

            try:
                done = await asyncio.to_thread(
                    apply_to, record.repository, patch, home=self._home, run_id=session.run_id
                )
            except ToolError as error:  # say, a file was changed meanwhile; the patch is kept
                await self._say(session, f"\nNot applied: {error}")
                return
            await self._say(session, f"\nApplied to {len(done.paths)} files; `mainspring code undo` takes it back.")

    def _watcher(self, session: Session) -> Callable[[RunEvent], None]:
        loop = asyncio.get_running_loop()

        def watch(event: RunEvent) -> None:  # tools report from threads of their own
            loop.call_soon_threadsafe(session.told.put_nowait, event)

        return watch

    async def _tell(self, session: Session) -> None:
        narrator, listening = Narrator(), True
        while (event := await session.told.get()) is not None:
            for update in narrator.tell(event) if listening else ():
                try:
                    await self.client.session_update(session_id=session.run_id, update=update)
                except ConnectionError:  # the editor went away; `leave` pauses the run, and the journal has the rest
                    listening = False
                    break

    async def _say(self, session: Session, text: str) -> None:
        await self.client.session_update(session_id=session.run_id, update=update_agent_message_text(text))

    def _session(self, session_id: str) -> Session:
        session = self._sessions.get(session_id)
        if session is None:
            raise acp.RequestError.invalid_params(
                {"session_id": f"there is no session {session_id!r}; make one with session/new or session/load"}
            )
        return session


async def serve(server: Server) -> None:
    """Speak over standard input and output until the editor goes away; then runs pause, and this returns.

    Raises:
        ToolError: standard input or output is no pipe, or what came in is no message.
    """
    reader, writer = await own_streams()
    connection = acp.AgentSideConnection(server, writer, reader, listening=False)
    try:
        await connection.listen()
    except (AttributeError, TypeError, ValueError) as error:
        raise ToolError(f"the editor sent what is no message of the protocol, or one too long ({error})") from error
    finally:
        await server.leave()
        await connection.close()


def code_record(home: Path, run_id: str) -> CodeRecord:
    """The run's working copy. Raises ToolError when it is no run on code."""
    from mainspring.code.git import load

    return load(home, run_id)


def _within(folder: Path, top: Path) -> bool:
    real = os.path.realpath(top)
    return os.path.realpath(folder) == real or os.path.realpath(folder).startswith(real.rstrip("/") + "/")


def _folder(cwd: str) -> Path:
    folder = Path(cwd)
    if not folder.is_absolute() or not folder.is_dir():
        raise acp.RequestError.invalid_params({"cwd": f"{cwd!r} is no folder with an absolute path"})
    return folder


def _failed(error: MainspringError) -> acp.RequestError:
    return acp.RequestError(-32000, str(error))
