"""An IMAP connection that does not trust the server: bounded in bytes and in seconds, and never without TLS.

Over the standard library's imaplib (RFC 3501). Mailboxes are opened for reading only, so that nothing is marked.
"""

from __future__ import annotations

import base64
import contextlib
import imaplib
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mainspring.errors import DeclarationError, MainspringError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MOST_UID = 2**32 - 1
_UID = re.compile(rb"\bUID ([0-9]{1,10})\b")
#: Bytes that a server may send besides a mail, and the largest thing it may announce among them.
_CHATTER = 8 << 20
_LINE = 1 << 20
#: What each line counts besides its bytes: many short ones cost more than a long one.
_LINE_COST = 200


@dataclass(frozen=True, slots=True)
class Account:
    """Where mail is read.

    Args:
        password: a reference such as ``"secret:mail"``, never the password itself.
        tls: ``"tls"`` from the first byte, or ``"starttls"``, which is refused when the server does not offer it.
            ``"none"`` is for a server on this machine only.
        mailbox: the folder.
        ca_file: certificates to trust instead of the system's.
        deadline_s: longest that one look at the mailbox may take.
        max_bytes: how much of a mail is read; the rest is cut.

    Raises:
        DeclarationError: something does not fit.
    """

    host: str
    user: str
    password: str
    port: int = 0
    tls: str = "tls"
    mailbox: str = "INBOX"
    ca_file: str = ""
    deadline_s: float = 120.0
    max_bytes: int = 25 << 20

    def __post_init__(self) -> None:
        if self.tls not in ("tls", "starttls", "none"):
            raise DeclarationError(f"mailbox of {self.host}: tls is 'tls', 'starttls' or 'none', not {self.tls!r}")
        if self.tls == "none" and self.host not in _LOOPBACK:
            raise DeclarationError(
                f"mailbox of {self.host}: without TLS a password crosses the network in the open; use tls='tls'"
            )
        if not re.match(r"secret:[A-Za-z_][A-Za-z0-9_.-]{0,99}\Z", self.password):
            raise DeclarationError(
                f"mailbox of {self.host}: the password is named as 'secret:NAME' and declared under [secrets]; it is "
                "not written here"
            )
        for what in (self.host, self.user, self.mailbox):
            if not what or any(ord(c) < 32 or ord(c) == 127 for c in what):
                raise DeclarationError(f"mailbox of {self.host!r}: {what!r} is empty or has control characters")

    @property
    def name(self) -> str:
        """For people and labels: ``user@host/mailbox``."""
        return f"{self.user}@{self.host}/{self.mailbox}"


class _Bounded(imaplib.IMAP4):
    """imaplib as it is, but for what it reads: it would keep whatever a server sends."""

    left = _CHATTER
    largest = 0

    def read(self, size: int) -> bytes:
        if size > self.largest:
            raise self.abort(f"the server announces {size:,} bytes where at most {self.largest:,} were asked for")
        self._spend(size)
        return super().read(size)

    def readline(self) -> bytes:
        line = super().readline()  # which refuses a line of more than a million bytes
        self._spend(len(line) + _LINE_COST)
        return line

    def _spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise self.abort("the server sends far more than anybody asked for")


class _BoundedTLS(_Bounded, imaplib.IMAP4_SSL):
    pass


