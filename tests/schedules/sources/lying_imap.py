"""An IMAP server that speaks the protocol and lies as it is told to, on a socket of this machine."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from dataclasses import dataclass, field


@dataclass
class LyingServer:
    """Serves `mails` by UID. Every attribute may be changed between two connections.

    Args:
        uids: what SEARCH names instead of the truth, as bytes.
        lie: bytes that are sent instead of the answer to a command, by its name.
        drip: seconds between two bytes of the answer to FETCH.
        endless: keep sending untagged lines instead of answering SEARCH.
    """

    mails: dict[int, bytes] = field(default_factory=dict)
    validity: bytes = b"7"
    next_uid: bytes | None = None
    capabilities: bytes = b"IMAP4rev1"
    greeting: bytes = b"* OK hello\r\n"
    uids: bytes | None = None
    lie: dict[str, bytes] = field(default_factory=dict)
    drip: float = 0.0
    endless: bool = False
    heard: list[str] = field(default_factory=list)

    def __enter__(self) -> LyingServer:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take no further connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # or the thread that waits for one keeps the port open
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.sendall(self.greeting)
            for line in connection.makefile("rb"):
                tag, _, rest = line.strip().partition(b" ")
                self.heard.append(rest.decode("latin-1"))
                words = rest.decode("latin-1").upper().split() or [""]
                name = words[1] if words[0] == "UID" else words[0]
                if name in self.lie:
                    connection.sendall(self.lie[name].replace(b"TAG", tag))
                    continue
                if name == "LOGOUT":
                    return
                if name == "SEARCH" and self.endless:
                    while True:
                        connection.sendall(b"* 1 EXISTS\r\n" * 1000)
                answer = self._answer(name, rest)
                if name == "FETCH" and self.drip:
                    for n in range(len(answer)):
                        connection.sendall(answer[n : n + 1])
                        time.sleep(self.drip)
                connection.sendall(answer + tag + b" OK done\r\n")

    def _answer(self, name: str, rest: bytes) -> bytes:
        if name == "CAPABILITY":
            return b"* CAPABILITY " + self.capabilities + b"\r\n"
        if name in ("SELECT", "EXAMINE"):
            next_uid = self.next_uid or b"%d" % (max(self.mails, default=0) + 1)
            found = b"* %d EXISTS\r\n* OK [UIDVALIDITY %s] x\r\n* OK [UIDNEXT %s] x\r\n"
            return found % (len(self.mails), self.validity, next_uid)
        if name == "SEARCH":
            uids = self.uids if self.uids is not None else b" ".join(b"%d" % u for u in self.mails)
            return b"* SEARCH " + uids + b"\r\n"
        if name == "FETCH":
            uid = int(rest.split()[2])
            limit = re.search(rb"<0\.([0-9]+)>", rest)
            if uid not in self.mails or limit is None:
                return b""
            data = self.mails[uid][: int(limit.group(1))]
            return b"* 1 FETCH (UID %d BODY[]<0> {%d}\r\n%s)\r\n" % (uid, len(data), data)
        return b""


def mail(subject: str, text: str = "hello", sender: str = "bob@corp.example") -> bytes:
    """A small mail."""
    lines = [f"From: {sender}", "To: ann@corp.example", f"Subject: {subject}", "", text]
    return "\r\n".join(lines).encode() + b"\r\n"
