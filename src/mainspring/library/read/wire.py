"""What goes between a reading process and ours: frames of JSON with bytes behind it, and descriptors of files.

Nothing is unpickled. Whatever comes from the child is checked like a stranger's: a file may have taken it over.
"""

from __future__ import annotations

import array
import json
import math
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, get_args

from mainspring.library.page import Box, Kind, Page, Region, RegionKind, TextSource
from mainspring.library.read.protocol import About
from mainspring.library.read.tidy import one_line, tidy

_HEADER = struct.Struct(">II")
#: Largest frame that is taken: the text of one page is far smaller, a picture of 100 million pixels has 300 MB.
MOST_JSON = 64_000_000
MOST_BLOB = 1_300_000_000
#: Highest number of a page or line; a database takes no number beyond 64 bits.
_MOST_NUMBER = 1_000_000_000
_KINDS, _REGIONS, _SOURCES = (frozenset(get_args(kind)) for kind in (Kind, RegionKind, TextSource))


class Lost(Exception):
    """The other side is gone, or sent what no frame is."""


def send(sock: socket.socket, message: Mapping[str, Any], blob: bytes = b"", descriptor: int | None = None) -> None:
    """Send a frame. Raises Lost, or TimeoutError under the socket's timeout."""
    text = json.dumps(message, separators=(",", ":")).encode()
    head = _HEADER.pack(len(text), len(blob))
    try:
        if descriptor is None:
            sock.sendall(head + text)
        else:
            sent = sock.sendmsg([head], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])
            sock.sendall((head + text)[sent:])
        if blob:
            sock.sendall(blob)
    except TimeoutError:
        raise
    except OSError as error:
        raise Lost(str(error)) from None


def receive(
    sock: socket.socket, seconds: float | None = None, most_blob: int = MOST_BLOB
) -> tuple[dict[str, Any], bytes, int | None]:
    """The next frame: its message, its bytes, and the descriptor that came with it.

    Args:
        seconds: time for all of it, however slowly it comes; None waits for good.
        most_blob: most bytes behind the message that are taken.

    Raises: Lost, TimeoutError.
    """
    descriptor: int | None = None
    until = None if seconds is None else time.monotonic() + seconds
    try:
        _wait_until(sock, until)
        head, extra, _, _ = sock.recvmsg(_HEADER.size, socket.CMSG_SPACE(4))
        for level, kind, data in extra:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptor = array.array("i", data[:4])[0]
        if not head:
            raise Lost("end of file")
        head += _exactly(sock, _HEADER.size - len(head), until)
        text_size, blob_size = _HEADER.unpack(head)
        if text_size > MOST_JSON or blob_size > most_blob:
            raise Lost("a frame that is too large")
        text = _exactly(sock, text_size, until)
        blob = _exactly(sock, blob_size, until)
        message = json.loads(bytes(text))
    except TimeoutError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise Lost(str(error)) from None
    if not isinstance(message, dict):
        raise Lost("a frame that is no object")
    return message, bytes(blob), descriptor


def _wait_until(sock: socket.socket, until: float | None) -> None:
    if until is not None:
        sock.settimeout(max(until - time.monotonic(), 0.001))


def _exactly(sock: socket.socket, size: int, until: float | None) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    at = 0
    while at < size:
        if until is not None and time.monotonic() >= until:
            raise TimeoutError  # also one that sends a byte now and then is given up
        _wait_until(sock, until)
        got = sock.recv_into(view[at:], min(size - at, 1 << 20))
        if not got:
            raise Lost("end of file")
        at += got
    return data


def page_message(page: Page) -> dict[str, Any]:
    """A page as JSON has it."""
    said = asdict(page)
    said["regions"] = [
        [r.start, r.end, r.kind, None if r.box is None else [r.box.left, r.box.top, r.box.right, r.box.bottom]]
        for r in page.regions
    ]
    return said


def page_of_message(said: Any, most_chars: int) -> Page:
    """A page from what a child sent. Raises Lost when it is not one."""
    try:
        text = str(said["text"])
        if len(text) > most_chars or tidy(text) != text:
            raise Lost("a page with text that no reader makes")
        if said["source"] not in _SOURCES:
            raise Lost("a page from an unknown source")
        regions = tuple(_region(one, len(text)) for one in said["regions"])
        line = None if said["line"] is None else max(1, int(said["line"]))
        number = int(said["number"])
        if not 1 <= number <= _MOST_NUMBER or (line or 1) > _MOST_NUMBER:
            raise Lost("a page with a number that no reader gives")
        return Page(
            number=number,
            text=text,
            regions=regions,
            heading=one_line(str(said["heading"]), 2_000),
            source=said["source"],
            pictured=bool(said["pictured"]),
            unread=_number(said["unread"], 1.0),
            width=_number(said["width"]),
            height=_number(said["height"]),
            begins_s=None if said["begins_s"] is None else _number(said["begins_s"]),
            ends_s=None if said["ends_s"] is None else _number(said["ends_s"]),
            line=line,
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Lost(f"a page that is none: {error}") from None


def _region(said: Any, length: int) -> Region:
    start, end, kind, box = said
    if not (isinstance(start, int) and isinstance(end, int) and 0 <= start <= end <= length) or kind not in _REGIONS:
        raise Lost("a region outside its page")
    if box is None:
        return Region(start, end, kind)
    left, top, right, bottom = (_number(value, 1.0) for value in box)
    return Region(start, end, kind, Box(left, top, right, bottom))


def _number(value: Any, most: float = 1e12) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return min(max(number, 0.0), most)


def about_of_message(said: Any) -> About:
    """What a child says of a file. Raises Lost when it is not that."""
    try:
        if said["kind"] not in _KINDS:
            raise Lost("an unknown kind")
        title = one_line(str(said["title"]))
        extra = {one_line(str(key), 60): one_line(str(value), 2_000) for key, value in list(said["extra"].items())[:64]}
    except (KeyError, TypeError, AttributeError) as error:
        raise Lost(f"a description that is none: {error}") from None
    return About(said["kind"], title, extra)