class Connection:
    """An open mailbox. Made by :func:`connect`.

    Attributes:
        validity: the UIDVALIDITY: UIDs mean nothing under another one.
        next_uid: the UIDNEXT, or None when the server does not say.
    """

    def __init__(self, account: Account, client: _Bounded, validity: int, next_uid: int | None) -> None:
        self._account = account
        self._client = client
        self.validity = validity
        self.next_uid = next_uid

    def uids(self, criterion: str) -> list[int]:
        """UIDs of the mails that match, each once and in order. Raises MainspringError for what can be no UID."""
        _, data = self._uid("SEARCH", criterion)
        found: set[int] = set()
        for word in b" ".join(d for d in data if isinstance(d, bytes)).split():
            number = int(word) if word.isdigit() and len(word) <= 10 else 0
            # A mail may have come since the mailbox was opened; a million can not.
            most = _MOST_UID if self.next_uid is None else min(_MOST_UID, self.next_uid + 1_000_000)
            if not 0 < number <= most:
                raise lies(self._account, f"it names a mail {word[:20]!r}, which cannot be there")
            found.add(number)
        return sorted(found)

    def mail(self, uid: int) -> bytes | None:
        """The first `max_bytes` bytes of a mail, or None when it is gone. It is not marked as seen."""
        self._client.largest = self._account.max_bytes
        self._client.left = _CHATTER + self._account.max_bytes
        try:
            _, data = self._uid("FETCH", str(uid), f"(UID BODY.PEEK[]<0.{self._account.max_bytes}>)")
        finally:
            self._client.largest, self._client.left = _LINE, _CHATTER
        for number, entry in enumerate(data):
            if not isinstance(entry, tuple):
                continue
            tail = data[number + 1] if number + 1 < len(data) and isinstance(data[number + 1], bytes) else b""
            said = _UID.search(entry[0]) or _UID.search(tail)
            if said is not None and int(said.group(1)) == uid:  # others are news about mails that nobody asked for
                return bytes(entry[1])
        return None

    def settle(self, uids: list[int], after: str) -> None:
        """Mark mails as ``"seen"``, or ``"delete"`` them; only in a mailbox that was opened for writing."""
        for uid in uids:
            self._uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Seen)" if after == "seen" else r"(\Deleted)")
        if after == "delete" and uids and "UIDPLUS" in self._client.capabilities:
            self._uid("EXPUNGE", ",".join(map(str, uids)))

    def wait(self, seconds: float) -> bool:
        """True as soon as the server says that something has come (IDLE, RFC 2177), False after `seconds` or when it
        cannot say so."""
        if "IDLE" not in self._client.capabilities:
            return False
        tag = self._client._new_tag()
        self._client.send(tag + b" IDLE\r\n")
        self._client.sock.settimeout(seconds)
        try:
            while True:
                line = self._client.readline()
                if not line or line.startswith(tag):
                    return False
                if re.match(rb"\* [0-9]+ EXISTS", line):
                    return True
        except TimeoutError:
            return False

    def _uid(self, command: str, *arguments: str) -> tuple[str, list[Any]]:
        kind, data = self._client.uid(command, *arguments)
        if kind != "OK":
            raise lies(self._account, f"it refuses {command}")
        return kind, data


def lies(account: Account, what: str) -> MainspringError:
    """The error for a server that cannot be relied on. Its own words are not quoted: they are a stranger's."""
    return MainspringError(f"the mailbox {account.name} cannot be read: {what}; nothing of it was taken")


@contextlib.contextmanager
def connect(account: Account, password: str, *, writing: bool = False) -> Iterator[Connection]:
    """Log in and open the mailbox. Blocks, at most `deadline_s`; run it in a thread.

    Args:
        password: its value.
        writing: whether mails may be marked or deleted.

    Raises:
        MainspringError: whatever goes wrong, with what it was. The password is never quoted.
    """
    client: _Bounded | None = None
    over: list[bool] = []
    timer: threading.Timer | None = None
    try:
        client = _open(account)
        timer = threading.Timer(account.deadline_s, _cut, (client, over))
        timer.daemon = True
        timer.start()  # a socket's timeout begins anew with each byte: a slow server would hold us for ever
        validity, next_uid = _enter(account, client, password, writing)
        yield Connection(account, client, validity, next_uid)
    except MainspringError:
        raise
    except ssl.SSLError as error:
        raise lies(
            account, f"its certificate or its TLS is not accepted ({error.reason or 'no reason given'})"
        ) from None
    except (TimeoutError, OSError) as error:
        late = bool(over) or isinstance(error, TimeoutError)
        why = f"no answer within {account.deadline_s:g} s" if late else (error.strerror or type(error).__name__)
        raise lies(account, why) from None
    except imaplib.IMAP4.error as error:
        late = bool(over)
        own = str(error) if "the server " in str(error) else "it does not speak IMAP as RFC 3501 has it, or hung up"
        raise lies(account, f"no end within {account.deadline_s:g} s" if late else own) from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        # imaplib takes answers apart without looking: what does not fit comes out as any of these.
        raise lies(account, f"it does not speak IMAP as RFC 3501 has it ({type(error).__name__})") from None
    finally:
        if timer is not None:
            timer.cancel()
        if client is not None:
            _leave(client)


