"""The loop: what to do next follows from the state, and the state from the journal.

A step is a model call and the effects that it asks for. Everything that happens is recorded before it is acted on; see
`effects.py` for the protocol of one call.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.agent import Agent, Drift, Limits
from mainspring.errors import MainspringError, ToolError
from mainspring.guard.handles import fill_answer
from mainspring.label import SYSTEM, USER, Label
from mainspring.messages import Message, TextPart, Usage, encode_usage
from mainspring.model import Model, ModelSettings, ToolSpec, model_name
from mainspring.points import reach
from mainspring.runtime.bounds import TIME_IS_OVER
from mainspring.runtime.budget import check_budget
from mainspring.runtime.builtin import NOTE, NOTE_FROM_CHARS, READ_NOTES, READ_RESULT, builtin_tools
from mainspring.runtime.calls import Checked, Refusal, denial
from mainspring.runtime.clean import RUN_PROGRAM, clean_tools
from mainspring.runtime.compaction import (
    CHARS_PER_TOKEN,
    DIGEST_SHARE,
    LEAST_SHARE,
    MAX_DIGEST_CHARS,
    START_SHARE,
    SUMMARY_ORDER,
    plan_compaction,
)
from mainspring.runtime.context import for_model, message_chars, note
from mainspring.runtime.dispatch import attended, leaving
from mainspring.runtime.drift import EVERY, Verdict, ask_judge, may_judge, reminder, signals
from mainspring.runtime.effects import Effects
from mainspring.runtime.foreign import interrupted, said_by
from mainspring.runtime.gate import Gate
from mainspring.runtime.granting import compile_grants
from mainspring.runtime.handover import CHECK_ORDER, digest_of, kept, missing_facts, report, reserved
from mainspring.runtime.inbox import CANCEL, PAUSE, WAKE, take_inbox
from mainspring.runtime.journal import Journal
from mainspring.runtime.output import CHECKED, MAX_REJECTIONS, OutputType, judge
from mainspring.runtime.settings import settings_of
from mainspring.runtime.state import CallState
from mainspring.runtime.thinking import Answered, Asleep, Exhausted, Interrupted, Thinker, TooLong, checked
from mainspring.tool import Tool

if TYPE_CHECKING:
    from mainspring.runtime.programs import Programs

#: Seconds between looks into the inbox while a model or a tool works.
POLL_S = 1.0
#: Why a call of an imported run waits for a person.
ELSEWHERE = "this run was imported, and its call was begun elsewhere: nobody here allowed it"
#: Calls of one step that run beside each other.
MAX_PARALLEL = 16


class Engine:
    """Drives one run under one lease until it ends, waits, or is stopped."""

    def __init__(self, agent: Agent, journal: Journal, home: Path, run: Any) -> None:
        self.agent = agent
        self.journal = journal
        self.state = journal.state
        self._run = run  # the public face, for the agent's check
        self._output_type = OutputType(agent.output_type) if agent.output_type is not None else None
        self.settings = settings_of(home)
        self._held = self.state.bounds.hold(agent.tools)
        self.tools: dict[str, Tool] = self.settings.configured(dict(self._held))
        workspace = Path(self.state.workspace) if self.state.workspace else None
        self.effects = Effects(journal, workspace, home, self.settings.secrets)
        schema = self._output_type.schema if self._output_type else None
        self._thinker = Thinker(agent, journal, self._specs, schema)
        self._clean = self.state.guard.mode == "clean"
        if self.tools:
            own = builtin_tools(journal.store, self.state, taken=self.tools)
            if self._clean:
                own = {n: own[n] for n in (NOTE, READ_NOTES) if n in own}  # read_result would show what it reads
                own |= clean_tools(self.state, journal.store, self._reader, self.effects.spent, self._held)
            self.tools = self.tools | own
        self._programs: Programs | None = None  # made when there is a program to run
        self._gate = Gate(agent, journal, self.tools, self.settings)
        self._pause: str | None = None
        self._leaving = leaving.get()
        self._said = SYSTEM  # label of what was filled into the final answer
        self._timer: asyncio.TimerHandle | None = None
        self._limits = Limits.of(self.state.limits)

    async def drive(self) -> None:
        """Go on until nothing is left to do now. What was recorded is on disk when this returns.

        Raises:
            StoreError: the journal cannot be written; what was acknowledged is in it.
        """
        self._watch_inbox()
        task = asyncio.current_task()
        cancels = task.cancelling() if task is not None else 0
        try:
            await self._recover()
            while not self.journal.lease.released:
                if task is not None and task.cancelling() > cancels:
                    raise asyncio.CancelledError  # before a call is begun, not while it is
                await self._turn()
        except asyncio.CancelledError:
            await self._let_go("interrupted", None if self._leaving is None else time.time())
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()

    async def _turn(self) -> None:
        """One thing: take the inbox, then end, wait, act or think."""
        state = self.state
        # A run that is about to end or to wait must not overlook what somebody just said.
        resting = state.final is not None or any(c.stage in ("asked", "parked") for c in state.calls.values())
        self._pause = take_inbox(self.journal, surely=resting) or self._pause
        if state.cancel_requested is not None:
            await self._cancel(state.cancel_requested)
        elif state.ended:
            await self._release(state.status)
        elif self._pause is not None:
            await self._let_go(self._pause)
        elif self._leaving is not None and self._leaving.asked:
            await self._let_go("its worker stopped; another one goes on", time.time())
        elif state.open_calls:
            await self._work()
        elif state.final is not None:
            await self._finish(state.final)
        elif state.guard.compiled < len(state.guard.turns):
            await self._compile()
        elif state.drift_pause:
            await self._wait("waiting", state.drift_pause, None)
        else:
            await self._think()

    def _specs(self) -> list[ToolSpec]:
        """What the model is told of tools: the agent's own, and behind them ours from when there is a use for them.

        A small model is misled by tools that it does not need, and every model pays for reading them. Each comes once
        and stays, so that the prompt's beginning changes at most three times in a run, once together with a fold.
        """
        state = self.state
        wanted = {
            READ_RESULT: state.shortened,
            NOTE: state.plain_chars > NOTE_FROM_CHARS,
            READ_NOTES: bool(state.compactions),
        }
        own = self._held
        return [t.spec for name, t in self.tools.items() if name in own or wanted.get(name, True)]

    @property
    def paused(self) -> bool:
        """True when somebody asked it to stop."""
        return self._pause is not None

    # --- rights ---

    async def _compile(self) -> None:
        """Grants from what the user said, before anything else of this turn is read."""
        asked: Model | None = None
        if self.agent.compiles_grants():
            with contextlib.suppress(MainspringError):  # thinking will say that the model cannot be had
                asked = await self._thinker.aside()
        payload = await compile_grants(
            self.state, self.agent, [t for n, t in self.tools.items() if n in self._held], asked
        )
        self.journal.record("grants.compiled", payload, USER)

    async def _reader(self) -> Model:
        """The model that reads what the planner must not see: the agent's `reader`, or a planner without tools."""
        return await self._thinker.reader()

    # --- thinking ---

    async def _think(self) -> None:
        state = self.state
        verdict = check_budget(state, self._limits, time.time())
        if verdict.stop is not None:
            await self._end("failed", verdict.stop, _last_words(state.plain))
            return
        if verdict.warn is not None:
            name, spent, allowed, text = verdict.warn
            self.journal.record("limit.warned", {"limit": name, "spent": spent, "allowed": allowed, "text": text})
            return
        if await self._check_drift():
            return
        await self._compact_if_needed()
        match await self._thinker.think():
            case Answered():
                await self._refuse_at_limit()
            case Exhausted(reason):
                await self._end("failed", reason, _last_words(state.plain))
            case TooLong(reason):
                if not await self._compact(await self._thinker.window() // 2):
                    await self._end("failed", reason, _last_words(state.plain))
            case Asleep(wake_at, reason):
                await self._wait("waiting", reason, wake_at)
            case Interrupted():
                self._pause = take_inbox(self.journal, surely=True) or self._pause

    async def _refuse_at_limit(self) -> None:
        """A model that was told to give its last word and calls tools all the same gets no more of them."""
        if not any(key.endswith(":last") for key in self.state.warned):
            return
        for call in self.state.open_calls:
            self._gate.refuse(call, "Not called: the limit is reached, this was the last step.", "limit")

    async def _compact_if_needed(self) -> None:
        window = await self._thinker.window()
        if self.state.context.chars / CHARS_PER_TOKEN > window * START_SHARE:
            # What may not be folded can alone be too long; then a fold at each step would gain next to nothing.
            await self._compact(window, int(window * CHARS_PER_TOKEN * LEAST_SHARE))

    async def _compact(self, window: int, least: int = 0) -> bool:
        """Fold the older steps; False when there is nothing more to fold, or fewer than `least` characters of it."""
        state = self.state
        room = min(MAX_DIGEST_CHARS, int(window * CHARS_PER_TOKEN * DIGEST_SHARE))
        parts = kept(state, window, self.journal.store.children(state.run_id))
        plan = plan_compaction(state.plain, state.boundaries, state.head, window, reserved(parts, room))
        done = state.compactions[-1].get("end", 0) if state.compactions else 0
        if plan is None or plan[1] <= done:
            return False
        first, end = plan
        if sum(message_chars(m) for m in state.plain[max(first, done) : end]) < least:
            return False
        summary, usage = await self._ask_self(SUMMARY_ORDER)
        missing: list[str] = []
        if summary and self.agent.drift is not None and self.agent.drift.handover:
            said, more = await self._ask_self(CHECK_ORDER.format(summary=summary[:room]))
            missing, usage = missing_facts(said), _sum(usage, more)
        payload = {
            "first": first,
            "end": end,
            **parts,
            "summary": summary[:room],
            "missing": missing,
            "digest": digest_of(state, first, end, room),
            "chars_before": state.context.chars,
            "usage": None if usage is None else encode_usage(usage),
        }
        payload["handover"] = report(state, payload)
        self.journal.record("context.compacted", payload, state.label)
        return True

    async def _ask_self(self, order: str) -> tuple[str, Usage | None]:
        """What the model says of its own context; "" when it cannot: the digest of calls has to do."""
        await self.journal.flush()  # a model may see an outcome only when it is on disk
        try:
            model = await self._thinker.aside()
            messages = [*for_model(self.state.context, getattr(model, "takes", frozenset())), note(order)]
            # The same tools as ever: without them the provider's cache would miss on the longest prompt of the run.
            settings = ModelSettings(max_output_tokens=800, run_id=self.state.run_id, extra=self.agent.settings)
            async with asyncio.timeout(self.agent.model_timeout_s):
                said = await model.respond(messages, self._specs(), settings)
            answer = checked(said, self.state, model_name(model))
        except Exception:  # whatever it is: the run can go on without a summary
            return "", None
        return answer.text.strip(), answer.usage

    # --- serving the task ---

    async def _check_drift(self) -> bool:
        """Every so many steps: state the task again, say what is odd, ask the judge; True when it was recorded."""
        state, declared = self.state, self.agent.drift
        drift = declared or Drift(every=EVERY)
        if state.step == 0 or state.step % drift.every or state.drift_step == state.step:
            return False
        steps = [(step, made) for step, made in state.trail if step > state.step - drift.every]
        odd = signals(state, steps)
        verdict: Verdict | None = None
        if drift.judge is not None and may_judge(state):
            await self.journal.flush()
            try:
                judge_model = await self._thinker.judge(drift.judge)
            except MainspringError:
                verdict = Verdict("unsure", None, True, None)
            else:
                verdict = await ask_judge(judge_model, state, steps, self.agent.model_timeout_s)
        worth = declared is not None or bool(state.book) or any(p.kind == "said" for p in state.people)
        if not (worth or odd):
            return False
        broken = None
        pause = ""
        if verdict is not None and verdict.on_task == "no":
            broken = f"It breaks this rule: {verdict.rule.rstrip('.')}. " if verdict.rule else ""
            if state.drift_bad + 1 >= drift.bad:
                pause = (
                    f"{state.drift_bad + 1} checks in a row say that this run does not serve its task any more. "
                    f"{broken}Send it a message to go on, or cancel it"
                )
        # With nothing to keep in mind the model is told nothing: people see it in the journal.
        text = reminder(state, await self._thinker.window(), odd, broken) if worth else ""
        payload: dict[str, Any] = {"step": state.step, "signals": odd, "text": text}
        if verdict is not None:
            payload["verdict"] = {"on_task": verdict.on_task, "rule": verdict.rule, "failed": verdict.failed}
            payload["usage"] = verdict.usage
        if pause:
            payload["pause"] = pause
        self.journal.record("drift.checked", payload)
        return True

    # --- acting ---

    async def _work(self) -> None:
        """Refuse, ask, or make the calls of this step, as far as that goes now."""
        self._advance_program()
        await self._gate.decide([c for c in self.state.open_calls if not self._is_program(c)])
        ready = self._ready()
        if ready:
            await self._make(ready)
            return
        waiting = self.state.open_calls
        if not waiting:
            return  # all were refused; the model hears it in the next call
        if any(c.stage == "parked" for c in waiting):
            reasons = "; ".join(f"{c.part.name}: {c.reason}" for c in waiting if c.stage == "parked")
            await self._wait("in_doubt", reasons, None)
        else:
            asked = [c.part.name for c in waiting if c.stage == "asked"]
            asleep = [c for c in waiting if c.stage == "asleep"]
            why = [f"approval of {', '.join(asked)}"] if asked else []
            times = [c.wake_at for c in asleep if c.wake_at is not None]
            bounds = self.state.bounds
            if asleep and not asked and bounds.expires_at is not None and not bounds.over(time.time()):
                times.append(bounds.expires_at)  # it ends then, and does not sleep for ever
            await self._wait("waiting", "; ".join([*why, *(c.reason for c in asleep)]), min(times, default=None))

    def _is_program(self, call: CallState) -> bool:
        return self._clean and call.part.name == RUN_PROGRAM and call.parent is None

    def _advance_program(self) -> None:
        """Let the first open program go on, when everything that was asked for before it is finished."""
        for call in self.state.open_calls:
            if self._is_program(call):
                if self._programs is None:
                    from mainspring.runtime.programs import Programs

                    self._programs = Programs(self.journal, self.tools)
                self._programs.advance(call)
            elif call.parent is None:
                return

    def _ready(self) -> list[CallState]:
        """Calls that may be begun now: parallel ones together, any other only when all before it are finished."""
        ready: list[CallState] = []
        before_finished = True
        for call in self._in_turn():
            if call.stage == "finished" or self._is_program(call):
                continue
            may = call.stage == "approved" or call.stage == "retry" or (call.stage == "new" and call.approval is None)
            tool = self.tools.get(call.part.name)
            if may and tool is None:
                return [*ready, call]  # the declaration changed while the run slept; `_make` says so
            if may and tool is not None:
                if tool.parallel and len(ready) < MAX_PARALLEL:
                    ready.append(call)
                elif before_finished and not ready:
                    return [call]
                elif not tool.parallel:
                    break  # a look behind a change must not come before it
            before_finished = False
        return ready

    def _in_turn(self) -> list[CallState]:
        """Calls in the order that they were asked for. While a program runs, only its own calls are its turn."""
        calls = list(self.state.calls.values())
        program = next((c for c in calls if self._is_program(c) and c.stage != "finished"), None)
        if program is None:
            return calls
        if program.stage == "running":
            return [c for c in calls if c.parent == program.part.id]
        return calls[: calls.index(program)]

    async def _make(self, calls: Sequence[CallState]) -> None:
        """Intents of all, one flush, then the effects; each outcome goes to disk as soon as it is there."""
        begun: list[tuple[CallState, Checked]] = []
        prepared: list[tuple[CallState, Checked, Mapping[str, Any] | None]] = []
        for call in calls:
            checked = self._gate.check(call)
            if isinstance(checked, Refusal):  # the declaration changed while the run slept
                if call.stage == "retry":
                    self.effects.park(call, "the agent does not declare this call any more: " + checked.reason)
                else:
                    if call.approval is not None:
                        self.journal.expire(call.approval)
                    self._gate.refuse(call, checked.reason, checked.cause)
                continue
            tool, arguments = checked.tool, checked.arguments
            if call.stage == "retry":
                refused = self._gate.refused_again(call, checked)
                if self._gate.begun_elsewhere(call, tool) and not self._gate.answered_here(call):
                    self.effects.park(call, ELSEWHERE)
                elif refused is not None:
                    self._gate.refuse(call, denial(tool.name, f"Not allowed any more: {refused}."), "denied")
                elif await self.effects.settle(call, tool, arguments):
                    begun.append((call, checked))
                continue
            try:
                prepared.append((call, checked, await self.effects.prepare(call, tool, arguments)))
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and interrupted():
                    raise
                self._gate.refuse(call, *self._unprepared(call, tool, error))
        for call, checked, answer in prepared:  # without a pause, so that none is left begun by an interrupt
            allowed = self._gate.allowed(call)
            if allowed is not None:  # else it is decided in the next turn
                self.effects.intend(call, checked, answer, allowed)
                begun.append((call, checked))
        if not begun:
            return
        await self._begin(begun)

    def _unprepared(self, call: CallState, tool: Tool, error: BaseException) -> tuple[str, str, Label]:
        if self._clean:  # what went wrong may be told in a stranger's words
            return f"{tool.name} could not prepare this call ({type(error).__name__}).", "invalid", SYSTEM
        reason = said_by(error) if isinstance(error, ToolError) else f"{type(error).__name__}: {said_by(error)}"
        return reason, "invalid", tool.label.join(call.label)

    async def _begin(self, begun: Sequence[tuple[CallState, Checked]]) -> None:
        reach("intent.before_commit")
        await self.journal.flush()
        reach("intent.committed")

        async def act(call: CallState, checked: Checked) -> None:
            await self.effects.act(call, checked.tool, checked.arguments)
            if len(begun) > 1:
                self.journal.send()

        if len(begun) == 1:
            await act(*begun[0])
            return

        results = await asyncio.gather(*(act(*b) for b in begun), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _recover(self) -> None:
        """Settle what a dead process left open, before anything else happens."""
        reach("recovery.begun")
        state = self.state
        self._pause = take_inbox(self.journal, surely=True, waking=True)
        self._gate.distrust()
        if state.cancel_requested is not None:
            return  # nothing more is done for a run that is to end; what is unknown is said to be
        begun: list[tuple[CallState, Checked]] = []
        for call in state.open_calls:
            if call.stage != "intended" and (call.stage != "asleep" or self._pause is not None):
                continue  # a sleeper is called again when the pause is over
            checked = self._gate.check(call)
            if isinstance(checked, Refusal):
                await self.effects.settle(call, None, None)
            elif call.intended["settlement"] == "read" and state.bounds.over(time.time()):
                self._gate.refuse(call, denial(call.part.name, f"Not called again: {TIME_IS_OVER}."), "limit")
            elif self._gate.begun_elsewhere(call, checked.tool):
                self.effects.park(call, ELSEWHERE)
            elif (refused := self._gate.refused_again(call, checked)) is not None:
                self.effects.park(call, f"it was begun, and may not be repeated any more: {refused}")
            elif await self.effects.settle(call, checked.tool, checked.arguments):
                begun.append((call, checked))
        await self.journal.flush()
        for one in begun:
            await self._begin([one])

    # --- ending, waiting, stopping ---

    async def _finish(self, message: Message) -> None:
        state = self.state
        if message.finish == "refusal":
            await self._end("failed", f"{message.model} refused: {message.text[:500]}", message.text)
            return
        if self.agent.check is not None:
            await self.journal.flush()  # it acts on the answer
        try:
            said = message
            if self._clean:
                message = self._filled(message)
            output, complaint = await judge(message, self.agent, self._output_type, self._run)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and interrupted():
                raise
            reason = f"the agent's check failed: {type(error).__name__}: {said_by(error)}"
            await self._end("failed", reason, message.text)
            return
        if complaint is None:
            last = any(key.endswith(":last") for key in state.warned)
            dumped = self._output_type.dump(output) if self._output_type else output
            if last:
                name = next(k for k in state.warned if k.endswith(":last")).removesuffix(":last")
                await self._end("failed", f"limit {name} reached; the output is the agent's last word", dumped)
            else:
                await self._end("done", "", dumped)
        elif state.rejections + 1 >= MAX_REJECTIONS or any(key.endswith(":last") for key in state.warned):
            await self._end("failed", f"no acceptable final answer: {complaint}", message.text)
        else:
            rejected = {"step": state.step, "complaint": complaint}
            # A complaint may quote what was filled in, and an agent's check whatever it found in the run.
            quotes = message.text != said.text or (complaint.startswith(CHECKED) and bool(state.guard.handles))
            if self._clean and quotes:
                about = "Your final answer, with its handles filled in, was not accepted"
                rejected |= {"complaint": f"{about}: it did not fit, or failed a check.", "detail": complaint}
            self.journal.record("output.rejected", rejected)

    def _filled(self, message: Message) -> Message:
        """The planner's last word with the handles in it filled in; it is the user's, who may read what they hold."""
        filled = fill_answer(message.text, self.state.guard.value, self._output_type is not None)
        self._said = filled.label
        return replace(message, parts=(TextPart(str(filled.data)),))

    async def _end(self, status: str, reason: str, output: Any) -> None:
        reach("run.before_end")
        self.journal.record(
            "run.ended",
            {"status": status, "reason": reason, "output": output, "usage": encode_usage(self.state.usage)},
            self.state.label.join(self._said),
        )
        await self._release(status)
        reach("run.ended")

    async def _wait(self, status: str, reason: str, wake_at: float | None) -> None:
        self.journal.record("run.waiting", {"status": status, "reason": reason, "wake_at": wake_at})
        await self._release(status, wake_at)
        reach("approval.requested")

    async def _let_go(self, reason: str, wake_at: float | None = None) -> None:
        if not self.journal.lease.released:
            self.journal.record("run.paused", {"reason": reason})
            await self._release("waiting", wake_at)

    async def _cancel(self, request: Mapping[str, Any]) -> None:
        for call in self.state.open_calls:
            if call.stage in ("asked", "approved") and call.approval is not None:
                self.journal.expire(call.approval)
        open_calls = self.state.open_calls
        unknown = [c for c in open_calls if c.stage in ("intended", "parked") or (c.stage == "asleep" and c.unseen)]
        doubts = [c.part.name for c in unknown if c.intended["settlement"] != "read"]
        await asyncio.to_thread(self._tell_children, request)  # there may be hundreds, and each is written to disk
        in_doubt = f"; in doubt: {', '.join(doubts)}" if doubts else ""
        await self._end("cancelled", f"{request['by']}: {request['reason']}{in_doubt}", None)

    def _tell_children(self, request: Mapping[str, Any]) -> None:
        """Whoever this run has started ends with it."""
        store = self.journal.store
        for row in store.children(self.state.run_id):
            if row.status not in ("done", "failed", "cancelled"):
                store.post(
                    row.id, CANCEL, {"by": request["by"], "reason": f"its creator was cancelled: {request['reason']}"}
                )

    async def _release(self, status: str, wake_at: float | None = None) -> None:
        await self.journal.flush(status=status, wake_at=wake_at, release=True)
        if self.state.bounds.parent is not None and not attended.get():
            with contextlib.suppress(MainspringError):  # whoever waits looks from time to time as well
                parent = self.journal.store.row(self.state.bounds.parent)
                if parent.status not in ("done", "failed", "cancelled"):  # else nobody would ever take it out again
                    self.journal.store.post(parent.id, WAKE, {"run": self.state.run_id, "status": status})
        try:
            self.journal.store.seal(self.state.run_id)
        except MainspringError as error:  # the run is as good as before; `mainspring audit verify` says it too
            line = f"the end of this journal could not be signed: {error}"
            self.journal.tell_live("progress", {"tool": "mainspring", "line": line})

    # --- people who interrupt ---

    def _watch_inbox(self) -> None:
        """Look into the inbox now and then, so that a pause or a cancel need not wait for a slow model."""
        loop = asyncio.get_running_loop()

        def look() -> None:
            if self.journal.lease.released:
                return
            with contextlib.suppress(MainspringError):
                kinds = {item.kind for item in self.journal.store.inbox(self.journal.lease.run_id)}
                if kinds & {PAUSE, CANCEL} or (self._leaving is not None and self._leaving.hurried):
                    self._thinker.interrupt()
            self._timer = loop.call_later(POLL_S, look)

        self._timer = loop.call_later(POLL_S, look)


def _last_words(messages: Sequence[Message]) -> str | None:
    for message in reversed(messages):
        if message.role == "assistant" and message.text.strip():
            return message.text.strip()
    return None


def _sum(one: Usage | None, other: Usage | None) -> Usage | None:
    return one if other is None else other if one is None else one + other
