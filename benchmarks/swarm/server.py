"""A model server that speaks OpenAI's chat completions: known latencies, a rate limit, failures. A process of its own.

It answers from the request alone: the part stands in the first user message, the step is the number of tool results.
Only what was refused or failed is counted. Imports nothing but the standard library.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import time
from collections import Counter
from typing import Any

from benchmarks.swarm.draws import WARM_UP, Size, task, verdict

_PART = re.compile(r"\[part (\d+)\]")
_MARKER = re.compile(r"<([0-9a-f]{16})>")
_REASONS = {200: "OK", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error"}


class Server:
    """The limit, the failures, and the answers."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.reset()

    def reset(self) -> None:
        """As if nobody had asked yet, with a full stock."""
        self.attempts: Counter[tuple[int, int]] = Counter()
        self.counts: Counter[str] = Counter()
        self.stock = self.size.rate
        self.at = time.monotonic()
        self.open = 0

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any], float]:
        """Status, answer, and the seconds until it is sent."""
        messages = body["messages"]
        said = next(_text(m) for m in messages if m["role"] == "user")
        results = [_text(m) for m in messages if m["role"] == "tool"]
        found = _PART.search(said)
        part = int(found.group(1)) if found else -1
        step = len(results)
        if part < WARM_UP and not self._take():
            self.counts["refused"] += 1
            return 429, {"error": {"message": "too many requests", "type": "rate_limit"}}, 0.0
        attempt = self.attempts[part, step]
        self.attempts[part, step] += 1
        latency = self.size.latency(part, step, attempt)
        if self.size.fails(part, step, attempt):
            self.counts["failed"] += 1
            return 500, {"error": {"message": "the server had an error", "type": "server_error"}}, latency
        self.counts["answered"] += 1
        if attempt and not self.size.fails(part, step, attempt - 1):
            self.counts["answered_again"] += 1
        if part < 0:
            message = self._lead(body, results)
        elif step < self.size.calls - 1:
            message = _calls([("measure", {"part": part, "step": step})], f"{part}-{step}")
        else:
            seen = [m.group(1) for text in results if (m := _MARKER.search(text))]
            message = {"role": "assistant", "content": verdict(part, seen)}
        return 200, _completion(body, message), latency

    def _lead(self, body: dict[str, Any], results: list[str]) -> dict[str, Any]:
        """The agent above the others, where a system wants one: hands every part on, then says done."""
        if results:
            return {"role": "assistant", "content": "done"}
        calls = [("task", {"description": task(part), "subagent_type": "examiner"}) for part in range(self.size.parts)]
        return _calls(calls, "lead")

    def _take(self) -> bool:
        now = time.monotonic()
        self.stock = min(self.size.rate, self.stock + (now - self.at) * self.size.rate)
        self.at = now
        if self.stock < 1.0:
            return False
        self.stock -= 1.0
        return True

    def retry_after(self) -> int:
        """Whole seconds until a request would be taken, as providers say it."""
        return max(1, math.ceil((1.0 - self.stock) / self.size.rate))


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def _calls(calls: list[tuple[str, dict[str, Any]]], name: str) -> dict[str, Any]:
    made = [
        {"id": f"call-{name}-{n}", "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
        for n, (tool, arguments) in enumerate(calls)
    ]
    return {"role": "assistant", "content": None, "tool_calls": made}


def _completion(body: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    read = sum(len(_text(m)) for m in body["messages"]) // 4
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.get("model", "bench"),
        "choices": [
            {"index": 0, "message": message, "finish_reason": "tool_calls" if message.get("tool_calls") else "stop"}
        ],
        "usage": {"prompt_tokens": read, "completion_tokens": 20, "total_tokens": read + 20},
    }


async def _serve_one(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    server.counts["connections"] += 1
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = re.search(r"(?im)^content-length:\s*(\d+)", head)
            data = await reader.readexactly(int(length.group(1))) if length else b""
            extra = ""
            value: dict[str, Any]
            path = head.split(" ", 2)[1]
            if path == "/stats":
                status, value, wait = 200, dict(server.counts), 0.0
            elif path == "/reset":
                server.reset()
                status, value, wait = 200, {}, 0.0
            elif path.endswith("/chat/completions"):
                status, value, wait = server.answer(json.loads(data))
                if status == 429:
                    extra = f"retry-after: {server.retry_after()}\r\n"
            else:
                status, value, wait = 404, {"error": {"message": f"no {path} here"}}, 0.0
            server.open += 1
            server.counts["most_at_once"] = max(server.counts["most_at_once"], server.open)
            if wait:
                await asyncio.sleep(wait)
            server.open -= 1
            payload = json.dumps(value).encode()
            writer.write(
                f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n{extra}"
                f"content-length: {len(payload)}\r\n\r\n".encode()
                + payload
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client has gone
    finally:
        writer.close()


async def _main(size: Size) -> None:
    server = Server(size)
    listening = await asyncio.start_server(
        lambda r, w: _serve_one(server, r, w), "127.0.0.1", 0, backlog=2_048, limit=2**22
    )
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=Size.decode, required=True)
    asyncio.run(_main(parser.parse_args().size))
