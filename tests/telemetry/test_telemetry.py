"""Metrics and traces of real runs, and spans on their way over HTTP to a collector."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, ModelError, Run, ScriptedModel, ToolError, tool
from mainspring.errors import MainspringError
from mainspring.messages import Message, TextPart, ToolCallPart, Usage, user
from mainspring.runtime.bounds import Bounds
from mainspring.runtime.execution import begin, run_blocking
from mainspring.runtime.starting import Start
from mainspring.store import open_store
from mainspring.telemetry import Metrics, Traces, spans_of
from mainspring.telemetry.spans import span_id, trace_id

SECRET = "the user's private words"


@tool(effect="read", authority=[])
def look(what: str) -> str:
    """Look."""
    if what == "nothing":
        raise ToolError("there is nothing")
    return SECRET


@tool(effect="irreversible", authority=["to"])
def send(to: str) -> str:
    """Send."""
    return "sent"


def answer(*parts: Any) -> Message:
    return Message("assistant", tuple(parts), Usage(100, 20, cache_read_tokens=60, calls=1, usd=0.25), "m-1", "stop")


def call(id: str, name: str, **arguments: Any) -> ToolCallPart:
    return ToolCallPart(id, name, arguments)


def agent(*lines: Any) -> Agent:
    return Agent("clerk", model=ScriptedModel(lines, name="m-1"), tools=[look, send])


LINES = (
    answer(call("1", "look", what="x"), call("2", "look", what="nothing"), call("3", "made_up_by_a_model")),
    ModelError("busy", retryable=True, retry_after_s=0.01),
    answer(call("4", "send", to="ann")),
    answer(TextPart("done")),
)


def test_metrics_count_what_happened_and_hold_no_content(home: Path) -> None:
    metrics = Metrics()
    clerk = agent(*LINES)
    run = clerk.run_sync(SECRET, home=home, on_event=metrics.watch)
    assert run.status == "waiting"
    run.pending()[0].approve(by="ann")
    metrics.know(run.id, run.agent_name)
    run.resume_sync(clerk, on_event=metrics.watch)
    assert run.status == "done"
    metrics.gauge("runs_ready", "Runs that wait to be taken up.", lambda: 7)
    page = metrics.render()[0].decode()
    for line in (
        'mainspring_runs_started_total{agent="clerk"} 1.0',
        'mainspring_runs_stopped_total{agent="clerk",status="waiting"} 1.0',
        'mainspring_runs_ended_total{agent="clerk",status="done"} 1.0',
        'mainspring_model_calls_total{model="m-1",outcome="answered"} 3.0',
        'mainspring_model_calls_total{model="m-1",outcome="failed"} 1.0',
        'mainspring_model_call_seconds_count{model="m-1"} 3.0',
        'mainspring_tokens_total{kind="cache_read",model="m-1"} 180.0',
        'mainspring_cost_usd_total{model="m-1"} 0.75',
        'mainspring_tool_calls_total{outcome="ok",tool="look"} 1.0',
        'mainspring_tool_calls_total{outcome="error",tool="look"} 1.0',
        'mainspring_tool_calls_total{outcome="ok",tool="send"} 1.0',
        'mainspring_calls_refused_total{cause="unknown"} 1.0',
        "mainspring_approvals_requested_total 1.0",
        "mainspring_runs_ready 7.0",
    ):
        assert line in page
    assert SECRET not in page
    assert "made_up_by_a_model" not in page


def test_spans_follow_the_journal(home: Path) -> None:
    clerk = agent(*LINES)
    run = clerk.run_sync("go", home=home)
    run.pending()[0].approve(by="ann")
    run.resume_sync(clerk)
    spans = spans_of(run.events())
    assert spans == spans_of(run.events())
    names = [s.name for s in spans]
    assert names.count("chat m-1") == 4
    assert names.count("execute_tool look") == 2
    assert names.count("execute_tool send") == names.count("wait") == names.count("invoke_agent clerk") == 1
    root = spans[-1]
    assert (root.parent, root.trace, root.id) == ("", trace_id(run.id), span_id(run.id, 1))
    assert all(s.parent == root.id and s.trace == root.trace for s in spans[:-1])
    assert all(s.begin <= s.end for s in spans)
    assert root.attributes["gen_ai.usage.input_tokens"] == 300
    assert [s.error for s in spans if s.error] == ["tool_error", "retryable"]
    chat = next(s for s in spans if s.name == "chat m-1")
    assert chat.kind == "client"
    assert chat.attributes["gen_ai.operation.name"] == "chat"
    assert chat.attributes["gen_ai.usage.cache_read.input_tokens"] == 60
    assert SECRET not in str(spans)


def test_a_sub_agents_spans_hang_below_the_call_that_started_it(home: Path) -> None:
    parent = agent("done").run_sync("go", home=home, run_id="a.b")
    helper = agent("done")
    cause = {"run": parent.id, "intent": 4, "index": 0}
    bounds = Bounds(cause=cause, depth=1)
    start = Start(agent=helper, messages=[user("x")], limits=helper.limits, run_id="a.b.4.0", bounds=bounds)
    child = run_blocking(begin(open_store(home), start, None))
    spans = spans_of(child.events())
    assert {s.trace for s in spans} == {trace_id("a.b")} == {s.trace for s in spans_of(parent.events())}
    assert spans[-1].parent == span_id("a.b", 4)


class Collector:
    """A collector that speaks OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                request = ExportTraceServiceRequest.FromString(body)
                for resource in request.resource_spans:
                    for scope in resource.scope_spans:
                        collector.spans += scope.spans
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_collector_gets_each_span_once_also_of_a_run_that_goes_on_elsewhere(
    home: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    clerk = agent(*LINES)
    first = Traces(open_store(home))
    run = clerk.run_sync(SECRET, home=home, on_event=first.watch)
    first.close()
    begun_here = len(collector.spans)
    assert begun_here == 5  # three chats of which one failed, two looks
    run.pending()[0].approve(by="ann")
    second = Traces(open_store(home))  # as another process would
    Run.load(run.id, home).resume_sync(clerk, on_event=second.watch)
    second.close()
    sent = {(s.trace_id.hex(), s.span_id.hex(), s.name) for s in collector.spans}
    assert sent == {(s.trace, s.id, s.name) for s in spans_of(run.events())}
    assert len(collector.spans) == len(sent)
    assert SECRET not in str(collector.spans)


def test_a_collector_that_is_gone_costs_the_run_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    traces = Traces(open_store(home))
    run = agent("done").run_sync("go", home=home, on_event=traces.watch)
    assert run.status == "done"
    traces.close(timeout_s=0.1)


def test_a_journal_that_cannot_be_read_leaves_a_hole_and_no_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clerk = agent(*LINES)
    run = clerk.run_sync("go", home=home)
    run.pending()[0].approve(by="ann")
    sent: list[str] = []

    class Exporter:
        def export(self, spans: Any) -> Any:
            from opentelemetry.sdk.trace.export import SpanExportResult

            sent.extend(s.name for s in spans)
            return SpanExportResult.SUCCESS

        def shutdown(self) -> None: ...

        def force_flush(self, timeout_millis: int = 0) -> bool:
            return True

    store = open_store(home)

    class Damaged:
        def events(self, run_id: str) -> Any:
            raise MainspringError("damaged")

    traces = Traces(Damaged(), Exporter())  # type: ignore[arg-type]
    run.resume_sync(clerk, on_event=traces.watch)
    traces.close()
    assert run.status == "done"
    assert "chat m-1" in sent
    assert store.row(run.id).status == "done"
