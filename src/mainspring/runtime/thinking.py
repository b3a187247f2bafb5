"""One model call with everything around it: which model, how much effort, retries, fallback, streaming."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.agent import Agent
from mainspring.errors import ContextWindowError, MainspringError, ModelError, RunNotFoundError
from mainspring.label import MODEL
from mainspring.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    Usage,
    encode,
    valid_text,
)
from mainspring.model import Delta, Model, ModelSettings, ToolSpec, model_name
from mainspring.points import reach
from mainspring.runtime.compaction import CHARS_PER_TOKEN
from mainspring.runtime.context import for_model
from mainspring.runtime.foreign import interrupted, said_by
from mainspring.runtime.journal import Journal
from mainspring.runtime.settings import settings_of
from mainspring.runtime.state import RunState

if TYPE_CHECKING:
    from mainspring.models.rates import Caller, Gate, Ticket

#: A provider that asks for a longer pause than this puts the run to sleep instead of keeping it in memory.
MAX_NAP_S = 120.0
#: Calls in one answer that are kept, so that a runaway answer cannot flood the journal.
MAX_CALLS = 64
#: Times that one answer may be refused for coming too fast, where the provider says when to come back. They are no
#: failed attempts while there is no other model to try.
MAX_REFUSALS = 20
#: Watchers are told of a wait for the provider's turn after this many seconds.
TELL_AFTER_S = 2.0
_FIRST_WAIT_S = 0.5
_MAX_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Answered:
    """The model answered; the answer is recorded, not yet flushed."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Every model failed. `reason` is for a person."""

    reason: str


@dataclass(frozen=True, slots=True)
class Asleep:
    """The provider asked for a long pause, until `wake_at` (Unix time)."""

    wake_at: float
    reason: str


