"""Working on a git repository without touching the person's files: snapshots, working copies, patches, branches.

from mainspring.code.git import Repository, WorkingCopy, apply_to

repository = Repository.find("path/to/project")
copy = WorkingCopy.make(repository, home)
...                                     # somebody works in copy.path
apply_to(repository, copy.patch())      # all of it or nothing; never over what was changed since
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.code.git.applying import Applied, ConflictError, apply_to, list_applied, undo_applied
    from mainspring.code.git.branches import Person, make_branch
    from mainspring.code.git.changes import TreeChange, TreePatch
    from mainspring.code.git.merging import Conflict
    from mainspring.code.git.recorded import CodeRecord, load, record, records
    from mainspring.code.git.repository import Repository, Snapshot
    from mainspring.code.git.tools import git_tools
    from mainspring.code.git.working import WorkingCopy

__all__ = [
    "Applied",
    "CodeRecord",
    "Conflict",
    "ConflictError",
    "Person",
    "Repository",
    "Snapshot",
    "TreeChange",
    "TreePatch",
    "WorkingCopy",
    "apply_to",
    "git_tools",
    "list_applied",
    "load",
    "make_branch",
    "record",
    "records",
    "undo_applied",
]

_HOME = {
    "Applied": "applying",
    "CodeRecord": "recorded",
    "Conflict": "merging",
    "ConflictError": "applying",
    "Person": "branches",
    "Repository": "repository",
    "Snapshot": "repository",
    "TreeChange": "changes",
    "TreePatch": "changes",
    "WorkingCopy": "working",
    "apply_to": "applying",
    "git_tools": "tools",
    "list_applied": "applying",
    "load": "recorded",
    "make_branch": "branches",
    "record": "recorded",
    "records": "recorded",
    "undo_applied": "applying",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mainspring.code.git' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mainspring.code.git.{_HOME[name]}"), name)
