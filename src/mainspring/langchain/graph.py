"""`invoke` and `stream` over durable runs; a thread is a run."""

from __future__ import annotations

import asyncio
import hashlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.agent import Agent, Limits
from mainspring.errors import ApprovalError, DeclarationError, MainspringError, RunNotFoundError
from mainspring.langchain.messages import ChatMessage, read_messages, show_messages, to_langchain, uses_langchain
from mainspring.messages import Message

if TYPE_CHECKING:
    from mainspring.runtime.state import RunState

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Something that a run waits for a person to decide, with LangGraph's attributes.

    Args:
        value: ``"action_requests"`` (name, args, description), ``"review_configs"``, and our `kind` and `run_id`.
        id: of the approval or the doubt.
    """

    value: dict[str, Any]
    id: str


@dataclass(frozen=True, slots=True)
class Command:
    """``invoke(Command(resume=...), config)`` answers what a thread waits for; LangGraph's own is taken as well.

    Args:
        resume: ``{"decisions": [{"type": "approve"}, {"type": "reject", "message": "..."}]}``, one each in order, or
            one answer for all: True, False, ``"approve"``, ``"reject"``, or such a decision.
    """

    resume: Any = None


@dataclass(frozen=True, slots=True)
class StateSnapshot:
    """What a thread is at: `values` as `invoke` returns them, and what it waits for."""

    values: dict[str, Any]
    interrupts: tuple[Interrupt, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)


class CompiledAgent:
    """An agent with LangChain's methods; made by :func:`mainspring.langchain.create_agent`."""

    def __init__(self, agent: Agent, home: str | Path | None = None) -> None:
        self.agent = agent
        self.name = agent.name
        self._home = home

    def __repr__(self) -> str:
        return f"<CompiledAgent {self.agent!r}>"

    def invoke(self, input: Any, config: Config | None = None) -> dict[str, Any]:
        """Run until the agent is done or waits for a person.

        Args:
            input: ``{"messages": [...]}``, a :class:`Command` to answer what the thread waits for, or None to go on.
            config: ``{"configurable": {"thread_id": ...}}`` continues a conversation, also in another process;
                ``"recursion_limit"`` bounds the model calls of this invocation.

        Returns:
            ``"messages"`` (all of the conversation), ``"run_id"``, ``"structured_response"`` when a type was
            asked for, and ``"__interrupt__"`` when a person has to decide something.

        Raises:
            MainspringError: the run failed or was cancelled; the message says why and names the run.
            DeclarationError: the input cannot be understood.
        """
        from mainspring.runtime.execution import run_blocking

        return run_blocking(self.ainvoke(input, config))

    async def ainvoke(self, input: Any, config: Config | None = None) -> dict[str, Any]:
        """:meth:`invoke` inside an event loop."""
        call = _Call(self, input, config)
        return call.result(await call.run(None))

    def stream(
        self, input: Any, config: Config | None = None, *, stream_mode: str | Sequence[str] = "updates"
    ) -> Iterator[Any]:
        """Run and yield what happens.

        Args:
            stream_mode: ``"updates"`` (what each step added, under ``"model"`` or ``"tools"``), ``"values"`` (the whole
                conversation after each step), ``"messages"`` (pieces of text as they are written, with metadata),
                ``"custom"`` (lines that tools report), or a list of these, which yields (mode, item) pairs.
        """
        items: queue.Queue[tuple[str, Any]] = queue.Queue()
        stop: list[Callable[[], object]] = []

        async def pump() -> None:
            task = asyncio.current_task()
            loop = asyncio.get_running_loop()
            if task is not None:
                stop.append(lambda: loop.call_soon_threadsafe(task.cancel))
            async for item in self.astream(input, config, stream_mode=stream_mode):
                items.put(("item", item))

        def work() -> None:
            try:
                asyncio.run(pump())
                items.put(("end", None))
            except BaseException as error:
                items.put(("error", error))

        thread = threading.Thread(target=work, name="mainspring-stream", daemon=True)
        thread.start()
        ended = False
        try:
            while True:
                kind, value = items.get()
                if kind == "item":
                    yield value
                    continue
                ended = True
                if kind == "error":
                    raise value
                return
        finally:
            if not ended and stop:
                stop[0]()
            thread.join()

    async def astream(
        self, input: Any, config: Config | None = None, *, stream_mode: str | Sequence[str] = "updates"
    ) -> AsyncIterator[Any]:
        """:meth:`stream` inside an event loop. Leaving early pauses the run; its thread goes on at the next call."""
        from mainspring.langchain.watch import Translator

        call = _Call(self, input, config)
        events: asyncio.Queue[Any] = asyncio.Queue()
        running = asyncio.ensure_future(call.run(events.put_nowait))
        running.add_done_callback(lambda _: events.put_nowait(None))
        translate = Translator(stream_mode, call.before, call.shown, call.state())
        try:
            for item in translate.begin():
                yield item
            while (event := await events.get()) is not None:
                for item in translate.event(event):
                    yield item
            result = call.result(running.result())
            for item in translate.end(result.get("__interrupt__")):
                yield item
        finally:
            if not running.done():
                running.cancel()
                await asyncio.wait({running})

    def get_state(self, config: Config) -> StateSnapshot:
        """What the thread of `config` is at; raises RunNotFoundError when it never began."""
        call = _Call(self, None, config)
        if call.found is None:
            raise RunNotFoundError(f"thread {call.thread!r} of agent {self.name!r} never began")
        values = call.values(call.found)
        return StateSnapshot(values, tuple(call.interrupts(call.found)), dict(config))


