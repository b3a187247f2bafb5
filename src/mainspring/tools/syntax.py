"""Whether a file still parses: looked at before an edit is written, in milliseconds.

Source code is parsed by tree-sitter, Python besides by Python's own parser (which sees wrong indentation), JSON, TOML
and YAML by their readers. A language that is not known passes.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from mainspring.tools.textfile import encoding_of

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Tree

__all__ = ["Problem", "Verdict", "check_syntax", "judge", "language_of", "parse"]

#: Larger files are not looked at, in bytes: 4 MB take tree-sitter some 0.4 s.
MAX_BYTES = 4 << 20
#: Larger files are not given to the slower readers (Python's own parser takes some 0.3 s for this much; YAML more).
_SLOW_BYTES = 1 << 20
_YAML_BYTES = 256 << 10
_EXCERPT_LINES = 2
_LINE_CHARACTERS = 160

_LANGUAGES = {
    "python": "py pyi",
    "javascript": "js jsx mjs cjs",
    "typescript": "ts mts cts",
    "tsx": "tsx",
    "go": "go",
    "rust": "rs",
    "java": "java",
    "c": "c h",
    "cpp": "cc cpp cxx c++ hh hpp hxx h++ ipp tpp",
    "json": "json",
    "toml": "toml",
    "yaml": "yaml yml",
}
_BY_ENDING = {ending: language for language, endings in _LANGUAGES.items() for ending in endings.split()}
_DATA = frozenset({"json", "toml", "yaml"})
_BRACKETS = {"(": 1, ")": -1, "[": 1, "]": -1, "{": 1, "}": -1}
#: What Python's parser says of syntax newer than itself, which tree-sitter knows.
_NEWER = re.compile(
    r"f-string|multiple exception types must be parenthesized|invalid escape sequence|t-string|too many"
)
_NEWER_NODES = frozenset({"type_alias_statement", "type_parameter"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Where a text does not parse: `line` counts from 1."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of an edit: `refusal` forbids it, `warning` is told beside its answer."""

    refusal: str | None = None
    warning: str | None = None


def language_of(path: str) -> str | None:
    """The language of a file by its name: ``"python"``, ``"cpp"``, ``"json"`` ...; None when it is not known."""
    return _BY_ENDING.get(path.rsplit("/", 1)[-1].rpartition(".")[2].lower()) if "." in path else None


def parse(language: str, source: bytes) -> Tree:
    """The tree of a source in UTF-8.

    Raises:
        KeyError: tree-sitter has no grammar here for this language.
    """
    return _parser(language).parse(source)


def check_syntax(path: str, data: bytes) -> str | None:
    """What is wrong with a file's syntax, with the line and the text around it; None when it parses.

    A file in an unknown language, a binary one and one over 4 MiB pass.
    """
    found = _look(path, data)
    if found is None or found.problem is None:
        return None
    return _describe(found.text, found.problem)


def judge(path: str, before: bytes | None, after: bytes) -> Verdict:
    """Whether an edit breaks a file that parsed before.

    Refused is an edit after which a file does not parse that did before, or after which a broken one has more broken
    places. A new file that does not parse, and C or C++ whose brackets balance (a macro can be anything), is warned of.
    """
    now = _look(path, after)
    if now is None or now.problem is None:
        return Verdict()
    said = _describe(now.text, now.problem)
    if not before:
        return Verdict(warning=f"warning: this file does not parse: {said}")
    then = _look(path, before)
    if then is None:
        return Verdict()
    if now.balanced is not None and now.balanced == then.balanced and now.errors > then.errors:
        return Verdict(warning=f"warning: this may not parse: {said}")
    if then.problem is None:
        return Verdict(
            f"not written, since {path} would not parse any more: {said}\nGive one edit that leaves it whole."
        )
    if now.errors > then.errors:
        return Verdict(
            f"not written: {path} did not parse before, and would have {now.errors} broken places instead of "
            f"{then.errors}: {said}"
        )
    return Verdict(warning=f"warning: {path} did not parse before either: {said}")


@dataclass(frozen=True, slots=True)
class _Look:
    """What a parser found: the number of `errors`, the first `problem`, how far brackets are out (C and C++ only)."""

    text: str
    problem: Problem | None
    errors: int = 0
    balanced: tuple[int, int, int] | None = None


def _look(path: str, data: bytes) -> _Look | None:
    language = language_of(path)
    if language is None or len(data) > MAX_BYTES:
        return None
    encoding = encoding_of(data, whole=True)
    if encoding is None:
        return None
    text = encoding.decode(data)
    if language in _DATA:
        problem = _READERS[language](text)
        return _Look(text, problem, 0 if problem is None else 1)
    return _source(path, language, text)


