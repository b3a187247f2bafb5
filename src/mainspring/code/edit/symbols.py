"""The definitions of a source file, with the exact bytes that belong to each: comments and decorators before it too.

By tree-sitter, for Python, JavaScript, TypeScript, Go, Rust, Java, C and C++. This is for editing one file; who uses
what over a whole repository is the index's business.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from mainspring.tools.syntax import parse

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["LANGUAGES", "Definition", "Piece", "definitions"]

LANGUAGES = frozenset({"python", "javascript", "typescript", "tsx", "go", "rust", "java", "c", "cpp"})

PieceKind: TypeAlias = Literal["comment", "attribute", "export"]

_FUNCTIONS = frozenset(
    [
        "function_definition",
        "function_declaration",
        "generator_function_declaration",
        "method_definition",
        "method_declaration",
        "constructor_declaration",
        "function_item",
        "function_signature_item",
        "function_signature",
        "method_signature",
        "abstract_method_signature",
        "compact_constructor_declaration",
    ]
)
_TYPES = frozenset(
    [
        "class_definition",
        "class_declaration",
        "abstract_class_declaration",
        "interface_declaration",
        "enum_declaration",
        "record_declaration",
        "annotation_type_declaration",
        "struct_item",
        "enum_item",
        "union_item",
        "trait_item",
        "type_item",
        "type_alias_declaration",
        "type_alias_statement",
        "class_specifier",
        "struct_specifier",
        "union_specifier",
        "enum_specifier",
        "type_definition",
        "type_spec",
        "type_alias",
        "alias_declaration",
        "macro_definition",
        "concept_definition",
    ]
)
_SCOPES = frozenset(["internal_module", "module", "namespace_definition", "mod_item", "impl_item"])
_VARIABLES = frozenset(
    [
        "lexical_declaration",
        "variable_declaration",
        "var_spec",
        "const_spec",
        "const_item",
        "static_item",
        "field_declaration",
        "public_field_definition",
        "field_definition",
        "property_signature",
        "declaration",
        "enum_constant",
    ]
)
#: Declarations without a body, which stand beside a definition of the same name.
_PROTOTYPES = frozenset({"function_signature", "abstract_method_signature", "method_signature"})
#: What wraps a definition and belongs to it.
_WRAPPERS = frozenset({"decorated_definition", "export_statement", "template_declaration", "ambient_declaration"})
_GROUPS = frozenset({"type_declaration", "var_declaration", "const_declaration"})
_COMMENTS = frozenset({"comment", "line_comment", "block_comment"})
_ATTRIBUTES = frozenset({"decorator", "attribute_item", "annotation", "marker_annotation"})
#: Nodes that hold no definitions worth naming.
_LEAVES = _COMMENTS | _ATTRIBUTES | {"parameters", "formal_parameters", "argument_list", "arguments", "string", "call"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A comment, a decorator (attribute, annotation) or ``export`` before a definition; bytes from `start` to `end`."""

    kind: PieceKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition.

    Args:
        name: its last name.
        qualified: with the names around it, joined by dots: ``Class.method``.
        kind: ``"function"``, ``"type"``, ``"scope"`` or ``"variable"``.
        start, end: bytes of the definition itself, without what stands before it.
        pieces: what stands before it and belongs to it, in order.
        first, last: lines from 1, with the pieces.
        head: its first line, for a person.
        prototype: a declaration without a body.
    """

    name: str
    qualified: str
    kind: str
    start: int
    end: int
    pieces: tuple[Piece, ...]
    first: int
    last: int
    head: str
    prototype: bool = False

    @property
    def begin(self) -> int:
        """The first byte that belongs to it, pieces included."""
        return self.pieces[0].start if self.pieces else self.start


def definitions(language: str, source: bytes) -> list[Definition]:
    """Every named definition, in the order of the text. Raises KeyError for a language without a grammar."""
    found: list[Definition] = []
    ends = [at for at, byte in enumerate(source) if byte == 10]
    root = parse(language, source).root_node
    # (node, it or the outermost node that wraps it, that one's siblings and place, names around it, in a function?)
    pending: list[tuple[Node, _Place, str, bool]] = [(root, _Place([root], 0), "", False)]
    while pending:
        node, place, around, local = pending.pop()
        kind = _kind(node)
        inside, prefix = local, around
        if kind and not (local and kind == "variable"):
            for name in _names(node, kind):
                prefix = f"{around}.{name}" if around else name
                if node.type != "impl_item":
                    found.append(_definition(source, ends, node, place, name, prefix, kind))
            inside = local or kind == "function"
        if kind == "variable" or node.type in _LEAVES or (node.type.endswith("_expression") and kind is None):
            continue
        children = node.children
        wraps = _wraps(node, children)
        for number in range(len(children) - 1, -1, -1):
            if children[number].is_named:
                pending.append((children[number], place if wraps else _Place(children, number), prefix, inside))
    found.sort(key=lambda d: (d.begin, -d.end))
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node stands among its siblings; asking a node for them takes longer the more there are."""

    siblings: list[Node]
    number: int

    @property
    def node(self) -> Node:
        return self.siblings[self.number]


