"""Which tests to run first: what failed before, then what a change touches, quick ones before slow ones."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mainspring.tools.runners.report import TestReport

_MOST_TESTS = 20_000
_BAD = ("failed", "error")


@dataclass(slots=True)
class History:
    """What is known of a workspace's tests from earlier runs: the last outcome and seconds of each.

    Kept in ``home/tests/``, in a file per workspace; a file that cannot be read counts as none.
    """

    outcomes: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """Tests whose last outcome was bad."""
        return [test for test, outcome in self.outcomes.items() if outcome in _BAD]

    @classmethod
    def load(cls, home: Path, workspace: Path) -> History:
        """What was kept of a workspace."""
        try:
            kept = json.loads(_file(home, workspace).read_text("utf-8"))
            return cls(
                {str(test): str(row[0]) for test, row in kept.items()},
                {str(test): float(row[1]) for test, row in kept.items()},
            )
        except (OSError, ValueError, TypeError, AttributeError, IndexError, KeyError):
            return cls()

    def note(self, report: TestReport) -> None:
        """Take over what a run told; tests that it did not run keep what is known of them."""
        for test in report.tests:
            self.outcomes.pop(test.id, None)  # the newest are last, and the oldest are forgotten first
            self.outcomes[test.id] = test.outcome
            if test.outcome != "skipped":
                self.seconds[test.id] = round(test.seconds, 4)
        for test_id in list(self.outcomes)[:-_MOST_TESTS]:
            del self.outcomes[test_id]
            self.seconds.pop(test_id, None)

    def save(self, home: Path, workspace: Path) -> None:
        """Write it to disk, whole or not at all. Raises OSError when the disk is full or the folder is not ours."""
        target = _file(home, workspace)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = target.with_suffix(f".{secrets.token_hex(4)}")
        try:
            with open(temporary, "w", encoding="utf-8", errors="replace") as file:
                json.dump({t: [outcome, self.seconds.get(t, 0.0)] for t, outcome in self.outcomes.items()}, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()


def order(
    tests: Iterable[str],
    changed_paths: Sequence[str] = (),
    failed_before: Iterable[str] = (),
    index: Callable[[str], Iterable[str]] | None = None,
    seconds: Mapping[str, float] | None = None,
) -> tuple[list[str], list[str]]:
    """Tests that matter first, and the rest; in each group the quick ones first, unknown ones after those.

    Args:
        tests: ids, as a report's `outcomes` names them.
        changed_paths: files or symbols that were changed; a test in a changed file matters, and so does one in a file
            that is named after it (``test_calc.py`` for ``calc.py``).
        failed_before: ids of tests that failed when they were last run.
        index: path or symbol -> tests for it, as ids or as files of tests; such as a code index's `tests_for`.
        seconds: test id -> how long it took.
    """
    took = seconds or {}
    bad = set(failed_before)
    wanted = set(changed_paths)
    for path in changed_paths:
        wanted |= {str(test) for test in index(path)} if index is not None else set()
    stems = {Path(path).stem for path in changed_paths if "/" in path or "." in path}

    def rank(test: str) -> int:
        file = test.partition("::")[0]
        if test in bad:
            return 0
        if test in wanted or file in wanted:
            return 1
        stem = Path(file).stem
        named = stem.removeprefix("test_").removesuffix("_test").removesuffix(".test").removesuffix(".spec")
        return 2 if named in stems else 3

    ranked = sorted((rank(test), took.get(test, 1e9), number, test) for number, test in enumerate(dict.fromkeys(tests)))
    return [row[3] for row in ranked if row[0] < 3], [row[3] for row in ranked if row[0] == 3]


def _file(home: Path, workspace: Path) -> Path:
    name = hashlib.sha256(os.fsencode(os.path.realpath(workspace))).hexdigest()[:32]
    return home / "tests" / f"{name}.json"
