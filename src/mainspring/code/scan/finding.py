"""What a scan says: findings with ids that survive moved lines, and what may be justified by whom."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

__all__ = ["SEVERITIES", "Draft", "Finding", "Justification", "ScanReport", "ScanSettings", "finish"]

#: From what only informs to what a person must decide on.
SEVERITIES = ("info", "low", "medium", "high")
#: How much of a line is kept in a finding, in characters.
SNIPPET = 160


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """Bounds of one scan; what exceeds them is told in the report's notes.

    Args:
        max_files: files that are read.
        max_bytes: size of a file that is read as code.
        max_findings: findings that are kept, the most severe first.
        max_seconds: after this no further file is begun.
        bandit: whether bandit's checks are run beside our own.
    """

    max_files: int = 2000
    max_bytes: int = 1 << 20
    max_findings: int = 500
    max_seconds: float = 120.0
    bandit: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a scan found.

    Args:
        id: the same after lines moved, another when the line itself changed.
        rule: such as ``"sql-injection"``.
        cwe: such as ``"CWE-89"``, None where no class fits.
        severity: ``"info"``, ``"low"``, ``"medium"`` or ``"high"``; an info is never open.
        confidence: ``"low"``, ``"medium"`` or ``"high"``.
        path: relative to the repository.
        line: from 1; of the new side, or of the old one where something was taken away.
        message: what is wrong.
        snippet: the line, shortened; a secret in it is masked.
        fix: what to do instead.
        introduced: whether the patch brings it in.
    """

    id: str
    rule: str
    cwe: str | None
    severity: str
    confidence: str
    path: str
    line: int
    message: str
    snippet: str
    fix: str
    introduced: bool = True

    @property
    def rank(self) -> int:
        """The severity as a number, 0 for an info."""
        return SEVERITIES.index(self.severity)


@dataclass(frozen=True, slots=True)
class Justification:
    """Why a finding is no fault. `by` is ``"model"`` or names a person."""

    finding_id: str
    reason: str
    by: str

    def settles(self, finding: Finding) -> bool:
        """Whether it is enough: there is a reason, and a high finding needs a person."""
        if finding.id != self.finding_id or not self.reason.strip() or not self.by.strip():
            return False
        return finding.severity != "high" or self.by != "model"


@dataclass(frozen=True)
class ScanReport:
    """What was found, and in `notes` what was not looked at and why."""

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def introduced(self) -> tuple[Finding, ...]:
        """What the patch brings in."""
        return tuple(finding for finding in self.findings if finding.introduced)

    @property
    def older(self) -> tuple[Finding, ...]:
        """What was in the touched files before."""
        return tuple(finding for finding in self.findings if not finding.introduced)

    def open(self, justifications: Collection[Justification] = ()) -> tuple[Finding, ...]:
        """Introduced findings above info that no justification settles, the most severe first."""
        return tuple(
            finding
            for finding in self.introduced
            if finding.rank > 0 and not any(one.settles(finding) for one in justifications)
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """A finding before it has an id: `evidence` is what the id is made of, by default the line's text."""

    rule: str
    cwe: str | None
    severity: str
    confidence: str
    line: int
    message: str
    fix: str = ""
    snippet: str = ""
    evidence: str = ""


def finish(drafts: Iterable[Draft], path: str, lines: list[str]) -> list[Finding]:
    """Findings of one file: sorted by line, one a rule and line, with ids."""
    best: dict[tuple[str, int], Draft] = {}
    for draft in drafts:
        key = (draft.rule, draft.line)
        if key not in best or SEVERITIES.index(draft.severity) > SEVERITIES.index(best[key].severity):
            best[key] = draft
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for draft in sorted(best.values(), key=lambda one: (one.line, one.rule)):
        text = draft.snippet or (lines[draft.line - 1] if 0 < draft.line <= len(lines) else "")
        evidence = normal(draft.evidence or text)
        number = seen[draft.rule, evidence]
        seen[draft.rule, evidence] += 1
        digest = hashlib.sha256("\0".join((draft.rule, path, evidence, str(number))).encode("utf-8", "replace"))
        found.append(
            Finding(
                digest.hexdigest()[:12],
                draft.rule,
                draft.cwe,
                draft.severity,
                draft.confidence,
                path,
                draft.line,
                draft.message,
                shorten(text.strip()),
                draft.fix,
            )
        )
    return found


def older(finding: Finding) -> Finding:
    """The finding as one that was there before."""
    return replace(finding, introduced=False)


def normal(text: str) -> str:
    """A text without what moves when code is formatted again."""
    return re.sub(r"\s+", "", text[:4000])


def shorten(text: str) -> str:
    """At most `SNIPPET` characters."""
    return text if len(text) <= SNIPPET else text[: SNIPPET - 1] + "…"
