"""Text that is not what it looks like: reordered or invisible characters, look-alike letters, obfuscated code."""

from __future__ import annotations

import re
import unicodedata

from mainspring.code.scan.finding import Draft

__all__ = ["hidden"]

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\u00ad\u180e\u3164\uffa0\u115f\u1160")
_WORD = re.compile(r"[^\W\d]\w{0,200}")
_LIKE_LATIN = re.compile(r"[\u0370-\u03ff\u0400-\u052f\u0530-\u058f\uff21-\uff5a\U0001d400-\U0001d7ff]")
_LATIN = re.compile(r"[A-Za-z]")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|#.*|//.*")
_OBFUSCATED = (
    re.compile(
        r"\b(exec|eval|compile)\s*\(\s*(\w+\.)*(b64decode|decompress|unhexlify|a85decode|b32decode|loads|fromhex|decode)\b"
    ),
    re.compile(r"\b(exec|eval)\s*\(\s*__import__\s*\("),
    re.compile(r"\beval\s*\(\s*(atob|unescape|decodeURIComponent|Buffer\.from|String\.fromCharCode)\b"),
    re.compile(r"(\\x[0-9a-fA-F]{2}){60}"),
    re.compile(r"String\.fromCharCode\((\s*\d{1,4}\s*,){20}"),
    re.compile(r"\b(exec|eval)\s*\(\s*['\"]?\w{0,10}['\"]?\s*\.join\s*\(\s*(map\s*\(\s*chr|chr\b)"),
)
_PIPED = re.compile(
    r"\b(curl|wget|fetch)\b[^|\n]{0,300}\|\s{0,4}(sudo\s{1,4})?(-\w+\s)?((ba|z|da|k)?sh|python[\d.]*|perl|node|ruby)\b"
)
_LINE = 20_000


def hidden(text: str, code: bool) -> list[Draft]:
    """Findings of what hides; look-alikes and invisible characters only in code (`code`)."""
    found: list[Draft] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line[:_LINE]
        for pattern in _OBFUSCATED:
            if pattern.search(line):
                found.append(
                    Draft(
                        "obfuscated-code",
                        "CWE-506",
                        "high",
                        "high",
                        number,
                        "code is hidden in data",
                        "write it plainly",
                    )
                )
                break
        if ("curl" in line or "wget" in line or "fetch" in line) and _PIPED.search(line):
            found.append(
                Draft(
                    "piped-download",
                    "CWE-494",
                    "high",
                    "high",
                    number,
                    "a download is run without being checked",
                    "download it, compare its digest, then run it",
                )
            )
        if not line.isascii():
            found += _unicode(line, number, code)
    return found


def _unicode(line: str, number: int, code: bool) -> list[Draft]:
    shown = "".join(f"<U+{ord(c):04X}>" if c in _BIDI or c in _INVISIBLE else c for c in line).strip()
    if any(character in _BIDI for character in line):
        return [
            Draft(
                "bidi-text",
                "CWE-1007",
                "high" if code else "medium",
                "high",
                number,
                "characters change the order in which text is shown",
                "remove them, or write them as escapes",
                shown,
            )
        ]
    if not code:
        return []
    body = line.removeprefix("\ufeff") if number == 1 else line
    found: list[Draft] = []
    if any(character in _INVISIBLE for character in body):
        found.append(
            Draft(
                "invisible-text",
                "CWE-1007",
                "medium",
                "high",
                number,
                "there are characters that nobody sees",
                "remove them, or write them as escapes",
                shown,
            )
        )
    # Words in texts and comments are no names.
    for word in _WORD.findall(_QUOTED.sub(" ", line)):
        strange = _LIKE_LATIN.search(word)
        if strange and _LATIN.search(word):
            name = unicodedata.name(strange[0], "a letter of another script")
            found.append(
                Draft(
                    "look-alike",
                    "CWE-1007",
                    "medium",
                    "medium",
                    number,
                    f"a name mixes Latin letters with {name}",
                    "use letters of one script",
                )
            )
            break
    return found
