"""The declaration that the workers load: an agent whose steps act on the world outside, each class of effect in turn.

`MAINSPRING_FLEET_WORLD` is the service's HOST:PORT; without it tools and model answer at once (for the figures of
speed).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
from collections.abc import Sequence
from typing import Any

from mainspring import Agent, DidNotHappen, Happened, Message, ToolContext, ToolError, Unknown, Usage, tool
from mainspring.guard import ANY, Grant
from mainspring.messages import TextPart, ToolCallPart, ToolResultPart
from mainspring.model import ModelSettings, ToolSpec

WORLD = os.environ.get("MAINSPRING_FLEET_WORLD", "")
TIMEOUT_S = 3.0
CLASSES = ("look", "pay", "order", "mail")  # read, keyed, reconciled, opaque
BYTES = 2_000


async def tell(context: ToolContext, request: dict[str, Any]) -> dict[str, Any]:
    """Send one request to the world; what is not acknowledged within the time limit is not sent again later."""
    if not WORLD:
        return {"receipt": "none"}
    host, _, port = WORLD.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(TIMEOUT_S * 1000))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # closed means gone
        if request["do"] == "act" and not context.holds():
            raise ToolError("the run was taken over; nothing was sent")
        writer.write((json.dumps(request) + "\n").encode())
        line = await reader.readline()
    except OSError as error:
        raise TimeoutError(f"no answer: {error}") from None
    finally:
        writer.transport.abort()
    if not line:
        raise TimeoutError("the connection ended before the answer")
    answer: dict[str, Any] = json.loads(line)
    return answer


def page(text: str) -> str:
    """An answer of `BYTES` bytes."""
    return text.ljust(BYTES, ".")


@tool(effect="read", authority=[], timeout_s=TIMEOUT_S)
async def look(step: int, context: ToolContext) -> str:
    """Look something up."""
    return page(f"page {step}")


@tool(effect="irreversible", authority=["step"], idempotency="key", timeout_s=TIMEOUT_S)
async def pay(step: int, key: str, context: ToolContext) -> str:
    """Pay; the service knows keys."""
    return page((await tell(context, {"do": "act", "run": context.run_id, "step": step, "key": key}))["receipt"])


async def was_ordered(step: int, context: ToolContext) -> Happened | DidNotHappen | Unknown:
    """Ask the service whether the order arrived."""
    answer = await tell(context, {"do": "asked", "run": context.run_id, "step": step})
    return Happened(page("it had arrived")) if answer.get("done") else DidNotHappen()


@tool(effect="irreversible", authority=["step"], reconcile=was_ordered, timeout_s=TIMEOUT_S)
async def order(step: int, context: ToolContext) -> str:
    """Order; the service knows no keys, and can be asked."""
    return page((await tell(context, {"do": "act", "run": context.run_id, "step": step}))["receipt"])


@tool(effect="irreversible", authority=["step"], timeout_s=TIMEOUT_S)
async def mail(step: int, context: ToolContext) -> str:
    """Send a letter; nobody can be asked."""
    return page((await tell(context, {"do": "act", "run": context.run_id, "step": step}))["receipt"])


class Stepper:
    """A model that makes one call a step, as many as the task's first word says, of the classes in turn."""

    name = "stepper"
    context_window = 10_000_000

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """The next call."""
        asked = sum(1 for m in messages if m.role == "assistant")
        parts = [p for m in messages if m.role == "tool" for p in m.parts if isinstance(p, ToolResultPart)]
        step = sum(1 for p in parts if not p.is_error)  # what failed is tried again
        words = next(m.text for m in messages if m.role == "user").split()
        usage = Usage(100, 10, calls=1, usd=0.0)
        if step >= int(words[0]):
            return Message("assistant", (TextPart("done"),), usage, self.name, "stop")
        name = words[1] if len(words) > 1 else CLASSES[step % len(CLASSES)]
        if WORLD:
            await asyncio.sleep(random.uniform(0.8, 3.0))
        call = ToolCallPart(f"s{asked}", name, {"step": step})
        return Message("assistant", (call,), usage, self.name, "tool_calls")


GRANTS = [Grant(name, {"step": ANY}, 1_000_000) for name in ("pay", "order", "mail")]
agent = Agent(
    "fleet",
    model=Stepper(),
    tools=[look, pay, order, mail],
    grants=GRANTS,
    guard="tainted",
    limits={"steps": 10_000},
)
