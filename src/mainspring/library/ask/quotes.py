"""Whether a quote stands in a text: word for word, but for how spaces, widths and quotation marks are written."""

from __future__ import annotations

import re
import unicodedata

from mainspring import lexical

#: What is written in several ways and read as one. Letters of other scripts that look alike are not among them: a
#: quote with a Cyrillic "a" is not what the page says.
_SAME = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u2032": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"',
        "\u00ab": '"', "\u00bb": '"', "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-",
        "\u2212": "-", "\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl",
        "\u00ad": None, "\u200b": None, "\u2060": None, "\ufeff": None, "\u2026": "...",
    }
)  # fmt: skip

#: A shorter quote says nothing: "the" stands on every page. A character of a packed script counts twice.
MIN_CHARS = 8
_NUMBER = re.compile(r"(?<![^\W_\u2e80-\U0003ffff])(?:(?<![^\s(])-)?\d+(?:[.,:/\u2019'\u00a0\u202f]\d+)*%?")
_NAME = re.compile(r"\b[^\W\d_][\w'-]*")


def plain(text: str) -> tuple[str, list[int]]:
    """A text in one way of writing, and for each of its characters the place in `text` that it comes from."""
    letters: list[str] = []
    at: list[int] = []
    for number, char in enumerate(text):
        written = char.translate(_SAME)
        if "\uff01" <= char <= "\uff5e" or unicodedata.category(char) == "Zs":  # full width; any space
            written = unicodedata.normalize("NFKC", char)
        for one in written:
            if one.isspace():
                if letters and letters[-1] != " ":
                    letters.append(" ")
                    at.append(number)
            else:
                # In a script without spaces a line end between two characters is none of the text's.
                if len(letters) > 1 and letters[-1] == " " and _is_packed(letters[-2]) and _is_packed(one):
                    letters.pop()
                    at.pop()
                letters.append(one)
                at.append(number)
    if letters and letters[-1] == " ":
        letters.pop()
        at.pop()
    return "".join(letters), at


def place_of(quote: str, text: str) -> tuple[int, int] | None:
    """Which characters of `text` a quote is, or None when it does not stand there or is too short to say anything."""
    wanted, _ = plain(unicodedata.normalize("NFC", quote))
    wanted = wanted.strip("\"' ")
    if sum(2 if _is_packed(c) else 1 for c in wanted) < MIN_CHARS or not lexical.terms(wanted):
        return None
    written, at = plain(text)
    begins = written.find(wanted)
    while begins >= 0:
        ends = begins + len(wanted)
        # Not out of the middle of a word or number: "paid 100" is not said by "unpaid 1000".
        if not _inside(written, begins) and not _inside(written, ends):
            return at[begins], at[ends - 1] + 1
        begins = written.find(wanted, begins + 1)
    return None


def unsupported(statement: str, quote: str) -> tuple[str, ...]:
    """Numbers and names of a statement that its quote does not have, in order.

    A name is a word with a capital that does not begin a sentence, or one with capitals or digits further in. Scripts
    without capitals have no names that could be told apart.
    """
    said, found = plain(statement)[0], plain(quote)[0]
    numbers = {_digits(n) for n in _NUMBER.findall(found)}
    words = set(lexical.words(found))
    missing: dict[str, None] = {}
    for number in _NUMBER.findall(said):
        if _digits(number) not in numbers:
            missing[number] = None
    for name in _NAME.finditer(said):
        word = name.group()
        if _is_name(said, name.start(), word) and not set(lexical.words(_singular(word))) <= words:
            missing[word] = None
    return tuple(missing)


def _is_name(text: str, at: int, word: str) -> bool:
    if word != word.lower() and word[1:] != word[1:].lower():
        return True  # NASA, iPhone
    if not word[0].isupper():
        return False
    before = text[:at].rstrip(" \"'([")
    return bool(before) and before[-1] not in ".!?:;\n"


def _singular(word: str) -> str:
    return word.removesuffix("'s").removesuffix("'")


def _digits(number: str) -> str:
    """One way of writing a number: 1,234.50 and 1'234.5 are one, and so is 7 and 7.0."""
    number = re.sub(r"(?<=\d)[,'\u2019\u00a0\u202f](?=\d{3}(?!\d))", "", number)
    percent = number.endswith("%")
    number = number.rstrip("%")
    if re.fullmatch(r"\d+[.,]\d+", number):
        number = number.replace(",", ".").rstrip("0").rstrip(".")
    return number + "%" * percent


def _inside(text: str, at: int) -> bool:
    """True when a cut at `at` would divide a word or a number."""
    if not 0 < at < len(text):
        return False
    left, right = text[at - 1], text[at]
    if _is_packed(left) or _is_packed(right):
        return False
    if left.isalnum() and right.isalnum():
        return True
    if left == "-" and right.isdigit() and (at == 1 or text[at - 2].isspace() or text[at - 2] == "("):
        return True  # "5 degrees" is not said by "-5 degrees"
    if left.isdigit() and right == "%":
        return True
    if left in ".," and right.isdigit() and at > 1 and text[at - 2].isdigit():
        return True
    return right in ".," and left.isdigit() and at + 1 < len(text) and text[at + 1].isdigit()


def _is_packed(char: str) -> bool:
    return not char.isascii() and unicodedata.east_asian_width(char) in "WF"
