"""The report of a run on code: what the agent says, what was verified of it, and what was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.code.patch import Patch
from mainspring.engineer.journal import verification_of
from mainspring.engineer.ledger import Verification

if TYPE_CHECKING:
    from mainspring.runtime.run import Run


@dataclass(frozen=True, slots=True)
class Report:
    """How a run on code ended.

    Args:
        run_id: which run.
        status: its status; ``"done"`` only when the patch passed its verification, or nothing was changed.
        reason: why it is not done, or "".
        summary: the agent's own words, which nobody verified.
        patch: what it changed.
        verification: what was found of exactly this patch, or None when it was never verified.
        repository: the repository that it is for, as text.
    """

    run_id: str
    status: str
    reason: str
    summary: str
    patch: Patch
    verification: Verification | None
    repository: str = ""

    @classmethod
    def of(cls, run: Run) -> Report:
        """From a run's journal and its working copy, as they are now. Raises ToolError when there is no such copy."""
        from mainspring.code.git import load

        record = load(run.home, run.id)
        patch = record.patch()
        found = verification_of(run.events(), patch.digest) if patch else None
        said = run.output if isinstance(run.output, str) else ""
        return cls(run.id, run.status, run.reason, said, patch, found, str(record.repository.top))

    @property
    def verified(self) -> bool:
        """Whether exactly this patch passed its verification."""
        return self.verification is not None and self.verification.passed

    def text(self) -> str:
        """For a person: plain lines."""
        lines = [self._headline()]
        if self.summary:
            lines += ["", "The agent says:", *(f"  {line}" for line in self.summary.splitlines())]
        if self.patch:
            lines += ["", f"Changed ({len(self.patch.changes)} files):", *self._files()]
        found = self.verification
        for title, verdict in (("Failed", "failed"), ("Verified", "passed"), ("Not verified", "not done")):
            checks = [c for c in found.checks if c.verdict == verdict] if found is not None else []
            if checks:
                lines += ["", f"{title}:"]
                lines += [f"  {c.name}: " + c.detail.replace("\n", "\n    ") for c in checks]
        if self.patch and found is None:
            lines += ["", "Not verified:", "  anything: this patch, as it is now, was never verified"]
        if self.patch:
            lines += [
                "",
                f"See it:   mainspring code diff {self.run_id}",
                f"Take it:  mainspring code apply {self.run_id}",
            ]
        return "\n".join(lines)

    def encode(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "run_id": self.run_id,
            "status": self.status,
            "reason": self.reason,
            "summary": self.summary,
            "repository": self.repository,
            "patch": self.patch.digest if self.patch else None,
            "files": [
                {"path": c.path, "kind": c.kind, "added": len(c.added_lines()), "removed": len(c.removed_lines())}
                for c in self.patch.changes
            ],
            "verified": self.verified,
            "verification": self.verification.encode() if self.verification is not None else None,
        }

    def _headline(self) -> str:
        if self.status == "done":
            return f"Done: {'a patch that passed its verification' if self.patch else 'nothing was changed'}."
        why = f": {self.reason}" if self.reason else ""
        return f"Not done ({self.status.replace('_', ' ')}{why})."

    def _files(self) -> list[str]:
        return [
            f"  {change.kind:8} {change.path}  +{len(change.added_lines())} -{len(change.removed_lines())}"
            for change in self.patch.changes
        ]
