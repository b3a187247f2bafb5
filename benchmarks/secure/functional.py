"""Does a program still do its job, and does the attack on it still work: tried in the sandbox."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mainspring.tools.sandbox import Sandbox

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one program.

    Args:
        works: its functional test passed.
        attack: the attack succeeded; None where there is none, or the program does not work.
        error: why it does not work.
    """

    works: bool
    attack: bool | None
    error: str


def try_out(programs: Mapping[str, tuple[str, str]], scratch: Path) -> dict[str, Outcome]:
    """Run the tests of programs.

    Args:
        programs: the program and its test, by a name that can be a folder's.
        scratch: a folder in which the workspace is made.

    Raises:
        RuntimeError: not every program got an answer.
    """
    if not programs:
        return {}
    with tempfile.TemporaryDirectory(dir=scratch, prefix="programs-") as name:
        workspace = Path(name)
        shutil.copy(HERE / "probe.py", workspace)
        shutil.copytree(HERE / "stubs", workspace / "stubs", ignore=shutil.ignore_patterns("__pycache__"))
        for key, (program, test) in programs.items():
            folder = workspace / "cases" / key
            folder.mkdir(parents=True)
            (folder / "app.py").write_text(program)
            (folder / "check.py").write_text(test)
        done = Sandbox(workspace, python=sys.executable).run(["python", "probe.py"], timeout_s=600)
    answers = [json.loads(line) for line in done.output.splitlines() if line.startswith('{"case"')]
    found = {one["case"]: Outcome(one["works"], one["attack"], one["error"]) for one in answers}
    if found.keys() != programs.keys():
        raise RuntimeError(
            f"programs without an answer: {sorted(programs.keys() - found.keys())}: {done.output[-500:]}"
        )
    return found
