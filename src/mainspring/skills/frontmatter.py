"""The head of a SKILL.md: the plain part of YAML that such heads use, and nothing that surprises.

Understood are ``key: text``, quoted text, ``key: >`` and ``key: |`` with an indented block, lists (indented, or in
brackets) and one level of nested ``key: text``. Anchors, tags, flow mappings and whatever else YAML has are refused.
"""

from __future__ import annotations

import json
import re
from typing import TypeAlias

from mainspring.errors import DeclarationError

Field: TypeAlias = "str | list[str] | dict[str, str]"

_LINE = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,63}):(?:[ ]+(.*))?\Z")
_MAX_LINES = 200


def split(text: str, shown: str) -> tuple[dict[str, Field], str]:
    """The fields of the head, and the text below it.

    Raises:
        DeclarationError: there is no head, or a line of it is not understood; with its number.
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    if lines[0].rstrip() != "---":
        raise DeclarationError(f"{shown} must begin with a line '---', then name and description, then '---'")
    ends = [n for n, line in enumerate(lines[1 : _MAX_LINES + 2], 1) if line.rstrip() == "---"]
    if not ends:
        raise DeclarationError(f"{shown}: the head is not closed by a line '---' within {_MAX_LINES} lines")
    return _Head(lines[1 : ends[0]], shown).fields(), "\n".join(lines[ends[0] + 1 :]).strip("\n")


class _Head:
    """A walk down the lines; `at` is the next one to look at."""

    def __init__(self, lines: list[str], shown: str) -> None:
        self.lines = [line.rstrip() for line in lines]
        self.shown = shown
        self.at = 0

    def fields(self) -> dict[str, Field]:
        found: dict[str, Field] = {}
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            if not line or line.startswith("#"):
                continue
            key, value = self._pair(line)
            if key in found:
                raise self._wrong(f"{key!r} is said twice")
            found[key] = self._value(value)
        return found

    def _pair(self, line: str) -> tuple[str, str]:
        match = _LINE.match(line)
        if match is None:
            raise self._wrong(f"{line[:80]!r} is no 'key: value'")
        return match.group(1), (match.group(2) or "").strip()

    def _value(self, value: str) -> Field:
        if value in (">", ">-", "|", "|-"):
            block = [line.strip() if value[0] == ">" else line for line in self._block(blank=True)]
            if value[0] == ">":
                return " ".join(part for part in block if part)
            indent = min((len(b) - len(b.lstrip()) for b in block if b), default=0)
            return "\n".join(part[indent:] for part in block).strip("\n")
        if value:
            if value.startswith("["):
                return self._flow(value)
            return self._scalar(value)
        block = self._block(blank=False)
        if not block:
            return ""
        parts = [line.strip() for line in block]
        if all(part.startswith("- ") for part in parts):
            return [self._scalar(part[2:].strip()) for part in parts]
        nested: dict[str, str] = {}
        for part in parts:
            key, text = self._pair(part)
            nested[key] = self._scalar(text)
        return nested

    def _block(self, *, blank: bool) -> list[str]:
        """The indented lines that follow; blank ones among them only in a block of text."""
        start = self.at
        while self.at < len(self.lines):
            line = self.lines[self.at]
            indented = line.startswith(" ") or (line.startswith("- ") and not blank)
            if not indented and not (blank and not line):
                break
            self.at += 1
        return self.lines[start : self.at]

    def _flow(self, value: str) -> list[str]:
        if not value.endswith("]") or any(c in value[1:-1] for c in "[]{}"):
            raise self._wrong(f"{value[:80]!r} is no list; write [a, b]")
        return [self._scalar(part.strip()) for part in value[1:-1].split(",") if part.strip()]

    def _scalar(self, value: str) -> str:
        if value.startswith('"'):
            try:
                text = json.loads(value)
            except ValueError:
                text = None
            if not isinstance(text, str):
                raise self._wrong(f"{value[:80]!r} is no text in double quotes")
            return text
        if value.startswith("'"):
            if len(value) < 2 or not value.endswith("'") or value[1:-1].replace("''", "").count("'"):
                raise self._wrong(f"{value[:80]!r} is no text in single quotes")
            return value[1:-1].replace("''", "'")
        if value[:1] in set("&*!{}[]%@`|>") or "\t" in value:
            raise self._wrong(f"{value[:80]!r} is more YAML than is understood here; put the text in quotes")
        return value.partition(" #")[0].rstrip()

    def _wrong(self, what: str) -> DeclarationError:
        return DeclarationError(f"{self.shown}, line {self.at + 1}: {what}")
