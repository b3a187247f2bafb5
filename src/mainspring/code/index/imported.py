"""Imports as their own text says them, language by language."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from mainspring.code.index.facts import Import

__all__ = ["aliases", "package", "read"]

_MOST = 400
_QUOTED = re.compile(r"""(["'`<])([^"'`<>\n]{1,400})["'`>]""")
_FROM = re.compile(r"from\s*(\.*)\s*([\w.]*)\s*import\s*\(?(.*?)\)?\s*$", re.DOTALL)
_AS = re.compile(r"([\w.]+)\s+as\s+(\w+)")
_COMMENT = re.compile(r"#[^\n]*")
_JAVA_PACKAGE = re.compile(rb"^[ \t]*package[ \t]+([\w.]+)[ \t]*;", re.MULTILINE)


def read(language: str, text: str, line: int) -> list[Import]:
    """The imports that one import statement makes."""
    reader = _READERS.get(language)
    return [] if reader is None else reader(text, line)[:_MOST]


def package(language: str, data: bytes) -> str:
    """The package that a Java file says it belongs to."""
    found = _JAVA_PACKAGE.search(data) if language == "java" else None
    return found.group(1).decode() if found is not None else ""


def aliases(language: str, statements: Iterable[str]) -> dict[bytes, bytes]:
    """Names under which a file knows something -> its own name."""
    if language not in ("python", "javascript", "typescript", "tsx", "rust"):
        return {}
    found = {}
    for text in statements:
        for own, known in _AS.findall(text):
            if own != "*":
                found[known.encode()] = own.rpartition(".")[2].encode()
    return found


def _python(text: str, line: int) -> list[Import]:
    text = _COMMENT.sub("", text).replace("\\\n", " ")
    found = _FROM.match(text)
    if found is not None:
        dots, module, names = found.groups()
        taken = [name.split()[0] for name in names.split(",") if name.split()]
        return [Import(module, tuple(n for n in taken if n != "*")[:_MOST], len(dots), line)]
    body = text.removeprefix("import")
    return [Import(part.split()[0], (), 0, line) for part in body.split(",") if part.split()]


def _script(text: str, line: int) -> list[Import]:
    found = _QUOTED.findall(text)
    return [Import(found[-1][1], (), 0, line)] if found else []


def _go(text: str, line: int) -> list[Import]:
    return _script(text, line)


def _include(text: str, line: int) -> list[Import]:
    found = _QUOTED.search(text)
    if found is None:
        return []
    return [Import(found.group(2), (), 1 if found.group(1) == '"' else 0, line)]


def _java(text: str, line: int) -> list[Import]:
    words = text.rstrip(" ;\n").split()
    return [Import(words[-1], ("static",) if "static" in words else (), 0, line)] if len(words) > 1 else []


def _rust(text: str, line: int) -> list[Import]:
    text = re.sub(r"//[^\n]*", "", text)
    module = re.search(r"\bmod\s+(\w+)\s*;", text)
    if module is not None:
        return [Import(f"mod {module.group(1)}", (), 0, line)]
    use = re.search(r"\buse\s+(.*?);?\s*$", text, re.DOTALL)
    if use is None:
        return []
    return [Import(path, (), 0, line) for path in _spread(re.sub(r"\s+", " ", use.group(1)))]


def _spread(tree: str) -> list[str]:
    """``a::{b, c::d}`` as ``a::b`` and ``a::c::d``."""
    found: list[str] = []
    prefixes: list[str] = []
    word = ""

    def done() -> None:
        path = word.strip().split(" as ")[0].strip()
        if path and len(found) < _MOST:
            found.append(("".join(prefixes) + path).removesuffix("::self").removesuffix("::*"))

    for character in tree:
        if character == "{":
            if len(prefixes) > 50:
                break
            prefixes.append(word.strip())
            word = ""
        elif character in ",}":
            done()
            word = ""
            if character == "}" and prefixes:
                prefixes.pop()
        else:
            word += character
    done()
    return found


_READERS: dict[str, Callable[[str, int], list[Import]]] = {
    "python": _python,
    "javascript": _script,
    "typescript": _script,
    "tsx": _script,
    "go": _go,
    "rust": _rust,
    "java": _java,
    "c": _include,
    "cpp": _include,
}
