"""Lets a piece of code stand where it is put: its indentation follows the file's, the text of its strings stays."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mainspring.tools.syntax import parse

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["fit", "unit_of"]

_STRINGS = frozenset(
    [
        "string",
        "template_string",
        "raw_string_literal",
        "string_literal",
        "raw_string",
        "interpreted_string_literal",
        "concatenated_string",
        "text_block",
        "preproc_def",
        "preproc_function_def",
    ]
)
_LOOKED_AT = 4_000
#: How a comment, a decorator or an attribute begins.
_LEADING = ("@", "#", "//", "/*")


def unit_of(text: str, default: str) -> str:
    """One step of a text's indentation: a tab, or the number of spaces that lines mostly step in by."""
    steps: Counter[str] = Counter()
    before = ""
    for line in text.split("\n")[:_LOOKED_AT]:
        if not line.strip():
            continue
        head = _head(line)
        if head.startswith(before) and len(head) > len(before):
            step = head[len(before) :]
            if step == "\t" or (step.strip(" ") == "" and len(step) in (2, 3, 4, 8)):
                steps[step] += 1
        before = head
    return steps.most_common(1)[0][0] if steps else default


def fit(code: str, indent: str, unit: str, language: str, old: str = "") -> str:
    """A piece of code, indented for a place; its first line begins without indentation and it has no last newline.

    Args:
        code: as it was given, with any indentation of its own.
        indent: the place's indentation.
        unit: one step of indentation there.
        language: for finding the strings, whose inner lines are left as they are.
        old: what it takes the place of, as it is in the file; code that is indented alike was copied from there.
    """
    lines = code.replace("\r\n", "\n").strip("\n").rstrip().split("\n")
    kept = _inside_strings(language, lines)
    common = _common(lines, kept)
    if common:
        lines = [line[len(common) :] if n not in kept and line.strip() else line for n, line in enumerate(lines)]
    own_heads = _heads(lines, kept)
    old_heads = _heads(old.replace("\r\n", "\n").split("\n"), set())
    in_place = bool(own_heads) and not _head(lines[0]) and _alike(own_heads, old_heads)
    shift = len(indent) if in_place else _shift(lines, kept, indent, unit)
    own = unit_of("\n".join(line[shift:] if n else line for n, line in enumerate(lines) if n not in kept), unit)
    heads = [_head(line)[shift:] for n, line in enumerate(lines) if n and n not in kept and line.strip()]
    known = in_place or {indent + head for head in heads} <= {indent, *(head for head, _ in old_heads)}
    convert = not known and own != unit and all(len(head) % len(own) == 0 for head in heads)
    made = [lines[0].lstrip() if 0 not in kept else lines[0]]
    for number, line in enumerate(lines[1:], 1):
        if number in kept:
            made.append(line)
            continue
        if not line.strip():
            made.append("")
            continue
        head = _head(line)[shift:]
        if convert or (not known and ("\t" in own) != ("\t" in unit) and own in head):
            head = unit * (len(head) // len(own)) + " " * (len(head) % len(own))
        made.append(indent + head + line.lstrip(" \t"))
    return "\n".join(made)


def _shift(lines: list[str], kept: set[int], indent: str, unit: str) -> int:
    """How many characters all lines but the first are too far in: it was copied from behind its first indentation."""
    rest = [line for n, line in enumerate(lines) if n and n not in kept and line.strip()]
    if not rest or not indent or _head(lines[0]):
        return 0
    least = min((_head(line) for line in rest), key=len)
    outermost = [line.lstrip() for line in rest if _head(line) == least]
    # These would stand as far out as the first line.
    if lines[0].startswith(_LEADING) or all(line.startswith((")", "]", "}")) for line in outermost):
        return len(least)
    return len(indent) if least == indent + unit else 0


def _heads(lines: list[str], kept: set[int]) -> list[tuple[str, bool]]:
    """The indentation of all lines but the first, and whether the line only opens or closes something."""
    rest = [line for n, line in enumerate(lines) if n and n not in kept and line.strip()]
    return [(_head(line), line.lstrip()[0] in ")]}{") for line in rest]


def _alike(own: list[tuple[str, bool]], old: list[tuple[str, bool]]) -> bool:
    """Whether the first is indented as the second: as deep at the least, and nowhere otherwise."""
    if not {head for head, _ in own} <= {head for head, _ in old}:
        return False
    least = [min((head for head, edge in side if not edge), key=len, default=None) for side in (own, old)]
    return least[0] == least[1]


def _common(lines: list[str], kept: set[int]) -> str:
    heads = [_head(line) for n, line in enumerate(lines) if n not in kept and line.strip()]
    common = min(heads, key=len, default="")
    while not all(head.startswith(common) for head in heads):
        common = common[:-1]
    return common


def _inside_strings(language: str, lines: list[str]) -> set[int]:
    """Lines (from 0) that begin inside a string or a macro; not those of a Python docstring."""
    found: set[int] = set()
    pending: list[Node] = [parse(language, "\n".join(lines).encode("utf-8", "replace")).root_node]
    while pending:
        node = pending.pop()
        if node.start_point.row == node.end_point.row:
            continue
        if node.type in _STRINGS:
            parent = node.parent
            if parent is None or parent.type != "expression_statement" or language != "python":
                last = node.end_point.row if node.end_point.column else node.end_point.row - 1
                found.update(range(node.start_point.row + 1, last + 1))
            continue
        pending.extend(node.children)
    return found


def _head(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]
