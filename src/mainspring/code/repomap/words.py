"""Prose and names cut into words that can be compared."""

from __future__ import annotations

import functools
import re
from collections import Counter

__all__ = ["COMMON", "asked", "identifiers", "mentioned_paths", "stem", "words"]

_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_LINK = re.compile(r"https?://[^\s>`\"')]+")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,79}")
_PATH = re.compile(r"[\w\-./\\]*\w[./\\][\w\-./\\]*\w")
_ENDINGS = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", "e"), ("s", ""))
_COMMON = (
    "the a an of to in and or for with was is are be by on that when not no from this it its as at which has have had "
    "will can if but into would could should do does did than then there their them they you your we our i so such "
    "also only all any some more most other after before where while who what how why now using use used via just "
    "fix fixe bug bugfix issue release change regression ticket author thank pull report add support ref class func "
    "meth mod attr data version new remove improve bugfixe feature contribut"
)
#: Words that say nothing about a place in a program: English, and what every changelog says; stemmed.
COMMON = frozenset(_COMMON.split())


def stem(word: str) -> str:
    """A word in lower case without the commonest English endings."""
    word = word.lower()
    if not word.endswith("ss"):
        for ending, instead in _ENDINGS:
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                return word[: -len(ending)] + instead
    return word


@functools.lru_cache(maxsize=200_000)
def words(name: str) -> tuple[str, ...]:
    """The words of a name, a path or a sentence: ``parseHTTPReply`` as ``parse``, ``http``, ``reply``."""
    return tuple(stem(part) for part in _PART.findall(name) if len(part) > 1)


def asked(text: str) -> Counter[str]:
    """What a task asks about: its words, without common ones and the addresses of web pages."""
    return Counter(word for word in words(_LINK.sub(" ", text)) if word not in COMMON)


def identifiers(text: str) -> set[str]:
    """What could be names of a program in a text."""
    return set(_IDENTIFIER.findall(_LINK.sub(" ", text)))


def mentioned_paths(text: str) -> set[str]:
    """What could be paths or dotted names of modules in a text, with forward slashes."""
    return {found.replace("\\", "/").removeprefix("./").rstrip(".") for found in _PATH.findall(_LINK.sub(" ", text))}
