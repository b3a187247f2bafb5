"""Runs the real command line in a process of its own, as a person's shell does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "mainspring.cli"]


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a person with this home, and no terminal of their own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAINSPRING_", "PYTEST_"))}
    return kept | {"MAINSPRING_HOME": str(home), "TERM": "dumb", "LC_ALL": "C.UTF-8"} | more


def mainspring(
    *arguments: str | Path | bytes,
    home: Path,
    stdin: bytes = b"",
    cwd: Path | None = None,
    expect: int | None = 0,
    timeout: float = 120,
    **more: str,
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end; fails the test when it exits otherwise than expected or shows a traceback."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env=environment(home, **more),
        timeout=timeout,
        check=False,
    )
    out, err = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    assert "Traceback" not in err, err
    if expect is not None:
        assert done.returncode == expect, f"exit {done.returncode}\nstdout: {out}\nstderr: {err}"
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def json_lines(text: str) -> list[dict[str, Any]]:
    """Every line as a JSON object; fails on any other line."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    return lines
