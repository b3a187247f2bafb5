"""Verifies a patch: in fresh copies of the repository, by its syntax, a security scan, and tests before and after.

Nothing that the agent left in its working copy besides the patch itself takes part: not an ignored file, not a cache,
not a process. What is tested is what a person will be offered.
"""

from __future__ import annotations

import json
import shlex
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.code.patch import Patch
from mainspring.engineer.accepted import accepted
from mainspring.engineer.ledger import Check, Verification
from mainspring.engineer.suites import Suite, compare, whole_suite
from mainspring.engineer.testfiles import is_prose, is_test
from mainspring.errors import SandboxError

if TYPE_CHECKING:
    from mainspring.code.git import CodeRecord

_NAMED = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to verify.

    Args:
        test_command: how the tests are run; detected when None.
        timeout_s: seconds for one run of the tests.
        justified: finding id -> why the model holds it for no fault; severe ones need a person instead.
        no_test: why no test can show the change, "" when one has to.
    """

    test_command: str | None = None
    timeout_s: float = 1800.0
    justified: Mapping[str, str] = field(default_factory=dict)
    no_test: str = ""


def verify(
    record: CodeRecord,
    home: Path,
    wanted: Wanted,
    report: Callable[[str], None] = lambda line: None,
    stop: threading.Event | None = None,
) -> Verification:
    """Look at everything there is to look at in the working copy's patch.

    Args:
        record: which working copy, of which repository.
        home: Mainspring's folder.
        wanted: how.
        report: receives a line of progress.
        stop: set it to end the tests.

    Raises:
        ToolError: the working copy cannot be read.
        SandboxError: tests cannot be run on this machine, or were cancelled.
    """
    began = time.monotonic()
    patch = record.patch()
    if not patch:
        return Verification(patch.digest, 0, (Check("patch", "not done", "no file was changed"),))
    report(f"verifying {len(patch.changes)} files: syntax and scan")
    checks = [syntax(patch), *scan(record, home, patch, wanted)]
    if checks[0].verdict != "failed":
        checks += _Tests(record, home, wanted, report, stop or threading.Event()).judge(patch)
    return Verification(patch.digest, len(patch.changes), tuple(checks), time.monotonic() - began)


def syntax(patch: Patch) -> Check:
    """Whether each changed file still parses, where its language is known and it parsed before."""
    from mainspring.code.edit import check_syntax

    broken, looked = [], 0
    for change in patch.changes:
        if change.after is None or change.binary:
            continue
        looked += 1
        wrong = check_syntax(change.path, change.after)
        if wrong is not None and (change.before is None or check_syntax(change.path, change.before) is None):
            broken.append(f"{change.path}: {wrong}")
    if broken:
        return Check("syntax", "failed", "; ".join(broken[:_NAMED]))
    return Check("syntax", "passed", f"{looked} changed files")


def scan(record: CodeRecord, home: Path, patch: Patch, wanted: Wanted) -> list[Check]:
    """The security scan: what the patch brings in, without what was justified or accepted."""
    from mainspring.code.scan import Justification, scan_patch

    found = scan_patch(patch, record.path, advisories=home / "advisories")
    by_person = accepted(home, record.run_id)
    justifications = [Justification(key, reason, "model") for key, reason in wanted.justified.items()]
    justifications += [Justification(key, reason, "person") for key, reason in by_person.items()]
    still = found.open(justifications)
    checks = []
    if still:
        lines = [
            f"{f.id} {f.severity} {f.rule} {f.cwe or ''} {f.path}:{f.line} {f.message}".replace("  ", " ")
            for f in still[:_NAMED]
        ]
        more = f"\n(and {len(still) - _NAMED} more)" if len(still) > _NAMED else ""
        checks.append(Check("scan", "failed", "\n".join(lines) + more))
    else:
        settled = sum(1 for finding in found.introduced if finding.id in {j.finding_id for j in justifications})
        told = f"no open finding in {len(patch.changes)} files"
        checks.append(Check("scan", "passed", told + (f", {settled} justified" if settled else "")))
    checks += [Check("scan", "not done", note) for note in found.notes]
    return checks


class _Tests:
    """Runs the suite on the base, on the whole patch, and on the patch's tests alone."""

    def __init__(
        self,
        record: CodeRecord,
        home: Path,
        wanted: Wanted,
        report: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        self.record, self.home, self.wanted, self.report, self.stop = record, home, wanted, report, stop

    def judge(self, patch: Patch) -> list[Check]:
        if all(is_prose(path) for path in patch.paths):
            return [Check("whole suite", "not done", "only words for people were changed")]
        before = self._before()
        self.report("running the tests with the change")
        after = self._suite(patch)
        unsteady = self._unsteady(patch, before, after)
        suite = whole_suite(before, after, unsteady)
        if suite.verdict == "failed":
            return [suite]
        return [suite, self._shown(patch, before, after, unsteady)]

    def _shown(self, patch: Patch, before: Suite, after: Suite, unsteady: frozenset[str]) -> Check:
        """Whether a test fails without the change and passes with it."""
        name = "shown by a test"
        # A test that the change itself edits shows nothing by passing now; it is run without the change below.
        edited = tuple(f"{path}::" for path in patch.paths)
        mended = frozenset(t for t in compare(before, after).mended - unsteady if not t.startswith(edited))
        if mended:
            return Check(name, "passed", f"failed before and pass now: {_listed(mended)}")
        if not before.ok and not before.outcomes and after.ok:
            return Check(name, "passed", f"the suite failed before and passes now: {before.said}")
        tests = Patch.of(change for change in patch.changes if is_test(change.path))
        source = [path for path in patch.paths if not is_test(path) and not is_prose(path)]
        if not source:
            return Check(name, "not done", "only tests and words were changed")
        if tests:
            self.report("running the change's own tests without the change")
            without = self._suite(tests)
            if without.outcomes or after.outcomes:
                shown = (after.named("passed") - without.named("passed", "skipped")) - unsteady
            else:
                shown = frozenset({"the suite"}) if after.ok and not without.ok else frozenset()
            if shown:
                return Check(name, "passed", f"fail without the change and pass with it: {_listed(shown)}")
        if self.wanted.no_test:
            return Check(name, "not done", f"no test shows it; the agent's reason: {self.wanted.no_test}")
        if after.empty:
            return Check(name, "not done", "the project has no tests that were found, and the change brings none")
        return Check(
            name,
            "failed",
            "no test fails without the change and passes with it; write one (or say in no_test why none can)",
        )

    def _unsteady(self, patch: Patch, before: Suite, after: Suite) -> frozenset[str]:
        """Tests that failed with the change and pass when run again."""
        found = compare(before, after)
        suspects = sorted(found.broken | found.failing)
        if not suspects or len(suspects) > 20:
            return frozenset()
        self.report(f"running {len(suspects)} failed tests again")
        again = self._suite(patch, suspects)
        return frozenset(suspects) & again.named("passed")

    def _before(self) -> Suite:
        """The suite without the change; it is run once for a run's base and command."""
        kept = self.home / "code" / f"{self.record.run_id}.before.json"
        key = [self.record.base, self.wanted.test_command]
        try:
            data = json.loads(kept.read_text("utf-8"))
            if data["key"] == key:
                return Suite(**data["suite"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not run yet, or a half-written file: it is only a saving
        self.report("running the tests as they were before the change")
        found = self._suite(Patch())
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept.write_text(json.dumps({"key": key, "suite": asdict(found)}), "utf-8")
        return found

    def _suite(self, part: Patch, only: list[str] | None = None) -> Suite:
        from mainspring.tools.runners import detect, run_tests

        with self.record.fresh(part) as copy:
            if self.wanted.test_command is None and not detect(copy.path):
                return Suite(True, False, {}, "no tests were found", empty=True)
            found = run_tests(
                copy.path,
                self.home,
                shlex.join(only or []),
                self.wanted.test_command,
                self.wanted.timeout_s,
                python=copy.python,
                stop=self.stop,
                report=self.report,
            )
        if found.ended == "cancelled":
            raise SandboxError("the tests were cancelled")
        return Suite.of(found)


def _listed(tests: frozenset[str]) -> str:
    names = sorted(tests)
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
