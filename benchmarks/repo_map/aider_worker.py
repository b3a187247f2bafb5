"""Runs in the peer's environment: aider's RepoMap, asked line by line.

It gets what its own chat would give it: the files in the chat, the files and names that its own functions find in the
task. Three things are set for the comparison, all in its favour or neutral: tokens are counted exactly (not by a
sample of lines); the target is moved around the budget until its map is as large as it can be below it, since it takes
15% more or less for good; and its rule of an eight times larger map without chat files is off.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import tiktoken
from aider.coders.base_coder import Coder
from aider.repomap import RepoMap

_encoding = tiktoken.get_encoding("cl100k_base")


def count(text: str) -> int:
    """Tokens of a text, as for every map that is compared."""
    return len(_encoding.encode(text, disallowed_special=()))


class _Model:
    def token_count(self, text: str) -> int:
        return count(text)


class _Quiet:
    """Its console."""

    def tool_output(self, *_: Any, **__: Any) -> None:
        return

    tool_warning = tool_error = tool_output

    def read_text(self, path: str, silent: bool = False) -> str | None:
        try:
            return Path(path).read_text("utf-8")
        except (OSError, UnicodeError):
            return None


class _Map(RepoMap):  # type: ignore[misc]
    """With exact counts, and the ranking of one question kept for all its budgets."""

    ranked: Any = None

    def token_count(self, text: str) -> int:
        return count(text)

    def get_ranked_tags(self, *args: Any, **named: Any) -> Any:
        if self.ranked is None:
            self.ranked = super().get_ranked_tags(*args, **named)
        return self.ranked


class _Chat:
    """What its functions that look for names and files in a message need of a chat."""

    def __init__(self, files: list[str], opened: list[str]) -> None:
        self.abs_read_only_fnames: list[str] = []
        self._files, self._opened = files, opened

    def get_all_relative_files(self) -> list[str]:
        return self._files

    def get_addable_relative_files(self) -> set[str]:
        return set(self._files) - set(self._opened)

    def get_inchat_relative_files(self) -> list[str]:
        return self._opened


class _Worker:
    def open(self, root: str) -> dict[str, Any]:
        self.root = root
        self.map = _Map(root=root, main_model=_Model(), io=_Quiet(), map_mul_no_files=1, refresh="always")
        return {}

    def scan(self, files: list[str]) -> dict[str, Any]:
        """Read what files define and use into its cache."""
        self.files = files
        began = time.perf_counter()
        for path in files:
            full = os.path.join(self.root, path)
            if os.path.isfile(full):
                self.map.get_tags(full, path)
        return {"seconds": time.perf_counter() - began}

    def ask(self, text: str, tests: list[str], chat: bool, budgets: list[int]) -> dict[str, Any]:
        """The maps of one question, one for each budget."""
        began = time.perf_counter()
        opened = tests if chat else []
        session = _Chat(self.files, opened)
        names = Coder.get_ident_mentions(session, text)
        mentioned = Coder.get_file_mentions(session, text) | Coder.get_ident_filename_matches(session, names)
        if not chat:
            mentioned |= set(tests)
        in_chat = {os.path.join(self.root, path) for path in opened}
        others = {os.path.join(self.root, path) for path in self.files} - in_chat
        self.map.ranked = None
        maps = []
        for budget in budgets:
            for percent in range(112, 50, -4):
                self.map.max_map_tokens = budget * percent // 100
                shown = self.map.get_repo_map(in_chat, others, mentioned, names) or ""
                tokens = count(shown)
                if tokens <= budget:
                    break
            maps.append({"text": shown, "tokens": tokens})
        return {"maps": maps, "seconds": time.perf_counter() - began, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Answer questions, one JSON object a line."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever it prints is no answer
    worker = _Worker()
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(getattr(worker, question.pop("do"))(**question)), file=answers, flush=True)


if __name__ == "__main__":
    main()
