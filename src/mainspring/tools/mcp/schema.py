"""A server's JSON schemas: bounded, without hidden text, and enough of a check for the arguments of a call.

A schema is read by the planner, by grammars for local models and by our own checks, so one that refers to itself, that
unfolds into millions of nodes or that holds a regular expression which never ends must not get that far.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mainspring.tools.mcp.words import MAX_NOTE, clean, plain

MAX_BYTES = 65_536
MAX_DEPTH = 24
#: Nodes of a schema with every reference followed.
MAX_NODES = 4_000
MAX_ENUM = 1_000
MAX_ARGUMENTS = 128

#: Words for people; an outsider's text without any use for a call.
_NOTES = ("description", "title", "$comment")
#: Expressions are the server's to check: one that never ends would stop us, and nothing is lost without it.
_DROPPED = ("pattern", "patternProperties", "examples", "$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "default")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


class SchemaError(ValueError):
    """A schema that is not used, and why."""


def usable(schema: Any) -> tuple[dict[str, Any], int]:
    """A copy of a tool's input schema that is safe to show and to check with, and how many hidden characters it had.

    Raises:
        SchemaError: it is too large, too deep, refers to itself or outside, or hides characters where a value is meant.
    """
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise SchemaError("its arguments are no JSON object")
    try:
        size = len(json.dumps(schema))
    except (ValueError, RecursionError, TypeError):
        raise SchemaError("its schema is no JSON, or nested without end") from None
    if size > MAX_BYTES:
        raise SchemaError(f"its schema has {size:,} bytes; at most {MAX_BYTES:,} are read")
    _count(schema, schema, 0, [0], ())
    removed = [0]
    made = _copy(schema, removed)
    _count(made, made, 0, [0], ())  # nothing refers to what was left out
    made["type"] = "object"
    properties = made.setdefault("properties", {})
    if len(properties) > MAX_ARGUMENTS:
        raise SchemaError(f"it has {len(properties)} arguments; at most {MAX_ARGUMENTS} are read")
    return made, removed[0]


def _count(node: Any, root: Mapping[str, Any], depth: int, seen: list[int], followed: tuple[str, ...]) -> None:
    """Walk the schema as it unfolds; raises SchemaError when it never ends, or not soon enough."""
    seen[0] += 1
    if seen[0] > MAX_NODES:
        raise SchemaError(f"its schema unfolds into more than {MAX_NODES:,} nodes")
    if depth > MAX_DEPTH:
        raise SchemaError(f"its schema is nested deeper than {MAX_DEPTH} levels")
    if isinstance(node, list):
        if len(node) > MAX_ENUM:
            raise SchemaError(f"its schema has a list of {len(node):,} entries; at most {MAX_ENUM:,} are read")
        for item in node:
            if isinstance(item, dict | list):
                _count(item, root, depth + 1, seen, followed)
        return
    reference = node.get("$ref")
    if reference is not None:
        if reference in followed:
            raise SchemaError(f"its schema refers to itself ({str(reference)[:80]})")
        _count(resolve(reference, root), root, depth + 1, seen, (*followed, str(reference)))
    for key, item in node.items():
        if key in ("$defs", "definitions") and node is root:
            continue  # counted where they are referred to
        if isinstance(item, dict | list):
            _count(item, root, depth + 1, seen, followed)


def resolve(reference: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise SchemaError(f"its schema refers to another document ({str(reference)[:80]})")
    found: Any = root
    for step in reference[1:].strip("/").split("/"):
        if step:
            step = step.replace("~1", "/").replace("~0", "~")
            found = found.get(step) if isinstance(found, Mapping) else None
    if not isinstance(found, dict):
        raise SchemaError(f"its schema refers to {reference[:80]}, which is not there")
    return found


def _copy(node: Any, removed: list[int]) -> Any:
    if isinstance(node, list):
        return [_copy(item, removed) for item in node]
    if not isinstance(node, dict):
        return _value(node)
    made: dict[str, Any] = {}
    for key, item in node.items():
        _check_shape(key, item)
        if key in ("enum", "const"):
            made[key] = _value(item)
        elif key in _NOTES and isinstance(item, str):
            made[key], hidden = clean(item, MAX_NOTE)
            removed[0] += hidden
        elif key in ("properties", "$defs", "definitions", "dependentSchemas") and isinstance(item, dict):
            made[key] = {_name(name): _copy(one, removed) for name, one in item.items()}
        elif key not in _DROPPED:
            made[_name(key)] = _copy(item, removed)
    return made


def _check_shape(key: str, item: Any) -> None:
    """Refuse a keyword whose value is of a kind that it cannot have: whoever reads the schema next would stumble."""
    texts = isinstance(item, list) and all(isinstance(one, str) for one in item)
    fine = {
        "type": isinstance(item, str) or texts,
        "required": texts,
        "$ref": isinstance(item, str),
        "enum": isinstance(item, list),
        "properties": isinstance(item, dict),
        "$defs": isinstance(item, dict),
        "anyOf": isinstance(item, list),
        "oneOf": isinstance(item, list),
        "allOf": isinstance(item, list),
        "prefixItems": isinstance(item, list),
    }.get(key, True)
    if not fine:
        raise SchemaError(f"its schema is malformed: {key!r} cannot be {type(item).__name__}")


def _value(item: Any) -> Any:
    """A value that an argument may have, as it is, when nothing in it is hidden."""
    if isinstance(item, list):
        return [_value(one) for one in item]
    if isinstance(item, dict):
        return {_name(key): _value(one) for key, one in item.items()}
    if isinstance(item, str) and not plain(item):
        raise SchemaError(f"its schema holds a value with invisible characters: {item[:60]!a}")
    return item


def _name(name: str) -> str:
    if not plain(name) or "\n" in name or "\t" in name or len(name) > 128:
        raise SchemaError(f"its schema holds a name with invisible characters, or a very long one: {name[:60]!a}")
    return name


def complaints(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str]:
    """What is wrong with the arguments of a call, one line each: missing, unknown, or of another kind.

    The server checks the rest. An unknown argument is always refused: nobody said what it decides.
    """
    properties: Mapping[str, Any] = schema.get("properties") or {}
    required = schema.get("required")
    found = [f"{name!r} is missing" for name in required or () if name not in arguments]
    for name, value in arguments.items():
        rule = properties.get(name)
        if rule is None:
            found.append(f"{name!r} is unknown")
        elif isinstance(rule, Mapping) and (why := mismatch(rule, value)):
            found.append(f"{name!r}: {why}")
    return found


def mismatch(rule: Mapping[str, Any], value: Any) -> str:
    """Why a value does not have the kind that a rule asks for; "" when it does, or when the rule is not that simple."""
    wanted = rule.get("type")
    kinds = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
    if kinds and all(kind in _TYPES for kind in kinds) and not any(_is(value, kind) for kind in kinds):
        return f"{' or '.join(kinds)} expected, not {type(value).__name__}"
    choices = rule.get("enum")
    if isinstance(choices, list) and not any(c == value and type(c) is type(value) for c in choices):
        return "not one of the allowed values"
    return ""


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[kind])
