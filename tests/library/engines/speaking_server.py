"""A server that speaks vLLM's and OpenAI's paths, with an encoder whose answers a test can foretell.

A token's vector is drawn from its word, a patch's from its colour, so that a test sees which vector stands for what.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

Answer = tuple[int, dict[str, str], bytes]


def vector(word: str, dim: int) -> list[float]:
    """The vector of a word: the same everywhere, not of length 1."""
    drawn = np.random.default_rng(int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big"))
    return [float(x) for x in drawn.normal(size=dim)]


def words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text)


@dataclass
class Speaking:
    """The server's settings and what it was asked.

    Args:
        before: what its chat template writes before a picture.
        script: answers to give instead, one a request, by path; a callable makes it from the request.
    """

    dim: int = 16
    patch: int = 32
    model: str = "nvidia/nemotron-colembed-vl-4b-v2"
    card: dict[str, Any] = field(default_factory=dict)
    before: tuple[str, ...] = ("<|im_start|>", "user", "\n", "<|vision_start|>")
    tokenize: bool = True
    lists_models: bool = True
    script: dict[str, list[Answer | Callable[[dict[str, Any]], Answer]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for asked, body, _ in self.asked if asked == path]

    # --- the paths ---------------------------------------------------------------------------------------------------

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        if path == "/v1/models":
            return self.models() if self.lists_models else problem(404, "Not Found")
        if body.get("model") != self.model:
            return problem(404, f"The model `{body.get('model')}` does not exist.")
        if path == "/pooling":
            return said({"data": [item(n, {"data": rows}) for n, rows in enumerate(self.pooled(body))]})
        if path == "/v1/embeddings":
            return self.embeddings(body)
        if path == "/tokenize" and self.tokenize:
            strings = [token for token, _ in self.tokens(body["messages"])]
            return said({"count": len(strings), "tokens": list(range(len(strings))), "token_strs": strings})
        if path in ("/v1/rerank", "/rerank", "/v2/rerank"):
            scored = [(n, overlap(body["query"], text)) for n, text in enumerate(body["documents"])]
            scored.sort(key=lambda pair: -pair[1])
            return said({"results": [{"index": n, "relevance_score": score} for n, score in scored]})
        if path == "/score":
            texts = body["text_2"]
            return said({"data": [item(n, {"score": overlap(body["text_1"], t)}) for n, t in enumerate(texts)]})
        return problem(404, "Not Found")

    def models(self) -> Answer:
        card = {"id": self.model, "object": "model", "owned_by": "vllm", "root": self.model, **self.card}
        return said({"object": "list", "data": [card]})

    def pooled(self, body: dict[str, Any]) -> list[list[list[float]]]:
        if "messages" in body:
            return [[vec for _, vec in self.tokens(body["messages"])]]
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        return [[vector(word, self.dim) for word in ["<s>", *words(text)]] for text in texts]

    def embeddings(self, body: dict[str, Any]) -> Answer:
        dim = body.get("dimensions") or self.dim
        if "messages" in body:
            texts = [json.dumps([[m["role"], len(m["content"]), text_of(m)] for m in body["messages"]])]
        else:
            texts = body["input"]
        found = [[float(x) for x in np.sum([vector(w, self.dim) for w in words(t)], axis=0)][:dim] for t in texts]
        return said({"data": [item(n, {"embedding": row}) for n, row in enumerate(found)]})

    def tokens(self, messages: list[dict[str, Any]]) -> list[tuple[str, list[float]]]:
        """The prompt's tokens with their vectors, as the chat template writes them."""
        found = [(token, vector(token, self.dim)) for token in self.before]
        for message in messages:
            for part in message["content"]:
                if part["type"] == "text":
                    found += [(word, vector(word, self.dim)) for word in words(part["text"])]
                else:
                    image = picture(part["image_url"]["url"])
                    for row in range(image.height // self.patch):
                        for column in range(image.width // self.patch):
                            at = (column * self.patch + self.patch // 2, row * self.patch + self.patch // 2)
                            colour = nearest(image.getpixel(at))
                            found.append(("<|image_pad|>", vector(colour, self.dim)))
                    found.append(("<|vision_end|>", vector("<|vision_end|>", self.dim)))
        return found


COLOURS = {"white": (255, 255, 255), "red": (255, 0, 0), "blue": (0, 0, 255), "green": (0, 128, 0)}


def nearest(pixel: Any) -> str:
    return min(COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], pixel, strict=True)))


def picture(url: str) -> Image.Image:
    head, _, data = url.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64"), head
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def text_of(message: dict[str, Any]) -> str:
    return " ".join(part["text"] for part in message["content"] if part["type"] == "text")


def overlap(query: str, text: str) -> float:
    asked = set(words(query.lower()))
    return len(asked & set(words(text.lower()))) / max(1, len(asked))


def item(index: int, more: dict[str, Any]) -> dict[str, Any]:
    return {"index": index, **more}


def said(body: Any, status: int = 200, **headers: str) -> Answer:
    return status, {k.replace("_", "-"): v for k, v in headers.items()}, json.dumps(body).encode()


def problem(status: int, message: str, **headers: str) -> Answer:
    return said({"error": {"message": message, "code": status}}, status, **headers)


@contextmanager
def speaking(**settings: Any) -> Iterator[Speaking]:
    """A running server on a free port."""
    state = Speaking(**settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.reply({})

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, body: dict[str, Any]) -> None:
            with state.lock:
                state.asked.append((self.path, body, dict(self.headers)))
                scripted = state.script.get(self.path)
                answer = scripted.pop(0) if scripted else None
            if answer is None:
                answer = state.answer(self.path, body)
            elif callable(answer):
                answer = answer(body)
            status, headers, data = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client read enough

        def log_message(self, format: str, *args: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None: ...  # a client that hangs up early

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
