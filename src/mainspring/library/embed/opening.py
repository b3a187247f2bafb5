"""Embedders by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.errors import ModelError

if TYPE_CHECKING:
    from mainspring.library.embed.protocol import Embedder


#: The names of the embedded ones.
EMBEDDED = ("default", "e5", "e5-dense", "look")


def check_name(name: str) -> None:
    """Say of a name that no embedder can have that it is none, without opening one. Raises ModelError."""
    from mainspring.library.embed.engines import ENGINES

    kind, _, rest = name.strip().partition(":")
    if name not in EMBEDDED and not (kind in ENGINES and rest):
        raise ModelError(
            f"there is no embedder {name!r}; write 'default', 'e5-dense', 'none' (words only), 'vllm:URL#MODEL', "
            "'openai:URL#MODEL' or 'transformers:MODEL_OR_PATH'"
        )


def open_embedder(name: str = "default", **options: Any) -> Embedder:
    """The embedder of this name.

    Args:
        name: ``default`` or ``e5`` (embedded, a vector a token), ``e5-dense`` (embedded, one a text), ``look``
            (embedded, how a picture looks: see docs/library-pictures.md), or one of the other engines, such as
            ``vllm:URL#MODEL``: see `mainspring.library.embed.engines`.
        **options: what another engine takes, such as ``revision=``.

    Raises:
        ModelError: it cannot be had: no such name, weights that cannot be fetched, a missing library, a server that
            does not answer, an option that it does not take.
    """
    embedded = name in EMBEDDED
    if embedded and options:
        raise ModelError(f"the embedder {name!r} takes no options, and was given {', '.join(sorted(options))}")
    if name in ("default", "e5"):
        from mainspring.library.embed.e5 import E5Embedder

        return E5Embedder()
    if name == "e5-dense":
        from mainspring.library.embed.e5 import E5Dense

        return E5Dense()
    if name == "look":
        from mainspring.library.sight import LookEmbedder

        return LookEmbedder()
    from mainspring.library.embed.engines import open_engine

    return open_engine(name, **options)
