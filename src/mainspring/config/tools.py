"""A person's word on a tool: a copy of it with the effect, roles and fields that the configuration gives it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from mainspring.config.servers import ToolSettings
from mainspring.errors import DeclarationError
from mainspring.tool import Tool

#: Where a statement about a tool comes from.
Said: TypeAlias = Literal["declared", "configured", "assumed"]


def configured(tool: Tool, settings: ToolSettings) -> Tool:
    """A copy of `tool` on which the settings hold. It may be stricter or looser: a person wrote them.

    Raises:
        DeclarationError: they name arguments that the tool lacks.
    """
    changes: dict[str, Any] = {key: getattr(settings, key) for key in settings.keys}
    try:
        made = tool.with_declaration(**changes)
    except DeclarationError as error:
        raise DeclarationError(f"{settings.where or 'the configuration'}: {error}") from None
    made.configured = tool.configured | settings.keys
    return made


def said(tool: Tool) -> dict[str, Said]:
    """Where each statement about a tool comes from: its declaration, a person's configuration, or our assumption."""
    declared = {
        "effect": tool.declares_effect,
        "authority": tool.declares_roles,
        "selector": bool(tool.selector),
        "fields": bool(tool.fields),
        "outside": tool.declares_outside,
        "readers": tool.label.readers is not None,
        "label": tool.declares_label,
        "idempotency": tool.key_argument is not None,
        "reconcile": tool.reconcile is not None,
    }
    return {
        key: "configured" if key in tool.configured else "declared" if found else "assumed"
        for key, found in declared.items()
    }
