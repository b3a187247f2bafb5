"""Pages by their vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.library.embed.protocol import Space
    from mainspring.library.index.cascade import CascadeIndex

__all__ = ["open_index"]


def open_index(folder: Path, space: Space) -> CascadeIndex:
    """Open the embedded index in a folder, or make it.

    Args:
        folder: where its files are; nothing else should live there.
        space: what its vectors are made by. An index holds one space.

    Raises:
        StoreError: it holds another space, is of a newer version, is damaged, or the folder cannot be written.
    """
    from mainspring.library.index.cascade import CascadeIndex

    return CascadeIndex(folder, space)
