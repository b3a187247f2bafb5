"""Markdown that fetches nothing when it is rendered, and leads nowhere that the user does not know.

The source is parsed, what could act is rewritten in place, and the outcome is parsed again until nothing is left to
rewrite: what is returned has been read by a real parser and found inert. Prose and code stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from mainspring.guard.outputs.links import Judge, defang
from mainspring.guard.outputs.visible import plain_hosts, visible
from mainspring.label import Label

if TYPE_CHECKING:
    from markdown_it.token import Token

    from mainspring.guard.outputs.parser import Parser, Piece

#: Times that a text is rewritten before it is shown as a code block instead.
MAX_PASSES = 12

_WORD = re.compile(r"[\w+#.-]{1,40}\Z")
#: Code blocks that programs draw instead of showing, with links and pictures of their own.
_DRAWN = frozenset(
    re.split(
        r"\s+",
        "mermaid plantuml puml graphviz dot vega vega-lite vegalite geojson topojson math latex tex svg html d2 kroki "
        "wavedrom echarts chart abc stl iframe embed dataview dataviewjs",
    )
)
_DEFINITION = re.compile(r"\[(?!\^)[^\]\n]{1,999}\]:[ \t]*<?(?:[\w+.-]+:|[/\\])")
_MARKERS = re.compile(r"[\s>*+-]*(?:[0-9]{1,9}[.)])?[\s>*+-]*\Z")


class _StrangeError(Exception):
    """The source cannot be matched with what the parser says of it."""


def inert(markdown: str, label: Label, *, known_hosts: Collection[str] = ()) -> str:
    """The Markdown with nothing in it that fetches, runs or leads to a host that only an outsider named.

    Pictures become links or text, HTML is shown as text, links with schemes other than http, https (and mailto, in
    trusted text) are removed, links to unknown hosts are defanged with their host in plain sight, invisible
    characters are shown. The result is stable: ``inert(inert(x)) == inert(x)``.

    Args:
        markdown: what is to be shown.
        label: who may have written it. When no outsider may have, all its web links are kept.
        known_hosts: hosts whose links stay, such as ``{"example.com", "*.example.org"}``.
    """
    from mainspring.guard.outputs.parser import Parser

    judge = Judge(label.trusted, known_hosts)
    text = plain_hosts(visible(markdown))
    parser = Parser()
    try:
        for _ in range(MAX_PASSES):
            rewritten = _pass(parser, text, judge)
            if rewritten == text:
                return text
            text = rewritten
    except (_StrangeError, RecursionError):
        pass
    return _as_code(text)


def _as_code(text: str) -> str:
    """All of it in one code block, with a fence that nothing in it can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}text\n{text.rstrip()}\n{fence}\n"


def _pass(parser: Parser, text: str, judge: Judge) -> str:
    tokens, env = parser.blocks(text)
    lines: list[str | None] = [*text.split("\n")]
    covered: set[int] = set()
    rows: set[int] = set()
    definitions = [(d["href"], d["map"]) for d in (*env.get("references", {}).values(), *env.get("duplicate_refs", ()))]
    in_table = False
    for token in tokens:
        if token.map is None:
            continue
        first, last = token.map
        if token.type in ("inline", "fence", "code_block", "html_block", "hr", "heading_open", "table_open"):
            covered.update(range(first, last))
        if token.type == "table_open":
            in_table = True
        elif token.type == "tr_open":
            rows.add(first)
        elif token.type == "inline" and first not in rows:
            _inline(parser, token, env, lines, judge)
        elif token.type == "fence":
            _fence(token, lines)
        elif token.type == "html_block":
            for number in range(first, last):
                lines[number] = (lines[number] or "").replace("<", "&lt;")
    for number in rows if in_table else ():
        lines[number] = _row(parser, lines[number] or "", env, judge)
    for href, (first, last) in definitions:
        covered.update(range(first, last))
        if not judge.keeps(href):
            lines[first] = (lines[first] or "").replace("[", "\\[", 1)
    for number, line in enumerate(lines):
        if number not in covered and line is not None and not _MARKERS.match(line):
            raise _StrangeError  # too deeply nested: the parser has skipped it
    return "\n".join(line for line in lines if line is not None)


def _inline(parser: Parser, token: Token, env: dict[str, Any], lines: list[str | None], judge: Judge) -> None:
    content = token.content
    changed = _rewrite(content, parser.pieces(content, env), judge)
    if changed == content or token.map is None:
        return
    new = changed.split("\n")
    for number, old in enumerate(content.split("\n")):
        at = token.map[0] + number
        source, core = lines[at] or "", old.strip()
        start = source.rfind(core)
        if start < 0:
            raise _StrangeError
        lines[at] = source[:start] + new[number].strip() + source[start + len(core) :] if number < len(new) else None


