"""A small HTTP server that speaks the protocols of model providers, for tests without a network.

It answers with the lines of a script, in the protocol of the path that was asked (OpenAI chat completions,
OpenAI responses, Anthropic messages), streamed when the request asks for it, and keeps every request.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias


@dataclass
class Answer:
    """What the model says; `calls` holds (id, name, arguments as text)."""

    text: str = ""
    calls: Sequence[tuple[str, str, str]] = ()
    thinking: str = ""
    signature: str = ""
    finish: str = ""
    refusal: str = ""
    input_tokens: int = 10
    output_tokens: int = 5
    cache_read: int = 0
    cache_write: int = 0


@dataclass
class Status:
    """A plain HTTP answer."""

    code: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Raw:
    """A 200 with these bytes."""

    body: bytes
    content_type: str = "application/json"


@dataclass
class Dies:
    """Streams the first events of `answer` and then cuts the connection."""

    answer: Answer
    after: int = 2


class Hangs:
    """Accepts the request and never answers."""


Line: TypeAlias = "Answer | Status | Raw | Dies | Hangs"


@dataclass
class Seen:
    """A request that came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class ModelServer:
    """Serves `script`, one line a request; the last line repeats. Use it as a context manager."""

    def __init__(self, script: Iterable[Line]) -> None:
        self.script = list(script)
        self.seen: list[Seen] = []
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where the protocols live: ``http://127.0.0.1:PORT/v1``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def _next(self) -> Line:
        with self._lock:
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                body = json.loads(raw)
                server.seen.append(Seen(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self._reply(server._next(), body)

            def _reply(self, line: Line, body: dict[str, Any]) -> None:
                if isinstance(line, Hangs):
                    server._released.wait(60)
                    self.close_connection = True
                elif isinstance(line, Status):
                    self._send(line.code, json.dumps(line.body).encode(), line.headers)
                elif isinstance(line, Raw):
                    self._send(200, line.body, {"content-type": line.content_type})
                else:
                    answer = line.answer if isinstance(line, Dies) else line
                    protocol = _PROTOCOLS[self.path.split("?")[0].rsplit("/v1/", 1)[1]]
                    if body.get("stream"):
                        self._stream(protocol[1](answer, body), line.after if isinstance(line, Dies) else None)
                    else:
                        self._send(200, json.dumps(protocol[0](answer, body)).encode())

            def _send(self, code: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
                self.send_response(code)
                for key, value in ({"content-type": "application/json"} | dict(headers or {})).items():
                    self.send_header(key, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def _stream(self, events: Iterator[str], after: int | None) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for number, event in enumerate(events):
                    if number == after:
                        self.close_connection = True
                        self.connection.shutdown(2)
                        return
                    data = event.encode()
                    self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

        return Handler


def _sse(value: Any, event: str = "") -> str:
    return (f"event: {event}\n" if event else "") + f"data: {json.dumps(value)}\n\n"


def _chat_usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cache_read},
    }


def _chat(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.refusal:
        message["refusal"] = answer.refusal
    if answer.thinking:
        message["reasoning_content"] = answer.thinking
    if answer.calls:
        message["tool_calls"] = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id, name, arguments in answer.calls
        ]
    finish = answer.finish or ("tool_calls" if answer.calls else "stop")
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": _chat_usage(answer),
    }


def _chat_stream(answer: Answer, body: dict[str, Any]) -> Iterator[str]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> str:
        return _sse(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": body["model"],
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            }
        )

    yield chunk({"role": "assistant", "content": ""})
    for piece in _pieces(answer.thinking):
        yield chunk({"reasoning_content": piece})
    for piece in _pieces(answer.text):
        yield chunk({"content": piece})
    if answer.refusal:
        yield chunk({"refusal": answer.refusal})
    for index, (id, name, arguments) in enumerate(answer.calls):
        head = {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}
        yield chunk({"tool_calls": [head]})
        for piece in _pieces(arguments):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, answer.finish or ("tool_calls" if answer.calls else "stop"))
    yield _sse(
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": body["model"],
            "choices": [],
            "usage": _chat_usage(answer),
        }
    )
    yield "data: [DONE]\n\n"


