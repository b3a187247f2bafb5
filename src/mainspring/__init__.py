"""Mainspring: a runtime for agents that you can leave running.

The names below are the public face. They are imported on first use, so that `import mainspring` stays as
cheap as the standard library modules it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# Eager, because the submodule of the same name would otherwise take this name once anything imports it.
from mainspring.tool import tool

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mainspring.agent import Agent, Drift, Limits
    from mainspring.errors import MainspringError, ModelError, ToolError
    from mainspring.guard import Policy
    from mainspring.label import Label
    from mainspring.langchain import create_agent
    from mainspring.library.library import Library
    from mainspring.messages import FilePart, ImagePart, Message, TextPart, ThinkingPart, ToolCallPart, Usage
    from mainspring.model import Model, ModelSettings
    from mainspring.models.scripted import ScriptedModel
    from mainspring.runtime.run import Run
    from mainspring.tool import DidNotHappen, Happened, NotYet, Tool, ToolContext, Unknown

_HOME = {
    "Agent": "agent",
    "DidNotHappen": "tool",
    "Drift": "agent",
    "FilePart": "messages",
    "Happened": "tool",
    "NotYet": "tool",
    "ImagePart": "messages",
    "Label": "label",
    "Library": "library.library",
    "Limits": "agent",
    "MainspringError": "errors",
    "Message": "messages",
    "Model": "model",
    "ModelError": "errors",
    "ModelSettings": "model",
    "Policy": "guard",
    "Run": "runtime.run",
    "ScriptedModel": "models.scripted",
    "TextPart": "messages",
    "ThinkingPart": "messages",
    "Tool": "tool",
    "ToolCallPart": "messages",
    "ToolContext": "tool",
    "ToolError": "errors",
    "Unknown": "tool",
    "Usage": "messages",
    "create_agent": "langchain",
}

__all__ = [
    "Agent",
    "DidNotHappen",
    "Drift",
    "FilePart",
    "Happened",
    "ImagePart",
    "Label",
    "Library",
    "Limits",
    "MainspringError",
    "Message",
    "Model",
    "ModelError",
    "ModelSettings",
    "NotYet",
    "Policy",
    "Run",
    "ScriptedModel",
    "TextPart",
    "ThinkingPart",
    "Tool",
    "ToolCallPart",
    "ToolContext",
    "ToolError",
    "Unknown",
    "Usage",
    "__version__",
    "create_agent",
    "tool",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'mainspring' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"mainspring.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
