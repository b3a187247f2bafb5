"""Single-vector encoders behind an OpenAI-compatible `/v1/embeddings`: OpenAI, vLLM, TEI, Ollama, llama.cpp.

Qwen3-VL-Embedding takes its input as a conversation (vLLM's extension of that path): the instruction as system
message, the item as the user's, and the answer's beginning; the server pools at the end of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from mainspring.errors import ModelError
from mainspring.library.embed.engines.answers import in_order, matrix
from mainspring.library.embed.engines.base import HTTPEmbedder, picture_part, text_part
from mainspring.library.embed.engines.family import Family, Side, family_of
from mainspring.library.embed.engines.http import Client, server_from
from mainspring.library.embed.protocol import Encoded, Item, Picture, Vectors

_OPENAI = "https://api.openai.com/v1"
_MAX_ANSWER = 32_000_000
#: Characters of one request's texts together.
_BATCH_CHARACTERS = 200_000


class OpenAIEmbedder(HTTPEmbedder):
    """One vector an item, from a server that speaks OpenAI's embeddings.

    Args:
        address: ``URL#MODEL`` (the URL usually ends with ``/v1``), or ``MODEL`` for OpenAI itself.
        dimensions: numbers a vector that the server shall cut to; its own when None. Only for models that were
            trained for it (MRL), such as text-embedding-3 and Qwen3-VL-Embedding.
        instruction, query_instruction: what the model is told to do with documents and with queries; the family's
            own when None.
        family: see `VllmEmbedder`.
        max_characters: a longer text is cut off: one vector cannot say more.
        revision, dim, batch, parallel, max_pixels: see `HTTPEmbedder`.
        key_name: environment variable that holds the key; ``MAINSPRING_KEY_<HOST>`` or ``OPENAI_API_KEY`` when "".
        **client: `timeout_s`, `tries`, `max_wait_s`, `max_answer_bytes`, `sleep` of `Client`.

    Raises:
        ModelError: the address or an option is wrong.
    """

    _multi = False

    def __init__(
        self,
        address: str,
        *,
        dimensions: int | None = None,
        instruction: str | None = None,
        query_instruction: str | None = None,
        family: Family | str | None = None,
        max_characters: int = 24_000,
        revision: str | None = None,
        batch: int = 32,
        parallel: int = 4,
        max_pixels: int | None = None,
        key_name: str = "",
        **client: Any,
    ) -> None:
        server = server_from(address, provider="openai", key_name=key_name, usual=_OPENAI)
        kind = family_of(server.model, family)
        self._said_to = {
            "document": kind.instruction if instruction is None else instruction,
            "query": kind.query_instruction if query_instruction is None else query_instruction,
        }
        super().__init__(
            server,
            kind,
            Client(server, f"openai:{server.model}", **{"max_answer_bytes": _MAX_ANSWER, **client}),
            revision=revision,
            dim=dimensions,
            batch=batch,
            parallel=parallel,
            max_pixels=max_pixels,
            settings={"engine": "embeddings", "max_characters": max_characters, **self._said_to},
        )
        if max_characters < 1:
            raise ModelError(f"max_characters must be at least 1, not {max_characters}")
        self._dimensions = dimensions
        self._max_characters = max_characters

    def _instruction(self, side: Side) -> str:
        return self._said_to[side]

    def _encode(self, items: Sequence[Item], side: Side) -> list[Encoded]:
        import numpy as np

        texts = [item[: self._max_characters] if isinstance(item, str) else "" for item in items]
        alone = [
            n for n, item in enumerate(items) if isinstance(item, Picture) or (self._family.chat and texts[n].strip())
        ]
        together = [n for n in range(len(items)) if n not in set(alone) and texts[n].strip()]
        jobs = [[n] for n in alone]
        jobs += [
            [together[n] for n in group] for group in self._batches([texts[n] for n in together], _BATCH_CHARACTERS)
        ]

        def work(job: list[int]) -> list[Vectors]:
            item = items[job[0]]
            if isinstance(item, Picture):
                return self._of_message([picture_part(self._picture(item)), *self._picture_text()], side)
            if self._family.chat:
                return self._of_message([text_part(self._text(texts[job[0]], side))], side)
            return self._embedded({"input": [self._text(texts[n], side) for n in job]}, len(job))

        made: dict[int, Vectors] = {}
        for job, found in zip(jobs, self._at_once(work, jobs), strict=True):
            made.update(zip(job, found, strict=True))
        empty = np.zeros((0, self._dim), np.float32)
        return [
            Encoded(made.get(n, empty), ((0, len(texts[n])),) if n in made and isinstance(item, str) else ())
            for n, item in enumerate(items)
        ]

    def _picture_text(self) -> list[dict[str, Any]]:
        return [text_part(self._family.picture_text)] if self._family.picture_text else []

    def _of_message(self, content: list[dict[str, Any]], side: Side) -> list[Vectors]:
        told = self._instruction(side)
        messages: list[dict[str, Any]] = [{"role": "system", "content": [text_part(told)]}] if told else []
        messages.append({"role": "user", "content": content})
        messages.append({"role": "assistant", "content": [text_part("")]})
        body = {"messages": messages, "continue_final_message": True, "add_special_tokens": True}
        return self._embedded(body, 1)

    def _embedded(self, body: dict[str, Any], count: int) -> list[Vectors]:
        body = {"model": self._server.model, "encoding_format": "float", **body}
        if self._dimensions is not None:
            body["dimensions"] = self._dimensions
        # An address without a path means the usual one.
        url = self._server.url if urlsplit(self._server.url).path else f"{self._server.url}/v1"
        answer = self._client.post(f"{url}/embeddings", body)
        wrong: Callable[[str], ModelError] = self._client.unreadable
        data = in_order(answer.get("data") if isinstance(answer, dict) else None, count, wrong)
        found = [matrix(one.get("embedding"), self._dim, wrong, multi=False) for one in data]
        if not self._dim:
            self._dim = int(found[0].shape[1])
        return found
