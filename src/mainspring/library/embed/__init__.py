"""Vectors from text and pictures.

`open_embedder` opens one by name; `prepare` fetches the embedded one's weights ahead, and `ready` says whether that
was done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.library.embed.opening import open_embedder
    from mainspring.library.embed.prepared import prepare, ready

__all__ = ["open_embedder", "prepare", "ready"]

_WHERE = {"open_embedder": "opening", "prepare": "prepared", "ready": "prepared"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
