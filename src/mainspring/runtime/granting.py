"""Makes grants of what the user said: by a clean model call, or by rules."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mainspring.agent import Agent
from mainspring.errors import DeclarationError
from mainspring.guard import Grant
from mainspring.guard.compile import from_rules, parse, question
from mainspring.messages import Usage, encode_usage
from mainspring.model import Model, ModelSettings, model_name
from mainspring.runtime.state import RunState
from mainspring.runtime.thinking import checked
from mainspring.tool import Tool


async def compile_grants(state: RunState, agent: Agent, tools: Iterable[Tool], model: Model | None) -> dict[str, Any]:
    """The payload of ``grants.compiled`` for the turns that no grants were made of yet.

    `model` sees the user's own words and the tools, and nothing else. When it is None, or gives no list of grants,
    rules decide; they give less, so more is asked.
    """
    guard = state.guard
    words = "\n".join(guard.turns[guard.compiled :])
    held: list[Tool] = [t for t in tools if t.consequential]
    payload: dict[str, Any] = {"turns": len(guard.turns), "how": "rules", "usage": None}
    grants: list[Grant] = []
    if held and words.strip():
        if model is not None:
            payload["model"] = model_name(model)
            try:
                grants, usage = await _asked(state, agent, model, words, held)
                payload |= {"how": "model", "usage": usage}
            except Exception as error:  # whatever it is: rules give less, and the run can go on
                payload["failed"] = f"{type(error).__name__}: {error}"[:500]
        if payload["how"] == "rules":
            grants = from_rules(words, held)
    turn = f"turn {len(guard.turns)}: "  # what is asked for twice is granted twice
    payload["grants"] = [replace(g, why=turn + g.why).encode() for g in grants]
    return payload


async def _asked(
    state: RunState, agent: Agent, model: Model, words: str, held: list[Tool]
) -> tuple[list[Grant], dict[str, Any]]:
    messages, schema = question(words, held)
    settings = ModelSettings(output_schema=dict(schema), run_id=state.run_id, extra=agent.settings)
    async with asyncio.timeout(agent.model_timeout_s):
        said = await model.respond(messages, [], settings)
    answer = checked(said, state, model_name(model))
    if not answer.text.strip():
        raise DeclarationError("the compiling model said nothing")
    return parse(answer.text, words, held), encode_usage(answer.usage or Usage(calls=1, usd=None))
