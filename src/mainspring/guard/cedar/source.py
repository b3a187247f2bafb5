"""The text of a policy file: read, cut into its rules, each with its place.

Cedar's parser says what is wrong but not where, so the text is cut into rules first and each is parsed by itself. The
cuts are checked against the parser: each piece must be exactly one rule.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.errors import DeclarationError

#: Bytes of a policy file, characters of one rule, and brackets inside each other; Cedar's parser works on the stack,
#: and a thousand brackets end the process.
MAX_FILE, MAX_RULE, MAX_DEPTH, MAX_RULES = 1 << 20, 20_000, 24, 2_000

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|[()\[\]{};"]|[^()\[\]{};"/]+|/', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Piece:
    """One rule of a policy's text.

    Args:
        text: from its first annotation to its semicolon.
        file: the file's name, or ``"policy"`` for text that came from no file.
        line: the line of its first word, counted from 1.
    """

    text: str
    file: str
    line: int

    def error(self, message: str, word: str = "") -> DeclarationError:
        """The error with its place: the line that holds `word`, or the rule's first line."""
        line = self.line
        if word:
            found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", self.text)
            line += self.text.count("\n", 0, found.start()) if found else 0
        return DeclarationError(f"{self.file}:{line}: {message}")


def read_policy(source: str | Path) -> tuple[str, str]:
    """A policy's text and the name to call it by; a `str` with a semicolon or a line end is the text itself.

    Raises:
        DeclarationError: the file is missing, no file, too large, or not UTF-8.
    """
    if isinstance(source, str) and (";" in source or "\n" in source or not source.strip()):
        _fits(source.encode("utf-8", "surrogatepass"), "policy")
        return source, "policy"
    if not isinstance(source, str | Path):
        raise DeclarationError(f"a policy is a file or Cedar text, not {source!r}")
    path = Path(source)
    try:
        if not path.is_file():
            raise DeclarationError(f"no policy file at {path}; Cedar text itself ends in a semicolon")
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        raise DeclarationError(f"policy file {path} cannot be read: {error}") from None
    _fits(data, str(path))
    try:
        return data.decode("utf-8-sig"), str(path)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DeclarationError(f"{path}:{line}: not UTF-8 (byte {data[error.start]:#04x}); save it as UTF-8") from None


def _fits(data: bytes, name: str) -> None:
    if len(data) > MAX_FILE:
        raise DeclarationError(f"{name}: a policy has at most {MAX_FILE:,} bytes; split it into several files")


def pieces(text: str, file: str) -> list[Piece]:
    """The rules of a text.

    Raises:
        DeclarationError: no rule, an unclosed string or bracket, or more of anything than is allowed.
    """
    found: list[Piece] = []
    start: int | None = None
    depth, at, line = 0, 0, 1
    first = 1
    for match in _TOKEN.finditer(text):
        token = match.group()
        if start is None and not token.startswith("//") and token.strip():
            start = match.start() + len(token) - len(token.lstrip())
            first = line + text.count("\n", match.start(), start)
        here = Piece(text[start : match.end()] if start is not None else "", file, first)
        if token == '"':
            raise Piece("", file, line).error('a string is not closed; write "..." and \\" inside it')
        if token in "([{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Piece("", file, line).error(f"more than {MAX_DEPTH} brackets inside each other; split the rule")
        elif token in ")]}":
            depth -= 1
        elif token == ";":
            if len(here.text) > MAX_RULE:
                raise here.error(f"a rule has at most {MAX_RULE:,} characters; split it")
            found.append(here)
            start, depth = None, 0
            if len(found) > MAX_RULES:
                raise here.error(f"a file has at most {MAX_RULES:,} rules")
        line += token.count("\n")
        at = match.end()
    if start is not None:
        raise Piece(text[start:at], file, first).error("this rule does not end; a rule ends in a semicolon")
    if not found:
        raise DeclarationError(f"{file}: it holds no rule; write at least one `permit (...)` or `forbid (...)`")
    return found


def parse(piece: Piece) -> dict[str, Any]:
    """One rule as Cedar's JSON.

    Raises:
        DeclarationError: with the place, and the parser's words.
    """
    import cedarpy

    try:
        found = json.loads(cedarpy.policies_to_json_str(piece.text))
    except (ValueError, RecursionError) as error:
        message = str(error)
        if "serializing" in message or isinstance(error, RecursionError):
            raise piece.error("the rule's condition is too long or too deep; split it into several rules") from None
        quoted = re.findall(r"[`'\"]([^`'\"]+)[`'\"]", message) or re.findall(r": (\S+)$", message)
        raise piece.error(message, quoted[-1] if quoted else "") from None
    if found.get("templates"):
        raise piece.error("a rule with ?principal or ?resource is a template; write the name itself", "?principal")
    rules = list(found.get("staticPolicies", {}).values())
    if len(rules) != 1:
        raise piece.error("not one rule; write one `permit (...)` or `forbid (...)` before each semicolon")
    rule: dict[str, Any] = rules[0]
    return rule


def validate(piece: Piece, schema: Any) -> None:
    """Check a rule against the facts that there are; raises DeclarationError."""
    import cedarpy

    result = cedarpy.validate_policies(piece.text, schema)
    if result.validation_passed:
        return
    message = re.sub(r"^for policy `[^`]*`, ", "", result.errors[0].error if result.errors else "not valid")
    quoted = re.findall(r"`([^`]+)`", message)
    word = quoted[0].rsplit("::", 1)[-1].strip('"') if quoted else ""
    raise piece.error(f"{message}; the facts are listed in docs/policy.md", word)
