"""Spans on their way to a collector: live, from what watchers are told, or afterwards, from a journal."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mainspring.errors import DeclarationError, MainspringError
from mainspring.runtime import RunEvent
from mainspring.store import Store
from mainspring.telemetry.spans import SpanData, Spans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter


class Traces:
    """Sends the spans of runs to an OpenTelemetry collector; its `watch` is an `on_event` for any number of runs.

    A collector that is slow or gone costs no run anything: spans wait in a bounded queue, and what does not fit is
    dropped (they can be sent again from the journal).

    Args:
        store: the journal, where the beginning of a run is read that is gone on with here.
        exporter: any exporter of the SDK; by default OTLP over HTTP, configured by the usual variables
            (``OTEL_EXPORTER_OTLP_ENDPOINT`` and so on).

    Raises:
        DeclarationError: the extra ``mainspring[otel]`` is not installed.
    """

    def __init__(self, store: Store, exporter: SpanExporter | None = None) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise DeclarationError(
                f"traces need OpenTelemetry, which is not installed ({error}); install mainspring[otel]"
            ) from None
        self._store = store
        self._spans: dict[str, Spans] = {}
        self._lock = threading.Lock()
        self._resource = Resource.create({"service.name": "mainspring"})  # OTEL_SERVICE_NAME wins
        self._processor: Any = BatchSpanProcessor(exporter if exporter is not None else _otlp())

    def watch(self, event: RunEvent) -> None:
        """Take one event of any run into account."""
        if event.seq is None:
            return
        with self._lock:
            spans = self._spans.get(event.run_id)
            if spans is None:
                spans = self._spans[event.run_id] = self._known(event)
            ended = spans.feed(event)
            if event.kind in ("run.ended", "run.waiting", "run.paused"):
                del self._spans[event.run_id]  # sleepers stay out of memory; the journal has it all
        self.send(ended)

    def send(self, spans: Iterable[SpanData]) -> None:
        """Queue finished spans for the collector."""
        for span in spans:
            self._processor.on_end(self._made(span))

    def close(self, timeout_s: float = 5.0) -> None:
        """Send what waits, and stop."""
        self._processor.force_flush(int(timeout_s * 1000))
        self._processor.shutdown()

    def _known(self, event: RunEvent) -> Spans:
        """What the journal says of a run before `event`; these spans were sent by whoever executed them."""
        spans = Spans(event.run_id)
        if event.seq is not None and event.seq > 1:
            try:
                for earlier in self._store.events(event.run_id):
                    if earlier.seq >= event.seq:
                        break
                    spans.feed(earlier)
            except MainspringError:  # a trace with a hole is better than none
                spans.seq = event.seq - 1
        return spans

    def _made(self, span: SpanData) -> Any:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        def context(id: str) -> SpanContext:
            return SpanContext(int(span.trace, 16), int(id, 16), False, TraceFlags(TraceFlags.SAMPLED))

        return ReadableSpan(
            span.name,
            context(span.id),
            context(span.parent) if span.parent else None,
            self._resource,
            span.attributes,
            kind=SpanKind.CLIENT if span.kind == "client" else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
            start_time=int(span.begin * 1e9),
            end_time=int(span.end * 1e9),
            instrumentation_scope=InstrumentationScope("mainspring"),
        )


def _otlp() -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()
