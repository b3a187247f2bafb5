"""A run's state: a fold over its events. Nothing else may change it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mainspring.label import MODEL, PASTE, Label
from mainspring.messages import (
    Message,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
    decode,
    decode_part,
    decode_usage,
    system,
)
from mainspring.runtime.bounds import NO_BOUNDS, Bounds
from mainspring.runtime.compaction import fold_compaction
from mainspring.runtime.context import PREVIEW_CHARS, Context, message_chars, note, preview
from mainspring.runtime.drift import KEPT_STEPS, Traced
from mainspring.runtime.events import KINDS, check_version
from mainspring.runtime.guarded import GuardState, decoded_values, handle_data
from mainspring.runtime.notes import Notes, Person, Spoken
from mainspring.store import Event
from mainspring.value import Value


@dataclass(slots=True)
class CallState:
    """One tool call of the current step.

    `stage` says what is due: ``new`` (to be checked and decided), ``asked`` (a person is asked), ``approved``,
    ``intended`` (acting, or the process died while it did), ``asleep`` (the tool waits for something, and is called
    again under the same key), ``parked`` (in doubt), ``retry`` (to act again under the same intent), ``running`` (a
    program that goes on when its calls are finished), ``finished`` (has a result).
    """

    part: ToolCallPart
    label: Label = field(default_factory=Label)  # of everything the model had seen when it asked
    stage: Literal["new", "asked", "approved", "intended", "parked", "retry", "asleep", "running", "finished"] = "new"
    approval: str | None = None
    intent: int | None = None
    intended: dict[str, Any] = field(default_factory=dict)
    intended_at: float = 0.0
    tried_at: float = 0.0  # when the latest attempt was begun
    attempts: int = 0
    sleeps: int = 0  # attempts that ended because the tool waits
    wake_at: float | None = None
    unseen: bool = False  # it sleeps because whoever began it fell silent, and may still be at it
    result: ToolResultPart | None = None
    reason: str = ""
    refused: str = ""  # why it was not made, in a word
    asked: dict[str, Any] = field(default_factory=dict)  # what a person was shown
    answered_seq: int = 0  # by which event a person said yes
    parent: str | None = None  # the program that makes this call, by its call id
    values: dict[str, Value] | None = None  # labelled arguments of a program's call
    origins: dict[str, str] = field(default_factory=dict)  # where they came from, for a person
    whole: dict[str, bool] = field(default_factory=dict)  # whether each is one value as somebody wrote it
    handle: str | None = None  # what its answer is called


#: What a step called, with what, and what came back; equal for equal steps within one process.
Fingerprint: TypeAlias = tuple[tuple[str, Mapping[str, Any], str | None, int], ...]
KEPT_FINGERPRINTS = 64


class RunState:
    """What the events of a run amount to."""

    def __init__(self) -> None:
        self.run_id = ""
        self.seq = 0
        self.agent: dict[str, Any] = {}
        self.origin: str | None = None
        self.bounds = NO_BOUNDS
        self.forks: list[tuple[str, int]] = []  # whose history it has, and up to which event
        self.task = ""
        self.workspace: str | None = None
        self.limits: dict[str, float | None] = {}
        self.status = "running"
        self.reason = ""
        self.output: Any = None
        self.step = 0  # answers of the model so far
        self.usage = Usage()
        self.unpriced_calls = 0
        self.guard = GuardState()
        self.context = Context()
        self.preview_chars = PREVIEW_CHARS
        self.calls: dict[str, CallState] = {}  # of the current step, by call id, in order
        self.results: dict[str, int] = {}  # call id -> seq of the event that holds its whole result
        self.call_ids: set[str] = set()
        self.queued: list[Message] = []  # said while calls were open; they follow the results
        self.final: Message | None = None  # the model's last word, until it is accepted or rejected
        self.cancel_requested: dict[str, Any] | None = None
        self.model_open: dict[str, Any] | None = None  # a model call whose answer is not there
        self.model_failures: list[dict[str, Any]] = []  # since the last answer
        self.rejections = 0  # of final answers in a row
        self.failures = 0  # failed calls in a row
        self.trouble = 0  # failed checks and calls since the last clean step, for effort="auto"
        self.fingerprints: list[Fingerprint] = []  # one a step, of the newest ones
        self.warned: set[str] = set()
        self.busy_seconds = 0.0
        self._busy_since: float | None = None
        self._last_at = 0.0
        self.resumed_at = 0.0  # Unix times: when a person resumed it last, and when it was resumed after it had ended
        self.revived_at = 0.0
        self.people: list[Person] = []  # what they said and decided, kept verbatim through compactions
        self.book = Notes()  # decisions and open work that the model noted
        self.changed: dict[str, None] = {}  # paths that calls with effects named, the newest last
        self.trail: deque[tuple[int, list[Traced]]] = deque(maxlen=KEPT_STEPS)  # the newest steps, for drift.py
        self.drift_step = 0  # of the newest check
        self.drift_bad = 0  # verdicts in a row that the run has left its task
        self.drift_pause = ""  # why it may not go on until a person speaks
        self.task_trusted = True  # whether no outsider wrote any of its first event
        self.compactions: list[dict[str, Any]] = []
        self.boundaries: list[int] = []  # context length at the end of each step, for compaction and fork
        self.plain: list[Message] = []  # the whole uncompacted context
        self.plain_chars = 0  # its rough size
        self.shortened = False  # whether any answer was, or steps were folded
        self.head = 0  # messages at its front that always stay: standing orders and task

    # --- folding ---

    @classmethod
    def of(cls, events: Iterable[Event]) -> RunState:
        """The state after `events`; raises JournalVersionError or StoreError."""
        state = cls()
        for event in events:
            state.apply(event)
        return state

    def apply(self, event: Event) -> None:
        """Take one more event into account."""
        check_version(event)
        self.seq = event.seq
        if self._busy_since is None and event.kind not in ("run.waiting", "run.paused", "run.ended"):
            self._busy_since = event.at
        _HANDLERS[event.kind](self, event, event.payload)
        self._last_at = event.at

    @property
    def label(self) -> Label:
        """Who may have written what the model has seen."""
        return self.guard.label

    @property
    def persons(self) -> list[str]:
        """What people said and decided, as the model may see it."""
        return [person.text for person in self.people]

    @property
    def notes(self) -> list[dict[str, str]]:
        """Decisions and open work that the model noted."""
        return [note for _, note in self.book.open()]

    @property
    def open_calls(self) -> list[CallState]:
        """Calls of this step that have no result yet, in order."""
        return [c for c in self.calls.values() if c.stage != "finished"]

    @property
    def ended(self) -> bool:
        """True when nothing is left to do (a failed run may be resumed all the same)."""
        return self.status in ("done", "failed", "cancelled")

    def seconds(self, now: float) -> float:
        """Seconds spent executing; waiting for people does not count."""
        running = 0.0 if self._busy_since is None else max(0.0, now - self._busy_since)
        return self.busy_seconds + running

    @property
    def seconds_so_far(self) -> float:
        """Seconds spent executing up to the last event: what counts of a run whose process died."""
        return self.seconds(self._last_at)

    def _rest(self, at: float) -> None:
        if self._busy_since is not None:
            self.busy_seconds += max(0.0, at - self._busy_since)
        self._busy_since = None

    def _add(self, message: Message) -> None:
        self.context.add(message)
        self.plain.append(message)
        self.plain_chars += message_chars(message)

    def _on_run_started(self, event: Event, p: dict[str, Any]) -> None:
        self.run_id = event.run_id
        self.agent = p["agent"]
        self.origin = p.get("origin")
        self.workspace = p.get("workspace")
        self.bounds = Bounds.decode(p.get("bounds"))
        self.limits = dict(p.get("limits", {}))
        self.preview_chars = p.get("preview_chars", PREVIEW_CHARS)
        if p["system"]:
            self._add(system(p["system"]))
        first = [decode(m) for m in p["messages"]]
        for message in first:
            self._add(message)
        self.head = len(self.plain)
        self.task = "\n".join(m.text for m in first if m.role == "user")
        self.task_trusted = event.label.trusted
        self.guard.started(p, event.label)

    def _on_run_forked(self, event: Event, p: dict[str, Any]) -> None:
        self.run_id = event.run_id
        self.cancel_requested = None
        self.forks.append((p["parent"], p["seq"]))
        self._rest(event.at)
        self.busy_seconds = p.get("seconds", self.busy_seconds)  # the copied events have the time of the fork

    def _on_run_resumed(self, event: Event, p: dict[str, Any]) -> None:
        self.guard.base(event.label)  # servers whose tools nobody has looked at
        if p.get("imported") and self.guard.distrust():
            self.workspace = None  # whoever made the journal named it; a person here names another
        if p.get("workspace"):
            self.workspace = p["workspace"]
        # A dead process left the clock running: its last event is where it stopped counting.
        self.busy_seconds = p.get("seconds", self.busy_seconds)
        self._busy_since = event.at
        if not p.get("worker"):
            self.resumed_at = event.at
        if self.ended:
            self.revived_at = event.at
            self.cancel_requested = None
            self.final = None
            self.model_failures = []
            self.rejections = self.failures = 0
            self.fingerprints = []
        self.status = "running"
        self.reason = ""
        if p.get("limits"):
            self.limits = dict(p["limits"])
            self.warned = set()
        if self.model_open is not None:
            self.model_open = None

    def _on_run_waiting(self, event: Event, p: dict[str, Any]) -> None:
        self.status = p["status"]
        self.reason = p.get("reason", "")
        self._rest(event.at)

    def _on_run_paused(self, event: Event, p: dict[str, Any]) -> None:
        self.status = "waiting"
        self.reason = p["reason"]
        self._rest(event.at)

    def _on_run_cancel_requested(self, event: Event, p: dict[str, Any]) -> None:
        self.cancel_requested = p

    def _on_run_ended(self, event: Event, p: dict[str, Any]) -> None:
        self.status = p["status"]
        self.reason = p["reason"]
        self.output = p["output"]
        self._rest(event.at)

    def _on_model_called(self, event: Event, p: dict[str, Any]) -> None:
        self.context.trust(p["context"])
        self.model_open = p

    def _on_model_failed(self, event: Event, p: dict[str, Any]) -> None:
        self.model_open = None
        self.model_failures.append(p | {"at": event.at})

    def _on_model_answered(self, event: Event, p: dict[str, Any]) -> None:
        message = decode(p["message"])
        self.model_open = None
        self.model_failures = []
        self.step = p["step"]
        if message.usage is not None:
            self.usage += self._priced(message.usage)
        self.guard.base(MODEL)  # beyond its own words, it could only repeat what it had seen
        self._add(message)
        calls = message.tool_calls
        self.calls = {part.id: CallState(part, self.label) for part in calls}
        self.call_ids.update(self.calls)
        if not calls:
            self.final = message
            self._flush_queue()
            self.boundaries.append(len(self.plain))

    def _priced(self, usage: Usage) -> Usage:
        if usage.usd is not None:
            return usage
        self.unpriced_calls += usage.calls
        return Usage(
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.calls,
            0.0,
        )

    def _on_call_refused(self, event: Event, p: dict[str, Any]) -> None:
        call = self.calls[p["call_id"]]
        call.refused = p.get("cause") or "refused"
        if call.parent is None:
            self.guard.mark(call.part.id, event.label)
        self._finish(call, ToolResultPart(call.part.id, call.part.name, (TextPart(p["reason"]),), True), event)

    def _on_approval_requested(self, event: Event, p: dict[str, Any]) -> None:
        call = self.calls[p["call_id"]]
        call.stage, call.approval, call.reason, call.asked = "asked", p["id"], p["reason"], p

    def _on_approval_answered(self, event: Event, p: dict[str, Any]) -> None:
        call = next((c for c in self.calls.values() if c.approval == p["id"]), None)
        if call is None or call.stage not in ("asked", "approved"):
            return  # the answer came too late to matter; the journal keeps it
        said = f": {p['reason']}" if p.get("reason") else ""
        if p["answer"] == "approved":
            call.stage, call.answered_seq = "approved", event.seq
            self._person("approved", f"{p['by']} approved {_shown(call)}{said}")
        elif p["answer"] == "denied":
            self._person("denied", f"{p['by']} denied {_shown(call)}{said}")
            text = p.get("text")  # version 2 says what else is possible; version 1 said this
            if text is None:
                text = f"{p['by']} denied this call{said}. It was not made. Find another way, or say why there is none."
            self._finish(call, ToolResultPart(call.part.id, call.part.name, (TextPart(text),), True), event)
        else:
            call.stage, call.approval = "new", None

    def _on_effect_intended(self, event: Event, p: dict[str, Any]) -> None:
        call = self.calls[p["call_id"]]
        call.stage, call.intent, call.intended, call.intended_at = "intended", event.seq, p, event.at
        call.attempts, call.tried_at = 1, event.at
        if p.get("grant"):
            self.guard.used[p["grant"]] = self.guard.used.get(p["grant"], 0) + 1
        for grant, count in ((p.get("prepared") or {}).get("handed_on") or {}).items():
            self.guard.used[grant] = self.guard.used.get(grant, 0) + count  # a sub-agent has them now

    def _on_effect_retried(self, event: Event, p: dict[str, Any]) -> None:
        call = self._by_intent(p["intent"])
        call.stage, call.attempts, call.tried_at = "intended", p["attempt"], event.at

    def _on_effect_asleep(self, event: Event, p: dict[str, Any]) -> None:
        call = self._by_intent(p["intent"])
        call.stage, call.reason, call.wake_at = "asleep", p["reason"], p["wake_at"]
        call.unseen = bool(p.get("unseen"))
        call.sleeps += not call.unseen  # else that attempt was cut off, as far as anybody knows

    def _on_effect_done(self, event: Event, p: dict[str, Any]) -> None:
        call = self._by_intent(p["intent"])
        # In a clean run the model sees a view of the answer; the answer itself becomes a handle.
        content = tuple(decode_part(c) for c in p.get("shown") or p["content"])
        if p.get("handle"):
            data = handle_data(p["content"], p.get("json", False), call.part.id)
            self.guard.add_handle(p["handle"], call.part.id, data, p["labels"])
            call.handle = p["handle"]
        if call.parent is None:
            # What it brought into the context is its own label; whatever else was there has marks of its own.
            own = p.get("shown_label") or p.get("label")
            self.guard.mark(call.part.id, event.label if own is None else Label.decode(own))
        self.guard.bits += p.get("bits", 0.0)
        self.guard.take_grants(p.get("grants") or (), event.seq)  # which a person let through as a plan
        if p.get("usage"):
            self.usage += self._priced(decode_usage(p["usage"]))
        result = ToolResultPart(call.part.id, call.part.name, content, p["is_error"])  # type: ignore[arg-type]
        if p.get("note"):
            self.book.apply(p["note"])
        path = call.part.arguments.get("path") if call.parent is None and not p["is_error"] else None
        if isinstance(path, str) and call.intended.get("settlement") != "read":
            self.changed.pop(path, None)
            self.changed[path] = None
        self._finish(call, result, event)

    def _on_effect_parked(self, event: Event, p: dict[str, Any]) -> None:
        call = self._by_intent(p["intent"])
        call.stage, call.reason = "parked", p["reason"]

    def _on_doubt_answered(self, event: Event, p: dict[str, Any]) -> None:
        call = self._by_intent(p["intent"])
        if call.stage != "parked":
            return
        said = f" ({p['reason']})" if p.get("reason") else ""
        if p["answer"] == "did_not":
            call.stage, call.answered_seq = "retry", event.seq
            self._person("doubt", f"{p['by']} said that {_shown(call)} had not taken effect{said}")
            return
        if p["answer"] == "happened":
            text = p.get("value") or "It took effect; the answer itself was lost in a crash."
            self._person("doubt", f"{p['by']} confirmed that {_shown(call)} took effect{said}")
        else:
            text = f"{p['by']} gave this call up{said}. Nobody knows whether it took effect. Do not repeat it."
            self._person("doubt", f"{p['by']} gave up {_shown(call)}: unknown whether it took effect{said}")
        is_error = p["answer"] != "happened"
        self._finish(call, ToolResultPart(call.part.id, call.part.name, (TextPart(text),), is_error), event)

    def _on_message_added(self, event: Event, p: dict[str, Any]) -> None:
        message = decode(p["message"])
        self.guard.base(event.label)
        self.guard.take_values(p)
        if p.get("words"):
            self.guard.turns.append(p["words"])
        if p.get("keep", True):
            trusted = not event.label.strangers - PASTE.sources
            self.people.append(Person("said", f"{p['by']} said: {message.text}", trusted))
        self.drift_bad, self.drift_pause = 0, ""  # whoever speaks has looked at it
        self._say(message)
        self.final = None

    def _on_limit_warned(self, event: Event, p: dict[str, Any]) -> None:
        self.warned.add(p["limit"])
        if p.get("text"):
            self._say(note(p["text"]))

    def _on_output_rejected(self, event: Event, p: dict[str, Any]) -> None:
        self.final = None
        self.rejections += 1
        self.trouble += 1
        self._say(note(p["complaint"]))

    def _on_drift_checked(self, event: Event, p: dict[str, Any]) -> None:
        self.drift_step = p["step"]
        verdict = (p.get("verdict") or {}).get("on_task")
        if verdict is not None:
            self.drift_bad = self.drift_bad + 1 if verdict == "no" else 0
        self.drift_pause = p.get("pause", "")
        if p.get("usage"):
            self.usage += self._priced(decode_usage(p["usage"]))
        if p["text"]:
            self._say(note(p["text"]))

    def _on_context_compacted(self, event: Event, p: dict[str, Any]) -> None:
        self.compactions.append(p)
        self.shortened = True
        self.model_failures = [f for f in self.model_failures if f["retryable"]]  # a prompt too long may fit now
        if p.get("usage"):
            self.usage += self._priced(decode_usage(p["usage"]))
        self.context = fold_compaction(p, self.plain)

    def _on_context_restored(self, event: Event, p: dict[str, Any]) -> None:
        self.compactions.append({"restored": True})
        self.context = Context()
        self.context.extend(self.plain)

    def _on_grants_compiled(self, event: Event, p: dict[str, Any]) -> None:
        self.guard.take_grants(p["grants"], event.seq)
        self.guard.compiled = p["turns"]
        if p.get("usage"):
            self.usage += self._priced(decode_usage(p["usage"]))

    def _on_grant_given(self, event: Event, p: dict[str, Any]) -> None:
        self.guard.take_grants([p["grant"]], event.seq)
        given = self.guard.grants[-1]  # whose values a clean planner may not see
        self._person("right", f"{p['by']} granted {given.tool if self.guard.mode == 'clean' else given.shown()}")

    def _on_label_lowered(self, event: Event, p: dict[str, Any]) -> None:
        self.guard.lower(p["target"], p["by"], Label.decode(p["label"]), event.seq)
        self._person("right", f"{p['by']} vouched for {p['target']}: {p['reason']}")
        if p.get("text"):
            self._say(note(p["text"]))

    def _on_label_restored(self, event: Event, p: dict[str, Any]) -> None:
        self.guard.restore(p["target"])
        self._person("right", f"{p['by']} no longer vouches for {p['target']}: {p['reason']}")

    def _on_program_begun(self, event: Event, p: dict[str, Any]) -> None:
        self.calls[p["call_id"]].stage = "running"

    def _on_call_nested(self, event: Event, p: dict[str, Any]) -> None:
        values = decoded_values(p["arguments"], p["labels"])
        part = ToolCallPart(p["call_id"], p["tool"], p["arguments"])
        label = self.calls[p["parent"]].label.join(Label.decode(p["decided"]))
        self.calls[part.id] = CallState(
            part, label, parent=p["parent"], values=values, origins=p["origins"], whole=p["whole"]
        )
        self.call_ids.add(part.id)

    def _on_program_ended(self, event: Event, p: dict[str, Any]) -> None:
        call = self.calls[p["call_id"]]
        self.guard.take_values(p)
        self.guard.steering_bits = p["steering_bits"]
        self.guard.mark(call.part.id, Label.decode(p["shown_label"]))
        content = (TextPart(p["shown"]),)
        self._finish(call, ToolResultPart(call.part.id, call.part.name, content, p["is_error"]), event)

    # --- helpers ---

    def _by_intent(self, intent: int) -> CallState:
        return next(c for c in self.calls.values() if c.intent == intent)

    def _person(self, kind: Spoken, text: str) -> None:
        self.people.append(Person(kind, text))

    def _say(self, message: Message) -> None:
        if self.open_calls:
            self.queued.append(message)
        else:
            self._add(message)

    def _flush_queue(self) -> None:
        for message in self.queued:
            self._add(message)
        self.queued = []

    def _finish(self, call: CallState, result: ToolResultPart, event: Event) -> None:
        call.stage, call.result = "finished", result
        self.results[call.part.id] = event.seq
        if self.open_calls:
            return
        # A program's own calls answer the program, not the model.
        finished = [c for c in self.calls.values() if c.result is not None and c.parent is None]
        failed = [c for c in finished if c.result is not None and c.result.is_error]
        self.failures = self.failures + len(failed) if len(failed) == len(finished) else 0
        self.trouble = self.trouble + 1 if failed else 0
        self.rejections = 0
        self.fingerprints.append(_fingerprint(finished))
        if len(self.fingerprints) > 2 * KEPT_FINGERPRINTS:
            del self.fingerprints[:-KEPT_FINGERPRINTS]
        self.trail.append((self.step, [_traced(c) for c in finished]))
        whole = [c.result for c in finished if c.result is not None]
        results = tuple(preview(result, self.preview_chars) for result in whole)
        self.shortened = self.shortened or any(a is not b for a, b in zip(whole, results, strict=True))
        self._add(Message("tool", results))
        self._flush_queue()
        self.boundaries.append(len(self.plain))


def _fingerprint(calls: list[CallState]) -> Fingerprint:
    # Texts are compared by hash, so that long answers are not kept; arguments as they are, dicts compare fast.
    return tuple(
        (c.part.name, c.part.arguments, c.part.invalid, hash(c.result.text) if c.result is not None else 0)
        for c in calls
    )


def _traced(call: CallState) -> Traced:
    chars = 0 if call.result is None else sum(len(p.text) for p in call.result.content if isinstance(p, TextPart))
    failed = call.result is not None and call.result.is_error
    return Traced(call.part.name, call.part.arguments, failed, call.refused, chars)


def _shown(call: CallState) -> str:
    if call.parent is not None:  # its arguments are values that a clean planner must not see
        return f"{call.part.name} ({call.part.id})"
    text = json.dumps(dict(call.part.arguments), ensure_ascii=False)
    return f"{call.part.name}({text if len(text) <= 300 else text[:300] + '...'})"


_HANDLERS = {kind: getattr(RunState, "_on_" + kind.replace(".", "_")) for kind in KINDS}
