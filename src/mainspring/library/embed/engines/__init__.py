"""Encoders that are not embedded: behind HTTP (vLLM, OpenAI-compatible servers) and in process (transformers)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.library.embed.protocol import Embedder

#: Beginnings of the names that `open_engine` knows.
ENGINES: tuple[str, ...] = ("vllm", "openai", "transformers")


def open_engine(name: str, **options: Any) -> Embedder:
    """Open the encoder called `name`.

    Names:
        - ``"vllm:http://host:8000#MODEL"``: one vector a token or patch, from a vLLM server's ``/pooling``.
        - ``"openai:http://host:8000/v1#MODEL"`` or ``"openai:MODEL"``: one vector an item, from ``/v1/embeddings``.
        - ``"transformers:MODEL_OR_PATH"``: in this process, by PyTorch.

    Args:
        name: see above.
        **options: what the engine takes; see `VllmEmbedder`, `OpenAIEmbedder` and `TransformersEmbedder`.

    Raises:
        ModelError: the name or an option is not understood, a package is missing, or the model cannot be loaded. A
            server is asked at the first use, so one that is down is found out then.
    """
    from mainspring.errors import ModelError

    kind, colon, rest = name.strip().partition(":")
    if not colon or not rest or kind not in ENGINES:
        raise ModelError(
            f"{name!r} is no encoder; write 'vllm:URL#MODEL', 'openai:URL#MODEL' or 'transformers:MODEL_OR_PATH'"
        )
    try:
        if kind == "vllm":
            from mainspring.library.embed.engines.vllm import VllmEmbedder

            return VllmEmbedder(rest, **options)
        if kind == "openai":
            from mainspring.library.embed.engines.openai import OpenAIEmbedder

            return OpenAIEmbedder(rest, **options)
        from mainspring.library.embed.engines.local import TransformersEmbedder

        return TransformersEmbedder(rest, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        wrong = str(error).rpartition(" ")[2]
        raise ModelError(f"encoder {name!r} has no option {wrong}; see the documentation of embedders") from None
    except ImportError as error:
        needs = "torch transformers" if kind == "transformers" else "'mainspring[library]'"
        raise ModelError(
            f"encoder {name!r} needs a package that is not installed ({error}): pip install {needs}"
        ) from None
