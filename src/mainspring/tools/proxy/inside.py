"""Runs inside the sandbox: programs speak to a port of the loopback, and this carries their bytes to the proxy.

It decides nothing; whoever speaks to the proxy's socket directly finds the same proxy. It is started as
``python -I -S -c TEXT SOCKET PORT``, so it imports nothing of ours, and returns once it listens.
"""

import _thread
import contextlib
import os
import socket
import sys


def carry(source: socket.socket, target: socket.socket) -> None:
    """Copy until the end of one direction, then say so to the other side."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def serve(client: socket.socket, proxy: str) -> None:
    """Carry one connection in both directions."""
    with client, socket.socket(socket.AF_UNIX) as upstream:
        try:
            upstream.connect(proxy)
        except OSError:
            return
        done = _thread.allocate_lock()
        done.acquire()

        def back() -> None:
            try:
                carry(upstream, client)
            finally:
                done.release()

        _thread.start_new_thread(back, ())
        carry(client, upstream)
        done.acquire()


def main(proxy: str, port: int) -> None:
    """Listen, leave a child that serves, and return."""
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    if os.fork():
        return
    os.setsid()
    empty = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):  # what reads the command's output must see its end
        os.dup2(empty, descriptor)
    _thread.stack_size(256 << 10)
    while True:
        client, _ = listener.accept()
        try:
            _thread.start_new_thread(serve, (client, proxy))
        except RuntimeError:  # as many threads as the sandbox allows
            client.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
