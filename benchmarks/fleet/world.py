"""The world outside: a service on the network that does what it is told, and remembers each time that it did."""

from __future__ import annotations

import contextlib
import json
import random
import socketserver
import threading
import time
from collections import defaultdict
from typing import Any, cast


class World:
    """Answers lines of JSON: ``act`` does something (once per key, when there is one), ``asked`` says what was done."""

    def __init__(self, address: str, seed: int) -> None:
        self._draw = random.Random(seed)
        self.acts: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._by_key: dict[str, str] = {}
        self._lock = threading.Lock()
        world = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):  # whoever asked was killed, or gave up
                    line = self.rfile.readline(1 << 16)
                    if line.endswith(b"\n"):
                        time.sleep(world.pause())
                        answer = world.answer(json.loads(line))
                        time.sleep(world.pause())
                        self.wfile.write((json.dumps(answer) + "\n").encode())

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 512

        self._server = Server((address, 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        host, port = cast("tuple[str, int]", self._server.server_address)
        return f"{host}:{port}"

    def pause(self) -> float:
        """Seconds for which a request is under way before it is done, and its answer after it."""
        with self._lock:
            return self._draw.uniform(0.01, 0.1)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked for; the same key is done once."""
        place = str(request["run"]), int(request["step"])
        with self._lock:
            if request["do"] == "asked":
                return {"done": bool(self.acts[place])}
            key = request.get("key")
            if key is not None and key in self._by_key:
                return {"receipt": self._by_key[key]}
            self.acts[place].append(time.time())
            receipt = f"{place[0]}/{place[1]}/{len(self.acts[place])}"
            if key is not None:
                self._by_key[key] = receipt
            return {"receipt": receipt}

    def happened(self, run: str, step: int) -> bool:
        """Whether something was done for a step."""
        with self._lock:
            return bool(self.acts.get((run, step)))

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
