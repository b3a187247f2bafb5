"""Characters that a screen obeys, or that hide or reorder words, made visible.

What models and tools write may hold escape sequences that repaint the screen, rename the window, fill the clipboard
(OSC 52) or put a link under innocent words (OSC 8), and invisible characters that carry a message of their own.
"""

from __future__ import annotations

import re
import unicodedata

from mainspring.guard.outputs.hosts import ascii_host, mixed_scripts

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_JOINERS = "\u200c\u200d"  # emoji and several scripts need them, between letters of their own
_LOOSE_JOINER = re.compile(
    rf"(?<![^\x00-\x7f{_JOINERS}])[{_JOINERS}]|[{_JOINERS}](?![^\x00-\x7f{_JOINERS}])", re.DOTALL
)
# Letters and marks that are drawn as nothing. U+FE0E and U+FE0F, which choose between text and emoji, are left alone.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(
    map(chr, [*range(0x180B, 0x1810), *range(0xFE00, 0xFE0E), *range(0xE0100, 0xE01F0)])
)
# A host in an address, and a bare name whose letters are not all ASCII.
_PLACE = r"[^\s/?#\\<>\"'`\u2400-\u2426]"
_URL_HOST = re.compile(rf"(://)((?={_PLACE}*[^\x00-\x7f\u2400-\u2426]){_PLACE}+)")
_BARE_HOST = re.compile(r"(?<![\w.@-])((?:[\w-]+\.)+[A-Za-z]{2,24})(?![\w-])")


class _Table(dict[int, str]):
    """For `str.translate`: finds the harmless form of a character when it is first met."""

    def __init__(self, *, exact: bool) -> None:
        super().__init__()
        self.exact = exact

    def __missing__(self, code: int) -> str:
        shown = self[code] = _visible(chr(code), self.exact)
        return shown


def _visible(char: str, exact: bool) -> str:
    if char in "\n\t":
        return char
    code = ord(char)
    category = unicodedata.category(char)
    if code < 0x20:
        return chr(0x2400 + code)  # control pictures: ESC becomes one visible sign
    if code == 0x7F:
        return "\u2421"
    if (
        category in ("Cc", "Cs", "Zl", "Zp")
        or (category == "Cf" and (exact or char not in _JOINERS))
        or char in _BLANK
        or (exact and char in "\ufe0e\ufe0f")
    ):
        return _code(char)
    return char


def _code(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


_LOOSE = _Table(exact=False)
_EXACT = _Table(exact=True)


def visible(text: str, *, exact: bool = False) -> str:
    """The text with every control, format and invisible character shown as a visible one.

    Newlines and tabs stay. Colour codes are dropped, as tools print them by habit; with `exact` (for what a
    person has to approve) they, and every joiner inside an emoji, are shown too.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    if exact:
        return text.translate(_EXACT)
    text = _COLOUR.sub("", text)
    if not text.isascii():
        text = _LOOSE_JOINER.sub(lambda match: _code(match.group()), text)
    return text.translate(_LOOSE)


def plain_hosts(text: str) -> str:
    """The text with look-alike hosts in ASCII: every foreign letter in a URL's host, mixed scripts in a bare name.

    ``https://аpple.com`` with a Cyrillic first letter becomes ``https://xn--pple-43d.com``.
    """
    if text.isascii() or "." not in text:
        return text
    text = _URL_HOST.sub(lambda match: match.group(1) + _plain(match.group(2)), text)
    return _BARE_HOST.sub(lambda match: _plain(match.group()) if mixed_scripts(match.group()) else match.group(), text)


def _plain(place: str) -> str:
    login, at, host = place.rpartition("@")
    name, colon, port = host.partition(":")
    shown = ascii_host(name) or "".join(c if c.isascii() else _code(c) for c in name)
    login = "".join(c if c.isascii() else _code(c) for c in login)
    return f"{login}{at}{shown}{colon}{port}"
