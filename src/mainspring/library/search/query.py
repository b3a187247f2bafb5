"""What a person typed: words, "quoted phrases" that must occur, and -words that must not."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mainspring import lexical
from mainspring.errors import ToolError

#: Most characters of a query that are looked at; what is behind them changes no result that anybody would notice.
MAX_CHARS = 4_000

# A minus leads a word that must not occur only before a letter, so that "-5 °C" and "--force" are searched for.
_PHRASE = re.compile(r'(?P<not>(?<!\S)-)?"(?P<phrase>[^"\n]+)"')
_WITHOUT = re.compile(r"(?<!\S)-(?P<word>[^\W\d_][\w.]+)(?!\S)")


@dataclass(frozen=True, slots=True)
class Query:
    """A query, taken apart.

    Args:
        text: what is searched for by words and by meaning: everything but what must not occur.
        phrases: must occur on the page, word by word.
        without: words or phrases that must not occur.
    """

    text: str
    phrases: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def admits(self, text: str) -> bool:
        """True when a page of this text has every phrase and nothing that must not occur."""
        if not self.phrases and not self.without:
            return True
        line = lexical.line(text)
        return all(lexical.holds(line, p) for p in self.phrases) and not any(
            lexical.holds(line, w) for w in self.without
        )


def parse(query: str) -> Query:
    """Take a query apart.

    Raises:
        ToolError: it has no word to search by.
    """
    if not isinstance(query, str):
        raise ToolError(f"a query is text or a picture, not {type(query).__name__}")
    # Half a character (a lone surrogate) can be neither encoded nor found.
    head = query[:MAX_CHARS].encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
    phrases: list[str] = []
    without: list[str] = []

    def take_phrase(found: re.Match[str]) -> str:
        phrase = found["phrase"]
        if not lexical.terms(phrase):
            return " "
        if found["not"]:
            without.append(phrase)
            return " "
        phrases.append(phrase)
        return f" {phrase} "

    def take_word(found: re.Match[str]) -> str:
        without.append(found["word"])
        return " "

    text = " ".join(_WITHOUT.sub(take_word, _PHRASE.sub(take_phrase, head)).split())
    if not lexical.terms(text):
        if without:
            raise ToolError(f"the query only says what must not occur ({without[0]!r}); say what to search for as well")
        shown = " ".join(head.split())[:40]
        raise ToolError(f"the query {shown!r} has no words to search by; write some words or a question")
    return Query(text, tuple(phrases), tuple(without))
