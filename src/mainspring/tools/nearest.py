"""Where in a text something nearly occurs, and what differs there: said, never applied.

Bounded: a text of 2 MB takes some tenths of a second, whatever was looked for.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable

__all__ = ["nearest"]

_MOST_LINES = 400_000
_WANTED_LINES = 400
_VOTES_A_LINE = 200
_WORDS = 30
_RARE = 8
_COMPARED = 60
_LIKENESS_LINES = 60_000
_SHOWN_LINES = 12
_SHOWN_CHARACTERS = 200
#: A line is no likeness below this share of common characters (difflib's ratio).
_ALIKE = 0.5

_NUMBERED = re.compile(r" *\d+[|:>] ?")
_LEFT_OUT = re.compile(r"^\s*(?:#|//|/\*|<!--|--|;)?\s*(?:\.\.\.|…)(?!\w)")
_WORD = re.compile(r"\w+")
_BLANK = re.compile(r"[ \t\r\n\f\v]+")
_ESCAPES = (("\\n", "\n"), ("\\t", "\t"), ('\\"', '"'), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&"))
#: Characters that look like another one and are no compatibility variant of it (the commonest confusables).
_ALIKES = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", None),
        **dict(zip("АВЕКМНОРСТХаеорсухіј", "ABEKMHOPCTXaeopcyxij", strict=True)),
        "×": "x",
        "∗": "*",
        "⁄": "/",
        "∶": ":",
    }
)


def nearest(text: str, old: str) -> str:
    """The lines of a text that resemble `old` most, numbered and exact, with what differs there."""
    lines = text.split("\n")[:_MOST_LINES]
    given = old.replace("\r\n", "\n").strip("\n").split("\n")[:_WANTED_LINES]
    if not text.strip():
        return "The file is empty." if not text else "The file holds only blank space."
    if not old.strip():
        return "`old` holds only blank space."
    plain = _unescaped(old)
    if plain != old and plain in text:
        number = text.count("\n", 0, text.find(plain)) + 1
        return f'`old` is escaped (\\n, \\" or &lt;); the characters themselves stand at line {number}.'
    keys = [_key(line) for line in lines]
    places: dict[str, list[int]] = {}
    for number, key in enumerate(keys):
        places.setdefault(key, []).append(number)
    start = _by_lines(places, given)
    if start is None:
        start = _by_words(text, given)
    if start is None:
        start = _by_likeness(keys, places, given)
    if start is None:
        return "No line resembles it; read the file again."
    start, end = _around(keys, [_key(line) for line in given], start)
    found = [line.removesuffix("\r") for line in lines[start:end]]
    why = _why(given, found)
    shown = "\n".join(
        f"{number + 1:>5}| {lines[number].removesuffix(chr(13))[:_SHOWN_CHARACTERS]}"
        for number in range(max(0, start - 1), min(len(lines), start + _SHOWN_LINES, end + 1))
    )
    return f"{why}Nearest lines, as they are:\n{shown}{_small_diff(given, found)}"


def _key(line: str) -> str:
    """What stays of a line when everything is dropped that is easily got wrong."""
    if not line.isascii():
        line = _plain(line)
    return "".join(line.replace("'", '"').split()).lower()


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_ALIKES)


def _by_lines(places: dict[str, list[int]], given: list[str]) -> int | None:
    """The line where the whole would begin: each wanted line that occurs somewhere votes for it."""
    votes: Counter[int] = Counter()
    for offset, line in enumerate(given):
        for key in dict.fromkeys((_key(line), _key(_NUMBERED.sub("", line, count=1)))):
            found = places.get(key, []) if len(key) > 1 else []
            for number in found[:_VOTES_A_LINE]:
                # A line that is there once says more than a closing bracket.
                votes[max(0, number - offset)] += max(1, 20 // len(found))
    firsts = set(places.get(_key(given[0]), ())[:_VOTES_A_LINE])
    return max(votes, key=lambda start: (votes[start], start in firsts, -start)) if votes else None


def _by_words(text: str, given: list[str]) -> int | None:
    """The same by words that are rare in the text."""
    votes: Counter[int] = Counter()
    words = {word: offset for offset, line in reversed(list(enumerate(given))) for word in _WORD.findall(line)}
    for word in sorted(words, key=len, reverse=True)[:_WORDS]:
        if len(word) < 4 or not 1 <= (count := text.count(word)) <= _RARE:
            continue
        at = -1
        for _ in range(count):
            at = text.find(word, at + 1)
            end = at + len(word)
            if (at and _WORD.match(text[at - 1])) or (end < len(text) and _WORD.match(text[end])):
                continue  # a part of a longer word
            votes[max(0, text.count("\n", 0, at) - words[word])] += _RARE // count
    return max(votes, key=lambda start: (votes[start], -start)) if votes else None


def _by_likeness(keys: list[str], places: dict[str, list[int]], given: list[str]) -> int | None:
    """The line most like the most telling wanted one: first by rare letter groups, then compared in full."""
    offset, wanted = max(enumerate(_key(line) for line in given), key=lambda item: len(item[1]))
    wanted = wanted[:_SHOWN_CHARACTERS]
    if len(wanted) < 3:
        return next((number for number, key in enumerate(keys) if wanted and wanted in key), None)
    if len(places) > _LIKENESS_LINES:
        return None
    groups = {wanted[at : at + 3] for at in range(len(wanted) - 2)}
    inside = [key for key in places if wanted in key]
    if inside:
        best = min(inside, key=len)
    else:
        holding = {group: [key for key in places if group in key] for group in sorted(groups)[:40]}
        weights: Counter[str] = Counter()
        for found in holding.values():
            weights.update(found if len(found) <= 5_000 else ())
        likely = [key for key, _ in weights.most_common(_COMPARED)] or min(holding.values(), key=len)[:_COMPARED]
        scores = [(difflib.SequenceMatcher(None, key[:_SHOWN_CHARACTERS], wanted).ratio(), key) for key in likely]
        score, best = max(scores, default=(0.0, ""))
        if score < _ALIKE:
            return None
    return max(0, places[best][0] - offset)


def _around(keys: list[str], wanted: list[str], start: int) -> tuple[int, int]:
    """First and past-the-last line of the place; lines that are missing or too many on one side shift its end."""
    window = keys[start : start + 2 * len(wanted) + 5]
    blocks = difflib.SequenceMatcher(None, window, wanted, autojunk=False).get_matching_blocks()
    matched = [b for b in blocks if b.size]
    if not matched:
        return start, min(len(keys), start + len(wanted))
    first, last = matched[0], matched[-1]
    skipped = max(0, first.a - first.b)
    return start + skipped, min(len(keys), start + max(skipped + 1, last.a + len(wanted) - last.b))


def _why(given: list[str], found: list[str]) -> str:
    """What kind of difference it is, in a sentence or two; "" for words that simply differ."""
    said = []
    one, other = "\n".join(given), "\n".join(found)
    if any(_LEFT_OUT.match(line) for line in given) and not any(_LEFT_OUT.match(line) for line in found):
        said.append("`old` leaves lines out with an ellipsis; give every line, or a shorter piece.")
    if all(_NUMBERED.match(line) for line in given) and not all(_NUMBERED.match(line) for line in found):
        said.append("`old` carries line numbers, which are not in the file.")
        one = "\n".join(_NUMBERED.sub("", line, count=1) for line in given)
    if _same(one, other, lambda text: _BLANK.sub("", text)):
        said.append(_blank_space(one.split("\n"), found))
    else:
        odd = [c for c in dict.fromkeys(other + one) if not c.isascii() and (c in other) != (c in one)]
        if odd and _same(one, other, lambda text: _BLANK.sub("", _plain(text))):
            named = ", ".join(f"U+{ord(c):04X} {unicodedata.name(c, 'unnamed')}" for c in odd[:4])
            where = "the file" if odd[0] in other else "`old`"
            said.append(f"Only look-alike characters differ: {where} has {named}.")
        elif _same(one, other, lambda text: _BLANK.sub("", _plain(text).replace("'", '"'))):
            said.append("Only quotes differ.")
        elif _same(one, other, lambda text: _BLANK.sub("", text).lower()):
            said.append("Only capital letters differ.")
    return "".join(f"{sentence} " for sentence in said)


def _same(one: str, other: str, seen: Callable[[str], str]) -> bool:
    """Whether the first is the second, or a part of it (a piece of a line), when both are seen like this."""
    wanted = seen(one)
    return bool(wanted) and wanted in seen(other)


def _unescaped(text: str) -> str:
    for escaped, plain in _ESCAPES:
        text = text.replace(escaped, plain)
    return text


def _blank_space(given: list[str], found: list[str]) -> str:
    """Which blank space differs, when nothing else does."""
    full, there = ([line for line in lines if line.strip()] for lines in (given, found))
    if len(full) == len(there):
        pairs = list(zip(full, there, strict=True))
        if len(given) != len(found) and all(a == b for a, b in pairs):
            return "Only blank lines differ."
        if all(a.rstrip() == b.rstrip() for a, b in pairs):
            return "Only blank space differs: at the end of lines."
        if all(a.strip() == b.strip() for a, b in pairs):
            tabs = [any("\t" in line[: len(line) - len(line.lstrip())] for line in side) for side in (full, there)]
            if tabs[0] != tabs[1]:
                kinds = ("tabs", "spaces") if tabs[1] else ("spaces", "tabs")
                return f"Only blank space differs: the file is indented with {kinds[0]}, `old` with {kinds[1]}."
            return "Only blank space differs: the indentation."
    return "Only blank space differs."


def _small_diff(given: list[str], found: list[str]) -> str:
    """The lines that differ, `-` as given and `+` as in the file, blank space made visible where only it differs."""
    rows: list[str] = []
    keyed = [_BLANK.sub("", line) for line in given], [_BLANK.sub("", line) for line in found]
    for tag, a, b, c, d in difflib.SequenceMatcher(None, given, found, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        blank = keyed[0][a:b] == keyed[1][c:d]
        rows += [f"-{_visible(line) if blank else line[:_SHOWN_CHARACTERS]}" for line in given[a:b]]
        rows += [f"+{_visible(line) if blank else line[:_SHOWN_CHARACTERS]}" for line in found[c:d]]
    if not rows or (len(given) == 1 and given[0].strip() in found[0]):
        return ""
    if len(rows) > _SHOWN_LINES:
        rows = [*rows[:_SHOWN_LINES], f"[... {len(rows) - _SHOWN_LINES} more lines differ ...]"]
    return "\nWhat differs (- as given, + in the file):\n" + "\n".join(rows)


def _visible(line: str) -> str:
    head = line[: len(line) - len(line.lstrip())]
    tail = line[len(line.rstrip()) :] if line.strip() else ""
    shown = "".join("→" if c == "\t" else "·" if c == " " else c for c in head)
    return (shown + line.strip() + "".join("→" if c == "\t" else "·" for c in tail))[:_SHOWN_CHARACTERS]
