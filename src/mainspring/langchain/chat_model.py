"""A LangChain chat model as one of our models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainspring.errors import ModelError
from mainspring.langchain.messages import read_messages, show_messages, to_langchain
from mainspring.messages import Message, Usage
from mainspring.model import Delta, ModelSettings, ToolSpec

_FINISH = {"length": "length", "max_tokens": "length", "content_filter": "refusal", "refusal": "refusal"}


class LangChainModel:
    """Wraps anything with LangChain's `bind_tools`, `ainvoke` and `astream`.

    Its retries and settings stay as they were made; effort and cache markers are its own matter. Prices are unknown.
    """

    takes = frozenset({"image/"})
    context_window = 128_000
    thinks = False

    def __init__(self, chat_model: Any) -> None:
        self._chat_model = chat_model
        given = getattr(chat_model, "model_name", None) or getattr(chat_model, "model", None)
        self.name = f"langchain:{given if isinstance(given, str) else type(chat_model).__name__}"

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """Answer `messages`. Raises ModelError, retryable unless the wrapped model says that the request is wrong."""
        shown = [to_langchain(m) for n, each in enumerate(messages) for m in show_messages(each, "m", n)]
        model = self._chat_model
        if tools:
            model = model.bind_tools(
                [
                    {
                        "type": "function",
                        "function": {"name": t.name, "description": t.description, "parameters": dict(t.schema)},
                    }
                    for t in tools
                ]
            )
        try:
            if settings.on_delta is None:
                answer = await model.ainvoke(shown)
            else:
                answer = None
                async for chunk in model.astream(shown):
                    if isinstance(chunk.content, str) and chunk.content:
                        settings.on_delta(Delta("text", chunk.content))
                    answer = chunk if answer is None else answer + chunk
        except Exception as error:
            status = getattr(error, "status_code", None)
            lasting = isinstance(status, int) and 400 <= status < 500 and status not in (408, 409, 425, 429)
            lasting = lasting or isinstance(error, NotImplementedError | TypeError)
            raise ModelError(
                f"{self.name} failed: {type(error).__name__}: {error}",
                retryable=not lasting,
                status=status if isinstance(status, int) else None,
            ) from error
        if answer is None:
            raise ModelError(f"{self.name} streamed nothing", retryable=True)
        said = read_messages([answer])[0][1]
        return Message("assistant", said.parts, _usage(answer), self.name, _finish(answer, said))


def _usage(answer: Any) -> Usage:
    counted = getattr(answer, "usage_metadata", None) or {}
    details = counted.get("input_token_details") or {}
    return Usage(
        counted.get("input_tokens", 0),
        counted.get("output_tokens", 0),
        details.get("cache_read", 0) or 0,
        details.get("cache_creation", 0) or 0,
        calls=1,
        usd=None,
    )


def _finish(answer: Any, said: Message) -> str:
    about = getattr(answer, "response_metadata", None) or {}
    reason = _FINISH.get(str(about.get("finish_reason") or about.get("stop_reason") or ""))
    return reason or ("tool_calls" if said.tool_calls else "stop")
