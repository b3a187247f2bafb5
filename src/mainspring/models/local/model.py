"""`LocalModel`: an open-weight model on this machine behind the `Model` protocol."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from mainspring.errors import ModelError
from mainspring.messages import Message, Usage
from mainspring.model import Delta, ModelSettings, ToolSpec
from mainspring.models.local.engine import EngineConfig, Frame, default_threads, engine_for
from mainspring.models.local.envelope import Envelope
from mainspring.models.local.gguf import Header, read_header
from mainspring.models.local.pieces import Pieces
from mainspring.models.local.progress import announce
from mainspring.models.local.rendering import render

_CONTEXT = 16_384
_MOST_OUTPUT = 2_048
_EXTRA = frozenset({"stop", "prefill", "tool_choice", "top_p", "top_k", "min_p", "repeat_penalty"})
_THINKS = frozenset({"medium", "high"})


class LocalModel:
    """A GGUF model run by llama.cpp in a child process.

    Args:
        name: what the model is called in the journal.
        locate: called in a worker thread with a stop flag when the model is first needed; returns the GGUF file,
            fetching it when it has to.
        context: tokens of prompt and answer together; by default ``MAINSPRING_LOCAL_CONTEXT`` or 16,384, and never
            more than the model was trained for.

    Attributes:
        last_timings: of the newest answer, what the engine said: ``prompt`` tokens, how many of them were ``cached``,
            ``output`` tokens, ``prompt_ms`` and ``output_ms``.
    """

    takes: frozenset[str] = frozenset()

    def __init__(self, name: str, locate: Callable[[threading.Event], Path], *, context: int | None = None) -> None:
        self.name = name
        self._locate = locate
        self._context = context or _context_from_environment()
        self._ready: tuple[EngineConfig, Header] | None = None
        self.last_timings: Mapping[str, float] = {}

    @property
    def context_window(self) -> int:
        """Tokens that prompt and answer may have together."""
        return self._context if self._ready is None else self._ready[0].context

    @property
    def engine_pid(self) -> int | None:
        """Process id of the running engine, or None when there is none."""
        return None if self._ready is None else engine_for(self._ready[0]).pid

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """Answer `messages`.

        `settings.extra` may hold ``stop`` (texts that end the answer), ``prefill`` (how the answer begins; it is part
        of the returned text's context, not of the text), ``tool_choice="required"``, ``top_p``, ``top_k``, ``min_p``
        and ``repeat_penalty``.

        Raises:
            ModelError: the weights cannot be had, the prompt is too long, the time is over, or the engine died; the
                last two may be retried.
        """
        extra = _checked(settings.extra)
        envelope = Envelope(
            tools,
            settings.output_schema,
            thought=settings.effort in _THINKS,
            must_call=extra.get("tool_choice") == "required" and bool(tools),
        )
        if extra.get("prefill") and not envelope.is_plain:
            raise ModelError("extra['prefill'] works only for free text: call without tools and output_schema")
        config, header = await self.prepare()  # a first download takes its own time
        chat = render(messages, envelope, header.control_tokens)
        frames = engine_for(config).complete(
            chat, prefill=extra.get("prefill", ""), schema=envelope.schema(), params=_params(settings, extra)
        )
        try:
            async with asyncio.timeout(settings.timeout_s):
                return await self._read(frames, envelope, settings)
        except TimeoutError:
            raise ModelError(f"{self.name} gave no answer in {settings.timeout_s:g} s", retryable=True) from None

    async def _read(self, answer: AsyncGenerator[Frame], envelope: Envelope, settings: ModelSettings) -> Message:
        pieces = Pieces(envelope.is_wrapped)
        text: list[str] = []
        done: dict[str, Any] | None = None
        async with aclosing(answer) as frames:
            async for frame in frames:
                if "done" in frame:
                    done = frame["done"]
                    continue
                if "text" not in frame:
                    self._announce(frame)
                    continue
                text.append(frame["text"])
                for kind, piece in pieces.feed(frame["text"]):
                    if settings.on_delta is not None:
                        settings.on_delta(Delta(kind, piece))
        if done is None:
            raise ModelError(f"the engine of {self.name} stopped midway", retryable=True)
        self.last_timings = {key: value for key, value in done.items() if key != "finish"}
        parts, finish = envelope.read("".join(text), done["finish"])
        usage = Usage(done["prompt"], done["output"], cache_read_tokens=done["cached"], calls=1, usd=0.0)
        return Message("assistant", parts, usage=usage, model=self.name, finish=finish)

    def _announce(self, frame: Frame) -> None:
        if "loading" in frame:
            announce(f"Loading {self.name}")
        elif "reading" in frame:
            done, total = frame["reading"]
            announce(f"{self.name} has read {done:,} of {total:,} tokens")

    async def prepare(self) -> tuple[EngineConfig, Header]:
        """Have the weights at hand and their header read; a cancelled call also stops a download.

        Raises:
            ModelError: there is no such model, or its weights cannot be fetched.
        """
        if self._ready is None:
            stop = threading.Event()
            try:
                self._ready = await asyncio.to_thread(self._prepare, stop)
            finally:
                stop.set()
        return self._ready

    def _prepare(self, stop: threading.Event) -> tuple[EngineConfig, Header]:
        path = self._locate(stop)
        header = read_header(path)
        context = min(self._context, header.context_length or self._context)
        return EngineConfig(path, context, default_threads()), header

    async def aclose(self) -> None:
        """Nothing to do: engines are shared by all models of this process and end with it, or when idle."""


def _context_from_environment() -> int:
    text = os.environ.get("MAINSPRING_LOCAL_CONTEXT")
    if not text:
        return _CONTEXT
    if not text.isdigit() or int(text) < 512:
        raise ModelError(f"MAINSPRING_LOCAL_CONTEXT is {text!r}; set it to a number of tokens, 512 or more")
    return int(text)


def _checked(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    if unknown := set(extra) - _EXTRA:
        raise ModelError(f"a local model knows no setting {sorted(unknown)}; it knows {sorted(_EXTRA)}")
    stop = extra.get("stop", [])
    if not isinstance(stop, list | tuple) or not all(isinstance(one, str) and one for one in stop):
        raise ModelError(f"extra['stop'] is {stop!r}; give a list of texts")
    if not isinstance(extra.get("prefill", ""), str):
        raise ModelError(f"extra['prefill'] is {extra['prefill']!r}; give a text")
    return extra


def _params(settings: ModelSettings, extra: Mapping[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = {
        "n_predict": settings.max_output_tokens or _MOST_OUTPUT,
        "temperature": 0.0 if settings.temperature is None else settings.temperature,
        "stop": list(extra.get("stop", ())),
    }
    if settings.seed is not None:
        params["seed"] = settings.seed
    for key in ("top_p", "top_k", "min_p", "repeat_penalty"):
        if key in extra:
            params[key] = extra[key]
    return params
