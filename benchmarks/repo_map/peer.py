"""aider's repository map, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.peers.environment import QUIET, Peer, ensure
from benchmarks.repo_map.counting import vocabulary

ROOT = Path(__file__).resolve().parents[2]
AIDER = Peer("aider", "aider.txt", "benchmarks.repo_map.aider_worker", "from aider.repomap import RepoMap")
VERSION = "0.86.2"


class Aider:
    """A process that answers; a context manager."""

    def __init__(self, root: Path) -> None:
        environment = {**os.environ, **QUIET, "PYTHONPATH": str(ROOT), "TIKTOKEN_CACHE_DIR": str(vocabulary())}
        self._process = subprocess.Popen(
            [str(ensure(AIDER)), "-m", AIDER.loop],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            cwd=root,
        )
        self._ask(do="open", root=str(root))

    def scan(self, files: list[str]) -> float:
        """Make its cache warm for these files. Returns seconds."""
        return float(self._ask(do="scan", files=files)["seconds"])

    def maps(self, text: str, tests: list[str], budgets: list[int], chat: bool = True) -> dict[str, Any]:
        """Its maps for a question; with `chat` the tests are files in the chat, else files that were mentioned."""
        return self._ask(do="ask", text=text, tests=tests, budgets=budgets, chat=chat)

    def _ask(self, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"the peer stopped with exit status {self._process.wait()} at {str(question)[:200]}")
        found: dict[str, Any] = json.loads(answer)
        return found

    def __enter__(self) -> Aider:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