def _wraps(node: Node, children: list[Node]) -> bool:
    """Whether a node belongs to the one definition in it."""
    if node.type in _WRAPPERS:
        return True
    if node.type == "expression_statement" or node.type in _GROUPS:
        return len([c for c in children if c.is_named]) == 1 and all(c.type != "(" for c in children)
    return False


def _kind(node: Node) -> str | None:
    kind = node.type
    if kind in _FUNCTIONS:
        return "function"
    if kind in _TYPES:
        if kind.endswith("_specifier") and node.child_by_field_name("body") is None:
            return None  # `struct X` as a type's name
        return "type"
    if kind in _SCOPES:
        return "scope" if (node.is_named and kind != "module") or node.parent is not None else None
    if kind in _VARIABLES:
        return "variable"
    if kind == "assignment" and node.parent is not None and node.parent.type == "expression_statement":
        return "variable"
    if kind == "assignment_expression":  # module.exports.f = function () {}
        right = node.child_by_field_name("right")
        parent = node.parent
        if right is not None and parent is not None and parent.type == "expression_statement":
            return "variable" if right.type in ("function_expression", "arrow_function", "class") else None
    return None


def _names(node: Node, kind: str) -> Iterator[str]:
    """The names that a node defines; several for ``int a, b;``, which then cannot be told apart by their text."""
    if node.type == "impl_item":
        named = node.child_by_field_name("type")
        yield from () if named is None else [_text(_base(named))]
    elif node.type in ("lexical_declaration", "variable_declaration"):
        for child in node.named_children:
            name = child.child_by_field_name("name") if child.type == "variable_declarator" else None
            if name is not None and name.type == "identifier":
                yield _text(name)
    elif node.type in ("assignment", "assignment_expression"):
        left = node.child_by_field_name("left")
        if left is not None and left.type in ("identifier", "member_expression"):
            yield _text(left)
    elif node.type == "method_declaration" and (receiver := node.child_by_field_name("receiver")) is not None:
        name = node.child_by_field_name("name")
        kinds = [c.child_by_field_name("type") for c in receiver.named_children]
        if name is not None and kinds and kinds[0] is not None:
            yield f"{_text(_base(kinds[0]))}.{_text(name)}"
    else:
        name = node.child_by_field_name("name") or node.child_by_field_name("property")
        if name is not None:
            yield _text(name).replace("::", ".").strip("\"'")
            return
        for declarator in node.children_by_field_name("declarator"):
            if (found := _declared(declarator)) is not None:
                yield found


def _base(node: Node) -> Node:
    """The name in ``*T[K]`` or ``S<T>``."""
    while node.type not in ("type_identifier", "identifier", "scoped_type_identifier", "qualified_type"):
        inner = node.child_by_field_name("type") or next(iter(node.named_children), None)
        if inner is None:
            break
        node = inner
    return node


