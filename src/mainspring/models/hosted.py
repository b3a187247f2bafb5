"""Hosted models, through pydantic-ai's model classes.

One request goes out and one answer comes back; nothing is retried here: the loop does that and journals it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic_ai import direct
from pydantic_ai import messages as theirs
from pydantic_ai.exceptions import ContentFilterError, UserError
from pydantic_ai.models import Model as ProviderModel
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.tools import ToolDefinition

from mainspring.errors import ModelError
from mainspring.messages import Message, Usage, valid_text
from mainspring.model import Delta, ModelSettings, ToolSpec
from mainspring.models import compatible
from mainspring.models.convert import Receiver, from_theirs, to_theirs
from mainspring.models.failures import as_model_error

_DEFAULT_WINDOW = 128_000
_SCHEMA_BESIDE_TOOLS = ("openai", "azure", "anthropic")


class HostedModel:
    """A model behind an HTTP interface.

    Args:
        name: what people and the journal call it.
        build: makes pydantic-ai's model object. Called once for each event loop, because connections
            belong to the loop that opened them.
        check: where its key comes from, in words, for error messages.

    Attributes:
        name: the name.
        takes: media types it accepts, such as ``{"image/", "application/pdf"}``.
        context_window: tokens of input and output together; 128,000 when nobody knows.
        thinks: True when it has a thinking setting.
    """

    def __init__(self, name: str, build: Callable[[], ProviderModel], *, check: str = "its API key") -> None:
        self.name = name
        self._build = build
        self._check = check
        self._fresh: ProviderModel | None = build()
        self._by_loop: dict[asyncio.AbstractEventLoop, ProviderModel] = {}
        profile: Mapping[str, Any] = self._fresh.profile
        self._profile = profile
        self.takes = _takes(profile)
        self.context_window: int = profile.get("context_window") or _DEFAULT_WINDOW
        self.thinks = bool(profile.get("supports_thinking") or profile.get("thinking_always_enabled"))

    @classmethod
    def from_name(cls, name: str) -> HostedModel:
        """The model called `name`, see :func:`mainspring.models.resolve`. Raises ModelError."""
        address = compatible.parse(name)
        check = compatible.credentials(address.provider, address.url)
        return cls(name, lambda: compatible.build(address), check=check)

    def __repr__(self) -> str:
        return f"<HostedModel {self.name!r}>"

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """Answer `messages`.

        Raises:
            ModelError: with `retryable`, and `retry_after_s` when the provider said how long to wait.
        """
        model = self._model()
        request = to_theirs(messages, self._receiver(model))
        parameters = self._parameters(model, tools, settings)
        options: Any = self._options(model, settings)
        try:
            async with asyncio.timeout(settings.timeout_s):
                if settings.on_delta is None:
                    response = await direct.model_request(
                        model,
                        request,
                        model_settings=options,
                        model_request_parameters=parameters,
                        instrument=False,
                    )
                else:
                    response = await self._stream(model, request, options, parameters, settings.on_delta)
        except TimeoutError as error:
            raise ModelError(
                f"{self.name} did not answer within {settings.timeout_s:g} s"
                if settings.timeout_s is not None
                else f"{self.name} did not answer in time",
                retryable=True,
            ) from error
        except ContentFilterError:
            return Message("assistant", (), usage=Usage(calls=1, usd=None), model=self.name, finish="refusal")
        except Exception as error:
            raise as_model_error(error, self.name, self._check) from error
        return self._checked(response)

    async def aclose(self) -> None:
        """Close the connections that belong to the running event loop."""
        model = self._by_loop.pop(asyncio.get_running_loop(), None)
        if model is not None:
            async with model:
                pass  # leaving the context closes the HTTP client that the provider made

    def _model(self) -> ProviderModel:
        loop = asyncio.get_running_loop()
        model = self._by_loop.get(loop)
        if model is None:
            for gone in [known for known in list(self._by_loop) if known.is_closed()]:
                self._by_loop.pop(gone, None)
            model, self._fresh = self._fresh or self._build(), None
            self._by_loop[loop] = model
        return model

    def _receiver(self, model: ProviderModel) -> Receiver:
        return Receiver(
            self.name,
            model.system,
            _base_url(model),
            lambda media_type: any(media_type.startswith(prefix) for prefix in self.takes),
        )

    def _answers_by_schema(self, model: ProviderModel, with_tools: bool) -> bool:
        """Whether the model can be held to a schema; where not, the loop checks the answer and asks again."""
        if not self._profile.get("supports_json_schema_output", False):
            return False
        # Many servers take a schema or tools, not both: they refuse the request, or never call a tool.
        return (
            not with_tools
            or model.system in _SCHEMA_BESIDE_TOOLS
            or self._profile.get("google_supports_tool_combination", False)
        )

    def _parameters(
        self, model: ProviderModel, tools: Sequence[ToolSpec], settings: ModelSettings
    ) -> ModelRequestParameters:
        parameters = ModelRequestParameters(
            function_tools=[
                ToolDefinition(
                    name=tool.name,
                    parameters_json_schema=dict(tool.schema),
                    description=valid_text(tool.description),
                )
                for tool in tools
            ],
        )
        schema = settings.output_schema
        if schema is not None and schema.get("type") == "object" and self._answers_by_schema(model, bool(tools)):
            parameters.output_mode = "native"
            parameters.output_object = OutputObjectDefinition(dict(schema), name="answer")
        return parameters

    def _options(self, model: ProviderModel, settings: ModelSettings) -> dict[str, Any]:
        """The request's settings; pydantic-ai leaves out what the model does not support."""
        options: dict[str, Any] = {
            "max_retries": 0,
            "cache": True,
            # Its announcement would change the prompt's first bytes midway and so spoil the prompt cache.
            "framing_announcement": "never",
        }
        if settings.effort != "auto":
            options["thinking"] = False if settings.effort == "none" else settings.effort
        if settings.timeout_s is not None:
            options["timeout"] = settings.timeout_s
        if settings.max_output_tokens is not None:
            options["max_tokens"] = settings.max_output_tokens
        if settings.temperature is not None:
            options["temperature"] = settings.temperature
        if settings.seed is not None:
            options["seed"] = settings.seed
        self._make_room_for_thinking(options)
        if settings.run_id and model.system == "openai":
            # Requests with one key go to the machine that holds the prefix; the run's id itself stays here.
            options["openai_prompt_cache_key"] = hashlib.sha256(settings.run_id.encode()).hexdigest()[:32]
        known = {key: value for key, value in options.items() if key not in model.unsupported_settings}
        return known | dict(settings.extra)

    def _make_room_for_thinking(self, options: dict[str, Any]) -> None:
        """Claude models that think within a budget count it as output and take no temperature beside it."""
        effort = options.get("thinking")
        if not effort or not self.thinks or self._profile.get("anthropic_supports_adaptive_thinking", True):
            return
        from pydantic_ai.profiles.anthropic import ANTHROPIC_THINKING_BUDGET_MAP

        options.pop("temperature", None)
        if "max_tokens" in options:
            options["max_tokens"] += ANTHROPIC_THINKING_BUDGET_MAP[effort]

    async def _stream(
        self,
        model: ProviderModel,
        request: list[theirs.ModelMessage],
        options: Any,
        parameters: ModelRequestParameters,
        on_delta: Callable[[Delta], None],
    ) -> theirs.ModelResponse:
        opened = direct.model_request_stream(
            model, request, model_settings=options, model_request_parameters=parameters, instrument=False
        )
        async with opened as stream:
            async for event in stream:
                delta = _delta(event)
                if delta is not None:
                    on_delta(delta)
            response = stream.get()
        if response.state == "incomplete":
            raise ModelError(f"the stream of {self.name} ended before the answer did", retryable=True)
        return response

    def _checked(self, response: theirs.ModelResponse) -> Message:
        message = from_theirs(response, self.name)
        if not message.parts:
            refusal = (response.provider_details or {}).get("refusal")
            if isinstance(refusal, str) and refusal:
                said = theirs.ModelResponse([theirs.TextPart(refusal)], usage=response.usage)
                return Message("assistant", from_theirs(said, self.name).parts, message.usage, self.name, "refusal")
            if response.finish_reason == "error":
                raise ModelError(f"{self.name} stopped with an error and said nothing", retryable=True)
        return message


