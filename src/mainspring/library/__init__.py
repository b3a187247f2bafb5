"""The library: documents, pictures and recordings, searchable by words and by meaning, with labels kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.library.library import Library
    from mainspring.library.page import Box, Document, Hit, Page, Region, StoredPage, Where

_HOME = {"Library": "library"} | dict.fromkeys(
    ("Box", "Document", "Hit", "Page", "Region", "StoredPage", "Where"), "page"
)

__all__ = ["Box", "Document", "Hit", "Library", "Page", "Region", "StoredPage", "Where"]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
