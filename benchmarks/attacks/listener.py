"""A real HTTP server on this machine that keeps what it was asked: the judge of every leak."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Listener(ThreadingHTTPServer):
    """Answers every path with `page`, or moves `/moved` to `target`."""

    daemon_threads = True

    def __init__(self, address: str = "127.0.0.1", page: str = "hello", target: str = "") -> None:
        self.asked: list[str] = []
        self.page, self.target = page, target
        super().__init__((address, 0), Asked)
        self.port = int(self.server_address[1])
        self.url = f"http://{address}:{self.port}"


class Asked(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        """Keep what was asked, headers included: a secret may travel in one."""
        listener = self.server
        assert isinstance(listener, Listener)
        listener.asked.append(f"{self.path}\n{self.headers}")
        moved = self.path == "/moved" and listener.target
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("Location", listener.target)
        body = listener.page.encode()
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


@contextmanager
def listening(address: str = "127.0.0.1", page: str = "hello", target: str = "") -> Iterator[Listener]:
    """A server while it is needed."""
    server = Listener(address, page, target)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def name_server() -> Iterator[tuple[int, list[bytes]]]:
    """A name server's port, and every packet that reached it: names that are asked for can carry data."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))
        own.settimeout(0.05)
        packets: list[bytes] = []
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                try:
                    packets.append(own.recv(4096))
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield int(own.getsockname()[1]), packets
        finally:
            ended.set()
            thread.join()
