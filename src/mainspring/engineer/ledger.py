"""What was verified of a patch and what was not: found out by the harness, never by the model's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Verdict: TypeAlias = Literal["passed", "failed", "not done"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Args:
        name: such as ``"syntax"`` or ``"whole suite"``.
        verdict: ``"passed"``, ``"failed"``, or ``"not done"`` (then `detail` says why).
        detail: what was found, for a person and for the model.
    """

    name: str
    verdict: Verdict
    detail: str

    def text(self) -> str:
        """One line, or more where there is more to say."""
        return f"{self.verdict.upper() if self.verdict == 'failed' else self.verdict}: {self.name}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What one verification of a patch found.

    Args:
        digest: of the patch that was verified (`Patch.digest`).
        files: how many files it changes.
        checks: each thing that was looked at, in order.
        seconds: how long it took.
    """

    digest: str
    files: int
    checks: tuple[Check, ...]
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing failed. What was not done does not fail, and the report says that it was not done."""
        return all(check.verdict != "failed" for check in self.checks)

    @property
    def undone(self) -> tuple[Check, ...]:
        """What was not looked at."""
        return tuple(check for check in self.checks if check.verdict == "not done")

    def encode(self) -> dict[str, Any]:
        """As JSON-ready data: what the tool `verify_change` answers, and what the journal therefore holds."""
        return {
            "verdict": "passed" if self.passed else "failed",
            "patch": self.digest,
            "files": self.files,
            "checks": [[check.name, check.verdict, check.detail] for check in self.checks],
            "seconds": round(self.seconds, 1),
        }

    @classmethod
    def decode(cls, data: Mapping[str, Any]) -> Verification:
        """Read what :meth:`encode` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        checks = tuple(Check(str(name), verdict, str(detail)) for name, verdict, detail in data["checks"])
        if any(check.verdict not in ("passed", "failed", "not done") for check in checks):
            raise ValueError("a check has no known verdict")
        return cls(str(data["patch"]), int(data["files"]), checks, float(data["seconds"]))
