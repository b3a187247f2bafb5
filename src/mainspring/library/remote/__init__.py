"""Vector indexes on a server, for libraries that one machine is too small for. Same interface as the embedded one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.library.embed.protocol import Space
    from mainspring.library.index.protocol import VectorIndex


def open_remote(name: str, space: Space, **options: Any) -> VectorIndex:
    """Open, or make, the index called `name`.

    Names:
        - ``"qdrant:http://host:6333#COLLECTION"``: a Qdrant server.
        - ``"qdrant:/a/folder#COLLECTION"``: Qdrant's local mode, for trying it out; one process at a time.

    Args:
        name: see above.
        space: the space of the vectors; a collection of another space is refused.
        **options: see `QdrantIndex`.

    Raises:
        StoreError: the name is not understood, the package is missing, the server cannot be reached, or the
            collection holds another space.
    """
    from mainspring.errors import StoreError

    kind, _, rest = name.strip().partition(":")
    where, _, collection = rest.rpartition("#")
    if kind != "qdrant" or not where or not collection:
        raise StoreError(f"{name!r} is no remote index; write 'qdrant:http://host:6333#COLLECTION'")
    try:
        from mainspring.library.remote.qdrant import QdrantIndex

        return QdrantIndex(where, collection, space, **options)
    except ImportError as error:
        raise StoreError(f"{name!r} needs a missing package ({error}): pip install 'mainspring[qdrant]'") from None