def _row(parser: Parser, line: str, env: dict[str, Any], judge: Judge) -> str:
    """A row of a table, cell by cell, as the table rule splits it; cells beyond the last column too."""
    cells: list[str] = []
    for cell in re.split(r"(?<!\\)\|", line):
        core = cell.strip()
        content = core.replace("\\|", "|")
        changed = _rewrite(content, parser.pieces(content, env), judge)
        if changed != content:
            start = cell.index(core) if core else 0
            cell = cell[:start] + changed.replace("|", "\\|") + cell[start + len(core) :]
        cells.append(cell)
    return "|".join(cells)


def _fence(token: Token, lines: list[str | None]) -> None:
    info = token.info.strip()
    word = info.partition(" ")[0]
    if not info or (_WORD.match(info) and info.lower() not in _DRAWN) or token.map is None:
        return
    wanted = word if _WORD.match(word) and word.lower() not in _DRAWN else "text"
    source = lines[token.map[0]] or ""
    start = source.rfind(info)
    if start < 0:
        raise _StrangeError
    lines[token.map[0]] = source[:start] + wanted


def _rewrite(source: str, pieces: list[Piece], judge: Judge, in_link: bool = False) -> str:
    out: list[str] = []
    run: list[Piece] = []
    for piece in pieces:
        if piece.kind in ("text", "special"):
            run.append(piece)
            continue
        out.append(_text(source, run, judge))
        run = []
        out.append(_acting(source, piece, judge, in_link))
    out.append(_text(source, run, judge))
    return "".join(out)


def _acting(source: str, piece: Piece, judge: Judge, in_link: bool) -> str:
    raw = source[piece.start : piece.end]
    if piece.kind == "html":
        return raw.replace("<", "&lt;")
    if piece.kind == "autolink":
        if judge.keeps(piece.url):
            return raw
        return raw[1:-1] if ":" not in raw else defang(piece.url)  # a mail address stays, without its link
    if piece.kind == "link":
        if raw.startswith("[^") and raw.endswith("]") and not judge.keeps(piece.url):
            return raw  # a footnote's mark; its note is made plain text
        inner = _rewrite(source, piece.inner, judge, in_link=True)
        end = piece.inner[-1].end if piece.inner else piece.start + 1
        if judge.keeps(piece.url):
            return "[" + inner + source[end : piece.end]
        return _named(inner, piece.url)
    if piece.kind == "image":
        if in_link:
            return piece.shown or "image"
        if judge.keeps(piece.url):
            return f"[{piece.shown or 'image'}" + source[piece.start + 2 + len(piece.shown) : piece.end]
        return _named(piece.shown or "image", piece.url)
    return raw


def _named(words: str, url: str) -> str:
    shown = defang(url)
    return shown if not words.strip() or words.strip() == shown else f"{words} ({shown})"


def _text(source: str, run: list[Piece], judge: Judge) -> str:
    """Text with bare addresses defanged, looked for in what a reader sees: entities and escapes do not hide them."""
    if not run:
        return ""
    shown = "".join(piece.shown for piece in run)
    cuts = judge.text(shown) if "." in shown or "//" in shown or "\\" in shown else []
    out: list[str] = []
    at = 0  # in `shown`
    number = 0
    for piece in run:
        end = at + len(piece.shown)
        position = at
        while number < len(cuts) and cuts[number][0] < end:
            start, stop, replacement = cuts[number]
            if start >= at:
                out.append(_part(source, piece, position - at, start - at) + replacement)
            position = min(stop, end)
            if stop > end:
                break
            number += 1
        out.append(_part(source, piece, position - at, len(piece.shown)))
        at = end
    return "".join(out)


def _part(source: str, piece: Piece, start: int, end: int) -> str:
    if start >= end:
        return ""
    if piece.kind == "special":
        return source[piece.start : piece.end]
    raw = source[piece.start + start : piece.start + end]
    after = source[piece.end : piece.end + 1]
    if raw == "<" and (after.isalpha() or after in ("/", "!", "?")):
        return "&lt;"
    if raw == "]" and after == "(":
        return "]\\"
    if raw == "!" and after == "[":
        return "!\\"
    if (
        raw == "["
        and _DEFINITION.match(source, piece.start)
        and source[: piece.start].rpartition("\n")[2].strip() == ""
    ):
        return "\\["
    return raw
