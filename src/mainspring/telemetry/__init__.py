"""What runs do, as operations want to see it: metrics for Prometheus and traces for OpenTelemetry, both from events.

Nothing that a model or a tool said is in either, only names, counts, times and how things ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.telemetry.metrics import Metrics
    from mainspring.telemetry.spans import SpanData, Spans, spans_of
    from mainspring.telemetry.traces import Traces

__all__ = ["Metrics", "SpanData", "Spans", "Traces", "spans_of"]

_HOMES = {"Metrics": "metrics", "SpanData": "spans", "Spans": "spans", "Traces": "traces", "spans_of": "spans"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
