"""Embedders by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.library.embed.protocol import Embedder


def open_embedder(name: str = "default") -> Embedder:
    """The embedder of this name.

    Args:
        name: ``default`` or ``e5`` (embedded, a vector a token), ``e5-dense`` (embedded, one a text), or one of
            the other engines, such as ``vllm:URL#MODEL``: see `mainspring.library.embed.engines`.

    Raises:
        ModelError: it cannot be had: weights that cannot be fetched, a missing library, a server that does not answer.
        DeclarationError: no such name.
    """
    if name in ("default", "e5"):
        from mainspring.library.embed.e5 import E5Embedder

        return E5Embedder()
    if name == "e5-dense":
        from mainspring.library.embed.e5 import E5Dense

        return E5Dense()
    from mainspring.library.embed.engines import open_engine

    return open_engine(name)