def _source(path: str, language: str, text: str) -> _Look:
    source = text.encode("utf-8", "replace")
    tree = parse(language, source)
    if path.lower().endswith(".h") and tree.root_node.has_error:
        other = parse("cpp", source)  # a header says nothing of its language
        if not other.root_node.has_error:
            return _Look(text, None)
    problem, errors = None, 0
    if tree.root_node.has_error:
        for node in _broken(tree.root_node):
            problem = problem or Problem(node.start_point.row + 1, _said(node))
            errors += 1
    if language == "python" and len(source) <= _SLOW_BYTES:
        own = _python(text, tree)
        if problem is not None:
            problem = own or problem
        elif own is not None and not _NEWER.match(own.message) and not _has(tree.root_node, _NEWER_NODES):
            problem, errors = own, 1
    balanced = None
    if language in ("c", "cpp") and len(source) <= _SLOW_BYTES:
        balanced = (0, 0, 0) if problem is None else _balance(tree.root_node)
    return _Look(text, problem, errors, balanced)


def _describe(text: str, problem: Problem) -> str:
    lines = text.split("\n")
    at = min(problem.line, len(lines)) - 1
    first = max(0, at - _EXCERPT_LINES)
    rows = []
    for number, line in enumerate(lines[first : at + _EXCERPT_LINES + 1], first):
        mark = ">" if number == at else " "
        rows.append(f"{mark}{number + 1:>5}| {line.rstrip()[:_LINE_CHARACTERS]}")
    return f"line {problem.line}: {problem.message}\n" + "\n".join(rows)


def _broken(root: Node) -> Iterator[Node]:
    """Nodes where the parser had to skip or to add something, in the text's order."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.is_error or node.is_missing:
            yield node
        elif node.has_error:
            pending.extend(reversed(node.children))


def _said(node: Node) -> str:
    if node.is_missing:
        return f"{node.type!r} is missing" if not node.is_named else f"{node.type.replace('_', ' ')} is missing"
    text = (node.text or b"").decode("utf-8", "replace").split("\n")[0].strip()
    return f"not understood: {text[:60]!r}" if text else "not understood"


def _has(root: Node, types: frozenset[str]) -> bool:
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type in types:
            return True
        pending.extend(node.named_children)
    return False


def _balance(root: Node) -> tuple[int, int, int]:
    """How many round, square and curly brackets are open at the end; 0 of each in sound code."""
    counts = {"(": 0, "[": 0, "{": 0}
    opener = {")": "(", "]": "[", "}": "{"}
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type in _BRACKETS and not node.is_missing:
            counts[opener.get(node.type, node.type)] += _BRACKETS[node.type]
        pending.extend(node.children)
    return counts["("], counts["["], counts["{"]


def _python(text: str, tree: Tree) -> Problem | None:
    try:
        ast.parse(text.replace("\r\n", "\n"))
    except SyntaxError as error:
        return Problem(error.lineno or 1, error.msg)
    except (ValueError, RecursionError, MemoryError):
        return None  # a NUL, or nested too deeply for it; tree-sitter has the last word
    return None


def _json(text: str) -> Problem | None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return Problem(error.lineno, error.msg)
    except (ValueError, RecursionError):
        return None  # a number of thousands of digits, or nested very deeply
    return None


def _toml(text: str) -> Problem | None:
    try:
        tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        return Problem(line, re.sub(r" \(at .*\)$", "", str(error)))
    except (ValueError, RecursionError):
        return None
    return None


def _yaml(text: str) -> Problem | None:
    if len(text) > _YAML_BYTES or "{{" in text or "{%" in text:  # a template of YAML is no YAML yet
        return None
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        return None
    try:
        for _ in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return Problem(1 if mark is None else mark.line + 1, error.problem or "not understood")
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return None


_READERS: dict[str, Callable[[str], Problem | None]] = {"json": _json, "toml": _toml, "yaml": _yaml}


@lru_cache(maxsize=16)
def _grammar(language: str) -> object:
    from tree_sitter import Language

    module, function = {
        "typescript": ("tree_sitter_typescript", "language_typescript"),
        "tsx": ("tree_sitter_typescript", "language_tsx"),
    }.get(language, (f"tree_sitter_{language}", "language"))
    if language in _DATA or language not in _LANGUAGES:
        raise KeyError(language)
    return Language(getattr(importlib.import_module(module), function)())


def _parser(language: str) -> Parser:
    from tree_sitter import Language, Parser

    grammar = _grammar(language)
    assert isinstance(grammar, Language)
    return Parser(grammar)  # made anew: a parser is not to be used by two threads at once
