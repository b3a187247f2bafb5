"""Counters and histograms for Prometheus, from what watchers are told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from mainspring.messages import decode_usage
from mainspring.runtime import RunEvent

#: Seconds: a model answers within seconds to minutes, a tool within milliseconds to minutes.
_BUCKETS = (0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Counts what runs of this process do; its `watch` is an `on_event` for any number of them.

    Names of agents, models and declared tools are labels; what a model made up is never one.
    """

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self.registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._agents: dict[str, str] = {}  # of runs that are executed here
        self._called: dict[str, tuple[str, float]] = {}  # run -> the model that is asked, and since when

        def counter(name: str, text: str, *labels: str) -> Any:
            return Counter(f"mainspring_{name}", text, labels, registry=self.registry)

        def seconds(name: str, text: str, *labels: str) -> Any:
            return Histogram(f"mainspring_{name}", text, labels, buckets=_BUCKETS, registry=self.registry)

        self._started = counter("runs_started", "Runs that began here.", "agent")
        self._ended = counter("runs_ended", "Runs that ended here.", "agent", "status")
        self._stopped = counter("runs_stopped", "Times that a run stopped to wait.", "agent", "status")
        self._model = counter("model_calls", "Calls of a model.", "model", "outcome")
        self._model_s = seconds("model_call_seconds", "Time until a model had answered.", "model")
        self._tokens = counter("tokens", "Tokens as providers count them.", "model", "kind")
        self._usd = counter("cost_usd", "US dollars, where the price is known.", "model")
        self._tool = counter("tool_calls", "Calls of a tool.", "tool", "outcome")
        self._tool_s = seconds("tool_call_seconds", "Time that a tool took.", "tool")
        self._refused = counter("calls_refused", "Calls that were not made.", "cause")
        self._asked = counter("approvals_requested", "Questions to people.")
        self._folded = counter("compactions", "Contexts that were folded.")

    def watch(self, event: RunEvent) -> None:
        """Count one event."""
        handler = _HANDLERS.get(event.kind)
        if handler is not None and event.seq is not None:
            with self._lock:
                handler(self, event, event.payload)

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A number that is asked for when somebody looks, such as how many runs wait to be taken up."""
        from prometheus_client import Gauge

        Gauge(f"mainspring_{name}", text, registry=self.registry).set_function(value)

    def render(self) -> tuple[bytes, str]:
        """The page for Prometheus, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _agent(self, event: RunEvent) -> str:
        return self._agents.get(event.run_id, "")

    def _on_started(self, event: RunEvent, p: Any) -> None:
        self._agents[event.run_id] = str(p["agent"]["name"])
        self._started.labels(self._agent(event)).inc()

    def know(self, run_id: str, agent: str) -> None:
        """Tell whose run it is that is gone on with here."""
        with self._lock:
            self._agents[run_id] = agent

    def _on_ended(self, event: RunEvent, p: Any) -> None:
        self._ended.labels(self._agent(event), p["status"]).inc()
        self._forget(event.run_id)

    def _on_stopped(self, event: RunEvent, p: Any) -> None:
        self._stopped.labels(self._agent(event), p.get("status", "paused")).inc()
        self._forget(event.run_id)

    def _forget(self, run_id: str) -> None:
        self._agents.pop(run_id, None)
        self._called.pop(run_id, None)

    def _on_called(self, event: RunEvent, p: Any) -> None:
        self._called[event.run_id] = (str(p["model"]), event.at)

    def _on_answered(self, event: RunEvent, p: Any) -> None:
        model, since = self._called.pop(event.run_id, ("", event.at))
        self._model.labels(model, "answered").inc()
        self._model_s.labels(model).observe(max(0.0, event.at - since))
        if p["message"].get("usage") is None:
            return
        usage = decode_usage(p["message"]["usage"])
        counts = {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cache_read": usage.cache_read_tokens,
            "cache_write": usage.cache_write_tokens,
        }
        for kind, count in counts.items():
            if count:
                self._tokens.labels(model, kind).inc(count)
        if usage.usd:
            self._usd.labels(model).inc(usage.usd)

    def _on_failed(self, event: RunEvent, p: Any) -> None:
        self._called.pop(event.run_id, None)
        self._model.labels(str(p["model"]), "failed").inc()

    def _on_done(self, event: RunEvent, p: Any) -> None:
        self._tool.labels(p["tool"], "error" if p["is_error"] else "ok").inc()
        self._tool_s.labels(p["tool"]).observe(p["seconds"])

    def _on_parked(self, event: RunEvent, p: Any) -> None:
        self._tool.labels(p["tool"], "in_doubt").inc()

    def _on_refused(self, event: RunEvent, p: Any) -> None:
        self._refused.labels(p["cause"]).inc()

    def _on_asked(self, event: RunEvent, p: Any) -> None:
        self._asked.inc()

    def _on_folded(self, event: RunEvent, p: Any) -> None:
        self._folded.inc()


_HANDLERS: dict[str, Callable[[Metrics, RunEvent, Any], None]] = {
    "run.started": Metrics._on_started,
    "run.ended": Metrics._on_ended,
    "run.waiting": Metrics._on_stopped,
    "run.paused": Metrics._on_stopped,
    "model.called": Metrics._on_called,
    "model.answered": Metrics._on_answered,
    "model.failed": Metrics._on_failed,
    "effect.done": Metrics._on_done,
    "effect.parked": Metrics._on_parked,
    "call.refused": Metrics._on_refused,
    "approval.requested": Metrics._on_asked,
    "context.compacted": Metrics._on_folded,
}
