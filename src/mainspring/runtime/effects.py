"""The effect protocol: intent on disk, act, outcome on disk; and how an intent without an outcome is settled.

1. `intend` records the intent and uses the approval up; the caller flushes both in one transaction.
2. `act` checks lease and deadline, runs the tool with its key, and records the outcome.
3. `settle` comes after a crash: a read is run again, a keyed call again under the same key, a reconciled one asks the
   service, and anything else is parked until a person answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.content import to_content
from mainspring.errors import LeaseLostError, ToolError
from mainspring.guard import Decision
from mainspring.guard.handles import Resolved
from mainspring.label import MODEL, Label, join_all
from mainspring.messages import TextPart, encode_usage
from mainspring.points import reach
from mainspring.runtime.builtin import NOTE
from mainspring.runtime.calls import Checked, arguments_digest, call_digest, effect_key, resolve_arguments
from mainspring.runtime.foreign import interrupted, said_by
from mainspring.runtime.journal import Journal, soon
from mainspring.runtime.outcome import outcome
from mainspring.runtime.state import CallState
from mainspring.threads import at_work
from mainspring.tool import DidNotHappen, Happened, NotYet, Tool, ToolContext
from mainspring.value import Labelled

if TYPE_CHECKING:
    from mainspring.secrets import Secrets

#: Times that one effect is begun before it is parked: a tool that kills its process must not do so for ever.
MAX_ATTEMPTS = 5
#: Seconds for which a call without a time limit may still be under way after its process fell silent.
UNSEEN_S = 60.0
#: Seconds behind a call's deadline after which nothing of it arrives any more: clocks differ, and so do networks.
GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class Effects:
    """Carries effects out for one run."""

    journal: Journal
    workspace: Path | None
    home: Path
    secrets: Secrets | None = None
    #: Idempotency key -> what a call of our own spent: fields of its outcome beside the answer.
    spent: dict[str, dict[str, Any]] = field(default_factory=dict)

    def context(self, call: CallState, key: str) -> ToolContext:
        """What the tool may know of this call."""

        loop = asyncio.get_running_loop()

        def report(line: str) -> None:
            # Watchers are told in the event loop, wherever the tool itself runs.
            said = line if self.secrets is None else str(self.secrets.scrub(line))
            soon(loop, lambda: self.journal.tell_live("progress", {"tool": call.part.name, "line": said}))

        state, resolved = self.journal.state, self._resolved(call)
        return ToolContext(
            state.run_id,
            key,
            self.workspace,
            self.home,
            call.intended.get("prepared"),
            report,
            {n: r.value.whole_label for n, r in resolved.items()},
            state.guard.principals,
            {n: r.value for n, r in resolved.items()},
            lambda: self.journal.store.holds(self.journal.lease),
        )

    def _resolved(self, call: CallState) -> Mapping[str, Resolved]:
        try:
            return resolve_arguments(call, self.journal.state)
        except ToolError:  # a call that cannot be resolved is never begun; it may still be settled
            return {}

    async def prepare(self, call: CallState, tool: Tool, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What the tool wants to have on disk before it acts; raises what the tool raises."""
        if tool.prepare is None:
            return None
        return await tool.run_prepare(arguments, self.context(call, ""))

    def intend(self, call: CallState, checked: Checked, prepared: Mapping[str, Any] | None, allowed: Decision) -> None:
        """Record the intent, and why it is allowed. It may be acted on only after the next flush."""
        journal, tool = self.journal, checked.tool
        seq = journal.next_seq()
        if call.stage == "approved" and call.approval is not None:
            journal.consume(call.approval, call_digest(journal.state, call, checked), seq)
        journal.record(
            "effect.intended",
            {
                "step": journal.state.step,
                "call_id": call.part.id,
                "tool": tool.name,
                "arguments": dict(call.part.arguments),
                "digest": arguments_digest(checked.plain),
                "settlement": tool.settlement,
                "key": effect_key(journal.lease.run_id, seq),
                "epoch": journal.lease.epoch,
                "deadline": None if tool.timeout_s is None else round(time.time() + tool.timeout_s, 3),
                "approval": call.approval if call.stage == "approved" else None,
                "prepared": prepared,
                "grant": allowed.grant or None,
                "why": allowed.reason,
                # What an audit asks for: the values themselves, not the names that the planner had for them.
                **({"passed": checked.plain} if checked.handles and tool.consequential else {}),
            },
            call.label.join(checked.label) if checked.handles else call.label,
        )

    async def act(self, call: CallState, tool: Tool, arguments: Mapping[str, Any]) -> None:
        """Run the tool and record its outcome. The intent is on disk.

        Raises:
            LeaseLostError: another owner may have the run; nothing was done.
        """
        journal = self.journal
        context = self.context(call, call.intended["key"])
        reach("effect.before_act")
        if not journal.store.holds(journal.lease):
            raise LeaseLostError(f"run {journal.lease.run_id}: the lease is gone; {tool.name} was not called")
        deadline = call.intended["deadline"]
        if call.attempts == 1 and deadline is not None and time.time() > deadline:
            text = f"{tool.name} was not called: its time had passed before it could begin"
            self._done(call, tool, text, True, 0.0, "ran")
            return
        answer: object
        began = time.monotonic()
        try:
            filled = await self._filled(call, tool, arguments, context)
            value = await _bounded(tool, filled, context)
        except NotYet as waits:
            if self._asleep(call, tool, waits):
                return
            answer = f"{tool.name} cannot wait: it neither only reads nor has a key, so it may not be called again"
            is_error = True
        except TimeoutError as error:
            await self._timed_out(call, tool, arguments, context, said_by(error), time.monotonic() - began)
            return
        except ToolError as error:
            answer = said_by(error)
            is_error = True
        except asyncio.CancelledError as error:
            if interrupted():
                raise
            answer, is_error = _crash_report(tool, error), True
        except (Exception, SystemExit) as error:
            answer, is_error = _crash_report(tool, error), True
        else:
            reach("effect.acted")
            answer, is_error = value, False
        if is_error and not journal.store.holds(journal.lease):
            # The tool may have stopped for this very reason; whoever has the run now settles what was begun.
            lost = LeaseLostError(f"run {journal.lease.run_id}: the lease was lost while {tool.name} worked")
            raise journal.store.broken or lost
        self._done(call, tool, answer, is_error, time.monotonic() - began, "ran")

    def _asleep(self, call: CallState, tool: Tool, waits: NotYet) -> bool:
        """Let the run sleep until what the tool waits for is there; False when the tool may not be called again."""
        if tool.settlement not in ("read", "keyed"):
            return False
        self.journal.record(
            "effect.asleep",
            {"intent": call.intent, "call_id": call.part.id, "reason": waits.reason[:2000], "wake_at": waits.wake_at},
        )
        return True

    async def settle(self, call: CallState, tool: Tool | None, arguments: Mapping[str, Any] | None) -> bool:
        """Settle an intent without an outcome. Returns True when it is to be acted on (again) by the caller."""
        reach("recovery.before_settle")
        again = await self._settle(call, tool, arguments)
        if again is not None:
            self.journal.record(
                "effect.retried",
                {
                    "intent": call.intent,
                    "attempt": call.attempts + 1,
                    "epoch": self.journal.lease.epoch,
                    "why": again,
                },
            )
        reach("recovery.settled")
        return again is not None

    async def _settle(self, call: CallState, tool: Tool | None, arguments: Mapping[str, Any] | None) -> str | None:
        if tool is None or arguments is None:
            self.park(call, "the agent does not declare this tool any more, or not with these arguments")
            return None
        was = call.intended["settlement"]
        if was not in ("read", "keyed") and at_work(call.intended["key"]):
            self.park(call, "the attempt that was given up is still at work in this process; wait until it has ended")
            return None
        if call.stage == "retry":
            return "a person said that it did not take effect"
        deaths = call.attempts - call.sleeps
        if deaths >= MAX_ATTEMPTS:
            self.park(call, f"the process died {deaths} times while {tool.name} ran")
            return None
        if was == tool.settlement == "read":
            return "it only reads"
        if was == tool.settlement == "keyed":
            if call.stage == "asleep":
                return "what it waited for may be there"
            age = time.time() - call.intended_at
            if tool.key_ttl_s is not None and age >= tool.key_ttl_s:
                self.park(call, f"its key is {age:.0f} s old and honoured for {tool.key_ttl_s:.0f} s only")
                return None
            return "it is repeated under the same key"
        if self._may_be_on_its_way(call):
            return None
        if tool.reconcile is not None:
            return await self._reconcile(call, tool, arguments)
        self.park(call, "the process died after the call was begun, and the tool cannot say whether it took effect")
        return None

    def _may_be_on_its_way(self, call: CallState) -> bool:
        """Sleep until what a silent owner has begun is over: asked before, the service may say that it did not happen,
        and then it does."""
        limit = call.intended["deadline"]
        # The deadline is the first attempt's; a later one had as long, from when it was begun.
        deadline = call.tried_at + (UNSEEN_S if limit is None else limit - call.intended_at)
        silent = self.journal.lease.unseen or call.stage == "asleep"  # woken early, it still waits
        if not silent or time.time() > deadline + GRACE_S:
            return False
        self.journal.record(
            "effect.asleep",
            {
                "intent": call.intent,
                "call_id": call.part.id,
                "reason": f"{call.part.name} was begun by a process that has fallen silent; it may be under way",
                "wake_at": round(deadline + GRACE_S, 3),
                "unseen": True,
            },
        )
        return True

    async def _reconcile(self, call: CallState, tool: Tool, arguments: Mapping[str, Any]) -> str | None:
        context = self.context(call, call.intended["key"])
        try:
            settled = await tool.run_reconcile(await self._filled(call, tool, arguments, context), context)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and interrupted():
                raise
            said = f"asking whether it took effect failed: {type(error).__name__}: {said_by(error)}"
            self.park(call, said if self.secrets is None else str(self.secrets.scrub(said)))
            return None
        if isinstance(settled, Happened):
            self._done(call, tool, settled.value, False, 0.0, "adopted")
            return None
        if isinstance(settled, DidNotHappen):
            return "the tool's reconcile says that it did not take effect"
        self.park(call, settled.reason or "the tool's reconcile cannot tell whether it took effect")
        return None

    async def _filled(
        self, call: CallState, tool: Tool, arguments: Mapping[str, Any], context: ToolContext
    ) -> Mapping[str, Any]:
        """The arguments with their secrets, for the tool alone: neither the journal nor a person sees these."""
        if self.secrets is None:
            return arguments
        return await asyncio.to_thread(
            self.secrets.fill, arguments, tool.name, context.principal, self._written_labels(call, context)
        )

    def _written_labels(self, call: CallState, context: ToolContext) -> dict[str, Label]:
        # What the model wrote after it had read strangers' text may be a stranger's wish for a secret.
        return {n: label.join(call.label) for n, label in context.labels.items()}

    def _scrubbed(self, answer: object) -> object:
        """What came back without any secret in it; as text and JSON, since a secret hides in any object's words."""
        assert self.secrets is not None
        if isinstance(answer, Labelled):
            return Labelled(self._scrubbed(answer.value), answer.labels, answer.usage)
        if isinstance(answer, str | bytes | int | float | dict | list | None):
            return self.secrets.scrub(answer)
        parts = to_content(answer)
        return [replace(p, text=self.secrets.scrub(p.text)) if isinstance(p, TextPart) else p for p in parts]

    def park(self, call: CallState, reason: str) -> None:
        """Put a call in doubt until a person answers."""
        self.journal.record(
            "effect.parked",
            {"intent": call.intent, "call_id": call.part.id, "tool": call.part.name, "reason": reason},
        )

    def _done(self, call: CallState, tool: Tool, answer: object, is_error: bool, seconds: float, settled: str) -> None:
        if self.secrets is not None:
            answer = self._scrubbed(answer)
        state = self.journal.state
        if isinstance(answer, Labelled) and answer.usage is not None:
            self.spent.setdefault(str(call.intended.get("key")), {})["usage"] = encode_usage(answer.usage)
        as_handle = state.guard.mode == "clean" or call.parent is not None
        passed = join_all(r.value.whole_label for r in self._resolved(call).values()) if as_handle else call.label
        fields, label = outcome(
            tool,
            answer,
            is_error,
            state.guard,
            call_id=call.part.id,
            context=call.label,
            passed=passed,
            as_handle=as_handle,
            nested=call.parent is not None,
        )
        payload: dict[str, Any] = {
            "intent": call.intent,
            "step": self.journal.state.step,
            "call_id": call.part.id,
            "tool": tool.name,
            **fields,
            **self.spent.pop(str(call.intended.get("key")), {}),
            "is_error": is_error,
            "seconds": round(seconds, 3),
            "settled": settled,
        }
        ours = tool.name == NOTE and tool.label == MODEL  # and not a user's tool of that name
        if ours and not is_error and call.parent is None:
            payload["note"] = {k: str(call.part.arguments.get(k, "")) for k in ("kind", "text")}
        reach("outcome.before_commit")
        self.journal.record("effect.done", payload, label)

    async def _timed_out(
        self,
        call: CallState,
        tool: Tool,
        arguments: Mapping[str, Any],
        context: ToolContext,
        said: str,
        seconds: float,
    ) -> None:
        limit = "its own time limit" if tool.timeout_s is None else f"{tool.timeout_s:g} s"
        if tool.effect == "read":
            text = f"{tool.name} gave no answer within {limit}. {said}".strip()
            self._done(call, tool, text, True, seconds, "ran")
        elif tool.reconcile is not None and tool.is_async:
            # Only an async call is really stopped; a thread may still be acting, so asking would prove nothing.
            again = await self._reconcile(call, tool, arguments)
            if again is not None:
                text = f"{tool.name} gave no answer within {limit}; {again}. {said}".strip()
                self._done(call, tool, text, True, seconds, "ran")
        else:
            working = " and be still at work" if at_work(call.intended["key"]) else ""
            if said and self.secrets is not None:
                said = str(self.secrets.scrub(said))
            more = f". {said[:4000]}" if said else ""
            self.park(call, f"{tool.name} gave no answer within {limit}; it may have taken effect{working}{more}")


async def _bounded(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> Any:
    """Run the tool within its time limit.

    A thread cannot be stopped: when we are cancelled, we wait for it, so that its outcome is known and recorded.
    """
    if tool.is_async:
        if tool.timeout_s is None:
            return await tool.call(arguments, context)
        async with asyncio.timeout(tool.timeout_s):
            return await tool.call(arguments, context)
    thread = asyncio.ensure_future(tool.call(arguments, context))
    try:
        done, _ = await asyncio.wait({thread}, timeout=tool.timeout_s)
    except asyncio.CancelledError:
        done, _ = await asyncio.wait({thread})
        task = asyncio.current_task()
        if task is not None:  # hand the cancellation on to the next wait
            task.uncancel()
            task.cancel()
    if not done:
        thread.add_done_callback(lambda t: t.cancelled() or t.exception())
        raise TimeoutError
    return thread.result()


def _crash_report(tool: Tool, error: BaseException) -> str:
    text = f"{tool.name} failed: {type(error).__name__}: {said_by(error)[:4000]}"
    if tool.effect == "irreversible":
        text += "\nIt may have taken effect before it failed: check before you repeat it."
    return text
