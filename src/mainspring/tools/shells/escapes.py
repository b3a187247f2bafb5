"""Takes out of a terminal's stream what does not only place text: titles, the clipboard, queries, links, colours.

What is left is text, line ends, tabs, backspaces, and the control sequences (ECMA-48) that move the cursor and
erase. They are whole and short, so that the emulator behind needs no trust.
"""

from __future__ import annotations

import re

_HELD = 80
_STRING = 1 << 16
_BEGIN = re.compile("[\x1b\x80-\x9f]")
_STRING_END = re.compile("[\x07\x18\x1a\x1b\x9c]")
_CSI = re.compile(r"([0-?]{0,64})([ -/]{0,4})([@-~])")
_CSI_PART = re.compile(r"[0-?]{0,64}[ -/]{0,4}\Z")
_PAIR = re.compile(r"\x1b[ -/]{0,4}[0-~]")
_PAIR_PART = re.compile(r"\x1b[ -/]{0,4}\Z")
_NUMBERS = re.compile(r"[0-9;]*\Z")
_PRIVATE = re.compile(r"\?[0-9;]*\Z")
_PLACING = frozenset("@ABCDEFGHJKLMPX`adefhlr")
_PAIRS = frozenset("DEMc78")
#: Begin a string of any length, up to a terminator: OSC (titles, clipboard, links), DCS, SOS, PM, APC.
_STRINGS_7 = frozenset("]PX^_")
_STRINGS_8 = frozenset("\x90\x98\x9d\x9e\x9f")
# Controls that neither end a line nor move the cursor, and marks that reorder text on a screen.
_CONTROLS = re.compile("[\x00-\x07\x0b-\x0c\x0e-\x1a\x1c-\x1f\x7f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Cleaner:
    """Cleans a stream piece by piece; a sequence may be cut anywhere between two pieces."""

    def __init__(self) -> None:
        self._held = ""
        self._in_string = False
        self._swallowed = 0

    def feed(self, text: str) -> str:
        """The next piece, cleaned."""
        text, self._held = self._held + text, ""
        kept: list[str] = []
        here = 0
        while here < len(text):
            if self._in_string:
                here = self._skip_string(text, here)
                continue
            begin = _BEGIN.search(text, here)
            if begin is None:
                kept.append(_CONTROLS.sub("", text[here:]))
                break
            kept.append(_CONTROLS.sub("", text[here : begin.start()]))
            here = self._sequence(text, begin.start(), kept)
        return "".join(kept)

    def _skip_string(self, text: str, here: int) -> int:
        end = _STRING_END.search(text, here)
        stop = len(text) if end is None else end.start()
        self._swallowed += stop - here
        if self._swallowed > _STRING:  # no terminator came: it was none, or it is meant to hide what follows
            self._in_string = False
            return stop
        if end is None:
            return stop
        if end[0] != "\x1b":
            self._in_string = False
            return stop + 1
        if stop + 1 == len(text):
            self._held = "\x1b"
            return len(text)
        self._in_string = False
        return stop + 2 if text[stop + 1] == "\\" else stop

    def _sequence(self, text: str, here: int, kept: list[str]) -> int:
        first = text[here]
        if first in _STRINGS_8:
            return self._begin_string(here + 1)
        if first == "\x9b":
            return self._csi(text, here, here + 1, kept)
        if first != "\x1b":
            return here + 1
        following = text[here + 1 : here + 2]
        if following in _STRINGS_7 and following:
            return self._begin_string(here + 2)
        if following == "[":
            return self._csi(text, here, here + 2, kept)
        pair = _PAIR.match(text, here)
        if pair is not None:
            if pair[0][1:] in _PAIRS:
                kept.append(pair[0])
            return pair.end()
        if _PAIR_PART.match(text, here):
            self._held = text[here:]
            return len(text)
        return here + 1

    def _begin_string(self, here: int) -> int:
        self._in_string, self._swallowed = True, 0
        return here

    def _csi(self, text: str, here: int, start: int, kept: list[str]) -> int:
        found = _CSI.match(text, start)
        if found is None:
            if len(text) - here < _HELD and _CSI_PART.match(text, start):
                self._held = text[here:]
                return len(text)
            return start
        numbers, middle, final = found.groups()
        plain = _NUMBERS.match(numbers) and final in _PLACING
        mode = _PRIVATE.match(numbers) and final in "hl"
        if not middle and (plain or mode):
            kept.append(f"\x1b[{numbers}{final}")
        return found.end()
