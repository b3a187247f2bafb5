"""All rules for one file in a language that tree-sitter parses."""

from __future__ import annotations

import importlib
import re
from functools import lru_cache

from mainspring.code.scan.finding import Draft
from mainspring.code.scan.rules import draft
from mainspring.code.scan.trees.engine import Walk, text_of
from mainspring.code.scan.trees.grammar import GRAMMARS, Language

__all__ = ["LANGUAGES", "analyse"]

#: Language -> the module of its rules.
LANGUAGES = {
    "javascript": "javascript",
    "typescript": "javascript",
    "tsx": "javascript",
    "go": "go",
    "rust": "rust",
    "java": "java",
    "c": "c",
    "cpp": "c",
}


@lru_cache(maxsize=16)
def _rules(language: str) -> Language:
    module = importlib.import_module(f"mainspring.code.scan.trees.{LANGUAGES[language]}")
    rules: Language = module.RULES
    return rules


def analyse(language: str, source: bytes, testing: bool = False) -> tuple[list[Draft], bool]:
    """What the rules find, and whether the source parsed without an error."""
    from mainspring.tools.syntax import parse

    tree = parse(language, source)
    sized = language in ("c", "cpp")
    walk = Walk(GRAMMARS[language], _rules(language), sized=sized, testing=testing)
    walk.visit(tree.root_node, {})
    drafts = walk.drafts
    if sized:
        from mainspring.code.scan.trees.c import freed

        drafts += freed(tree.root_node)
    if language in ("javascript", "typescript", "tsx"):
        drafts += _patterns(tree.root_node)
    return drafts, not tree.root_node.has_error


def _patterns(root: object) -> list[Draft]:
    from mainspring.code.scan.redos import explosive

    found: list[Draft] = []
    pending: list[object] = [root]
    while pending:
        node = pending.pop()
        if getattr(node, "type", "") == "regex":
            pattern = re.sub(r"^/|/\w*$", "", text_of(node, 2000))  # type: ignore[arg-type]
            why = explosive(pattern)
            if why:
                line = node.start_point.row + 1  # type: ignore[attr-defined]
                found.append(draft("redos", line, message=f"the pattern can take exponential time: {why}"))
        else:
            pending.extend(node.named_children)  # type: ignore[attr-defined]
    return found
