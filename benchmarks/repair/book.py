"""The results so far, in a file, so that a long benchmark can be interrupted and go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.repair.bugs import Bug, Sound

Row = dict[str, Any]


class Book:
    """Bugs and results; without a path they are kept in memory only.

    Args:
        path: a JSON file, read when it exists and written after every result.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.bugs: dict[str, list[Bug]] = {}
        self.sound: Sound = {}
        self.results: list[Row] = []
        if path is not None and path.exists():
            kept = json.loads(path.read_text("utf-8"))
            self.bugs, self.sound, self.results = kept["bugs"], kept.get("sound", {}), kept["results"]

    def add(self, result: Row) -> None:
        """Note one result and write the file."""
        self.results.append(result)
        self.save()

    def save(self) -> None:
        """Write the file, if one is named."""
        if self.path is not None:
            partial = self.path.with_suffix(".partial")
            content = {"bugs": self.bugs, "sound": self.sound, "results": self.results}
            partial.write_text(json.dumps(content, indent=1), "utf-8")
            partial.replace(self.path)

    def find(self, model: str, arm: str, bug: Bug, tokens: int) -> Row | None:
        """The result of this model and arm for this bug with this budget of tokens, if there is one."""
        wanted = (model, arm, bug["id"], tokens)
        return next((r for r in self.results if (r["model"], r["arm"], r["bug"], r["budget"]) == wanted), None)
