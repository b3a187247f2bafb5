"""Rerankers behind HTTP.

`rerank` is the protocol of Jina and Cohere, which vLLM and llama.cpp speak too: ``query`` and ``documents`` go out,
``results`` with ``index`` and ``relevance_score`` come back. `score` is vLLM's own: ``text_1`` and ``text_2``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from mainspring.errors import ModelError
from mainspring.library.embed.engines.answers import in_order
from mainspring.library.embed.engines.http import Client, server_from
from mainspring.library.rerank.texts import each_scored, finite
from mainspring.messages import valid_text

_MAX_ANSWER = 8_000_000


class HTTPReranker:
    """A reranker behind HTTP.

    Args:
        address: ``URL#MODEL``.
        path: which protocol.
        max_characters: a longer text is cut off.
        batch: most texts of one request.
        key_name: environment variable that holds the server's key; ``MAINSPRING_KEY_<HOST>`` when "".
        **client: `timeout_s`, `tries`, `max_wait_s`, `max_answer_bytes`, `sleep` of `Client`.

    Raises:
        ModelError: the address or an option is wrong.
    """

    def __init__(
        self,
        address: str,
        *,
        path: Literal["rerank", "score"] = "rerank",
        max_characters: int = 8_000,
        batch: int = 64,
        key_name: str = "",
        **client: Any,
    ) -> None:
        if batch < 1 or max_characters < 1:
            raise ModelError(f"batch and max_characters must be at least 1, not {batch} and {max_characters}")
        self._server = server_from(address, key_name=key_name)
        self._path = path
        self._max_characters = max_characters
        self._batch = batch
        self._client = Client(self._server, self.name, **{"max_answer_bytes": _MAX_ANSWER, **client})

    @property
    def name(self) -> str:
        """Which one, for people."""
        return f"{self._path}:{self._server.model}"

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """One number for each text, larger is better. Raises ModelError."""
        asked = valid_text(query)
        one = self._reranked if self._path == "rerank" else self._scored
        return each_scored(texts, self._max_characters, self._batch, lambda group: one(asked, group))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _reranked(self, query: str, texts: list[str]) -> list[float]:
        url = self._server.url
        if not url.endswith("/rerank"):
            url += "/rerank" if urlsplit(url).path else "/v1/rerank"
        body = {"model": self._server.model, "query": query, "documents": texts, "top_n": len(texts)}
        answer = self._client.post(url, body)
        results = answer.get("results") if isinstance(answer, dict) else None
        rows = in_order(results, len(texts), self._client.unreadable)
        return [finite(row.get("relevance_score"), self._client.unreadable) for row in rows]

    def _scored(self, query: str, texts: list[str]) -> list[float]:
        body = {"model": self._server.model, "text_1": query, "text_2": texts}
        answer = self._client.post(f"{self._server.root}/score", body)
        rows = in_order(answer.get("data") if isinstance(answer, dict) else None, len(texts), self._client.unreadable)
        return [finite(row.get("score"), self._client.unreadable) for row in rows]
