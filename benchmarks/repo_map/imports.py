"""Which files of a tree a Python file imports: read by Python's own parser, apart from what is measured."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping


def reach(tree: Mapping[str, bytes], start: str, steps: int) -> set[str]:
    """Files that `start` imports, directly or over `steps` - 1 others."""
    modules = _modules(tree)
    found: set[str] = set()
    border = {start}
    for _ in range(steps):
        border = {other for path in border for other in _imports(tree, modules, path)} - found - {start}
        found |= border
    return found


def _modules(tree: Mapping[str, bytes]) -> dict[str, str]:
    """Dotted name -> file, from any folder that could be on Python's path; the shortest path wins."""
    found: dict[str, str] = {}
    for path in sorted((p for p in tree if p.endswith(".py")), key=lambda p: (p.count("/"), p)):
        parts = path.removesuffix(".py").split("/")
        if parts[-1] == "__init__":
            parts.pop()
        for first in range(len(parts)):
            found.setdefault(".".join(parts[first:]), path)
    return found


def _imports(tree: Mapping[str, bytes], modules: Mapping[str, str], path: str) -> Iterator[str]:
    try:
        parsed = ast.parse(tree[path])
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = path.split("/")[: -node.level] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            names = [f"{module}.{alias.name}" if module else alias.name for alias in node.names]
            names += [module] if module else []
        else:
            continue
        for name in names:
            if name in modules:
                yield modules[name]
