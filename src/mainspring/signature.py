"""What a function says of itself: its type hints, its docstring, and the names of what it returns."""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Callable
from typing import Any

from mainspring.errors import DeclarationError


def member_names(hint: Any) -> set[str]:
    """Names of the members of a result type: a pydantic model, a dataclass or a TypedDict, at any depth."""
    if hint is None or hint in (str, int, float, bool, Any, dict, list):
        return set()
    from pydantic import TypeAdapter

    try:
        schema = TypeAdapter(hint).json_schema(mode="serialization")
    except Exception:  # a result type that no schema can say names nothing
        return set()
    found: set[str] = set()
    parts = [schema, *schema.get("$defs", {}).values()]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            found.update(part.get("properties", {}))
            parts += [v for v in part.values() if isinstance(v, dict | list)]
        elif isinstance(part, list):
            parts += part
    return found


def unbound(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function in a partial, whose name, words and type hints it lacks."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    function = unbound(function)
    try:
        target = function if isinstance(function, types.FunctionType | types.MethodType) else function.__call__  # type: ignore[operator]
        return typing.get_type_hints(target, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise DeclarationError(f"type hints of {function!r} cannot be read: {error}") from error


def summary(doc: str) -> str:
    return re.split(r"\n\s*(?:Args|Arguments|Parameters|Returns|Raises|Yields):\s*\n", doc, maxsplit=1)[0].strip()


def argument_docs(doc: str) -> dict[str, str]:
    """Descriptions from a Google style ``Args:`` section."""
    match = re.search(r"\n\s*(?:Args|Arguments|Parameters):\s*\n(.*?)(?:\n\s*\n|\n\S|\Z)", doc, re.DOTALL)
    found: dict[str, str] = {}
    if match is None:
        return found
    name = ""
    for line in match.group(1).splitlines():
        head = re.match(r"\s+(\w+)\s*(?:\([^)]*\))?:\s*(.*)", line)
        if head:
            name = head.group(1)
            found[name] = head.group(2).strip()
        elif name:
            found[name] += " " + line.strip()
    return found


def drop_titles(schema: Any) -> None:
    """Titles repeat the argument names and cost prompt tokens at every call."""
    if isinstance(schema, dict):
        for key, value in list(schema.items()):
            if key in ("properties", "$defs") and isinstance(value, dict):
                for item in value.values():
                    if isinstance(item, dict):
                        item.pop("title", None)
                    drop_titles(item)
            else:
                drop_titles(value)
    elif isinstance(schema, list):
        for item in schema:
            drop_titles(item)