class _Call:
    """One invocation: which run, what is new in the input, and how its caller wants messages."""

    def __init__(self, graph: CompiledAgent, input: Any, config: Config | None) -> None:
        from mainspring.runtime.run import Run
        from mainspring.runtime.starting import new_run_id

        configurable = (config or {}).get("configurable") or {}
        self.graph = graph
        self.agent = graph.agent
        self.thread = configurable.get("thread_id")
        self.by = str(configurable.get("user_id") or "caller")
        self.recursion_limit = (config or {}).get("recursion_limit")
        self.run_id = new_run_id() if self.thread is None else _thread_run(graph.name, str(self.thread))
        self.found: Run | None = None
        if self.thread is not None:
            try:
                self.found = Run.load(self.run_id, graph._home)
            except RunNotFoundError:
                self.found = None
        self.resume = getattr(input, "resume", None) if not isinstance(input, Mapping) else None
        self.new: list[Message] = []
        self.langchain = False
        if input is not None and self.resume is None:
            self._read(input)
        self.before: list[ChatMessage] = self._before()

    def _read(self, input: Any) -> None:
        if not isinstance(input, Mapping) or "messages" not in input:
            raise DeclarationError(f'the input is {{"messages": [...]}}, not {str(input)[:200]!r}')
        messages = input["messages"]
        self.langchain = uses_langchain(messages)
        own = f"{self.run_id}:"  # what this thread gave out comes back in many programs; it is not new
        self.new = [m for id, m in read_messages(messages) if not (self.found and str(id or "").startswith(own))]
        if self.found is not None and any(m.role in ("assistant", "tool") for m in self.new):
            raise DeclarationError(
                f"thread {self.thread!r} already has its history; pass only what is new, as a user's message"
            )

    def _before(self) -> list[ChatMessage]:
        known = self._said(self.found) if self.found is not None else []
        return _all_shown([*known, *self.new], self.run_id)

    def _said(self, run: Any) -> list[Message]:
        """The whole conversation, without the agent's standing orders and the runtime's notes to the model."""
        ordered = bool(self.agent.instructions) or self.agent.output_type is not None
        said = run.state.plain[1:] if ordered else run.state.plain
        return [m for m in said if m.role != "user" or not m.text.startswith("[mainspring] ")]

    def state(self) -> RunState:
        """The state of the thread now, of the caller's own."""
        from mainspring.runtime.state import RunState

        state = RunState.of(self.found.events()) if self.found is not None else RunState()
        state.run_id = self.run_id
        return state

    async def run(self, on_event: Callable[[Any], None] | None) -> Any:
        limits = self._limits()
        if self.found is None:
            if self.resume is not None or not self.new:
                raise DeclarationError("there is nothing to do: this thread never began, and no message was passed")
            task: Any = self.new
            return await self.agent.run(
                task, run_id=self.run_id, home=self.graph._home, limits=limits, on_event=on_event
            )
        if self.resume is not None:
            self._answer(self.resume)
        for message in self.new:
            parts = [p for p in message.parts if not isinstance(p, str)]
            self.found.send(parts, by=self.by)
        return await self.found.resume(self.agent, limits=limits, on_event=on_event)

    def _limits(self) -> Limits | None:
        """What this invocation may spend: the agent's limits, counted from where the thread is now."""
        limits = self.agent.limits
        if self.recursion_limit is not None:
            limits = replace(limits, steps=min(int(self.recursion_limit), limits.steps or int(self.recursion_limit)))
        elif not self.new:
            return None
        if self.found is None:
            return limits
        state = self.found.state
        return replace(
            limits,
            steps=_more(limits.steps, state.step),
            tokens=_more(limits.tokens, state.usage.tokens),
            usd=_more(limits.usd, state.usage.usd or 0.0),
            seconds=_more(limits.seconds, state.busy_seconds),
        )

    def _answer(self, answer: Any) -> None:
        assert self.found is not None
        pending = self.found.pending()
        decisions = answer.get("decisions") if isinstance(answer, Mapping) and "decisions" in answer else answer
        if not isinstance(decisions, list | tuple):
            decisions = [decisions] * len(pending)
        if len(decisions) != len(pending):
            raise ApprovalError(f"{len(pending)} calls wait for an answer, but {len(decisions)} were given")
        for one, decision in zip(pending, decisions, strict=True):
            said = decision if isinstance(decision, Mapping) else {"type": decision}
            kind, reason = said.get("type"), str(said.get("message") or "")
            if kind in (True, "approve", "accept", "yes"):
                one.approve(by=self.by, reason=reason)
            elif kind in (False, "reject", "deny", "ignore", "no"):
                one.deny(by=self.by, reason=reason)
            elif kind in ("happened", "did_not", "abort"):
                one.settle(kind, by=self.by, reason=reason)
            else:
                raise ApprovalError(
                    f"{kind!r} answers nothing; use 'approve' or 'reject' (a doubt: 'happened', 'did_not' or 'abort')"
                )

    def result(self, run: Any) -> dict[str, Any]:
        """What `invoke` returns; raises MainspringError for a run that failed or was cancelled."""
        if run.status in ("failed", "cancelled"):
            raise MainspringError(
                f"run {run.id} {'failed' if run.status == 'failed' else 'was cancelled'}: {run.reason}"
            )
        values = self.values(run)
        interrupts = self.interrupts(run)
        if interrupts:
            values["__interrupt__"] = interrupts
        elif run.status != "done":
            raise MainspringError(f"run {run.id} is {run.status}: {run.reason}; resume it later")
        return values

    def values(self, run: Any) -> dict[str, Any]:
        shown = [self.shown(m) for m in _all_shown(self._said(run), run.id)]
        values: dict[str, Any] = {"messages": shown, "run_id": run.id}
        if self.agent.output_type is not None and run.status == "done":
            from mainspring.runtime.output import OutputType

            values["structured_response"] = OutputType(self.agent.output_type).restore(run.state.output)
        return values

    def shown(self, message: ChatMessage) -> Any:
        """A message as this caller wants it."""
        return to_langchain(message) if self.langchain else message

    def interrupts(self, run: Any) -> list[Interrupt]:
        found: list[Interrupt] = []
        for pending in run.pending():
            approval = pending.kind == "approval"
            allowed = ["approve", "reject"] if approval else ["happened", "did_not", "abort"]
            request = {"name": pending.tool, "args": pending.arguments, "description": pending.reason}
            value = {
                "action_requests": [request],
                "review_configs": [{"action_name": pending.tool, "allowed_decisions": allowed}],
                "kind": pending.kind,
                "run_id": run.id,
            }
            found.append(Interrupt(value, pending.id))
        return found


def _all_shown(messages: Sequence[Message], run_id: str) -> list[ChatMessage]:
    """A conversation as LangChain shows it."""
    shown: list[ChatMessage] = []
    counts: dict[str, int] = {}
    for message in messages:
        number = counts[message.role] = counts.get(message.role, 0) + 1
        shown += show_messages(message, run_id, number)
    return shown


def _thread_run(agent: str, thread: str) -> str:
    """The run of a thread: the same for the same agent and thread in every process."""
    return "thread-" + hashlib.sha256(f"{agent}\0{thread}".encode("utf-8", "replace")).hexdigest()[:24]


def _more(limit: Any, spent: float) -> Any:
    return None if limit is None else limit + spent