def _open(account: Account) -> _Bounded:
    context = ssl.create_default_context(cafile=account.ca_file or None)
    port = account.port or (993 if account.tls == "tls" else 143)
    each = min(30.0, account.deadline_s)
    if account.tls == "tls":
        client: _Bounded = _BoundedTLS(account.host, port, ssl_context=context, timeout=each)
    else:
        client = _Bounded(account.host, port, timeout=each)
    client.largest = _LINE
    if account.tls == "starttls":
        if client.state != "NONAUTH" or "STARTTLS" not in client.capabilities:
            _leave(client)
            raise lies(account, "it offers no STARTTLS, or somebody in between took it out; no password was sent")
        client.starttls(ssl_context=context)
    return client


def _enter(account: Account, client: _Bounded, password: str, writing: bool) -> tuple[int, int | None]:
    if any(ord(c) < 32 for c in account.user + password) or not (account.user + password).isascii():
        raise lies(account, "its user or password holds characters that IMAP's LOGIN cannot carry")
    if client.state == "NONAUTH":
        if "LOGINDISABLED" in client.capabilities:
            raise lies(account, "it takes no password here")
        try:
            client.login(client._quote(account.user), password)  # imaplib quotes one of them only
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:  # what it says may quote the password
            raise lies(
                account, f"it refuses the login of {account.user}; look at the secret {account.password}"
            ) from None
        client.capabilities = _capabilities(client)  # many a server names more of them now
    kind, _ = client.select(_quoted(account.mailbox), readonly=not writing)
    if kind != "OK":
        raise lies(account, "there is no such folder, or it may not be opened")
    validity, next_uid = _number(client, "UIDVALIDITY"), _number(client, "UIDNEXT")
    if validity is None:
        raise lies(account, "it gives no UIDVALIDITY, so that nobody can say which mails are new")
    return validity, next_uid


def _capabilities(client: _Bounded) -> tuple[str, ...]:
    _, data = client.capability()
    words = data[-1] if data else None
    return tuple(words.decode("ascii", "replace").upper().split()) if isinstance(words, bytes) else ()


def _number(client: _Bounded, name: str) -> int | None:
    _, data = client.response(name)
    word = data[-1] if data else None
    if not isinstance(word, bytes) or not word.isdigit() or len(word) > 10:
        return None
    return int(word)


def _cut(client: _Bounded, over: list[bool]) -> None:
    over.append(True)
    with contextlib.suppress(OSError):
        client.sock.shutdown(socket.SHUT_RDWR)


def _leave(client: _Bounded) -> None:
    with contextlib.suppress(Exception):  # whatever it says to our goodbye changes nothing
        client.sock.settimeout(2)
        client.sock.sendall(b"bye LOGOUT\r\n")
    with contextlib.suppress(Exception):
        client.shutdown()


def _quoted(mailbox: str) -> str:
    """A folder's name as a quoted string in modified UTF-7 (RFC 3501, 5.1.3)."""
    made, beyond = "", ""
    for letter in mailbox + "\0":
        if letter != "\0" and not 32 <= ord(letter) < 127:
            beyond += letter
            continue
        if beyond:
            coded = base64.b64encode(beyond.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
            made, beyond = f"{made}&{coded.decode()}-", ""
        made += "&-" if letter == "&" else letter
    return '"' + made[:-1].replace("\\", "\\\\").replace('"', '\\"') + '"'
