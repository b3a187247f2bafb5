"""Handles: names for values that a planner passes on without seeing them.

``"$v3[0].sender"`` as a whole argument is exactly that value, with its own label. ``"Dear ${v3[0].sender}, ..."`` is a
text joined from the model's words and the value, with both labels. Anything else is a literal, which carries the label
of the context that it was written in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from mainspring.errors import ToolError
from mainspring.label import JOINED, SYSTEM, Label, join_all
from mainspring.value import MAX_DEPTH, Value, labels_of, read_path

#: Handle name -> its value, or None when the run has no such handle.
Lookup: TypeAlias = Callable[[str], Value | None]

#: Longest text that handles are joined into.
MAX_JOINED_CHARS = 32_000_000

_PATH = r"(?:\[\d*\]|\[\"(?:[^\"\\]|\\.)*\"\]|\.[A-Za-z_][A-Za-z0-9_-]*)*"
_WHOLE = re.compile(rf"\$(?:\{{(v\d+)({_PATH})\}}|(v\d+)({_PATH}))\Z")
_ANYWHERE = re.compile(rf"\$\{{(v\d+)({_PATH})\}}|\$(v\d+)({_PATH})")
_INSIDE = re.compile(rf"\$\{{(v\d+)({_PATH})\}}")


@dataclass(frozen=True, slots=True)
class Resolved:
    """An argument with its handles filled in.

    Args:
        value: what would be passed, labelled by field.
        origin: where it came from, for a person.
        whole: True when nothing was joined.
        handles: whether any handle was in it.
    """

    value: Value
    origin: str
    whole: bool
    handles: bool


def resolve(argument: Any, lookup: Lookup, literal: Label) -> Resolved:
    """Fill the handles of one argument in.

    Raises:
        ToolError: a handle or a path that this run does not have; the text is fit for the model.
    """
    found: list[str] = []
    joined = [False]
    value = _resolve(argument, lookup, literal, found, joined, 0)
    if not found:
        return Resolved(value, "written by the model", True, False)
    origin = ", ".join(dict.fromkeys(found))
    return Resolved(value, f"joined from {origin}" if joined[0] else origin, not joined[0], True)


def _resolve(argument: Any, lookup: Lookup, literal: Label, found: list[str], joined: list[bool], depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise ToolError(f"the arguments are nested deeper than {MAX_DEPTH} levels")
    if isinstance(argument, str):
        whole = _WHOLE.match(argument)
        if whole is not None:
            name, path = (whole[1], whole[2]) if whole[1] else (whole[3], whole[4])
            found.append(name + path)
            return _look(name, path, lookup)
        return _fill(argument, lookup, literal, found, joined)
    if isinstance(argument, list | tuple):
        return Value([_resolve(v, lookup, literal, found, joined, depth + 1) for v in argument], literal)
    if isinstance(argument, Mapping):
        members = {str(k): _resolve(v, lookup, literal, found, joined, depth + 1) for k, v in argument.items()}
        return Value(members, literal)
    return Value(argument, literal)


def _fill(text: str, lookup: Lookup, literal: Label, found: list[str], joined: list[bool]) -> Value:
    if "${v" not in text:
        return Value(text, literal)
    label = literal
    pieces: list[str] = []
    end = size = 0
    for match in _INSIDE.finditer(text):
        value = _look(match[1], match[2], lookup)
        found.append(match[1] + match[2])
        joined[0] = True
        label = label.join(value.whole_label).join(JOINED)
        pieces += [text[end : match.start()], as_text(value)]
        size += len(pieces[-1])
        if size > MAX_JOINED_CHARS:
            raise ToolError(f"the text with its handles filled in is longer than {MAX_JOINED_CHARS:,} characters")
        end = match.end()
    return Value("".join([*pieces, text[end:]]), label)


def _look(name: str, path: str, lookup: Lookup) -> Value:
    value = lookup(name)
    if value is None:
        raise ToolError(f"this run has no handle {name}; the handles are named in the answers above")
    try:
        return value.at(read_path(path.removeprefix(".")))
    except ToolError as error:
        raise ToolError(f"${name}{path}: {error}") from None


def as_text(value: Value) -> str:
    """A value as it stands inside a text: a text as it is, everything else as JSON."""
    data = value.plain()
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)


def fill_text(text: str, lookup: Lookup, literal: Label = SYSTEM) -> Value:
    """A model's final words with their handles filled in. What is no handle of this run stays as it was written."""

    pieces: list[str] = []
    label, end, size = literal, 0, 0
    for match in _ANYWHERE.finditer(text):
        name, path = (match[1], match[2]) if match[1] else (match[3], match[4])
        try:
            value = _look(name, path, lookup)
        except ToolError:
            continue
        if size > MAX_JOINED_CHARS:
            break  # the rest stays as handles
        label = label.join(value.whole_label)
        pieces += [text[end : match.start()], as_text(value)]
        size += len(pieces[-1])
        end = match.end()
    return Value("".join([*pieces, text[end:]]), label)


def fill_answer(text: str, lookup: Lookup, is_json: bool) -> Value:
    """A final answer with its handles filled in; in a JSON answer each text by itself, so that it stays JSON."""
    if not is_json:
        return fill_text(text, lookup)
    fence = re.search(r"```(?:json)?\s*\n(.*?)```", text, re.DOTALL)
    try:
        data = json.loads(fence.group(1) if fence else text)
    except (ValueError, RecursionError):
        return fill_text(text, lookup)
    labels: list[Label] = []

    def filled(node: Any) -> Any:
        if isinstance(node, str):
            whole = _WHOLE.match(node)
            if whole is None:
                value = fill_text(node, lookup)
            else:
                value = _look(whole[1] or whole[3], (whole[2] if whole[1] else whole[4]) or "", lookup)
            labels.append(value.whole_label)
            return value.plain()
        if isinstance(node, list):
            return [filled(v) for v in node]
        return {k: filled(v) for k, v in node.items()} if isinstance(node, dict) else node

    try:
        done = filled(data)
    except ToolError:
        return fill_text(text, lookup)
    return Value(json.dumps(done, ensure_ascii=False), join_all(labels))


def argument_labels(resolved: Mapping[str, Resolved]) -> dict[str, dict[str, str]]:
    """Argument -> path -> encoded label, as the journal keeps them."""
    return {n: {p: label.encode() for p, label in labels_of(r.value).items()} for n, r in resolved.items()}
