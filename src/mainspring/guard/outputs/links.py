"""Links that an outsider wrote, shown so that nothing fetches or follows them, and the person sees the host."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import quote

from mainspring.guard.outputs.hosts import Address, ascii_host, is_known, read_address

#: Longest defanged address shown, in characters; the rest says nothing to a person.
MAX_SHOWN = 300

_ANCHOR = re.compile(r"#[\w.-]*\Z")
_DEAD = re.compile(r"hxxps?\Z", re.IGNORECASE)
# What chat programs and Markdown dialects make links of: anything with "://", "www.", and names below a known ending.
_COUNTRY = (
    "a[cdefgilmnoqrstuwxz]|b[abdefghijmnorstvwyz]|c[acdfghiklmnoruvwxyz]|d[ejkmoz]|e[cegrstu]|f[ijkmor]|"
    "g[abdefghilmnpqrstuwy]|h[kmnrtu]|i[delmnoqrst]|j[emop]|k[eghimnprwyz]|l[abcikrstuvy]|m[acdeghklmnopqrstuvwxyz]|"
    "n[acefgilopruz]|om|p[aefghklmnrstwy]|qa|r[eosuw]|s[abcdeghijklmnortuvxyz]|t[cdfghjklmnortvwz]|u[agksyz]|"
    "v[aceginu]|w[fs]|y[et]|z[amw]"
)
_COMMON = (
    "com|org|net|edu|gov|info|biz|name|dev|app|xyz|site|online|shop|club|top|page|link|click|live|cloud|tech|store|"
    "icu|vip|work|wiki|blog|news|zip|mov|example|test|рф|xn--[a-z0-9-]+"
)
# Endings that are also file endings, words that follow a full stop, or names in programs: only with a path, or "www."
_WEAK = (
    "py|rs|sh|md|pl|cc|so|ps|ml|vb|la|mk|in|is|it|at|my|no|me|do|to|be|as|am|us|by|id|name|info|app|dev|page|link|"
    "click|live|store|news|test|work|cloud|blog|shop|club|top|tech|wiki|vip"
)
_TAIL = r"[^\s<>\"`\u2400-\u2426]*"
_AFTER = ").,;:!?'*_]"  # what ends a sentence is no part of the address in it
_URL = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]{{0,31}}:(?://|\\\\|/\\|\\/){_TAIL}")
_NAME = re.compile(
    rf"(?<![\w/.@:\]%-])(?:www\.(?:[\w-]+\.)*[\w-]+|(?:[\w-]+\.)+(?:{_COUNTRY}|{_COMMON}))(?![\w@-])(?!\.\w)"
    rf"(?::[0-9]{{1,5}}(?![0-9]))?(?:[/?#]{_TAIL})?",
    re.IGNORECASE,
)
_LOOKS_LIKE_FILE = re.compile(rf"[\w-]+\.(?:{_WEAK})\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides which links stay.

    Args:
        trusted: no outsider wrote the text, so that its links are kept.
        known_hosts: hosts that the user knows; ``*.example.com`` stands for all below it.
    """

    trusted: bool
    known_hosts: Collection[str] = field(default=())

    def keeps(self, url: str) -> bool:
        """True when a link to `url` may be followed at a click."""
        if _ANCHOR.match(url):
            return True
        address = read_address(url)
        if not address.scheme:
            return self.trusted and not address.host and "\\" not in url
        if address.scheme == "mailto":
            return self.trusted
        return address.web and not address.wrong and (self.trusted or is_known(address.host, self.known_hosts))

    def text(self, text: str) -> list[tuple[int, int, str]]:
        """`(start, end, replacement)` of each address in plain text that must not become a link by itself."""
        found: list[tuple[int, int, str]] = []
        end = 0
        if ":" in text:
            for match in _URL.finditer(text):
                url = match.group().rstrip(_AFTER)
                shown = defang(url)
                if not self.keeps(url) and shown != url:
                    found.append((match.start(), match.start() + len(url), shown))
        if self.trusted or "." not in text:
            return found
        taken = [(match.start(), match.end()) for match in _URL.finditer(text)]
        at = 0
        for match in _NAME.finditer(text):
            while at < len(taken) and taken[at][1] <= match.start():
                at += 1
            end = match.end()
            if (at < len(taken) and taken[at][0] < end) or _LOOKS_LIKE_FILE.match(match.group()):
                continue
            if not self.keeps("http://" + match.group()):
                found.append((match.start(), end, _dotted(match.group())))
        return sorted(found)


def defang(url: str) -> str:
    """`url` as text that no program takes for a link: ``hxxps://evil[.]example/path``. Stable when done again."""
    if _DEAD.match(url.partition(":")[0]):
        scheme, _, rest = url.partition("://")
        live = f"http{scheme[4:]}://{rest.replace('[.]', '.')}"
        dead = defang(live)
        return url if dead.lower() == url.lower() else dead
    address = read_address(url)
    if address.scheme in ("http", "https"):
        login = "someone@" if address.login else ""
        return f"hxxp{address.scheme[4:]}://{login}{_place(address)}{_tail(address.rest)}"
    if address.host:
        return f"{address.scheme}{'[:]' if address.scheme else ''}//{_place(address)}{_tail(address.rest)}"
    if address.scheme and "//" in url.partition(":")[2][:2]:
        return f"{address.scheme}[:]//{_tail(address.rest.lstrip('/'))}"
    if address.scheme:
        return f"{address.scheme[:32]}: link removed"
    return _tail(address.rest)


def _dotted(name: str) -> str:
    """A bare name with or without a path; only the dots of the name change."""
    end = next((i for i, char in enumerate(name) if char in ":/?#"), len(name))
    host = ascii_host(name[:end]) or name[:end]
    return host.replace(".", "[.]") + _tail(name[end:])


def _place(address: Address) -> str:
    if not address.host:
        return _tail(address.place).replace(".", "[.]")
    host = address.host.strip("[]")
    host = host.replace(":", "[:]") if ":" in host else host.replace(".", "[.]")
    return host + (f":{address.port}" if address.port else "")


def _tail(rest: str) -> str:
    """Path and query with all that could start Markdown, HTML or another address written as %XX."""
    shown = quote(rest, safe="/?#&=%+,;:@.~-_!$'()*").replace("://", ":%2F%2F")
    shown = re.sub(r"(?i)www\.", "www%2E", shown)
    return shown if len(shown) <= MAX_SHOWN else shown[:MAX_SHOWN] + "…"
