"""The report of a run on code: what the agent says, what was verified of it, and what was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.code.patch import Patch
from mainspring.engineer.journal import verifications_in
from mainspring.engineer.ledger import Verification
from mainspring.tools.names import printable

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
        left_out: what lies in the working copy, is not in the patch and so was not verified, and why.
        failed_before: how many earlier verifications of this very patch failed in the tests.
    """

    run_id: str
    status: str
    reason: str
    summary: str
    patch: Patch
    verification: Verification | None
    repository: str = ""
    left_out: tuple[str, ...] = ()
    failed_before: int = 0

    @classmethod
    def of(cls, run: Run) -> Report:
        """From a run's journal and its working copy, as they are now. Raises ToolError when there is no such copy."""
        from mainspring.code.git import load

        record = load(run.home, run.id)
        patch, left_out = record.copy.look() if record.exists else (record.patch(), ())
        found = verifications_in(run, patch.digest) if patch else []
        failed = sum(1 for v in found[:-1] if any(c.name == "whole suite" and c.verdict == "failed" for c in v.checks))
        new = tuple(line for line in left_out if line not in record.copy.snapshot.left_out)
        return cls(
            run.id,
            run.status,
            run.reason,
            run.output if isinstance(run.output, str) else "",
            patch,
            found[-1] if found else None,
            str(record.repository.top),
            new,
            failed,
        )

    @property
    def verified(self) -> bool:
        """Whether exactly this patch passed its verification."""
        return self.verification is not None and self.verification.passed

    @property
    def done(self) -> bool:
        """Whether the run ended as done and what is there now is what was verified, or nothing was changed."""
        return self.status == "done" and (self.verified or not self.patch)

    def text(self) -> str:
        """For a person: plain lines, of which nothing that others wrote can begin one."""
        lines = [self._headline()]
        if self.summary:
            lines += ["", "The agent says:", *(f"  {_plain(line)}" for line in self.summary.split("\n"))]
        if self.patch:
            lines += ["", f"Changed ({len(self.patch.changes)} files):", *self._files()]
        for title, told in (("Failed", self._told("failed")), ("Verified", self._told("passed"))):
            lines += ["", f"{title}:", *told] if told else []
        missing = self._told("not done")
        if self.patch and self.verification is None:
            missing.append("  anything: this patch, as it is now, was never verified")
        if self.failed_before and self.verified:
            missing.append(f"  steadiness: the tests of this very patch failed {self.failed_before} times before")
        missing += [line for said in self.left_out for line in _inside(f"not in the patch: {said}")]
        lines += ["", "Not verified:", *missing] if missing else []
        if self.patch:
            lines += [
                "",
                f"See it:   mainspring code diff {self.run_id}",
                f"Take it:  mainspring code apply {self.run_id}" + ("" if self.verified else "   (NOT verified)"),
            ]
        return "\n".join(lines)

    def _told(self, verdict: str) -> list[str]:
        checks = self.verification.checks if self.verification is not None else ()
        return [line for c in checks if c.verdict == verdict for line in _inside(f"{c.name}: {c.detail}")]

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
            "done": self.done,
            "verified": self.verified,
            "failed_before": self.failed_before,
            "left_out": list(self.left_out),
            "verification": self.verification.encode() if self.verification is not None else None,
        }

    def _headline(self) -> str:
        if self.done and not self.patch:
            return "Done: nothing was changed."
        if self.done:
            undone = self.verification.undone if self.verification is not None else ()
            names = ", ".join(dict.fromkeys(check.name for check in undone if check.name != "scan"))
            return "Done: a patch that passed its verification." + (f" Not verified: {names}." if names else "")
        if self.status == "done":
            return "Not done (the files were changed after the patch was verified)."
        why = f": {' '.join(_plain(self.reason).split())}" if self.reason else ""
        return f"Not done ({self.status.replace('_', ' ')}{why})."

    def _files(self) -> list[str]:
        return [
            f"  {change.kind:8} {printable(change.path)}  +{len(change.added_lines())} -{len(change.removed_lines())}"
            for change in self.patch.changes
        ]


def _inside(text: str) -> list[str]:
    """The lines of a text that somebody else wrote, set in; lines that go on are set in further."""
    first, *rest = text.split("\n")
    return [f"  {_plain(first)}", *(f"    {_plain(line)}" for line in rest)]


def _plain(text: str) -> str:
    """Without what would end a line, move a cursor or hide words."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
