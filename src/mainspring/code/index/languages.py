"""The languages that are indexed: which files they are, their grammars, and which of their files are tests."""

from __future__ import annotations

import functools
import importlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.code.index import queries

if TYPE_CHECKING:
    from tree_sitter import Parser, Query

__all__ = ["LANGUAGES", "Language", "is_test", "language_of"]

#: How deep in a syntax tree names are looked for. Deeper code is no person's, and a query takes time with the square
#: of the depth.
MAX_DEPTH = 1_000

_CPP_MARK = re.compile(rb"^\s*(?:class|namespace|template|using)\b|\b(?:public|private|protected)\s*:|::", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Language:
    """One language.

    Args:
        name: as records say it.
        module, function: where its grammar comes from.
        query: what is captured, in tree-sitter's query language.
        extensions: of its files, with the dot.
    """

    name: str
    module: str
    function: str
    query: str
    extensions: tuple[str, ...]


LANGUAGES = {
    language.name: language
    for language in (
        Language("python", "tree_sitter_python", "language", queries.PYTHON, (".py", ".pyi", ".pyw")),
        Language(
            "javascript", "tree_sitter_javascript", "language", queries.JAVASCRIPT, (".js", ".jsx", ".mjs", ".cjs")
        ),
        Language(
            "typescript",
            "tree_sitter_typescript",
            "language_typescript",
            queries.TYPESCRIPT,
            (".ts", ".mts", ".cts"),
        ),
        Language("tsx", "tree_sitter_typescript", "language_tsx", queries.TSX, (".tsx",)),
        Language("go", "tree_sitter_go", "language", queries.GO, (".go",)),
        Language("rust", "tree_sitter_rust", "language", queries.RUST, (".rs",)),
        Language("java", "tree_sitter_java", "language", queries.JAVA, (".java",)),
        Language("c", "tree_sitter_c", "language", queries.C, (".c", ".h")),
        Language(
            "cpp",
            "tree_sitter_cpp",
            "language",
            queries.CPP,
            (".cc", ".cpp", ".cxx", ".c++", ".hh", ".hpp", ".hxx", ".h++", ".inl"),
        ),
    )
}

_BY_EXTENSION = {extension: language for language in LANGUAGES.values() for extension in language.extensions}


def language_of(path: str, data: bytes | None = None) -> Language | None:
    """The language of a file by its name, or None when it is not indexed.

    Args:
        path: with any folders.
        data: its content, which tells a C++ header from a C one.
    """
    dot = path.rfind(".")
    if dot <= path.rfind("/") + 1:
        return None
    found = _BY_EXTENSION.get(path[dot:].lower())
    if found is not None and found.name == "c" and path.endswith(".h") and data and _CPP_MARK.search(data):
        return LANGUAGES["cpp"]
    return found


@functools.cache
def tools_for(name: str) -> tuple[Parser, Query]:
    """The parser and the compiled query of a language; one of each a process, used under the index's lock."""
    import tree_sitter

    language = LANGUAGES[name]
    grammar: Any = getattr(importlib.import_module(language.module), language.function)()
    loaded = tree_sitter.Language(grammar)
    return tree_sitter.Parser(loaded), tree_sitter.Query(loaded, language.query)


_TEST_NAME = re.compile(
    r"""(?x)
    (?: ^test_ .* \.pyw?$ | _tests?\.pyw?$ | ^tests?\.py$ | ^conftest\.py$
    | \.(?:test|spec|e2e)\.[cm]?[jt]sx?$
    | _test\.go$
    | ^(?:Test .+ | .+ (?:Test|Tests|TestCase|IT))\.java$
    | ^test_ .* \.(?:c|cc|cpp|cxx|rs)$ | _(?:unit)?tests?\.(?:c|cc|cpp|cxx|rs)$ | ^tests?\.rs$ )
    """
)
_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "testing", "unittests"})


@functools.lru_cache(maxsize=100_000)
def is_test(path: str) -> bool:
    """Whether a file holds tests, or help for tests, by its name and folders."""
    *folders, name = path.split("/")
    return bool(_TEST_NAME.search(name)) or any(folder.lower() in _TEST_FOLDERS for folder in folders)
