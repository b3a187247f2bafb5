"""The `search_codebase` tool: lines that match, from files that belong to the project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mainspring
from mainspring.errors import ToolError
from mainspring.tools.capture import plain_text

LIMIT = 100
SECONDS = 20.0
_CHARACTERS = 24_000
_START = "import sys; sys.path.insert(0, sys.argv[1]); from mainspring.tools.searcher import main; main()"


def search(
    workspace: Path,
    query: str,
    path: str = ".",
    glob: str = "",
    regex: bool = False,
    home: Path | None = None,
    seconds: float = SECONDS,
) -> str:
    """Search a workspace's text files, without binary, huge and ignored ones.

    Args:
        query: text, or a regular expression; without capitals it finds both cases.
        path: file or folder to search.
        glob: only paths that match, such as ``"*.py"``.
        regex: `query` is a regular expression.
        seconds: time after which the search is given up.

    Raises:
        ToolError: a wrong pattern or path, or a pattern that takes too long.
    """
    if not query or "\0" in query:
        raise ToolError("query is empty; say what to look for" if not query else "query holds a NUL byte")
    question = {
        "workspace": str(workspace),
        "home": None if home is None else str(home),
        "query": query,
        "path": path,
        "glob": glob,
        "regex": regex,
        "limit": LIMIT,
        "seconds": seconds,
    }
    source = str(Path(mainspring.__file__).resolve().parent.parent)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _START, source],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=seconds + 2,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ToolError(
            f"the search took longer than {seconds:.0f} s and was ended; use plain text or a simpler pattern, "
            "or search a smaller path"
        ) from None
    if done.returncode != 0:
        raise ToolError(f"the search failed: {plain_text(done.stderr).strip()[-500:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "error" in answer:
        raise ToolError(answer["error"])
    return _describe(query, answer)


def _describe(query: str, answer: dict[str, Any]) -> str:
    rows = answer["rows"]
    lines: list[str] = []
    room = _CHARACTERS
    for row in rows:
        room -= len(row) + 1
        if room < 0:
            break
        lines.append(row)
    head = f"{answer['matches']:,} matching lines in {answer['files']:,} of {answer['searched']:,} files"
    if not rows:
        head = f"no line matches {query!r} in {answer['searched']:,} files"
    elif len(lines) < answer["matches"]:
        head += f"; {len(lines)} shown, narrow it with path or glob"
    if answer["skipped"]:
        head += f"; {answer['skipped']:,} binary or large files skipped"
    if not answer["complete"]:
        head += "; not all files were searched, the time was up"
    names = answer["names"][:10]
    if names:
        lines.append("files with this name: " + ", ".join(names))
    return "\n".join([head, *lines])
