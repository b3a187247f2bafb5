"""A run's events as spans, after OpenTelemetry's conventions for generative AI (1.41, in development).

Every id is a digest of the run's id and of the event that begins the span. So the same journal gives the same trace,
whoever executes which stretch of the run, and a sub-agent's spans hang below the call that started it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mainspring.messages import Usage, decode_usage
from mainspring.runtime import RunEvent
from mainspring.store import Event

#: Beginnings of our models' names, and what the conventions call their provider.
_PROVIDERS = {"google": "gcp.gen_ai", "bedrock": "aws.bedrock", "mistral": "mistral_ai"}


@dataclass(frozen=True, slots=True)
class SpanData:
    """A finished span.

    Args:
        trace, id, parent: hex, 32 and 16 digits; a root has no parent.
        kind: ``"internal"`` or ``"client"``.
        begin, end: Unix times in seconds.
        attributes: after the conventions; texts, numbers and lists of texts.
        error: what kind of failure it ended with, or "".
    """

    trace: str
    id: str
    parent: str
    name: str
    kind: str
    begin: float
    end: float
    attributes: dict[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(slots=True)
class _Open:
    name: str
    kind: str
    seq: int
    begin: float
    attributes: dict[str, Any]


class Spans:
    """The spans of one run: feed it the events in order, and it gives each span when it has ended."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.seq = 0
        self._agent = ""
        self._began = 0.0
        self._cause: dict[str, Any] = {}
        self._depth = 0
        self._models: dict[int, _Open] = {}  # by step
        self._calls: dict[int, _Open] = {}  # by intent
        self._wait: _Open | None = None
        self._usage = Usage()

    def feed(self, event: Event | RunEvent) -> list[SpanData]:
        """The spans that `event` ends; nothing for what is not journaled or was fed before."""
        if event.seq is None or event.seq <= self.seq:
            return []
        self.seq = event.seq
        return list(self._ended(event.kind, event.seq, event.at, event.payload))

    def _ended(self, kind: str, seq: int, at: float, p: Any) -> Iterator[SpanData]:
        if kind == "run.started":
            self._agent, self._began = str(p["agent"]["name"]), at
            bounds = p.get("bounds") or {}
            self._cause, self._depth = dict(bounds.get("cause") or {}), int(bounds.get("depth") or 0)
        elif kind == "model.called":
            attributes = {"gen_ai.request.model": p["model"], **_provider(str(p["model"]))}
            self._models[int(p["step"])] = _Open(f"chat {p['model']}", "client", seq, at, attributes)
        elif kind == "model.answered":
            yield from self._answered(int(p["step"]), at, p["message"])
        elif kind == "model.failed":
            yield from self._close(self._models.pop(int(p["step"]), None), at, "chat", _failure(p))
        elif kind == "effect.intended":
            attributes = {
                "gen_ai.tool.name": p["tool"],
                "gen_ai.tool.call.id": p["call_id"],
                "gen_ai.tool.type": "function",
                "mainspring.settlement": p["settlement"],
            }
            self._calls[seq] = _Open(f"execute_tool {p['tool']}", "internal", seq, at, attributes)
        elif kind == "effect.done":
            error = "tool_error" if p["is_error"] else ""
            yield from self._close(self._calls.pop(p["intent"], None), at, "execute_tool", error)
        elif kind == "effect.parked":
            call = self._calls.get(p["intent"])
            if call is not None:
                call.attributes["mainspring.in_doubt"] = True
        elif kind == "doubt.answered" and p["answer"] != "did_not":
            yield from self._close(self._calls.pop(p["intent"], None), at, "execute_tool", f"doubt_{p['answer']}")
        elif kind in ("run.waiting", "run.paused"):
            self._wait = _Open("wait", "internal", seq, at, {"mainspring.status": p.get("status", "waiting")})
        elif kind == "run.resumed":
            yield from self._close(self._wait, at, "wait", "")
            self._wait = None
        elif kind == "run.ended":
            yield self._run(at, str(p["status"]))

    def _answered(self, step: int, at: float, message: Any) -> Iterator[SpanData]:
        call = self._models.pop(step, None)
        usage = Usage() if message.get("usage") is None else decode_usage(message["usage"])
        if call is not None:
            counts = {
                "gen_ai.usage.input_tokens": usage.input_tokens,
                "gen_ai.usage.output_tokens": usage.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens or None,
                "gen_ai.response.model": message.get("model"),
                "gen_ai.response.finish_reasons": [message["finish"]] if message.get("finish") else None,
            }
            call.attributes |= {name: value for name, value in counts.items() if value is not None}
        self._usage += usage
        yield from self._close(call, at, "chat", "")

    def _close(self, span: _Open | None, at: float, operation: str, error: str) -> Iterator[SpanData]:
        if span is None:
            return
        attributes = {"gen_ai.conversation.id": self.run_id, **span.attributes}
        if operation != "wait":
            attributes["gen_ai.operation.name"] = operation
        if error:
            attributes["error.type"] = error
        own = span_id(self.run_id, span.seq)
        root = span_id(self.run_id, 1)
        yield SpanData(self._trace, own, root, span.name, span.kind, span.begin, at, attributes, error)

    def _run(self, at: float, status: str) -> SpanData:
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": self._agent,
            "gen_ai.conversation.id": self.run_id,
            "gen_ai.usage.input_tokens": self._usage.input_tokens,
            "gen_ai.usage.output_tokens": self._usage.output_tokens,
            "mainspring.status": status,
        }
        if "schedule" in self._cause:
            attributes["mainspring.schedule"] = str(self._cause["schedule"])
        error = status if status == "failed" else ""
        if error:
            attributes["error.type"] = error
        parent = span_id(self._cause["run"], int(self._cause["intent"])) if "run" in self._cause else ""
        own = span_id(self.run_id, 1)
        name = f"invoke_agent {self._agent}"
        return SpanData(self._trace, own, parent, name, "internal", self._began, at, attributes, error)

    @property
    def _trace(self) -> str:
        # A sub-agent's id is its creator's with two numbers behind it, at each depth.
        return trace_id(self.run_id.rsplit(".", 2 * self._depth)[0] if "run" in self._cause else self.run_id)


def spans_of(events: Iterable[Event]) -> list[SpanData]:
    """All finished spans of a run, from its journal."""
    spans: Spans | None = None
    found: list[SpanData] = []
    for event in events:
        spans = spans or Spans(event.run_id)
        found += spans.feed(event)
    return found


def trace_id(run_id: str) -> str:
    """The trace of a run and of all that it started, as 32 hex digits."""
    return hashlib.sha256(f"mainspring trace {run_id}".encode()).hexdigest()[:32]


def span_id(run_id: str, seq: int) -> str:
    """The span that begins with event `seq` of a run, as 16 hex digits; the run's own begins with event 1."""
    return hashlib.sha256(f"mainspring span {run_id} {seq}".encode()).hexdigest()[:16]


def _provider(model: str) -> dict[str, str]:
    name = model.split(":", 1)[0]
    return {"gen_ai.provider.name": _PROVIDERS.get(name, name)}


def _failure(payload: Any) -> str:
    if payload.get("crashed"):
        return "interrupted"
    return "retryable" if payload.get("retryable") else "model_error"
