"""Verifies a patch: in fresh copies of the repository, by its syntax, a security scan, and tests before and after.

Nothing that the agent left in its working copy besides the patch itself takes part: not an ignored file, not a cache,
not a process. What is tested is what a person will be offered.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.code.patch import Patch
from mainspring.engineer.accepted import accepted
from mainspring.engineer.ledger import Check, Verification
from mainspring.engineer.steering import steers
from mainspring.engineer.suites import Suite, compare, whole_suite
from mainspring.engineer.testfiles import is_prose, is_test
from mainspring.errors import SandboxError

if TYPE_CHECKING:
    from mainspring.code.git import CodeRecord

_NAMED = 8
#: Of the kept run of the suite without the change; another version is not read.
_FORMAT = 2
#: More failed tests than this are not taken for flaky ones.
_MAX_SUSPECTS = 20


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
    if record.copy.is_in_place and record.python is not None:
        # Git ignores it, so it is in no patch and in every fresh copy; a working copy's run cannot write to it.
        said = "the run worked in your own files and could write to their .venv, with which the tests were run"
        checks.append(Check("interpreter", "not done", said))
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
        settled = [f for f in found.introduced if any(j.settles(f) for j in justifications)]
        told = f"no open finding in {len(patch.changes)} files"
        checks.append(Check("scan", "passed", told + (f", {len(settled)} justified" if settled else "")))
        for one in settled:  # a reason is somebody's word, so it stands where nothing was verified
            who = "a person" if one.id in by_person else "the agent"
            why = by_person.get(one.id) or wanted.justified[one.id]
            said = f"{one.id} {one.severity} {one.rule} {one.path}:{one.line}; {who} says: {why}"
            checks.append(Check("justified finding", "not done", said))
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
        if all(is_prose(path) and not self._steers(path) for path in patch.paths):
            return [Check("whole suite", "not done", "only words for people were changed")]
        before = self._before()
        self.report("running the tests with the change")
        after = self._suite(patch)
        unsteady = self._unsteady(patch, before, after)
        suite = whole_suite(before, after, unsteady, accepted(self.home, self.record.run_id))
        if suite.verdict == "failed":
            return [suite]
        settings = self._settings(patch, before, after, unsteady)
        if settings and settings[0].verdict == "failed":
            return [suite, *settings]
        return [suite, *settings, self._shown(patch, before, after, unsteady)]

    def _steers(self, path: str) -> bool:
        return steers(path, self.wanted.test_command)

    def _settings(self, patch: Patch, before: Suite, after: Suite, unsteady: frozenset[str]) -> list[Check]:
        """What passes only because the change alters how the tests are run; nothing when it does not."""
        steering = [path for path in patch.paths if self._steers(path)]
        if not steering:
            return []
        name, files = "test settings", _listed(frozenset(steering))
        rest = Patch.of(change for change in patch.changes if change.path not in steering)
        if rest:
            self.report("running the tests with the change, and with the settings as they were")
        without = self._suite(rest) if rest else before
        if after.outcomes:
            only = after.named("passed") - without.named("passed") - unsteady
            if only:
                return [
                    Check(name, "not done", f"these pass only with the changed {files}: {_listed(only)}; look at it")
                ]
        elif after.ok and not without.ok:
            # Who writes the recipe decides what it says, and there is no single test to hold against it.
            said = f"the tests pass only with the changed {files}, and their runner names no single test"
            return [Check(name, "not done" if before.empty else "failed", said)]
        return [Check(name, "passed", f"what passes with the changed {files} passes without that, too")]

    def _shown(self, patch: Patch, before: Suite, after: Suite, unsteady: frozenset[str]) -> Check:
        """Whether a test fails without the change and passes with it."""
        name = "shown by a test"
        tests = Patch.of(change for change in patch.changes if is_test(change.path) or self._steers(change.path))
        mended = compare(before, after).mended - unsteady
        if not tests:
            if mended:
                return Check(name, "passed", f"failed before and pass now: {_listed(mended)}")
            if before.ran and not before.ok and not before.outcomes and not before.empty and after.ok:
                return Check(name, "passed", f"the suite failed before and passes now: {before.said}")
        source = Patch.of(change for change in patch.changes if tests.find(change.path) is None)
        if all(is_prose(path) for path in source.paths):
            return Check(name, "not done", "only tests, their settings and words were changed")
        if tests:
            # What the change itself brings to the tests shows nothing by passing: it has to fail without the rest.
            self.report("running the change's own tests without the change")
            without = self._suite(tests)
            if without.outcomes or after.outcomes:
                shown = (after.named("passed") - without.named("passed", "skipped")) - unsteady
            else:
                shown = frozenset({"the suite"}) if after.ok and without.ran and not without.ok else frozenset()
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
        """Tests that failed with the change and pass when the whole suite is run again.

        All of it, since a test that fails only after others have run would pass alone, and be no flaky one.
        """
        found = compare(before, after)
        suspects = found.broken | found.failing
        if not suspects or len(suspects) > _MAX_SUSPECTS:
            return frozenset()
        self.report(f"{len(suspects)} tests failed; running all of them again")
        return suspects & self._suite(patch).named("passed")

    def _before(self) -> Suite:
        """The suite without the change; it is run once for a run's base and command."""
        kept = self.home / "code" / f"{self.record.run_id}.before.json"
        key = [_FORMAT, self.record.base, self.wanted.test_command]
        try:
            data = json.loads(kept.read_text("utf-8"))
            if data["key"] == key:
                return Suite(**data["suite"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not run yet, or a half-written file: it is only a saving
        self.report("running the tests as they were before the change")
        found = self._suite(Patch())
        if found.ran:  # a run that was cut short tells too little to be held against every later one
            partial = kept.with_name(f"{kept.name}.{secrets.token_hex(4)}.partial")
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.write_text(json.dumps({"key": key, "suite": asdict(found)}), "utf-8")
            partial.replace(kept)
        return found

    def _suite(self, part: Patch) -> Suite:
        from mainspring.tools.runners import detect, run_tests

        with self.record.fresh(part) as copy:
            if self.wanted.test_command is None and not detect(copy.path):
                return Suite(True, False, {}, "no tests were found", empty=True)
            found = run_tests(
                copy.path,
                self.home,
                "",
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
