"""The tools `replace_symbol` and `apply_patch`, bound to a workspace."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.code.edit.planning import plan_patch
from mainspring.code.edit.replacing import Where, change_symbol
from mainspring.errors import ToolError
from mainspring.tool import Settled, Tool, ToolContext
from mainspring.tools import applied, together
from mainspring.tools.editing import Change, checked, content
from mainspring.tools.paths import MissingError, locate, suggest
from mainspring.tools.provenance import WORKSPACE
from mainspring.tools.textfile import decoded, encoding_of, size
from mainspring.value import Labelled

__all__ = ["edit_tools", "plan_symbol"]


def edit_tools(workspace: str | os.PathLike[str] | None = None) -> list[Tool]:
    """The tools that change whole definitions and several files at once; `edit_file` comes with the coding tools.

    Args:
        workspace: the folder to work in; by default each run's own workspace.
    """
    return _Edits(None if workspace is None else Path(workspace).expanduser().absolute()).tools()


def plan_symbol(
    workspace: Path, home: Path | None, path: str, name: str, code: str, where: Where = "replace"
) -> Change:
    """The change that `replace_symbol` makes, worked out without writing anything.

    Raises:
        ToolError: it does not fit; see :func:`mainspring.code.edit.replacing.change_symbol`.
    """
    try:
        with locate(workspace, path, home=home, write=True) as place:
            data, shown = content(place), place.path
    except MissingError:
        data, shown = None, path
    if data is None:
        near = suggest(workspace, path)
        raise ToolError(f"{shown} does not exist" + (f"; did you mean {', '.join(near)}?" if near else ""))
    encoding = encoding_of(data, whole=True)
    if encoding is None:
        raise ToolError(f"{shown} is a binary file ({size(len(data))}); only text can be edited")
    text = change_symbol(shown, decoded(data, encoding, shown), name, code, where)
    after = encoding.encode(text, shown)
    if after == data:
        raise ToolError(f"{name} already is so in {shown}; nothing would change")
    return checked(Change(shown, data, after))


@dataclass(frozen=True, slots=True)
class _Edits:
    """How the tools work: in this folder, or in each run's own."""

    workspace: Path | None

    def tools(self) -> list[Tool]:
        symbol = Tool(
            self.replace_symbol,
            effect="write",
            authority=["path"],
            undoable=True,
            label=WORKSPACE,
            prepare=self._prepare_symbol,
            reconcile=self._reconcile,
        )
        patch = Tool(  # which files it writes stands inside the patch, so the whole of it is authority
            self.apply_patch,
            effect="write",
            authority=["patch"],
            undoable=True,
            label=WORKSPACE,
            prepare=self._prepare_patch,
            reconcile=self._reconcile,
        )
        return [symbol, patch]

    def replace_symbol(
        self, path: str, name: str, code: str, context: ToolContext, where: Where = "replace"
    ) -> Labelled:
        """Replace a whole function, class or method, or put code before or after it. Returns the diff.

        Args:
            name: such as func or Class.method
            code: the whole new definition; empty to delete
        """
        workspace = self._workspace(context)
        return applied.perform(context, workspace, [plan_symbol(workspace, context.home, path, name, code, where)])

    def apply_patch(self, patch: str, context: ToolContext) -> Labelled:
        """Change several files at once, all or none. Returns the diffs.

        Args:
            patch: unified diff, exact context; line numbers may be off
        """
        workspace = self._workspace(context)
        return applied.perform(context, workspace, plan_patch(workspace, context.home, patch))

    def _prepare_symbol(
        self, path: str, name: str, code: str, context: ToolContext, where: Where = "replace"
    ) -> Mapping[str, Any]:
        workspace = self._workspace(context)
        change = plan_symbol(workspace, context.home, path, name, code, where)
        return together.prepare(workspace, context.home, [change])

    def _prepare_patch(self, patch: str, context: ToolContext) -> Mapping[str, Any]:
        workspace = self._workspace(context)
        return together.prepare(workspace, context.home, plan_patch(workspace, context.home, patch))

    def _reconcile(self, context: ToolContext) -> Settled:
        return applied.settle(context, self._workspace(context))

    def _workspace(self, context: ToolContext) -> Path:
        workspace = self.workspace or context.workspace
        if workspace is None:
            raise ToolError("this run has no workspace; start it with workspace=... (or --workspace DIR)")
        return workspace