def _claude_blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.thinking:
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": answer.signature})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    for id, name, arguments in answer.calls:
        blocks.append({"type": "tool_use", "id": id, "name": name, "input": json.loads(arguments)})
    return blocks


def _claude(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": _claude_blocks(answer),
        "stop_reason": answer.finish or ("tool_use" if answer.calls else "end_turn"),
        "stop_sequence": None,
        "usage": {
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
            "cache_read_input_tokens": answer.cache_read,
            "cache_creation_input_tokens": answer.cache_write,
        },
    }


def _claude_stream(answer: Answer, body: dict[str, Any]) -> Iterator[str]:
    whole = _claude(answer, body)
    start = whole | {"content": [], "stop_reason": None}
    yield _sse({"type": "message_start", "message": start}, "message_start")
    texts = {"text": answer.text, "thinking": answer.thinking}
    raw = iter(answer.calls)
    for index, block in enumerate(whole["content"]):
        kind = block["type"]
        empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
        head = {"type": "content_block_start", "index": index, "content_block": block | empty[kind]}
        yield _sse(head, "content_block_start")
        if kind == "tool_use":
            deltas = [{"type": "input_json_delta", "partial_json": p} for p in _pieces(next(raw)[2])]
        else:
            deltas = [{"type": f"{kind}_delta", kind: piece} for piece in _pieces(texts[kind])]
        if kind == "thinking":
            deltas.append({"type": "signature_delta", "signature": answer.signature})
        for delta in deltas:
            yield _sse({"type": "content_block_delta", "index": index, "delta": delta}, "content_block_delta")
        yield _sse({"type": "content_block_stop", "index": index}, "content_block_stop")
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _sse({"type": "message_delta", "delta": delta, "usage": whole["usage"]}, "message_delta")
    yield _sse({"type": "message_stop"}, "message_stop")


def _responses(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    output: list[dict[str, Any]] = []
    if answer.thinking:
        summary = [{"type": "summary_text", "text": answer.thinking}]
        output.append({"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": answer.signature})
    if answer.text:
        content = [{"type": "output_text", "text": answer.text, "annotations": []}]
        output.append(
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
        )
    for number, (id, name, arguments) in enumerate(answer.calls):
        output.append(
            {
                "type": "function_call",
                "id": f"fc_{number}",
                "call_id": id,
                "name": name,
                "arguments": arguments,
                "status": "completed",
            }
        )
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": body["model"],
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": answer.cache_read},
            "output_tokens": answer.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
    }


def _responses_stream(answer: Answer, body: dict[str, Any]) -> Iterator[str]:
    whole = _responses(answer, body)
    numbers = iter(range(10_000))

    def event(kind: str, **fields: Any) -> str:
        return _sse({"type": kind, "sequence_number": next(numbers)} | fields, kind)

    yield event("response.created", response=whole | {"status": "in_progress", "output": [], "usage": None})
    for index, item in enumerate(whole["output"]):
        at = {"item_id": item["id"], "output_index": index}
        empty = {"message": {"content": []}, "reasoning": {"summary": []}, "function_call": {"arguments": ""}}
        yield event("response.output_item.added", output_index=index, item=item | empty[item["type"]])
        if item["type"] == "message":
            for piece in _pieces(answer.text):
                yield event("response.output_text.delta", **at, content_index=0, delta=piece, logprobs=[])
        elif item["type"] == "reasoning":
            part = {"type": "summary_text", "text": ""}
            yield event("response.reasoning_summary_part.added", **at, summary_index=0, part=part)
            for piece in _pieces(answer.thinking):
                yield event("response.reasoning_summary_text.delta", **at, summary_index=0, delta=piece)
        else:
            for piece in _pieces(item["arguments"]):
                yield event("response.function_call_arguments.delta", **at, delta=piece)
        yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.completed", response=whole)


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), 7):
        yield text[start : start + 7]


_PROTOCOLS = {
    "chat/completions": (_chat, _chat_stream),
    "messages": (_claude, _claude_stream),
    "responses": (_responses, _responses_stream),
}
