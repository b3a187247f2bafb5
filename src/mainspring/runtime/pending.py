"""What a run waits for a person to decide, and the answers that a person may give."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mainspring.errors import ApprovalError
from mainspring.store import open_store


@dataclass(frozen=True, slots=True)
class Pending:
    """Something that a run waits for a person to decide.

    Args:
        id: of the approval, or of the doubt (``RUN:INTENT.ATTEMPT``: another attempt is another doubt).
        kind: ``"approval"`` (may this call be made?) or ``"doubt"`` (did this call take effect?).
        arguments: exactly what would be, or was, passed.
        reason: why a person is asked.
        digest: what an approval is bound to: run, tool, arguments and label.
        requested_at, expires_at: Unix times.
    """

    id: str
    kind: Literal["approval", "doubt"]
    run_id: str
    tool: str
    arguments: dict[str, Any]
    reason: str
    digest: str
    requested_at: float
    expires_at: float | None
    home: Path

    @classmethod
    def list(cls, home: str | Path | None = None) -> builtins.list[Pending]:
        """What all runs of a home wait for, oldest first."""
        from mainspring.runtime.run import Run

        store = open_store(home)
        found: builtins.list[Pending] = []
        for status in ("waiting", "in_doubt", "running"):
            for row in store.rows(status=status, limit=10_000):
                found += Run(row.id, store).pending()
        return sorted(found, key=lambda p: p.requested_at)

    @classmethod
    def load(cls, id: str, home: str | Path | None = None) -> Pending:
        """One by its id; raises ApprovalError when nothing with this id waits."""
        from mainspring.runtime.run import Run

        store = open_store(home)
        run_id = id.rpartition(":")[0] if ":" in id else store.approval(id).run_id
        for pending in Run.load(run_id, home).pending():
            if pending.id == id:
                return pending
        raise ApprovalError(f"nothing with the id {id!r} waits any more; see `mainspring approvals list`")

    def approve(self, *, by: str, reason: str = "") -> None:
        """Allow exactly this call, once.

        Raises:
            ApprovalError: it is a doubt, or was answered already, or has expired.
        """
        self._must_be("approval")
        open_store(self.home).answer(self.id, "approved", by=checked_name(by), reason=reason)

    def deny(self, *, by: str, reason: str = "") -> None:
        """Refuse this call; the model is told the reason."""
        self._must_be("approval")
        open_store(self.home).answer(self.id, "denied", by=checked_name(by), reason=reason)

    def settle(
        self, answer: Literal["happened", "did_not", "abort"], *, by: str, value: str | None = None, reason: str = ""
    ) -> None:
        """Settle a doubt.

        Args:
            answer: ``"happened"`` (the model is told so, with `value` as the tool's answer), ``"did_not"`` (the call
                is made again, under the same intent and key) or ``"abort"`` (it is given up).

        Raises:
            ApprovalError: it is an approval, was settled already, or the call was tried again since.
        """
        from mainspring.runtime.run import Run

        self._must_be("doubt")
        if answer not in ("happened", "did_not", "abort"):
            raise ApprovalError(f"a doubt is settled by 'happened', 'did_not' or 'abort', not {answer!r}")
        if self.id not in {p.id for p in Run.load(self.run_id, self.home).pending()}:
            raise ApprovalError(f"doubt {self.id} was settled already, or its call was tried again since: look anew")
        intent, _, attempt = self.id.rpartition(":")[2].partition(".")
        if answer == "happened" and value is None and reason:
            value = f"It took effect; the answer itself was lost in a crash. {checked_name(by)} says: {reason}"
        payload = {
            "intent": int(intent),
            "attempt": int(attempt),
            "answer": answer,
            "by": checked_name(by),
            "value": value,
            "reason": reason,
        }
        open_store(self.home).post(self.run_id, "doubt.answered", payload)

    def _must_be(self, kind: str) -> None:
        if self.kind != kind:
            way = "settle it with happened, did_not or abort" if self.kind == "doubt" else "approve or deny it"
            raise ApprovalError(f"{self.id} is a {self.kind}: {way}")


def checked_name(by: str) -> str:
    """The name of whoever decides; raises ApprovalError when it is empty."""
    if not isinstance(by, str) or not by.strip():
        raise ApprovalError("say who decides: by='NAME'")
    return by.strip()[:200]
