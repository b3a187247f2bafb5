"""Addresses as a browser would read them, so that no check sees another host than the click does.

The reading follows the WHATWG URL standard where it differs from what people expect: blanks and control characters
around a URL do not count, tabs and line ends inside it neither, a backslash is a slash, slashes after ``https:`` may be
missing or many, and what stands before the last ``@`` is a login and no host.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AROUND = "".join(map(chr, range(0x21)))
_INSIDE = str.maketrans("", "", "\t\n\r")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")
_QUAD = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z")


@dataclass(frozen=True, slots=True)
class Address:
    """A URL, read.

    Args:
        scheme: in small letters; "" for an address relative to the page.
        host: in small ASCII letters (punycode); "" when there is none.
        port: as written, or "".
        rest: path, query and fragment, as written.
        login: True when something stands before an ``@`` in front of the host.
        wrong: why no honest writer writes it like this, or "".
        place: host and port as written.
    """

    scheme: str
    host: str = ""
    port: str = ""
    rest: str = ""
    login: bool = False
    wrong: str = ""
    place: str = ""

    @property
    def web(self) -> bool:
        """True for ``http`` and ``https`` with a host."""
        return self.scheme in ("http", "https") and bool(self.host)


def read_address(text: str) -> Address:
    """The URL as a browser reads it. Never raises; what is wrong with it stands in `wrong`."""
    text = text.strip(_AROUND).translate(_INSIDE)
    match = _SCHEME.match(text)
    scheme = match.group(1).lower() if match else ""
    rest = text[match.end() :] if match else text
    if scheme in ("http", "https", "ws", "wss", "ftp"):
        rest = _slashes(rest)
        wrong = "" if rest.startswith("//") and not rest.startswith("///") else "unusual slashes"
        rest = rest.lstrip("/")
    elif _slashes(rest[:2]) == "//":
        rest, wrong = _slashes(rest).lstrip("/"), ""
    else:
        return Address(scheme, rest=rest)
    end = next((i for i, char in enumerate(rest) if char in "/?#"), len(rest))
    authority, tail = rest[:end], rest[end:]
    _login, at, place = authority.rpartition("@")
    host, port, bad = _host_and_port(place)
    wrong = bad or wrong or ("a login in front of the host" if at else "")
    return Address(scheme, host, port, tail, bool(at), wrong, place)


def _slashes(text: str) -> str:
    """Backslashes before the query are slashes to a browser."""
    end = next((i for i, char in enumerate(text) if char in "?#"), len(text))
    return text[:end].replace("\\", "/") + text[end:]


def _host_and_port(place: str) -> tuple[str, str, str]:
    if place.startswith("["):
        inner, closed, after = place[1:].partition("]")
        port = after.removeprefix(":")
        if not closed or (after and not after.startswith(":")) or (port and not _PORT.match(port)):
            return "", "", "no readable host"
        return _ipv6(inner), port, "" if _ipv6(inner) else "no readable host"
    name, colon, port = place.rpartition(":")
    if not colon:
        name, port = place, ""
    elif port and not _PORT.match(port):
        return "", "", "no readable port"
    host = ascii_host(name)
    if not host:
        return "", port, "no readable host"
    return host, port, "a number that stands for an address" if number_like(host) else ""


def _ipv6(text: str) -> str:
    import ipaddress

    try:
        return f"[{ipaddress.IPv6Address(text.partition('%')[0]).compressed}]"
    except ValueError:
        return ""


def ascii_host(name: str) -> str:
    """A host name in small ASCII letters, other scripts as punycode; "" when it is no host name."""
    name = unicodedata.normalize("NFKC", unquote(name)).casefold()
    name = re.sub("[\u3002\uff0e\uff61]", ".", name).removesuffix(".")
    labels = [_ascii_label(label) for label in name.split(".")]
    return ".".join(labels) if all(map(_LABEL.match, labels)) and len(name) <= 253 else ""


def _ascii_label(label: str) -> str:
    if label.isascii():
        return label
    try:
        return "xn--" + label.encode("punycode").decode("ascii")
    except UnicodeError:
        return ""


def number_like(host: str) -> bool:
    """True for a host that a browser takes for an IPv4 address although it is not written as four numbers."""
    return bool(_NUMBER.match(host.rpartition(".")[2])) and not _QUAD.match(host)


def is_known(host: str, known_hosts: Collection[str]) -> bool:
    """True when `host` is among `known_hosts`; ``*.example.com`` stands for everything below example.com."""
    for known in known_hosts:
        if known.startswith("*."):
            below = ascii_host(known[2:])
            if below and host.endswith("." + below):
                return True
        elif known.startswith("["):
            if host == _ipv6(known.strip("[]")):
                return True
        elif ascii_host(known) == host and host:
            return True
    return False


def mixed_scripts(name: str) -> bool:
    """True when one part of a host name mixes Latin letters with others, as look-alike names do."""
    return any(
        re.search("[A-Za-z]", label) and any(c.isalpha() and not _latin(c) for c in label) for label in name.split(".")
    )


def _latin(char: str) -> bool:
    return char.isascii() or unicodedata.name(char, "").startswith("LATIN")