@dataclass(frozen=True, slots=True)
class TooLong:
    """The context does not fit the model's window, whatever we thought of its size."""

    reason: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A person wants something first, or the time is spent; the call was given up and may be made again."""


class Thinker:
    """Calls the models of one agent for one run."""

    def __init__(
        self, agent: Agent, journal: Journal, specs: Callable[[], Sequence[ToolSpec]], output_schema: Any
    ) -> None:
        self._agent = agent
        self._journal = journal
        self._specs = specs
        self._output_schema = output_schema
        self._models: dict[int, Model] = {}
        self._gates: dict[int, Gate] = {}
        self._known_caller: Caller | None = None
        self._reader: Model | None = None
        self._judge: Model | None = None
        self._timeout: asyncio.Timeout | None = None  # of the call that is under way
        self._interrupted = False
        self._too_long: str | None = None

    def interrupt(self) -> None:
        """Give up the model call that is under way, if there is one."""
        if self._timeout is not None:
            self._interrupted = True
            self._timeout.reschedule(asyncio.get_running_loop().time())

    async def model(self, index: int) -> Model:
        """The model at `index` of the agent's list; raises ModelError when it cannot be had."""
        made = self._models.get(index)
        if made is None:
            made = self._models[index] = await _made(self._agent.models[index])
        return made

    async def reader(self) -> Model:
        """The model that reads for a clean planner: the agent's `reader`, or its first model without tools."""
        if self._agent.reader is None:
            return await self.aside()
        if self._reader is None:
            self._reader = self._paced(await _made(self._agent.reader), self._gate_of(self._agent.reader))
        return self._reader

    async def aside(self) -> Model:
        """The first model for a question beside the loop, such as a summary; it waits for its turn by itself."""
        return self._paced(await self.model(0), self._gate(0))

    def _paced(self, model: Model, gate: Gate) -> Model:
        from mainspring.models.rates import Paced

        return Paced(model, gate, self._caller())

    def _gate(self, index: int) -> Gate:
        """What stands before the model at `index`, for all runs of this process."""
        gate = self._gates.get(index)
        if gate is None:
            gate = self._gates[index] = self._gate_of(self._agent.models[index])
        return gate

    def _gate_of(self, spec: str | Model) -> Gate:
        from mainspring.models.rates import gate_of

        config = settings_of(self._journal.store.home).config
        return gate_of(spec, {} if config is None else config.rates, "" if config is None else str(config.path))

    def _caller(self) -> Caller:
        """Who waits, for those who wait with it: its family is the run at the top of its tree."""
        if self._known_caller is None:
            from mainspring.models.rates import Caller

            bounds, store = self._journal.state.bounds, self._journal.store
            own = top = store.row(self._journal.lease.run_id)
            for _ in range(bounds.depth):
                try:
                    top = store.row(top.parent) if top.parent else top
                except RunNotFoundError:  # its parent was executed elsewhere, or is gone
                    break
            self._known_caller = Caller(top.id, top.priority, bounds.depth, own.priority)
        return self._known_caller

    async def judge(self, spec: str | Model) -> Model:
        """The model that judges whether the run serves its task; raises ModelError when it cannot be had."""
        if spec == "own":
            return await self.model(0)
        if self._judge is None:
            self._judge = await _made(spec)
        return self._judge

    async def window(self) -> int:
        """Context window of the current model in tokens."""
        index = self._choose(self._journal.state)
        try:
            window = getattr(await self.model(index or 0), "context_window", None)
        except MainspringError:
            window = None
        return window if isinstance(window, int) and window > 0 else 128_000

    async def think(self) -> Answered | Exhausted | Asleep | TooLong | Interrupted:
        """Call models until one answers. Every failure is recorded before the next attempt."""
        state = self._journal.state
        while True:
            index = self._choose(state)
            if index is None:
                return Exhausted(_all_failed(state))
            if state.model_failures and not state.model_failures[-1].get("crashed"):
                last = state.model_failures[-1]
                # Counted from the failure, so that a run that slept through its pause does not begin it anew.
                asked = float(last["wait_s"]) if last["model_index"] == index else 0.0
                wait = min(asked, last["at"] + asked - time.time())
                if wait > MAX_NAP_S:
                    return Asleep(time.time() + wait, f"{last['model']} asked for a pause of {asked:.0f} s")
                if wait > 0:
                    await self._journal.flush()
                    await self._nap(min(wait, self._seconds_left()))
            if self._interrupted or self._seconds_left() <= 0:
                self._interrupted = False
                return Interrupted()
            gate = self._gate(index)
            ticket = gate.try_enter(self._reads(), self._agent.max_output_tokens) or await self._queue(gate)
            if ticket is None:
                pause = gate.pause_left()
                if self._interrupted or self._seconds_left() <= 0 or pause <= MAX_NAP_S:
                    self._interrupted = False
                    return Interrupted()
                return Asleep(time.time() + pause, f"{gate.name} asked for a pause of {pause:.0f} s")
            try:
                message = await self._attempt(index, gate, ticket)
            finally:
                gate.left(ticket)
            if message is not None:
                self._record(message)
                return Answered()
            if self._interrupted:
                self._interrupted = False
                return Interrupted()
            if self._too_long is not None:
                reason, self._too_long = self._too_long, None
                return TooLong(reason)

    def _reads(self) -> float:
        """Tokens of the prompt, estimated."""
        return self._journal.state.context.chars / CHARS_PER_TOKEN

    async def _queue(self, gate: Gate) -> Ticket | None:
        """Wait for this run's turn. None when a person interrupts, the time is spent, or a long pause was asked for."""
        journal, left = self._journal, self._seconds_left()
        await journal.flush()  # a wait may be long, and what was recorded must not be lost in it
        loop = asyncio.get_running_loop()
        telling = loop.call_later(
            TELL_AFTER_S,
            lambda: journal.tell_live(
                "progress", {"tool": "mainspring", "line": f"waiting for {gate.name}: {gate.why()}"}
            ),
        )
        try:
            async with asyncio.timeout(None if math.isinf(left) else left) as self._timeout:
                return await gate.enter(self._reads(), self._agent.max_output_tokens, self._caller(), MAX_NAP_S)
        except TimeoutError:
            return None
        finally:
            telling.cancel()
            self._timeout = None

    async def _nap(self, seconds: float) -> None:
        """Wait; a person who interrupts ends it."""
        try:
            async with asyncio.timeout(None) as self._timeout:
                await asyncio.sleep(seconds)
        except TimeoutError:
            pass
        finally:
            self._timeout = None

    def _seconds_left(self) -> float:
        """What the run's limit leaves for this call; without a limit, for ever."""
        state = self._journal.state
        allowed = state.limits.get("seconds")
        return math.inf if allowed is None else allowed - state.seconds(time.time())

    def _choose(self, state: RunState) -> int | None:
        """The first model that has not failed for good since the last answer."""
        for index in range(len(self._agent.models)):
            own = [f for f in state.model_failures if f["model_index"] == index and not f.get("crashed")]
            last = index == len(self._agent.models) - 1
            refusals = sum(1 for f in own if f.get("refused")) if last else 0
            if (
                len(own) - refusals < self._agent.model_retries
                and refusals < MAX_REFUSALS
                and all(f["retryable"] for f in own)
            ):
                return index
        return None

    async def _attempt(self, index: int, gate: Gate, ticket: Ticket) -> Message | None:
        from mainspring.models.effort import choose_effort
        from mainspring.models.rates import gone_through, overloaded

        journal, state, agent = self._journal, self._journal.state, self._agent
        thinks = getattr(self._models.get(index), "thinks", True)
        effort, why = choose_effort(agent.effort, state.trouble + len(state.model_failures), thinks)
        name = agent.model_names()[index]
        journal.record(
            "model.called",
            {
                "step": state.step + 1,
                "model": name,
                "effort": effort,
                "why": why,
                "context": state.context.digest,
                "messages": len(state.context.messages),
            },
        )
        await journal.flush()
        reach("outcome.committed")
        reach("model.before_call")
        deltas = False
        allowed_s = min(agent.model_timeout_s, max(self._seconds_left(), 0.001))

        def on_delta(delta: Delta) -> None:
            nonlocal deltas
            deltas = True
            journal.tell_live("delta", {"kind": delta.kind, "text": delta.text})

        try:
            model = await self.model(index)
            settings = ModelSettings(
                effort=effort,  # type: ignore[arg-type]
                max_output_tokens=agent.max_output_tokens,
                temperature=agent.temperature,
                timeout_s=allowed_s,
                output_schema=self._output_schema,
                seed=agent.seed,
                on_delta=on_delta if journal.watched else None,
                run_id=state.run_id,
                extra=agent.settings,
            )
            takes: frozenset[str] = getattr(model, "takes", frozenset())
            self._interrupted = False
            async with asyncio.timeout(allowed_s) as self._timeout:
                message = await model.respond(for_model(state.context, takes), self._specs(), settings)
            gone_through(gate, ticket, message)
            reach("model.answered")
            return checked(message, state, model_name(model))
        except ModelError as error:
            failure = error
        except TimeoutError:
            failure = ModelError(f"{name} gave no answer within {allowed_s:.3g} s", retryable=True)
        except MainspringError as error:
            failure = ModelError(str(error))
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and interrupted():
                raise
            failure = ModelError(f"{name} failed: {type(error).__name__}: {said_by(error)}")
        finally:
            self._timeout = None
        if isinstance(failure, ContextWindowError):
            self._too_long = str(failure)
        if self._interrupted:
            failure = ModelError("given up, because a person asked for something else", retryable=True)
        refused = overloaded(failure)
        if refused:
            gate.refused(ticket, failure.retry_after_s)
        attempt = 1 + sum(1 for f in state.model_failures if f["model_index"] == index)
        backoff = min(_MAX_WAIT_S, _FIRST_WAIT_S * 2 ** (attempt - 1)) * random.uniform(0.8, 1.2)
        wait = failure.retry_after_s if failure.retry_after_s is not None else backoff
        journal.record(
            "model.failed",
            {
                "step": state.step + 1,
                "model": name,
                "model_index": index,
                "error": str(failure)[:2000],
                "retryable": failure.retryable,
                "attempt": attempt,
                "wait_s": round(wait, 3) if failure.retryable and not self._interrupted else 0.0,
                "partial": deltas,
                "crashed": self._interrupted,
                **({"refused": True} if refused and failure.retry_after_s is not None else {}),
            },
        )
        return None

    def _record(self, message: Message) -> None:
        state = self._journal.state
        self._journal.record(
            "model.answered",
            {"step": state.step + 1, "message": encode(message)},
            MODEL.join(state.label),
        )


