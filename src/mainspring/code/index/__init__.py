"""An index of a repository's source: what is defined where, who uses it, and what a change touches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.code.index.graph import Graph
    from mainspring.code.index.records import BlastRadius, Change, Found, Hit, Reference, Refresh, Symbol, TestMatch
    from mainspring.code.index.repository import CodeIndex
    from mainspring.code.index.shelf import Shelf
    from mainspring.code.index.tools import index_tools

__all__ = [
    "BlastRadius",
    "Change",
    "CodeIndex",
    "Found",
    "Graph",
    "Hit",
    "Reference",
    "Refresh",
    "Shelf",
    "Symbol",
    "TestMatch",
    "index_tools",
]

_HOME = {"CodeIndex": "repository", "Graph": "graph", "Shelf": "shelf", "index_tools": "tools"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mainspring.code.index' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"mainspring.code.index.{_HOME.get(name, 'records')}"), name)
