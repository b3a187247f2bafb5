"""A mail as fields: from, to, subject, date, text and attachments, each a stranger's, however broken it is.

Parsed by the standard library's `email` with its default policy. `from` is what somebody wrote into the mail: it is
never an identity, and nothing is decided by it.
"""

from __future__ import annotations

import contextlib
import email.policy
import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import Any, cast

#: Longest header value and longest text that are taken over, in characters; the rest is cut, and the mail says so.
MAX_HEADER = 1000
MAX_TEXT = 200_000
#: Most attachments and most bytes of them together.
MAX_FILES = 20
MAX_FILE_BYTES = 10 << 20
#: Most parts that are looked at, and how deep; a mail of a million nested parts has no more to say.
MAX_PARTS = 200
MAX_DEPTH = 20
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]")
_BAD_NAME = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|]')
_BOUNDARY = re.compile(rb"(?im)^[ \t]*content-type[ \t]*:")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in a mail; `name` is safe to be joined to a folder, and was chosen by a stranger all the same."""

    name: str
    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the content."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says. `date` is ISO 8601 or ""; `cut` names what was left out or could not be read."""

    sender: str
    to: str
    subject: str
    date: str
    message_id: str
    text: str
    attachments: tuple[Attachment, ...]
    cut: tuple[str, ...] = ()

    def payload(self) -> dict[str, Any]:
        """As JSON-ready dict; of attachments only what they are."""
        return {
            "from": self.sender,
            "to": self.to,
            "subject": self.subject,
            "date": self.date,
            "message_id": self.message_id,
            "text": self.text,
            "attachments": [
                {"name": a.name, "media_type": a.media_type, "bytes": len(a.data), "sha256": a.digest}
                for a in self.attachments
            ],
            "cut": list(self.cut),
        }


def parse(data: bytes) -> Mail:
    """Read a mail. Never raises for what is in it: what cannot be read is empty and named in `cut`."""
    cut: list[str] = []
    if len(_BOUNDARY.findall(data, 0, 8 << 20)) > 50 * MAX_PARTS:  # the parser would build every one of them
        head = data.partition(b"\r\n\r\n")[0][:65_536] if b"\r\n\r\n" in data[:65_536] else data[:65_536]
        data = head + b"\r\n\r\n"
        cut.append("parts")
    try:
        message = BytesParser(policy=email.policy.default).parsebytes(data)
    except (ValueError, LookupError, RecursionError, IndexError, AttributeError, TypeError):
        return Mail("", "", "", "", "", _clean(data[:MAX_TEXT].decode("utf-8", "replace")), (), ("structure",))
    text, files = _contents(message, cut)
    return Mail(
        _header(message, "from", cut),
        _header(message, "to", cut),
        _header(message, "subject", cut),
        _date(message),
        _header(message, "message-id", cut),
        text,
        tuple(files),
        tuple(dict.fromkeys(cut)),
    )


