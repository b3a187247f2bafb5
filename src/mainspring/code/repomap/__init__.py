"""A map of a repository that fits into a model's context: the files that matter for a task, and their best symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.code.repomap.build import RepoMap, repo_map
    from mainspring.code.repomap.tool import repo_map_tool

__all__ = ["RepoMap", "repo_map", "repo_map_tool"]

_HOME = {"RepoMap": "build", "repo_map": "build", "repo_map_tool": "tool"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mainspring.code.repomap' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"mainspring.code.repomap.{_HOME[name]}"), name)