def _declared(node: Node) -> str | None:
    """The name in a C declarator: ``*f(int a)``, ``K::z``, ``v = 3``."""
    while True:
        if node.type in ("function_declarator", "pointer_declarator", "reference_declarator", "init_declarator") or (
            node.type in ("array_declarator", "parenthesized_declarator", "attributed_declarator")
        ):
            inner = node.child_by_field_name("declarator") or next(iter(node.named_children), None)
            if inner is None:
                return None
            node = inner
            continue
        name = node.child_by_field_name("name") if node.type == "variable_declarator" else node
        return None if name is None else _text(name).replace("::", ".").replace(" ", "")


def _definition(
    source: bytes, ends: list[int], node: Node, place: _Place, name: str, qualified: str, kind: str
) -> Definition:
    start, inner = _start(node, place.node)
    end = _end(source, node, place)
    pieces = sorted([*_before(source, place), *inner], key=lambda p: p.start)
    begin = pieces[0].start if pieces else start
    head = source[start : source.find(b"\n", start) if b"\n" in source[start:end] else end]
    return Definition(
        name.rpartition(".")[2],
        qualified,
        kind,
        start,
        end,
        tuple(pieces),
        bisect.bisect_left(ends, begin) + 1,
        bisect.bisect_left(ends, end) + 1,
        head.decode("utf-8", "replace").strip()[:100],
        node.type in _PROTOTYPES or (node.type in ("declaration", "field_declaration") and _is_prototype(node)),
    )


def _is_prototype(node: Node) -> bool:
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.type != "function_declarator":
        declarator = declarator.child_by_field_name("declarator")
    return declarator is not None


def _start(node: Node, outer: Node) -> tuple[int, list[Piece]]:
    """Where the definition itself begins, and the pieces between there and the beginning of `outer`."""
    pieces: list[Piece] = []
    start = node.start_byte
    if outer.type in ("template_declaration", *_GROUPS) or node.type.startswith(("assignment", "internal")):
        start = outer.start_byte
    level: Node | None = outer
    while level is not None:
        inner = None
        for child in level.children:
            if child.type in _ATTRIBUTES:
                pieces.append(Piece("attribute", child.start_byte, child.end_byte))
            elif child.type in ("export", "default", "declare") and level.type in _WRAPPERS:
                pieces.append(Piece("export", child.start_byte, child.end_byte))
            elif child.type == "modifiers":
                inner = child if child.children and child.children[0].type in _ATTRIBUTES else None
                break
            else:
                inner = child if level != node and child.start_byte <= node.start_byte < child.end_byte else None
                break
        if level == node or level.type == "modifiers":
            after = [c for c in level.children if c.type not in _ATTRIBUTES]
            if inner is None and pieces and pieces[-1].end > start:
                start = after[0].start_byte if after else _next(level)
        level = inner
    return start, [piece for piece in pieces if piece.start < start]


def _next(node: Node) -> int:
    return node.next_sibling.start_byte if node.next_sibling is not None else node.end_byte


def _end(source: bytes, node: Node, place: _Place) -> int:
    """Where it ends: with its semicolon, and without the line end that some grammars count to it."""
    outer = place.node
    end = max(node.end_byte, outer.end_byte)
    if place.number + 1 < len(place.siblings):
        following = place.siblings[place.number + 1]
        if following.type == ";" and not source[end : following.start_byte].strip():
            end = following.end_byte
    while end > outer.start_byte and source[end - 1 : end] in (b"\n", b"\r"):
        end -= 1
    return end


def _before(source: bytes, place: _Place) -> list[Piece]:
    """Comments and attributes on the lines directly above."""
    found: list[Piece] = []
    at = place.node.start_byte
    for number in range(place.number - 1, -1, -1):
        node = place.siblings[number]
        end = node.end_byte
        while source[end - 1 : end] in (b"\n", b"\r"):
            end -= 1
        between = source[end:at]
        if between.strip() or node.type not in _COMMENTS | _ATTRIBUTES:
            break
        if node.type in _COMMENTS:
            line = source[source.rfind(b"\n", 0, node.start_byte) + 1 : node.start_byte]
            if between.count(b"\n") != 1 or line.strip() or source.startswith(b"#!", node.start_byte):
                break  # it stands apart, or behind other code
        found.append(Piece("comment" if node.type in _COMMENTS else "attribute", node.start_byte, end))
        at = node.start_byte
    return found


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
