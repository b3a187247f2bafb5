"""Text as the library keeps it: NFC, newlines only, and nothing that a reader's eye cannot see.

Characters without a shape hide instructions from the person who looks at a page and show them to the model that
reads it: tag characters (U+E0000 to U+E007F) spell ASCII, rows of zero-width characters or variation selectors spell
bits, bidirectional overrides turn words around (Boucher and Anderson, "Trojan Source", 2021). They are taken out and
counted. Joiners stay where a script or an emoji needs them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

#: What `tidy` counts, as `told` says it.
TAGS, ZERO_WIDTH, OVERRIDES, SELECTORS = (
    "tag characters",
    "zero-width characters",
    "direction overrides",
    "rows of variation selectors",
)
#: What one of them is called.
_ONE = {TAGS: "tag character", OVERRIDES: "direction override", SELECTORS: "row of variation selectors"}

_NEWLINES = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
#: C0 and C1 controls but tab and newline, surrogates, characters that Unicode gives no meaning.
_CONTROLS = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 17))
    + "]"
)
#: Soft hyphens, marks of direction and isolates, which ordinary text has; they go without being counted.
_SILENT = re.compile("[\u00ad\u061c\u200e\u200f\u202a-\u202c\u2066-\u2069]")
_TAGS = re.compile("[\U000e0000-\U000e007f]")
_OVERRIDES = re.compile("[\u202d\u202e]")
_ZERO_WIDTH = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0]"
)
_JOINERS = re.compile("[\u200c\u200d]+")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}|(?<![^\\s])[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
#: Scripts whose words are spelled with joiners: Arabic and Syriac, India's and its neighbours', Mongolian.
_JOINING = re.compile(
    "[\u0600-\u07ff\u0840-\u08ff\u0900-\u0dff\u0e80-\u109f\u1780-\u18af\ua840-\ua87f\ufb50-\ufdff\ufe70-\ufeff]"
)
_PLAIN = re.compile(r"[\t\n\x20-\x7e]*\Z")
#: The ligatures of Latin type, which a PDF's text holds and no query does.
_LIGATURES = str.maketrans(
    {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st"}
)
#: Fewer of these than this in one text say nothing: web pages break long words with them.
_ORDINARY = {ZERO_WIDTH: 8}


def tidy(text: str, removed: Counter[str] | None = None) -> str:
    """`text` in NFC, with newlines for every line break, without what cannot be seen.

    Args:
        removed: counts what was taken out, by its name.

    The result is the same when it is tidied again.
    """
    if _PLAIN.match(text):
        return text
    counts: Counter[str] = Counter() if removed is None else removed
    text = _NEWLINES.sub("\n", text.translate(_LIGATURES))
    text = _CONTROLS.sub("", text)
    if not text.isascii():
        text = _SILENT.sub("", text)
        for name, pattern in ((TAGS, _TAGS), (OVERRIDES, _OVERRIDES), (ZERO_WIDTH, _ZERO_WIDTH)):
            text, count = pattern.subn("", text)
            counts[name] += count
        if _JOINERS.search(text):
            text = _joiners(text, counts)
        text, count = _SELECTORS.subn("", text)
        counts[SELECTORS] += count
        text = unicodedata.normalize("NFC", text)
    return text


def _joiners(text: str, counts: Counter[str]) -> str:
    def keep(found: re.Match[str]) -> str:
        before = text[found.start() - 1] if found.start() else ""
        after = text[found.end()] if found.end() < len(text) else ""
        script = bool(_JOINING.match(before))
        emoji = found[0][0] == "\u200d" and _is_symbol(before) and _is_symbol(after)
        kept = found[0][0] if script or emoji else ""
        counts[ZERO_WIDTH] += len(found[0]) - len(kept)
        return kept

    return _JOINERS.sub(keep, text)


def _is_symbol(character: str) -> bool:
    return bool(character) and (unicodedata.category(character) in ("So", "Sk") or character in "\ufe0f\u2640\u2642")


def told(removed: Mapping[str, int]) -> str:
    """What was taken out of a document, in a sentence; "" when nothing worth a word."""
    worth = [
        f"{count:,} {name if count > 1 else _ONE.get(name, name)}"
        for name, count in removed.items()
        if count >= _ORDINARY.get(name, 1)
    ]
    if not worth:
        return ""
    were = "was" if worth[0].startswith("1 ") and len(worth) == 1 else "were"
    return f"{' and '.join(worth)}, which nobody sees and which can hide instructions, {were} left out"


def one_line(text: str, limit: int = 300) -> str:
    """A title or heading: tidied, one line, no longer than `limit` characters."""
    short = " ".join(tidy(text[: 4 * limit]).split())
    return short if len(short) <= limit else short[: limit - 1].rstrip() + "…"
