"""Who reads what is shown, and what a URL would tell to whom."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mainspring.guard.outputs.hosts import is_known, read_address
from mainspring.label import Label

#: Characters of a URL that mean nothing but themselves (RFC 3986, section 2.3), and written-out bytes.
_DATA = re.compile(r"(?:[A-Za-z0-9_~-]|\.(?!\.)|%[0-9A-Fa-f]{2})*\Z")
_BLANK = re.compile(r"[\x00-\x20\x7f]")
#: Sources that hold nobody's data: what a person typed, what a clean model or Mainspring itself wrote.
_OWN = frozenset({"user", "system", "model"})


@dataclass(frozen=True, slots=True)
class Channel:
    """A place where values are shown.

    Args:
        name: for a person: ``"terminal"``, ``"slack #sales"``.
        readers: everyone who reads there, as labels name them; None means that anyone may.
    """

    name: str
    readers: frozenset[str] | None = None


#: A place that anyone may read.
PUBLIC = Channel("public")


def may_show(label: Label, channel: Channel) -> str | None:
    """Why a value must not be shown on a channel, or None when everyone there may read it."""
    if label.readers is None:
        return None
    if channel.readers is None:
        return f"{channel.name} can be read by anyone, and this may be read only by {_names(label.readers)}"
    if not channel.readers:
        return None
    others = channel.readers - label.readers
    if not others:
        return None
    return f"{channel.name} is read by {_names(others)} too, and this may be read only by {_names(label.readers)}"


def check_url(
    parts: Sequence[tuple[str, Label]], *, known_hosts: Collection[str] = (), inside: Collection[str] = ()
) -> str | None:
    """Why a URL made of these parts must not be opened or shown as a link, or None.

    Opening a URL tells its host every character of it: the path, the query, the name before an ``@``, the part in
    front of the domain; and a page's scripts read the fragment. So the host must come whole from one part, nothing
    private may go to a host that is not among its readers, and what a stranger wrote cannot be the host for others'
    data, nor more than plain data under another's host.

    Args:
        parts: the URL in order, each stretch with its own label; a URL from one source is one part.
        known_hosts: hosts that the user named, which a stranger may name too.
        inside: hosts that belong to the user's own side, such as an intranet: private data may go there.
            A label names a host as a reader as ``"host:NAME"``.
    """
    url = "".join(text for text, _ in parts)
    if _BLANK.search(url):
        return "the URL has blanks or control characters in it; write them as %XX"
    address = read_address(url)
    if address.scheme not in ("http", "https"):
        return f"{address.scheme[:32] or 'no'} scheme: only http and https are opened"
    if address.wrong or not address.host or "\\" in url.partition("?")[0]:
        return f"the URL is not plainly written ({address.wrong or 'no readable host'})"
    start, end = _host_span(url)
    owner = _owner(parts, start, end)
    if owner is None:
        return f"its host {address.host} is put together from {len(parts)} parts; it must come whole from one of them"
    for number, (text, label) in enumerate(parts):
        if not text:
            continue
        if label.readers is not None and not (
            f"host:{address.host}" in label.readers or is_known(address.host, inside)
        ):
            return f"it would tell {address.host} what may be read only by {_names(label.readers)}"
        if number == owner:
            continue
        named = parts[owner][1].trusted or is_known(address.host, [*known_hosts, *inside])
        if not named and not _harmless(label):
            return (
                f"its host {address.host} was named by {_names(parts[owner][1].strangers)}, "
                f"and it would be told what came from {_names(label.sources)}"
            )
        if not label.trusted and not _DATA.match(text):
            return f"a part written by {_names(label.strangers)} is more than data in it; write that part as %XX"
    return None


def _harmless(label: Label) -> bool:
    return all(source in _OWN or source.startswith("person:") for source in label.sources)


def _host_span(url: str) -> tuple[int, int]:
    """Where the scheme and host with its port stand; the address is plainly written."""
    after = url.index("//") + 2
    match = re.compile(r"[/?#]").search(url, after)
    return after, match.start() if match else len(url)


def _owner(parts: Sequence[tuple[str, Label]], start: int, end: int) -> int | None:
    """The part that holds all of `start` to `end`."""
    at = 0
    for number, (text, _) in enumerate(parts):
        if at <= start and end <= at + len(text) and text:
            return number
        at += len(text)
    return None


def _names(names: Collection[str]) -> str:
    shown = sorted(names)
    if not shown:
        return "nobody"
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
