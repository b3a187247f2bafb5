"""Works a patch out against a workspace: every file's content before and after, or why the patch does not fit.

Nothing is written here. All that does not fit is said at once, so that it can be mended at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mainspring.code.edit.parsing import read_patch
from mainspring.code.edit.parts import FilePatch
from mainspring.code.edit.placing import Misfit, place
from mainspring.errors import ToolError
from mainspring.tools import together
from mainspring.tools.editing import Change, checked, content
from mainspring.tools.matching import replace_text
from mainspring.tools.paths import MissingError, locate, printable, suggest
from mainspring.tools.textfile import Encoding, decoded, encoding_of, size

__all__ = ["plan_patch"]

#: Most bytes of all files together, before and after.
MAX_BYTES = 256 << 20
_SHOWN_MISFITS = 5


def plan_patch(workspace: Path, home: Path | None, patch: str) -> list[Change]:
    """The changes that a patch makes, in its order.

    Args:
        workspace: the folder that its paths are relative to.
        home: Mainspring's own folder, which no patch touches.
        patch: a unified diff over any number of files, or search/replace blocks.

    Raises:
        ToolError: a part of it does not fit; it says which hunk of which file, and what is there instead.
    """
    files = read_patch(patch)
    if len(files) > together.MAX_FILES:
        raise ToolError(f"the patch changes {len(files):,} files; at most {together.MAX_FILES:,} are taken; split it")
    plan = _Plan(workspace, home)
    problems = []
    for file in files:
        try:
            plan.take(file)
        except ToolError as error:
            problems.append(str(error))
    if problems:
        more = len(problems) - _SHOWN_MISFITS
        shown = problems[:_SHOWN_MISFITS] + ([f"... and {more:,} more do not fit"] if more > 0 else [])
        raise ToolError("nothing was changed, since the patch does not fit:\n" + "\n".join(shown))
    changes = plan.changes()
    if not changes:
        raise ToolError("the patch changes nothing: every file already is as it would be afterwards")
    return changes


@dataclass
class _State:
    """A file as the patch has left it so far."""

    before: bytes | None
    after: bytes | None
    executable: bool | None = None
    source: str = ""
    direct: bool = True


class _Plan:
    """Files by path, changed one part of the patch after the other."""

    def __init__(self, workspace: Path, home: Path | None) -> None:
        self._workspace = workspace
        self._home = home
        self._files: dict[str, _State] = {}
        self._bytes = 0

    def take(self, file: FilePatch) -> None:
        path, state = self._open(file.path)
        if file.kind == "add" or (file.blocks and state.after is None and not file.blocks[0].old):
            self._add(path, state, file)
        elif state.after is None:
            near = suggest(self._workspace, file.path)
            raise ToolError(f"{path}: does not exist" + (f"; did you mean {', '.join(near)}?" if near else ""))
        elif file.kind == "remove":
            self._remove(path, state, file)
        else:
            self._change(path, state, file)

    def changes(self) -> list[Change]:
        """What there is to be done, looked at for syntax."""
        found, problems = [], []
        for path, state in self._files.items():
            if state.before == state.after and state.executable is None:
                continue
            try:
                made = Change(path, state.before, state.after, state.executable, state.source)
                found.append(checked(made))
            except ToolError as error:
                problems.append(str(error))
        if problems:
            raise ToolError("\n".join(["nothing was changed:", *problems[:_SHOWN_MISFITS]]))
        return found

    def _open(self, path: str) -> tuple[str, _State]:
        """A file's place and what is there; the same one for every name that leads to it."""
        shown = printable(path)[:200]
        if not path.strip("/") or os.path.isabs(path) or ".." in path.split("/"):
            raise ToolError(f"{shown!r}: a patch names files relative to the workspace, without '..'")
        try:
            with locate(self._workspace, path, home=self._home, write=True) as place:
                data, name = content(place), place.path
                if printable("/".join(place.parts)) != "/".join(place.parts):
                    raise ToolError(f"{shown!r}: a name with control characters cannot be patched")
        except MissingError:
            data, name = None, os.path.normpath(path)
        if name not in self._files:
            self._bytes += len(data or b"")
            if self._bytes > MAX_BYTES:
                raise ToolError(f"{name}: the patch's files have more than {size(MAX_BYTES)} together; split it")
            self._files[name] = _State(data, data, direct=name == os.path.normpath(path))
        return name, self._files[name]

    def _add(self, path: str, state: _State, file: FilePatch) -> None:
        if state.after:
            raise ToolError(f"{path}: exists already, and the patch would make it")
        new = "".join(line for hunk in file.hunks for line in hunk.new) or "".join(b.new for b in file.blocks)
        if any(hunk.old for hunk in file.hunks):
            raise ToolError(f"{path}: the patch makes this file, and yet a hunk expects lines in it")
        state.after = _encode(new, Encoding("utf-8"), path)
        state.executable = file.executable

    def _remove(self, path: str, state: _State, file: FilePatch) -> None:
        self._not_by_link(path, state)
        if file.hunks:
            left = _apply(path, state.after or b"", file)
            if left:
                raise ToolError(f"{path}: the patch removes this file, and {len(left):,} bytes would be left of it")
        state.after = None

    def _change(self, path: str, state: _State, file: FilePatch) -> None:
        data = state.after or b""
        after = _apply(path, data, file)
        if len(after) > len(data):
            self._bytes += len(after) - len(data)
        if not file.target:
            if after == data and (file.hunks or file.blocks):
                raise ToolError(f"{path}: the patch would change nothing in it")
            state.after = after
            state.executable = file.executable if file.executable is not None else state.executable
            return
        self._not_by_link(path, state)
        name, target = self._open(file.target)
        if target.after is not None:
            raise ToolError(f"{name}: exists already, and the patch would move {path} there")
        target.after, target.source = after, path
        target.executable = file.executable if file.executable is not None else self._runs(path)
        if not file.copy:
            state.after = None

    def _not_by_link(self, path: str, state: _State) -> None:
        if not state.direct:
            raise ToolError(f"{path}: the patch names it by a link; to remove or move a file, give its own name")

    def _runs(self, path: str) -> bool | None:
        with locate(self._workspace, path, home=self._home, write=True) as place:
            status = place.status()
        return True if status is not None and status.st_mode & 0o100 else None


