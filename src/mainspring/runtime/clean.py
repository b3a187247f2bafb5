"""The tools of a clean run: asking a reader about what the planner must not see."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from mainspring.content import Content
from mainspring.errors import ToolError
from mainspring.guard.reader import LEAKAGE_BITS, Question
from mainspring.label import MODEL, Label
from mainspring.messages import FilePart, ImagePart, TextPart, Usage, decode_part, encode_usage
from mainspring.model import Model, ModelSettings, model_name
from mainspring.runtime.state import RunState
from mainspring.runtime.thinking import checked
from mainspring.store import Store
from mainspring.tool import Tool, ToolContext
from mainspring.value import Labelled

ASK_READER = "ask_reader"

#: What the planner of a clean run is told, behind its own instructions.
ORDERS = """\
You plan; you do not see what outsiders wrote. Each tool's answer is kept under a name, such as $v3, and you are shown
its shape and what the service itself made. Everything else is a handle, such as $v3[0].sender. Pass a handle as an
argument to pass on exactly that value: {"to": "$v3[0].sender"}. Inside a text write ${v3[0].body}; it is filled in.
To find something out about a text that you cannot see, call ask_reader with its handle. To tell the user what it says,
ask a reader with answer="text" and put the handle of the answer into your final words, as ${v5}."""

_READ_TIMEOUT_S = 600.0


def clean_tools(
    state: RunState, store: Store, reader: Callable[[], Awaitable[Model]], spent: dict[str, dict[str, Any]]
) -> dict[str, Tool]:
    """The tools for one clean run, by name."""

    async def ask_reader(
        source: Any,
        question: str,
        context: ToolContext,
        answer: Literal["yes_no", "choice", "index", "number", "date", "text"] = "text",
        choices: list[str] | None = None,
    ) -> Labelled:
        """Ask a reader about a value that you cannot see. It sees the text, holds no tools, and answers in one value.

        Args:
            source: the handle of what is to be read, or a list of handles.
            question: what is to be found out.
            answer: yes_no, choice and index are shown to you; number, date and text are kept as a handle.
            choices: for choice, what the answer may be.
        """
        items = len(source) if isinstance(source, list) else 0
        asked = Question(question, answer, tuple(choices or ()), items)
        if state.guard.bits + asked.bits > LEAKAGE_BITS:
            raise ToolError(
                f"the readers of this run have told all that they may ({LEAKAGE_BITS:.0f} bits); go on with handles, "
                "or ask for text and hand it on"
            )
        model = await reader()
        settings = ModelSettings(output_schema=dict(asked.schema), run_id=state.run_id)
        async with asyncio.timeout(_READ_TIMEOUT_S):
            said = await model.respond(asked.messages(content_of(source, state, store)), [], settings)
        message = checked(said, state, model_name(model))
        spent[context.key] = {
            "bits": asked.bits,
            "usage": encode_usage(message.usage or Usage(calls=1, usd=None)),
        }
        label = context.labels.get("source", Label()).join(MODEL)
        # A choice among values that the planner named was steered by the text, but none of it was written there.
        return Labelled(asked.parse(message.text), {"": label.steering() if asked.shown else label})

    made = Tool(ask_reader, effect="read", authority=(), outside=False, timeout_s=_READ_TIMEOUT_S + 5)
    return {ASK_READER: made}


def content_of(source: Any, state: RunState, store: Store) -> Content:
    """A value as a reader sees it: text as JSON, pictures and files as themselves."""
    media = list(_media(source))
    if not media:
        text = source if isinstance(source, str) else _json(source)
        return (TextPart(text),)
    parts: list[Any] = [] if source in media else [TextPart(_json(source))]
    for mark in media:
        if "base64" in mark:
            data, media_type = base64.b64decode(mark["base64"]), mark["media_type"]
            picture = media_type.startswith("image/")
            parts.append(ImagePart(data, media_type) if picture else FilePart(data, media_type))
            continue
        seq = state.results.get(str(mark["call_id"]))
        if seq is None:
            raise ToolError("the picture or file belongs to a call whose answer is not there")
        part = decode_part(store.event(state.run_id, seq).payload["content"][mark["part"]])
        parts.append(part)
    return tuple(parts)


def _media(source: Any) -> Any:
    if isinstance(source, dict) and set(source) in ({"media_type", "part", "call_id"}, {"media_type", "base64"}):
        yield source
    elif isinstance(source, dict):
        for value in source.values():
            yield from _media(value)
    elif isinstance(source, list):
        for value in source:
            yield from _media(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
