"""JSON schemas as a grammar and as a small model can use them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mainspring.model import ToolSpec

_KEPT = {
    *("type", "enum", "const", "items", "minItems", "maxItems", "minLength", "maxLength", "pattern", "format"),
    *("required", "additionalProperties", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}
_LISTS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf", "prefixItems": "prefixItems"}
_DEEPEST = 12


def simplify(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` with what a grammar can hold a model to.

    References are resolved in place (so that it can be put inside another schema), notes for people are left out, and
    objects take no properties that they do not name. What refers to itself is open after twelve levels.
    """
    result = _simplify(schema, schema, 0)
    if result.get("type") == "object" and "properties" not in result:
        result.setdefault("additionalProperties", False)  # arguments of a tool that takes none
    return result


def _simplify(node: Any, root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if not isinstance(node, Mapping) or depth > _DEEPEST:
        return {}
    if "$ref" in node:
        return _simplify(_resolve(str(node["$ref"]), root), root, depth + 1)
    out: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties" and isinstance(value, Mapping):
            out[key] = {name: _simplify(one, root, depth + 1) for name, one in value.items()}
        elif key in _LISTS:
            out[_LISTS[key]] = [_simplify(one, root, depth + 1) for one in value]
        elif key in ("items", "additionalProperties") and isinstance(value, Mapping):
            out[key] = _simplify(value, root, depth + 1)
        elif key in _KEPT:
            out[key] = value
    if out.get("properties"):
        out.setdefault("additionalProperties", False)
    return out


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    node: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if not isinstance(node, Mapping):
            return {}
        node = node.get(step.replace("~1", "/").replace("~0", "~"), {})
    return node


def signature(tool: ToolSpec) -> str:
    """A tool in one compact entry: ``name(path: string, limit?: integer = 100): what it does``."""
    properties = tool.schema.get("properties", {})
    required = set(tool.schema.get("required", ()))
    arguments = ", ".join(
        f"{name}{'' if name in required else '?'}: {_kind(_simplify(one, tool.schema, 0))}{_default(one)}"
        for name, one in properties.items()
    )
    notes = [
        f"\n  {name}: {' '.join(one['description'].split())}"
        for name, one in properties.items()
        if isinstance(one, Mapping) and one.get("description")
    ]
    return f"{tool.name}({arguments}): {' '.join(tool.description.split())}" + "".join(notes)


def _default(schema: Any) -> str:
    if not isinstance(schema, Mapping) or schema.get("default") is None:
        return ""
    return " = " + json.dumps(schema["default"], ensure_ascii=False)


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if "enum" in schema:
        return "|".join(json.dumps(one, ensure_ascii=False) for one in schema["enum"])
    if "anyOf" in schema:
        return "|".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    kind = schema.get("type", "any")
    if kind == "array":
        items = schema.get("items")
        return f"array of {_kind(items)}" if isinstance(items, Mapping) and items else "array"
    if kind == "object" and schema.get("properties"):
        return "{" + ", ".join(f"{name}: {_kind(one)}" for name, one in schema["properties"].items()) + "}"
    return "|".join(kind) if isinstance(kind, list) else str(kind)
