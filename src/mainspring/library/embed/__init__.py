"""Vectors from text and pictures.

`open_embedder` opens one by name; `prepare` fetches the embedded one's weights ahead, and `ready` says whether that
was done.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# onnxruntime from 1.32 on keeps an identifier of the device and sends what it is used for to its makers, unless it is
# told not to before it is imported. Nothing of a library leaves the machine; who wants it otherwise sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

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