def _apply(path: str, data: bytes, file: FilePatch) -> bytes:
    """A file's bytes with its hunks or blocks applied. Raises ToolError."""
    detected = encoding_of(data, whole=True)
    if detected is None:
        raise ToolError(f"{path}: is a binary file ({size(len(data))}); only text can be patched")
    if file.blocks:
        text = decoded(data, detected, path)
        for number, block in enumerate(file.blocks, 1):
            try:
                text = replace_text(text, block.old, block.new, path)
            except ToolError as error:
                raise ToolError(f"{path}, block {number}: {error}") from None
        return _encode(text, detected, path)
    if not file.hunks:
        return data
    misfits: list[Misfit] = []
    for read, write in _readings(data, detected, path):
        try:
            text = read()
        except ToolError:
            continue  # its mark lies, so it is as little this encoding as the first one
        placed = place(text, file.hunks)
        if isinstance(placed, str):
            return write(placed)
        misfits = placed
    raise ToolError("\n".join(f"{path}, {misfit.hunk.name}: {misfit.why}" for misfit in misfits[:_SHOWN_MISFITS]))


def _readings(data: bytes, detected: Encoding, path: str) -> Sequence[tuple[Callable[[], str], Callable[[str], bytes]]]:
    """How the bytes may stand for the patch's lines: as git takes them, or as `read_file` shows them."""
    exact = (
        lambda: data.decode("utf-8", "surrogateescape"),
        lambda text: _encode(text, Encoding("utf-8"), path),
    )
    if not detected.mark and detected.name == "utf-8":
        return [exact]
    return [exact, (lambda: decoded(data, detected, path), lambda text: _encode(text, detected, path))]


def _encode(text: str, encoding: Encoding, path: str) -> bytes:
    if encoding.name == "utf-8":  # bytes that are no UTF-8 come as lone surrogates, as `Patch.diff` writes them
        try:
            return encoding.mark + text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise ToolError(f"{path}: the patch holds half a character (a lone surrogate)") from None
    return encoding.encode(text, path)
