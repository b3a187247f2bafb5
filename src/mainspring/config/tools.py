"""A person's word on a tool: a copy of it with the effect, roles and fields that the configuration gives it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from mainspring.config.servers import ToolSettings
from mainspring.errors import DeclarationError
from mainspring.label import Label
from mainspring.tool import Tool

#: Where a statement about a tool comes from.
Said: TypeAlias = Literal["declared", "configured", "assumed"]
_SAID = "configured_keys"
#: What a tool works out on first use, and must work out again when its declaration changes.
_DERIVED = ("schema", "spec", "arguments_model", "_context_arguments")


def configured(tool: Tool, settings: ToolSettings) -> Tool:
    """A copy of `tool` on which the settings hold. It may be stricter or looser: a person wrote them.

    Raises:
        DeclarationError: they name arguments that the tool lacks.
    """
    named = arguments(tool)
    for key in ("authority", "selector"):
        _check(tool, settings, key, getattr(settings, key) or (), named)
    made = copy.copy(tool)
    for derived in _DERIVED:
        vars(made).pop(derived, None)
    if settings.effect is not None:
        if tool.parallel == (tool.effect == "read"):  # nobody said otherwise
            made.parallel = settings.effect == "read"
        made.effect = settings.effect
        made.undoable = tool.undoable and settings.effect == "write"
    changed: dict[str, Any] = {}
    if settings.authority is not None:
        changed["_declared_authority"] = settings.authority
    if settings.selector is not None:
        changed["selector"] = settings.selector
        if settings.authority is None and tool.declares_roles:
            changed["_declared_authority"] = tuple(a for a in tool.authority if a not in settings.selector)
    elif settings.authority is not None:
        changed["selector"] = tuple(s for s in tool.selector if s not in settings.authority)
    if settings.outside is not None:
        changed["_outside"] = settings.outside
    vars(made).update(changed)
    if settings.readers is not None:
        readers = frozenset(settings.readers)
        made.label = Label(tool.label.sources, readers)
        made.fields = {path: Label(label.sources, readers) for path, label in tool.fields.items()}
    if settings.fields is not None:
        made.fields = {path: origin_label(made, origin) for path, origin in settings.fields.items()}
    made.timeout_s = settings.timeout_s if settings.timeout_s is not None else tool.timeout_s
    if settings.idempotency is not None:
        _take_key(made, settings, named)
    vars(made)[_SAID] = vars(tool).get(_SAID, frozenset()) | settings.keys
    return made


def origin_label(tool: Tool, origin: str) -> Label:
    """The label of a result's field that the service made (``system``), vouches for, or that anyone wrote."""
    if origin == "anyone":
        return tool.label
    prefix = {"system": "made", "attested": "attested"}[origin]
    return Label(frozenset({f"{prefix}:{tool.name}"}), tool.label.readers)


def arguments(tool: Tool) -> tuple[str, ...]:
    """Names of a tool's arguments, as the model sees them."""
    properties = tool.schema.get("properties")
    return tuple(properties) if isinstance(properties, Mapping) else ()


def said(tool: Tool) -> dict[str, Said]:
    """Where each statement about a tool comes from: its declaration, a person's configuration, or our assumption."""
    by_person: frozenset[str] = vars(tool).get(_SAID, frozenset())
    declared = {
        "authority": tool.declares_roles,
        "selector": bool(tool.selector),
        "fields": bool(tool.fields),
        "outside": vars(tool).get("_outside") is not None,
        "readers": tool.label.readers is not None,
        "label": tool.declares_label,
        "idempotency": tool.key_argument is not None,
        "reconcile": tool.reconcile is not None,
    }
    # `irreversible` is also what a tool that says nothing is taken for.
    declared["effect"] = tool.effect != "irreversible" or any(declared[k] for k in declared if k != "label")
    return {
        key: "configured" if key in by_person else "declared" if found else "assumed" for key, found in declared.items()
    }


def _check(tool: Tool, settings: ToolSettings, key: str, given: Iterable[str], named: tuple[str, ...]) -> None:
    unknown = [name for name in given if name not in named]
    if unknown:
        raise DeclarationError(
            f"{settings.where or 'the configuration'}: {key} {unknown} names no argument of {tool.name}; "
            f"it has {sorted(named) or 'none'}"
        )


def _take_key(made: Tool, settings: ToolSettings, named: tuple[str, ...]) -> None:
    """Let an argument receive our key, and the model not see it."""
    key = settings.idempotency
    if key is None or key == made.key_argument:
        return
    _check(made, settings, "idempotency", [key], named)
    if key in (*(settings.authority or ()), *(settings.selector or ())):
        raise DeclarationError(f"{settings.where}: {key!r} receives our key, so it can be no authority or selector")
    if vars(made).get("_given_schema") is None:
        raise DeclarationError(
            f"{settings.where}: the key of {made.name} is declared in its code: @tool(idempotency={key!r})"
        )
    schema = dict(made.schema)
    schema["properties"] = {n: v for n, v in schema["properties"].items() if n != key}
    if isinstance(schema.get("required"), list):
        schema["required"] = [n for n in schema["required"] if n != key]
    vars(made).pop("schema", None)
    vars(made)["_given_schema"] = schema
    made.key_argument = key
    made.key_ttl_s = settings.key_ttl_s
