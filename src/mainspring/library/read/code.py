"""Source code: pieces by top-level symbols where there is a grammar, else by empty lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.library.page import Page
from mainspring.library.read.base import Notes, PagesReading, title_of
from mainspring.library.read.blocks import SECTION_CHARS, Block, page_of, split_block
from mainspring.library.read.plain import read_text
from mainspring.library.read.protocol import About, ReadLimits

if TYPE_CHECKING:
    from tree_sitter import Node

#: Larger files are cut at empty lines: a tree takes some 100 times the text.
_PARSED_BYTES = 4 << 20
#: Nodes that stand around a definition.
_WRAPPERS = frozenset({"export_statement", "decorated_definition", "expression_statement", "template_declaration"})
_BODIES = ("body", "declaration_list", "class_body", "block")


@dataclass(slots=True)
class _Piece:
    """Lines of the file (0-based, the last one not in it) and the symbols in them."""

    begin: int
    end: int
    names: tuple[str, ...] = ()


def open_code(path: Path, limits: ReadLimits) -> PagesReading:
    from mainspring.tools.syntax import language_of

    text, encoding = read_text(path, limits)
    notes = Notes()
    language = language_of(path.name) or ""
    extra = {"encoding": encoding} | ({"programming language": language} if language else {})

    def pages() -> Iterator[Page]:
        lines = text.split("\n")
        target = min(SECTION_CHARS, limits.page_chars)
        number = 0
        for piece in _joined(_pieces(text, lines, language, target), lines, target):
            block = Block("\n".join(lines[piece.begin : piece.end]), "code", line=piece.begin + 1)
            for part in split_block(block, limits.page_chars):
                lead = len(part.text) - len(part.text.lstrip("\n"))
                line = (part.line or 1) + part.text[:lead].count("\n")
                heading = ", ".join(piece.names)[:300]
                page, _ = page_of(number + 1, [part], limits.page_chars, notes.removed, heading=heading, line=line)
                if page.text:
                    number += 1
                    yield page

    return PagesReading(path.name, About("code", title_of(path), extra), pages, limits, notes)


def _pieces(text: str, lines: list[str], language: str, target: int) -> Iterator[_Piece]:
    source = text.encode("utf-8", "replace")
    if language and len(source) <= _PARSED_BYTES:
        from mainspring.tools.syntax import parse

        try:
            root = parse(language, source).root_node
        except KeyError:
            pass
        else:
            yield from _symbols(root, 0, len(lines), (), lines, target)
            return
    begin = 0
    for index, line in enumerate(lines):
        if not line.strip() and index > begin:
            yield _Piece(begin, index + 1)
            begin = index + 1
    if begin < len(lines):
        yield _Piece(begin, len(lines))


def _symbols(
    parent: Node, begin: int, end: int, outer: tuple[str, ...], lines: list[str], target: int
) -> Iterator[_Piece]:
    """Lines `begin` to `end` cut where definitions end; what stands before one (comments) goes with it."""
    at = begin
    for node in parent.named_children:
        name = _name(node)
        after = min(end, node.end_point.row + 1)
        if not name or after <= at:
            continue
        names = (*outer, name)
        body = _body(node)
        if body is not None and sum(map(len, lines[at:after])) > target and len(names) < 4:
            inner = min(max(body.start_point.row, at), after)
            head = next((child.start_point.row for child in body.named_children if _name(child)), inner)
            yield _Piece(at, max(head, at), (".".join(names),))
            yield from _symbols(body, max(head, at), after, names, lines, target)
        else:
            yield _Piece(at, after, (".".join(names),))
        at = after
    if at < end:
        yield _Piece(at, end, (".".join(outer),) if outer else ())


def _name(node: Node) -> str:
    """What a definition defines; "" for other nodes."""
    for _ in range(3):
        if node.type not in _WRAPPERS:
            break
        inner = node.child_by_field_name("definition") or node.child_by_field_name("declaration")
        if inner is None:
            return ""
        node = inner
    if node.type == "type_declaration" and node.named_children:  # Go
        node = node.named_children[0]
    found = node.child_by_field_name("type" if node.type == "impl_item" else "name")
    deeper = node.child_by_field_name("declarator")
    for _ in range(4):
        if found is not None or deeper is None:
            break
        found = deeper if deeper.type in ("identifier", "field_identifier", "qualified_identifier") else None
        deeper = deeper.child_by_field_name("declarator")
    if found is None or not re.search("def|decl|item|class|func|method|interface|enum|struct|impl|spec", node.type):
        return ""
    return (found.text or b"").decode("utf-8", "replace")[:80]


def _body(node: Node) -> Node | None:
    for _ in range(3):
        inner = node.child_by_field_name("definition") or node.child_by_field_name("declaration")
        if node.type not in _WRAPPERS or inner is None:
            break
        node = inner
    return node.child_by_field_name("body")


def _joined(pieces: Iterator[_Piece], lines: list[str], target: int) -> Iterator[_Piece]:
    """Small neighbours together, up to `target` characters."""
    held: _Piece | None = None
    size = 0
    for piece in pieces:
        if piece.end <= piece.begin:
            continue
        length = sum(len(line) + 1 for line in lines[piece.begin : piece.end])
        if held is not None and size + length <= target:
            names = tuple(dict.fromkeys((*held.names, *piece.names)))
            held = _Piece(held.begin, piece.end, names)
            size += length
            continue
        if held is not None:
            yield held
        held, size = piece, length
    if held is not None:
        yield held