def file_name(name: str, number: int) -> str:
    """A name without folders, devices, control and direction characters, and of at most 100 characters."""
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8"))
    name = "".join(c for c in name if unicodedata.category(c) not in ("Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
    name = _BAD_NAME.sub("_", name).strip(" .")
    if len(name.encode()) > 100:
        stem, dot, ending = name.rpartition(".")
        ending = dot + ending if stem and len(ending) <= 10 else ""
        name = (stem or name).encode()[: 100 - len(ending.encode())].decode("utf-8", "ignore") + ending
    return name or f"file-{number}"


def _header(message: EmailMessage, name: str, cut: list[str]) -> str:
    try:
        found = message.get_all(name) or []
        value = "" if not found else str(found[0])
    except Exception:  # the header parser of the standard library raises anything for what it does not foresee
        value = next((str(v) for n, v in message.raw_items() if n.lower() == name), "")
        cut.append(f"{name} (broken)")
        found = [value]
    if len(found) > 1:  # two readers may take it for two different mails
        cut.append(f"{name} (stands there {len(found)} times)")
    value = " ".join(_clean(value).split())
    if len(value) > MAX_HEADER:
        cut.append(name)
    return value[:MAX_HEADER]


def _date(message: EmailMessage) -> str:
    try:
        found = message.get("date")
        return "" if found is None else parsedate_to_datetime(str(found)).isoformat()
    except Exception:  # a date can be broken in more ways than the standard library names
        return ""


def _contents(message: EmailMessage, cut: list[str]) -> tuple[str, list[Attachment]]:
    plain: list[str] = []
    marked_up: list[str] = []
    files: list[Attachment] = []
    left = MAX_FILE_BYTES
    for part in _parts(message, cut):
        kind = part.get_content_type()
        data = _bytes(part, cut)
        name = _file_name_of(part)
        attached = bool(name) or _is_attached(part)
        if kind in ("text/plain", "text/html") and not attached:
            (plain if kind == "text/plain" else marked_up).append(_decoded(part, data, cut))
        elif len(files) >= MAX_FILES or len(data) > left:
            cut.append("attachments")
        else:
            left -= len(data)
            files.append(Attachment(_unused(file_name(name, len(files) + 1), files), kind, data))
    text = "\n".join(plain) if any(p.strip() for p in plain) else "\n".join(_words_of(h) for h in marked_up)
    if len(text) > MAX_TEXT:
        cut.append("text")
    return _clean(text)[:MAX_TEXT], files


def _parts(message: EmailMessage, cut: list[str]) -> Iterator[EmailMessage]:
    """The leaves, in order; a mail within the mail is one file, not looked into."""
    waiting = [(message, 0)]
    seen = 0
    while waiting:
        part, depth = waiting.pop()
        seen += 1
        if seen > MAX_PARTS or depth > MAX_DEPTH:
            cut.append("parts")
            if seen > MAX_PARTS:
                return
            continue
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            below = cast("list[EmailMessage]", part.get_payload())
            waiting += [(p, depth + 1) for p in reversed(below)]
        else:
            yield part


def _bytes(part: EmailMessage, cut: list[str]) -> bytes:
    try:
        if part.is_multipart():
            inner = cast("list[EmailMessage]", part.get_payload())
            return b"".join(m.as_bytes() for m in inner[:1])
        found = part.get_payload(decode=True)
        return found if isinstance(found, bytes) else b""
    except Exception:  # broken transfer encodings, charsets that do not exist, nesting that exhausts the stack
        cut.append("a part (broken)")
        return b""


def _decoded(part: EmailMessage, data: bytes, cut: list[str]) -> str:
    charset = "utf-8"
    try:
        charset = part.get_content_charset() or "utf-8"
        return data.decode(charset, "replace")
    except (LookupError, ValueError, TypeError):  # also for charsets of the standard library that are no text
        cut.append("charset")
        return data.decode("utf-8", "replace")


def _file_name_of(part: EmailMessage) -> str:
    try:
        return part.get_filename() or ""
    except Exception:
        return ""


def _is_attached(part: EmailMessage) -> bool:
    try:
        return part.get_content_disposition() == "attachment"
    except Exception:
        return True


def _unused(name: str, files: list[Attachment]) -> str:
    taken = {f.name.casefold() for f in files}
    if name.casefold() not in taken:
        return name
    return f"{len(files) + 1}-{name}"


def _clean(text: str) -> str:
    """Without NUL, other control characters and halves of surrogate pairs, which no JSON and no database takes."""
    return _CONTROL.sub("\ufffd", text).encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n")


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style", "head", "template"):
            self._hidden += 1
        elif tag in ("p", "br", "div", "tr", "li", "h1", "h2", "h3"):
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "head", "template"):
            self._hidden = max(0, self._hidden - 1)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.found.append(data)


def _words_of(html: str) -> str:
    words = _Words()
    with contextlib.suppress(AssertionError, ValueError, RecursionError):
        words.feed(html[: 4 * MAX_TEXT])
    return "".join(words.found)
