"""What the scanner says of each pair, and what its fixes do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.secure.functional import Outcome, try_out
from benchmarks.secure.snippets import Snippet
from mainspring.code.patch import FileChange, Patch
from mainspring.code.scan import Finding, apply_fixes, scan_files, scan_patch


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one pair.

    Args:
        snippet: the pair.
        hits: findings of its class in the vulnerable file.
        alarms: all findings above info in the clean twin, of whatever class.
        mended: the vulnerable file after the fixes, None where there was none.
        left: findings of its class that are left in the mended file.
        came: findings in the mended file that were not there before.
    """

    snippet: Snippet
    hits: tuple[Finding, ...]
    alarms: tuple[Finding, ...]
    mended: str | None
    left: int
    came: int

    @property
    def found(self) -> bool:
        """Whether the fault was found."""
        return bool(self.hits)

    @property
    def alarmed(self) -> bool:
        """Whether there was any false alarm."""
        return bool(self.alarms)

    @property
    def own_alarm(self) -> bool:
        """Whether there was one of the pair's class."""
        return any(one.cwe in self.snippet.relatives for one in self.alarms)


def judge(snippet: Snippet, scratch: Path) -> Verdict:
    """Scan both files, mend the vulnerable one and scan it again."""
    folder = scratch / snippet.name
    bad = scan(snippet, snippet.bad, folder / "bad")
    hits = tuple(one for one in bad if one.cwe in snippet.relatives)
    alarms = tuple(scan(snippet, snippet.good, folder / "good"))
    mended, left, came = None, 0, 0
    if hits:
        change = apply_fixes(hits, {snippet.path: snippet.bad}).find(snippet.path)
        if change is not None and change.after is not None:
            mended = change.after.decode()
            after = scan(snippet, mended, folder / "mended")
            left = sum(one.cwe in snippet.relatives for one in after)
            came = (kinds(after) - kinds(bad)).total()
    return Verdict(snippet, hits, alarms, mended, left, came)


def scan(snippet: Snippet, text: str, folder: Path) -> list[Finding]:
    """Findings above info in a file of the snippet's path: all, or what the change brings in."""
    file = folder / snippet.path
    file.parent.mkdir(parents=True, exist_ok=True)
    if snippet.before is not None:
        file.write_text(snippet.before)
        change = FileChange(snippet.path, snippet.before.encode(), text.encode())
        return list(scan_patch(Patch((change,)), folder).open())
    file.write_text(text)
    return list(scan_files([folder], root=folder).open())


def kinds(findings: Iterable[Finding]) -> Counter[str]:
    """How many findings of each rule."""
    return Counter(one.rule for one in findings)


def run_tests(verdicts: Sequence[Verdict], scratch: Path) -> dict[str, Outcome]:
    """Test the vulnerable, the clean and the mended programs: ``NAME.bad``, ``NAME.good``, ``NAME.mended``."""
    programs: dict[str, tuple[str, str]] = {}
    for verdict in verdicts:
        one = verdict.snippet
        if one.testable and one.test is not None:
            programs[one.name + ".bad"] = one.bad, one.test
            programs[one.name + ".good"] = one.good, one.test
            if verdict.mended is not None:
                programs[one.name + ".mended"] = verdict.mended, one.test
    return try_out(programs, scratch)


def fix_state(verdict: Verdict, outcomes: dict[str, Outcome]) -> str:
    """What became of the fault.

    Returns:
        ``"missed"``, ``"no_fix"``, ``"still_found"`` (or another finding came), ``"untested"`` (no functional test),
        ``"broken_by_fix"``, ``"attack_works"`` (the attack on the mended program succeeds) or ``"fixed"``.
    """
    if not verdict.found:
        return "missed"
    if verdict.mended is None:
        return "no_fix"
    if verdict.left or verdict.came:
        return "still_found"
    outcome = outcomes.get(verdict.snippet.name + ".mended")
    if outcome is None:
        return "untested"
    if not outcome.works:
        return "broken_by_fix"
    return "attack_works" if outcome.attack else "fixed"


def faults(verdicts: Sequence[Verdict], outcomes: dict[str, Outcome]) -> list[str]:
    """Pairs that are no fair measure: a test that fails on either file, an attack that misses or hits the wrong one."""
    wrong = []
    for name in (v.snippet.name for v in verdicts):
        bad, good = outcomes.get(name + ".bad"), outcomes.get(name + ".good")
        if bad is None or good is None:
            continue
        if not bad.works or not good.works:
            wrong.append(f"{name}: {bad.error or good.error}")
        elif bad.attack is False or good.attack:
            wrong.append(f"{name}: attack on the vulnerable {bad.attack}, on the clean {good.attack}")
    return wrong
