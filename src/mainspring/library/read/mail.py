"""Mail: a message's headers, its text, and what is attached, through the readers of those files."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from itertools import islice
from pathlib import Path

from mainspring.errors import ToolError
from mainspring.library.page import Page
from mainspring.library.read.base import Notes, PagesReading, read_bytes, title_of
from mainspring.library.read.blocks import Block, sections
from mainspring.library.read.charset import decode
from mainspring.library.read.kinds import HEAD_BYTES, kind_of
from mainspring.library.read.plain import paragraphs
from mainspring.library.read.protocol import About, ReadLimits
from mainspring.library.read.tidy import one_line
from mainspring.library.read.web import MOST_BYTES, html_blocks

_HEADERS = ("From", "To", "Cc", "Date", "Subject")
#: Attachments up to this size are read, so many of a message; messages in messages so deep.
_ATTACHED_BYTES = 20_000_000
_ATTACHED = 50
_DEEP = 3
_ATTACHED_PAGES = 200
_BETWEEN = re.compile(rb"(?:\A|\r?\n\r?\n)(?=From [^\r\n]{3,200}\d{4}[^\r\n]*\r?\n[A-Za-z-]+:)")


def open_mail(path: Path, limits: ReadLimits) -> PagesReading:
    """One message (.eml), or a mailbox (mbox) with its messages one after another."""
    data = read_bytes(path, limits)
    notes = Notes()
    boxed = data.startswith(b"From ")
    first = _parse(next(iter(_messages(data, boxed)), b""))
    extra = {key.lower(): _header(first, key) for key in ("From", "To", "Date") if _header(first, key)}
    title = title_of(path, "" if boxed else _header(first, "Subject"))

    def pages() -> Iterator[Page]:
        number = 0
        for piece in _messages(data, boxed):
            for page in message_pages(_parse(piece), limits, notes):
                number += 1
                yield _numbered(page, number)

    return PagesReading(path.name, About("mail", title, {} if boxed else extra), pages, limits, notes)


def _numbered(page: Page, number: int) -> Page:
    from dataclasses import replace

    return replace(page, number=number, pictured=False)  # an attachment's picture is gone with the message


def _messages(data: bytes, boxed: bool) -> Iterator[bytes]:
    if not boxed:
        yield data
        return
    starts = [found.end() for found in _BETWEEN.finditer(data)] or [0]
    for begin, end in zip(starts, [*starts[1:], len(data)], strict=True):
        yield re.sub(rb"(?m)^>(>*From )", rb"\1", data[begin:end].partition(b"\n")[2])


def _parse(data: bytes) -> EmailMessage:
    message = message_from_bytes(data, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def message_pages(message: EmailMessage, limits: ReadLimits, notes: Notes, depth: int = 0) -> Iterator[Page]:
    """A message's own pages, then those of its attachments. Numbers are to be given by the caller."""
    subject = one_line(_header(message, "Subject"))
    attached: list[tuple[str, EmailMessage]] = []
    body = list(_body(message, attached, notes))
    head = [f"{name}: {value}" for name in _HEADERS if (value := _header(message, name))]
    if attached:
        head.append("Attachments: " + ", ".join(name for name, _ in attached[:_ATTACHED]))
    blocks = [Block("\n".join(head), "header"), *body]
    for page in sections(blocks, limits.page_chars, notes.removed):
        yield _under(page, subject)
    for name, part in attached[:_ATTACHED]:
        for page in _attachment(name, part, limits, notes, depth):
            yield _under(page, f"{subject} > {name}" if subject else name)


def _under(page: Page, heading: str) -> Page:
    from dataclasses import replace

    return replace(page, heading=" > ".join(part for part in (heading, page.heading) if part), line=None)


def _header(message: EmailMessage, name: str) -> str:
    with contextlib.suppress(Exception):  # a header that the parser of this one cannot read
        value = message.get(name)
        return "" if value is None else one_line(str(value), 1000)
    return one_line(str(dict(message.raw_items()).get(name, "")), 1000)


def _body(message: EmailMessage, attached: list[tuple[str, EmailMessage]], notes: Notes) -> Iterator[Block]:
    """The text of a message: of alternatives the plain one. Everything else is put into `attached`."""
    pending: list[EmailMessage] = [message]
    while pending:
        part = pending.pop(0)
        kind = part.get_content_type()
        if kind == "multipart/alternative":
            choices = [one for one in part.iter_parts() if isinstance(one, EmailMessage)]
            plain = [one for one in choices if one.get_content_type() == "text/plain" and _text(one).strip()]
            pending[:0] = plain[:1] or choices[-1:]
        elif part.is_multipart() and kind != "message/rfc822":
            pending[:0] = [one for one in part.iter_parts() if isinstance(one, EmailMessage)]
        elif kind in ("text/plain", "text/html") and not part.get_filename() and not part.is_attachment():
            text = _text(part)
            if kind == "text/plain":
                yield from paragraphs(text)
            elif len(text) <= MOST_BYTES:
                with contextlib.suppress(ToolError):
                    yield from html_blocks(text, notes)
        else:
            attached.append((one_line(part.get_filename() or f"{kind.replace('/', '.')}", 120), part))


def _text(part: EmailMessage) -> str:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    charset = part.get_content_charset() or ""
    return decode(data, charset)[0].replace("\r\n", "\n")


def _attachment(name: str, part: EmailMessage, limits: ReadLimits, notes: Notes, depth: int) -> Iterator[Page]:
    if depth >= _DEEP:
        notes.add("attachments of messages in messages were not read deeper")
        return
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload(0)
        if isinstance(inner, EmailMessage):
            yield from message_pages(inner, limits, notes, depth + 1)
        return
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes) or not data:
        return
    if len(data) > _ATTACHED_BYTES:
        notes.add(f"attachment {name!r} has {len(data):,} bytes and was not read")
        return
    kind = kind_of(Path(name), data[:HEAD_BYTES])
    if kind is None or kind in ("image", "video", "audio"):
        return  # listed by its name
    from mainspring.library.read.local import open_here

    folder = Path(tempfile.mkdtemp(prefix="mainspring-attached-"))
    file = folder / ("attached" + re.sub(r"[^A-Za-z0-9.]", "", Path(name).suffix)[:12])
    try:
        file.write_bytes(data)
        reading = open_here(file, kind, limits)
        try:
            yield from islice(reading.pages(), _ATTACHED_PAGES)
            if reading.problem:
                notes.add(f"attachment {name!r}: {reading.problem}")
        finally:
            reading.close()
    except ToolError as error:
        notes.add(f"attachment {name!r} was not read: {str(error).replace(file.name, name)}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
