"""Reads search/replace blocks, the simplest form of a patch."""

from __future__ import annotations

import re
from dataclasses import replace

from mainspring.code.edit.parts import Block, FilePatch
from mainspring.errors import ToolError

__all__ = ["FENCE", "SEARCH", "read_blocks"]

SEARCH = re.compile(r"<{5,9} ?SEARCH\s*$")
FENCE = re.compile(r"\s*(?:```|~~~)")
_MIDDLE = re.compile(r"={5,9}\s*$")
_REPLACE = re.compile(r">{5,9} ?REPLACE\s*$")


def read_blocks(lines: list[str]) -> list[FilePatch]:
    """Search/replace blocks: the file's name stands on the line before, or is that of the block before."""
    found: list[FilePatch] = []
    name, at = "", 0
    while at < len(lines):
        if not SEARCH.match(lines[at]):
            line = lines[at].strip().strip("`*#").strip().removeprefix("File:").strip()
            if line and not FENCE.match(lines[at]):
                name = line.rstrip(":")
            at += 1
            continue
        number = sum(len(file.blocks) for file in found) + 1
        middle = next((n for n in range(at + 1, len(lines)) if _MIDDLE.match(lines[n])), None)
        end = next((n for n in range(middle + 1, len(lines)) if _REPLACE.match(lines[n])), None) if middle else None
        if middle is None or end is None:
            raise ToolError(f"block {number} has no {'=======' if middle is None else '>>>>>>> REPLACE'} line")
        if not name:
            raise ToolError(f"block {number} names no file; put its name on the line before <<<<<<< SEARCH")
        block = Block(_joined(lines[at + 1 : middle]), _joined(lines[middle + 1 : end]))
        if found and found[-1].path == name:
            found[-1] = replace(found[-1], blocks=(*found[-1].blocks, block))
        else:
            found.append(FilePatch(name, blocks=(block,)))
        at = end + 1
    return found


def _joined(lines: list[str]) -> str:
    return "".join(line + "\n" for line in lines)
