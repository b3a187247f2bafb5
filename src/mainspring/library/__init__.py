"""The library: documents, pictures and recordings, searchable by words and by meaning, with labels kept."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# onnxruntime from 1.32 on keeps an identifier of the device and sends what it is used for to its makers, unless it is
# told not to before it is imported. Nothing of a library leaves the machine; who wants it otherwise sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

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
