"""Looks for a pattern in what a process shows. A regular expression is tried in a process of its own, so that no
pattern, whoever chose it, can hold up a run."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import subprocess
import sys

from mainspring.errors import ToolError

MAX_CHARACTERS = 200
_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")
_PROGRAM = """
import json, re, sys
try:
    pattern = re.compile(sys.argv[1], re.MULTILINE)
except (re.error, OverflowError, RecursionError) as error:
    print(json.dumps(str(error)), flush=True)
    sys.exit()
for line in sys.stdin:
    print(json.dumps(pattern.search(json.loads(line)) is not None), flush=True)
"""


class Pattern:
    """A pattern, from `with` to its end.

    Args:
        source: plain text, or a regular expression that is tried line by line (``^`` and ``$`` are a line's ends).

    Raises:
        ToolError: it is too long; :meth:`found` raises it for one that is no regular expression.
    """

    def __init__(self, source: str) -> None:
        if len(source) > MAX_CHARACTERS or "\0" in source:
            raise ToolError(f"until must have at most {MAX_CHARACTERS} characters and no NUL; got {len(source)}")
        self._source = source
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: str | None = None
        self._open = False
        self._said = b""

    def __enter__(self) -> Pattern:
        if _SPECIAL.search(self._source):
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, self._source],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
            )
            assert self._process.stdout is not None
            os.set_blocking(self._process.stdout.fileno(), False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(OSError):
                self._process.communicate()

    def found(self, text: str, wait_s: float = 0.0) -> bool:
        """Whether it was found by now; a text that is still being searched counts as not found yet.

        Args:
            text: what there is by now.
            wait_s: how long to wait for the search.
        """
        if self._process is None:
            return self._source in text
        while True:
            if not self._open:
                if text == self._asked:
                    return False
                self._ask(text)
            answer = self._answer(wait_s)
            if answer is None:
                return False
            self._open = False
            if isinstance(answer, str):
                raise ToolError(
                    f"until={self._source!r} is no regular expression: {answer}; escape what is meant plainly"
                )
            if answer:
                return True

    def _ask(self, text: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._asked, self._open = text, True
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(text).encode() + b"\n")
            self._process.stdin.flush()

    def _answer(self, wait_s: float) -> bool | str | None:
        assert self._process is not None
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while b"\n" not in self._said:
            if not poll.poll(wait_s * 1000):
                return None
            data = os.read(fd, 65536)
            if not data:
                return None
            self._said += data
        line, _, self._said = self._said.partition(b"\n")
        answer: bool | str = json.loads(line)
        return answer
