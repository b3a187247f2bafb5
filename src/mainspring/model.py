"""What a model is to Mainspring: one async method that turns messages into a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from mainspring.messages import Message

Effort: TypeAlias = Literal["auto", "none", "low", "medium", "high"]
EFFORTS: tuple[str, ...] = ("auto", "none", "low", "medium", "high")


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model is told of a tool: its name, what it does, and the JSON schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer while it is being made."""

    kind: Literal["text", "thinking", "call"]
    text: str


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How one call is to be made.

    Args:
        effort: how much thinking to spend. A model never sees ``"auto"``: the loop has resolved it.
        max_output_tokens: upper bound of the answer, or None for the model's own.
        temperature: 0 to 2, or None for the model's own.
        timeout_s: seconds after which the call is given up, with a retryable ModelError.
        output_schema: a JSON schema that the text of the answer must satisfy, or None.
        seed: for models that can repeat themselves.
        on_delta: called with each piece while the answer streams; None means that nobody watches.
        run_id: the run that asks, for logs and for per-run caches; never sent to a provider.
        extra: settings that only one provider knows, passed through untouched.
    """

    effort: Effort = "none"
    max_output_tokens: int | None = None
    temperature: float | None = None
    timeout_s: float | None = None
    output_schema: Mapping[str, Any] | None = None
    seed: int | None = None
    on_delta: Callable[[Delta], None] | None = None
    run_id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Model(Protocol):
    """A model is any object with this method.

    It may also have the attributes `name` (str, shown and journaled), `context_window` (int, tokens),
    `takes` (a set of media type prefixes such as ``{"image/", "application/pdf"}``) and the method `aclose`.
    Missing ones fall back to the class name, 128,000, no media, and nothing to close.
    """

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """Answer `messages`, which must not be changed.

        Raises:
            ModelError: the call failed; its `retryable` says whether the loop should try again.
        """
        ...


def model_name(model: object) -> str:
    """What to call `model` in the journal."""
    name = getattr(model, "name", None)
    return name if isinstance(name, str) and name else type(model).__name__


def takes_media(model: object, media_type: str) -> bool:
    """True when `model` says that it takes parts of `media_type`."""
    return any(media_type.startswith(prefix) for prefix in getattr(model, "takes", ()))