async def _made(spec: str | Model) -> Model:
    if not isinstance(spec, str):
        return spec
    from mainspring.models import resolve

    # A provider's library takes seconds to import; other runs of this loop go on meanwhile.
    return await asyncio.to_thread(resolve, spec)


def _all_failed(state: RunState) -> str:
    last: dict[str, str] = {}
    for failure in state.model_failures:
        last[failure["model"]] = failure["error"]
    return "no model answered: " + "; ".join(f"{name}: {error}" for name, error in last.items())


def checked(message: Message, state: RunState, name: str) -> Message:
    """An answer fit for the journal: our type, sound text, call ids that are unique in the run."""
    if not isinstance(message, Message) or message.role != "assistant":
        raise ModelError(f"{name} returned {type(message).__name__} instead of an assistant's Message")
    parts: list[Part] = []
    seen: set[str] = set()
    calls = 0
    for number, part in enumerate(message.parts):
        if isinstance(part, ToolCallPart):
            calls += 1
            if calls > MAX_CALLS:
                continue
            call_id = _sound(part.id)
            if not call_id or call_id in seen or call_id in state.call_ids or len(call_id) > 200:
                call_id = f"call_{state.step + 1}_{number}"
            while call_id in seen or call_id in state.call_ids:
                call_id += "x"
            seen.add(call_id)
            arguments = _sound_json(part.arguments)
            invalid = part.invalid
            if not isinstance(arguments, dict):
                arguments, invalid = {}, invalid if invalid is not None else repr(part.arguments)
            parts.append(
                ToolCallPart(call_id, _sound(part.name), arguments, None if invalid is None else _sound(invalid))
            )
        elif isinstance(part, TextPart):
            parts.append(TextPart(_sound(part.text)))
        elif isinstance(part, ThinkingPart):
            parts.append(ThinkingPart(_sound(part.text), None if part.signature is None else _sound(part.signature)))
        elif isinstance(part, ImagePart | FilePart) and isinstance(part.data, bytes):
            parts.append(part)
        else:
            raise ModelError(f"{name} answered with a part of type {type(part).__name__}, which no model may send")
    if calls > MAX_CALLS:
        left_out = calls - MAX_CALLS
        parts.append(TextPart(f"[mainspring: {left_out:,} further calls were dropped; at most {MAX_CALLS} at once]"))
    finish = None if message.finish is None else _sound(message.finish)
    return Message("assistant", tuple(parts), _sound_usage(message.usage), _sound(message.model or name), finish)