def _base_url(model: ProviderModel) -> str | None:
    try:
        return model.base_url
    except (AttributeError, UserError):
        return None  # some providers have no single address


def _delta(event: theirs.ModelResponseStreamEvent) -> Delta | None:
    """The piece of answer that an event brings, if any."""
    match event:
        case theirs.PartStartEvent(part=theirs.TextPart(content=text)) if text:
            return Delta("text", valid_text(text))
        case theirs.PartStartEvent(part=theirs.ThinkingPart(content=text)) if text:
            return Delta("thinking", valid_text(text))
        case theirs.PartStartEvent(part=theirs.ToolCallPart(tool_name=name, args=arguments)):
            return Delta("call", valid_text(name + " " + _arguments_text(arguments)))
        case theirs.PartDeltaEvent(delta=theirs.TextPartDelta(content_delta=text)) if text:
            return Delta("text", valid_text(text))
        case theirs.PartDeltaEvent(delta=theirs.ThinkingPartDelta(content_delta=str() as text)) if text:
            return Delta("thinking", valid_text(text))
        case theirs.PartDeltaEvent(delta=theirs.ToolCallPartDelta(args_delta=arguments)) if arguments:
            return Delta("call", valid_text(_arguments_text(arguments)))
    return None


def _arguments_text(arguments: str | Mapping[str, Any] | None) -> str:
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return json.dumps(dict(arguments), default=str)


def _takes(profile: Mapping[str, Any]) -> frozenset[str]:
    """Media types, or their beginnings, that a model with this profile accepts."""
    takes = {"text/"}  # adapters write text files into the prompt where there is no file part
    if profile.get("supports_image_input", True):
        takes.add("image/")
    if profile.get("supports_document_input", True):
        takes.update(profile.get("supported_document_media_types", {"application/pdf"}))
    if profile.get("supports_audio_file_input", True):
        takes.add("audio/")
    if profile.get("supports_video_input", True):
        takes.add("video/")
    return frozenset(takes)
