"""Rerankers: they put the pages that a search found in order by reading each together with the query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.library.embed.protocol import Reranker

#: Beginnings of the names that `open_reranker` knows.
RERANKERS: tuple[str, ...] = ("rerank", "score", "transformers", "model")


def open_reranker(name: str, **options: Any) -> Reranker:
    """Open the reranker called `name`.

    Names:
        - ``"rerank:http://host:8000#MODEL"``: a server with ``/v1/rerank`` (vLLM, Jina, Cohere, llama.cpp).
        - ``"score:http://host:8000#MODEL"``: vLLM's ``/score``.
        - ``"transformers:MODEL_OR_PATH"``: a cross-encoder or a Qwen3-Reranker in this process.
        - ``"model:NAME"``: any language model, by the names of `mainspring.models.resolve`.

    Args:
        name: see above.
        **options: what that reranker takes; see `HTTPReranker`, `TransformersReranker` and `ModelReranker`.

    Raises:
        ModelError: the name or an option is not understood, a package is missing, or the model cannot be loaded.
    """
    from mainspring.errors import ModelError

    kind, colon, rest = name.strip().partition(":")
    if not colon or not rest or kind not in RERANKERS:
        raise ModelError(
            f"{name!r} is no reranker; write 'rerank:URL#MODEL', 'score:URL#MODEL', 'transformers:MODEL_OR_PATH' or "
            "'model:NAME'"
        )
    try:
        if kind in ("rerank", "score"):
            from mainspring.library.rerank.http import HTTPReranker

            return HTTPReranker(rest, path="rerank" if kind == "rerank" else "score", **options)
        if kind == "transformers":
            from mainspring.library.rerank.local import TransformersReranker

            return TransformersReranker(rest, **options)
        from mainspring.library.rerank.model import ModelReranker
        from mainspring.models import resolve

        return ModelReranker(resolve(rest), **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        wrong = str(error).rpartition(" ")[2]
        raise ModelError(f"reranker {name!r} has no option {wrong}") from None