def _sound_usage(usage: Usage | None) -> Usage:
    """Counts that are whole and not negative, and a price that is a number; what a provider did not say is unknown."""
    if usage is None:
        return Usage(calls=1, usd=None)
    counts = usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens
    read, written, cached, stored = (max(0, c) if isinstance(c, int) else 0 for c in counts)
    usd = usage.usd
    known = isinstance(usd, int | float) and 0 <= usd < math.inf
    return Usage(read, written, cached, stored, max(1, usage.calls), float(usd) if known and usd is not None else None)


def _sound(text: object) -> str:
    """Text without lone surrogates, which cannot be written as UTF-8."""
    return valid_text(text if isinstance(text, str) else str(text))


def _sound_json(value: Any, depth: int = 0) -> Any:
    """A JSON value with sound text; anything else becomes its repr."""
    if isinstance(value, int) and value.bit_length() > 13_000:
        return f"[a number of {value.bit_length():,} bits]"  # longer than Python writes out
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return _sound(value)
    if isinstance(value, float):
        return value if value == value and value not in (float("inf"), float("-inf")) else repr(value)
    if depth > 100:
        return "[nested too deeply]"
    if isinstance(value, list | tuple):
        return [_sound_json(v, depth + 1) for v in value]
    if hasattr(value, "items"):
        return {_sound(k): _sound_json(v, depth + 1) for k, v in value.items()}
    return repr(value)
