"""Bytes to text: by what the file says, by what decodes, by what reads most like a language."""

from __future__ import annotations

import codecs
import re

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
          (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))  # fmt: skip
_DECLARED = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.I)
_XML = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{2,40})")
#: A sample large enough to tell encodings apart.
_SAMPLE = 1 << 16
#: The WHATWG encoding standard reads these names as a superset that holds what people write under them.
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252", "latin-1": "cp1252", "ascii": "cp1252",
          "us-ascii": "cp1252", "shift_jis": "cp932", "euc-kr": "cp949", "big5": "big5hkscs"}  # fmt: skip


def decode(data: bytes, declared: str = "") -> tuple[str, str]:
    """The text of `data`, and the encoding that it was read in.

    Tried in this order: a byte order mark, UTF-16 without one (every second byte of a sample is 0), UTF-8, the declared
    encoding, GB18030, Shift-JIS, EUC-KR and Windows-1252 by which characters come out. Bytes that fit nowhere
    become U+FFFD.

    Args:
        declared: the encoding that a header or the file itself names.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace"), encoding
    sample = data[:_SAMPLE]
    if wide := utf16_without_mark(sample):
        return data.decode(wide, "replace"), wide
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        # A multi-byte sequence cut off at the end, or a stray byte or two in much that is UTF-8.
        if error.start >= len(data) - 3 or _mostly_utf8(data):
            return data.decode("utf-8", "replace"), "utf-8"
    encoding = _known(declared)
    if not encoding:
        encoding = _guess(sample)
    return data.decode(encoding, "replace"), encoding


def declared_in(head: bytes) -> str:
    """The encoding that HTML or XML names in its first bytes; "" when none."""
    found = _XML.match(head) or _DECLARED.search(head[:4096])
    return found[1].decode("ascii") if found else ""


def _known(name: str) -> str:
    name = _WIDER.get(name.strip().lower(), name.strip().lower())
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        return ""
    return info.name if getattr(info, "_is_text_encoding", True) else ""


def _mostly_utf8(data: bytes) -> bool:
    sample = data[:_SAMPLE]
    wrong = sample.decode("utf-8", "replace").count("\ufffd")
    high = len(re.findall(rb"[\xc2-\xf4][\x80-\xbf]+", sample))
    return high > 8 * wrong


def utf16_without_mark(sample: bytes) -> str:
    """The order of bytes when every second one of much is 0; "" when it is not UTF-16."""
    half = len(sample) // 2
    low, high = sample[0::2].count(0), sample[1::2].count(0)
    if max(low, high) <= 0.4 * half or min(low, high) > 0.1 * half:
        return ""
    return "utf-16-le" if high > low else "utf-16-be"


def _guess(sample: bytes) -> str:
    best, most = "cp1252", 0.0
    for encoding, usual in (
        ("gb18030", re.compile("[\u4e00-\u9fff，。、；：“”《》]")),
        ("cp932", re.compile("[\u3041-\u30ff\u4e00-\u9fff、。]")),
        ("cp949", re.compile("[\uac00-\ud7a3]")),
    ):
        text = sample.decode(encoding, "replace")
        strange = [character for character in text if ord(character) > 127]
        if not strange or text.count("\ufffd") > 0.01 * len(strange):
            continue
        score = _likely(text, encoding, usual, len(strange))
        if score > max(most, 0.8):
            best, most = encoding, score
    return best


def _likely(text: str, encoding: str, usual: re.Pattern[str], strange: int) -> float:
    """Share of the non-ASCII characters that the language uses daily.

    Accented Latin letters stand alone between ASCII ones, so read as a pair with the letter after them they give
    single ideographs among Latin words; text in the language itself has them in rows.
    """
    rows = sum(len(row[0]) for row in re.finditer(f"(?:{usual.pattern}){{2,}}", text))
    share = rows / strange
    if encoding == "cp932":  # Japanese without kana is none
        share *= 1.0 if len(re.findall("[\u3041-\u30ff]", text)) > 0.1 * strange else 0.5
    if encoding == "gb18030":  # the 3,755 common characters lie in rows 0xB0 to 0xD7 of GB 2312
        rows_of = [character.encode("gb18030")[0] for character in text if "一" <= character <= "鿿"]
        share *= 0.5 + 0.5 * sum(0xB0 <= row <= 0xD7 for row in rows_of) / strange
        if all(
            row <= 0xC8 for row in rows_of
        ):  # where EUC-KR has all its syllables, and Chinese half of its characters
            share *= 0.8
    return share
