"""LangChain's habit: ``create_agent(model, tools).invoke({"messages": [...]})``, run by Mainspring.

What differs from LangChain, on purpose: every run is durable without a checkpointer; a tool that declares nothing is
irreversible, so a person is asked before it runs (`invoke` then returns with ``"__interrupt__"``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mainspring.agent import Agent
from mainspring.errors import DeclarationError
from mainspring.langchain.graph import Command, CompiledAgent, Interrupt, StateSnapshot
from mainspring.langchain.messages import ChatMessage
from mainspring.model import Model

__all__ = ["ChatMessage", "Command", "CompiledAgent", "Interrupt", "StateSnapshot", "create_agent"]

#: Arguments of LangChain's own function that are not needed here, because the journal does what they are for.
_NOT_NEEDED = frozenset({"checkpointer", "store", "debug", "cache"})


def create_agent(
    model: str | Model | Any,
    tools: Iterable[object] | None = (),
    *,
    system_prompt: Any = None,
    name: str = "agent",
    response_format: Any = None,
    home: str | Path | None = None,
    **options: Any,
) -> CompiledAgent:
    """An agent with LangChain's `invoke` and `stream`.

    Args:
        model: a name (``"openai:gpt-5"``, ``"local"``), one of our models, or a LangChain chat model.
        tools: functions, our tools or LangChain tools. Declare what a tool may do with ``@mainspring.tool(effect=
            "read")``, or allow it by name with ``policy=Policy(allow=["get_weather"])``; else a person is asked.
        system_prompt: standing orders, as text or a system message.
        name: the agent's name; threads belong to it.
        response_format: a type of the final answer; it comes back as ``"structured_response"``.
        home: the folder of the journal.
        options: anything else that :class:`mainspring.Agent` takes (`policy`, `limits`, `effort` ...). `checkpointer`
            and `store` are accepted and not needed.

    Raises:
        DeclarationError: something does not fit, or is an option that Mainspring does not have.
    """
    for key in _NOT_NEEDED & options.keys():
        del options[key]
    # LangChain wraps the type to say how it is asked for; that is the model's matter here.
    wanted = getattr(response_format, "schema", None) if not isinstance(response_format, type) else None
    output_type = wanted if isinstance(wanted, type) else response_format
    if isinstance(output_type, dict):
        raise DeclarationError(
            "response_format takes a type (a pydantic model, a dataclass, list[int] ...), not a JSON schema"
        )
    if hasattr(model, "bind_tools") and not hasattr(model, "respond"):
        from mainspring.langchain.chat_model import LangChainModel

        model = LangChainModel(model)
    instructions = getattr(system_prompt, "content", system_prompt)
    try:
        agent = Agent(
            name or "agent",
            model=model,
            tools=tools or (),
            instructions=instructions or "",
            output_type=output_type,
            **options,
        )
    except TypeError as error:
        raise DeclarationError(f"create_agent: {error}") from error
    return CompiledAgent(agent, home)
