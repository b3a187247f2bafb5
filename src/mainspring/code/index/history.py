"""What the last commits changed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from mainspring.code.index.gitread import git, git_folder
from mainspring.code.index.records import Change
from mainspring.errors import ToolError

__all__ = ["recent"]

#: Commits that are looked at.
COMMITS = 300
#: A commit of more files says nothing about which of them belong together.
_MANY_FILES = 30
_MOST_TOGETHER = 20


def recent(root: Path, files: Collection[str], commits: int = COMMITS) -> tuple[Change, ...]:
    """Which of these files the last commits changed, the most recent first; () without git or commits."""
    if git_folder(root) is None:
        return ()
    try:
        said = git(
            root,
            "log",
            f"-n{commits}",
            "--no-merges",
            "--no-show-signature",
            "--no-ext-diff",
            "--no-textconv",
            "--no-renames",
            "--no-color",
            "--name-only",
            "-z",
            "--format=%x01%ct",
        )
    except ToolError:
        return ()
    counts: Counter[str] = Counter()
    first: dict[str, tuple[int, int]] = {}
    together: dict[str, Counter[str]] = {}
    for age, record in enumerate(said.split(b"\x01")[1:]):
        head, *rest = record.split(b"\0")
        try:
            when = int(head.strip() or b"0")
        except ValueError:
            continue
        names = {os.fsdecode(name.lstrip(b"\n")) for name in rest if name.strip(b"\n")}
        touched = sorted(name for name in names if name in files)
        for name in touched:
            counts[name] += 1
            first.setdefault(name, (age, when))
            if len(names) <= _MANY_FILES:
                together.setdefault(name, Counter()).update(other for other in touched if other != name)
    found = [
        Change(path, counts[path], age, when, _best(together.get(path, Counter())))
        for path, (age, when) in first.items()
    ]
    return tuple(sorted(found, key=lambda c: (c.age, -c.commits, c.path)))


def _best(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_TOGETHER])
