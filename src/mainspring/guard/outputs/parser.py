"""A CommonMark parser that says which characters of the source each construct came from.

The parser is markdown-it's with GitHub's tables; it accepts every link, so that none is taken for plain text because a
careful parser would not make it one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from markdown_it import MarkdownIt, rules_inline
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

Kind: TypeAlias = Literal["text", "special", "newline", "code", "link", "image", "autolink", "html"]

#: Deeper nesting is not parsed but shown as it is, in a code block.
MAX_NESTING = 40

_KINDS: dict[Any, Kind] = {
    rules_inline.newline: "newline",
    rules_inline.escape: "special",
    rules_inline.entity: "special",
    rules_inline.backtick: "code",
    rules_inline.link: "link",
    rules_inline.image: "image",
    rules_inline.autolink: "autolink",
    rules_inline.html_inline: "html",
}


@dataclass(slots=True)
class Piece:
    """A stretch of inline source.

    Args:
        start, end: where it stands.
        shown: the characters a reader sees, of text; the label's source, of an image.
        url: where a link, autolink or image leads.
        inner: what stands between a link's brackets.
    """

    kind: Kind
    start: int
    end: int
    shown: str = ""
    url: str = ""
    inner: list[Piece] = field(default_factory=list)


class _Inline(ParserInline):
    """Keeps a list of pieces while it parses."""

    def __init__(self) -> None:
        super().__init__()
        self._state: StateInline | None = None
        self._pieces: list[Piece] = []

    def pieces(self, source: str, md: MarkdownIt, env: dict[str, Any]) -> list[Piece]:
        tokens: list[Token] = []
        self._state = StateInline(source, md, env, tokens)
        self._pieces = []
        self.tokenize(self._state)
        self._state = None
        return self._pieces

    def tokenize(self, state: StateInline) -> None:
        if state is not self._state:  # the label of an image, which is parsed for its words only
            super().tokenize(state)
            return
        end = state.posMax
        rules = self.ruler.getRules("")
        while state.pos < end:
            self._step(state, rules)
        if state.pending:
            state.pushPending()

    def _step(self, state: StateInline, rules: list[Any]) -> None:
        start, before, outer = state.pos, len(state.tokens), self._pieces
        self._pieces = []
        kind: Kind = "text"
        for rule in rules if state.level < MAX_NESTING else ():
            if rule(state, False):
                kind = _KINDS.get(rule, "text")
                break
        else:
            state.append_pending(state.src[state.pos])
            state.pos += 1
        piece = Piece(kind, start, state.pos, inner=self._pieces)
        made = state.tokens[before:]
        if kind in ("link", "autolink"):
            piece.url = next(str(t.attrs["href"]) for t in made if t.type == "link_open")
        elif kind == "image":
            piece.url, piece.shown = str(made[-1].attrs["src"]), made[-1].content
        elif kind == "special":
            special = next((t for t in made if t.type == "text_special"), None)
            piece.shown = special.content if special else ""
            if special is None:
                piece.kind = "newline"  # a backslash at the end of a line
        elif kind == "text":
            piece.shown = state.src[start : state.pos]
        self._pieces = outer
        self._pieces.append(piece)


class Parser(MarkdownIt):
    """markdown-it with every link accepted and left as it is written."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": True, "maxNesting": MAX_NESTING})
        self.enable(["table", "strikethrough"])
        self.reader = _Inline()
        self.reader.ruler.enableOnly(self.inline.ruler.get_active_rules())

    def validateLink(self, url: str) -> bool:
        return True

    def normalizeLink(self, url: str) -> str:
        return url

    def blocks(self, source: str) -> tuple[list[Token], dict[str, Any]]:
        """The blocks of the source, and its link definitions (`references`, `duplicate_refs`)."""
        env: dict[str, Any] = {}
        tokens: list[Token] = []
        self.block.parse(source, self, env, tokens)
        return tokens, env

    def pieces(self, source: str, env: dict[str, Any]) -> list[Piece]:
        """The pieces of inline source, in order and without gaps."""
        inline, self.inline = self.inline, self.reader
        try:
            return self.reader.pieces(source, self, env)
        finally:
            self.inline = inline
