"""Counts tokens with a real tokenizer: the embedded model's, when its weights are on this machine.

The engine loads the weights and serves on a loopback port; only its chat template and its tokenizer are asked, so
nothing is generated. Without weights the count is an estimate, and its name says so.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.model import ToolSpec

#: Characters a token where no tokenizer is at hand.
CHARS_PER_TOKEN = 3.5


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Counts the tokens of a fixed prompt.

    Args:
        name: which tokenizer, for the figures.
        address: where the engine listens, or None for the estimate.
        engine: kept alive as long as this object.
    """

    name: str
    address: str | None = None
    engine: Any = None

    def prompt_tokens(self, instructions: str, tools: Sequence[ToolSpec]) -> int:
        """Tokens of a system message and these tools, rendered by the model's chat template."""
        declared = [as_function(spec) for spec in tools]
        if self.address is None:
            return round((len(instructions) + len(json.dumps(declared))) / CHARS_PER_TOKEN)
        # The user's message is needed by the template; its own tokens are taken off again.
        with_user = self._rendered([_say("system", instructions), _say("user", "x")], declared)
        return self._count(with_user) - self._count("<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n")

    def _rendered(self, messages: list[dict[str, str]], tools: list[dict[str, Any]]) -> str:
        answer = self._post("/apply-template", {"messages": messages, "tools": tools})
        return str(answer["prompt"])

    def _count(self, text: str) -> int:
        answer = self._post("/tokenize", {"content": text, "add_special": True, "parse_special": True})
        return len(answer["tokens"])

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.address}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            value: dict[str, Any] = json.load(answer)
        return value


def open_tokenizer(gguf: Path | None) -> Tokenizer:
    """The tokenizer of `gguf`, else of the smallest cached embedded model, else an estimate."""
    path = gguf or _cached()
    if path is None:
        return Tokenizer(f"none cached: estimated at {CHARS_PER_TOKEN} characters a token")
    import xllamacpp  # type: ignore[import-untyped]

    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx = 512
    settings.n_parallel = 1
    settings.warmup = False
    settings.verbosity = 0
    settings.port = 0
    engine = xllamacpp.Server(settings)
    return Tokenizer(f"{path.name}, its own chat template", engine.listening_address, engine)


def as_function(spec: ToolSpec) -> dict[str, Any]:
    """A tool as the providers' function calling takes it."""
    function = {"name": spec.name, "description": spec.description, "parameters": dict(spec.schema)}
    return {"type": "function", "function": function}


def _say(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def _cached() -> Path | None:
    from mainspring.models.local.carriers import LARGE, SMALL, weights_path

    return next((p for p in (weights_path(SMALL), weights_path(LARGE)) if p.is_file()), None)
