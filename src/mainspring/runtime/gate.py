"""The gate that every call passes: checked, decided, asked about, and decided again for as long as it waits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping

from mainspring.agent import Agent
from mainspring.errors import ApprovalError
from mainspring.guard import Decision
from mainspring.label import SYSTEM, Label
from mainspring.names import spellings
from mainspring.points import reach
from mainspring.runtime.bounds import TIME_IS_OVER
from mainspring.runtime.calls import (
    Checked,
    Refusal,
    approval_payload,
    call_digest,
    check_call,
    decide_call,
    denial,
    effect_key,
)
from mainspring.runtime.imported import executed_elsewhere
from mainspring.runtime.journal import Journal
from mainspring.runtime.settings import Settings
from mainspring.runtime.state import CallState
from mainspring.store import NEWS_S, ApprovalRequest
from mainspring.tool import Tool

#: Seconds for which an unanswered approval stays open, where the configuration says nothing.
APPROVAL_TTL_S = 7 * 24 * 3600.0


class Gate:
    """Decides the calls of one run."""

    def __init__(self, agent: Agent, journal: Journal, tools: dict[str, Tool], settings: Settings) -> None:
        self.agent = agent
        self.journal = journal
        self.state = journal.state
        self.tools = tools
        self.settings = settings
        self._checked: dict[str, tuple[int, Checked]] = {}
        self._allowed: dict[str, Decision] = {}  # calls that may be begun in this turn, and why
        self._foreign_to = executed_elsewhere(journal.store, self.state)  # up to this event it was executed elsewhere
        # A fork has its parent's history; a right that its parent holds or has used is not there a second time.
        own_from = max([self._foreign_to, *(seq for _, seq in self.state.forks)])
        given = self.state.guard.given.items()
        self._foreign = frozenset(grant for grant, seq in given if seq <= own_from)

    async def decide(self, calls: list[CallState]) -> None:
        """Decide whatever waits to be decided; what may be begun after it is `allowed`."""
        self._allowed.clear()
        revoked = self._revoked()
        self._doubt(lambda target, by: bool(spellings(by) & revoked), "their rights were taken back")
        for call in calls:
            if call.stage == "new":
                self._decide(call, revoked)
            elif call.stage == "approved":
                self._decide_again(call, revoked)
        await self._expire_old(revoked)

    def allowed(self, call: CallState) -> Decision | None:
        """Why a call may be begun now; None when nobody said so."""
        if call.stage == "approved":
            return Decision("allow", f"approved: {call.reason}")
        return self._allowed.get(call.part.id)

    def check(self, call: CallState) -> Checked | Refusal:
        """The call with its handles filled in, or why it cannot be made."""
        known = self._checked.get(call.part.id)
        changes = self.state.guard.changes  # what a handle is worth changes when a person vouches for it
        if known is not None and known[0] == changes:
            return known[1]
        checked = check_call(call, self.tools, self.state)
        if isinstance(checked, Checked):
            self._checked[call.part.id] = (changes, checked)
        return checked

    def refuse(self, call: CallState, reason: str, cause: str, label: Label = SYSTEM) -> None:
        """Record that a call is not made, and what the model is told."""
        about = {"step": self.state.step, "call_id": call.part.id, "tool": call.part.name}
        self.journal.record("call.refused", about | {"reason": reason, "cause": cause}, label)

    def _doubt(self, gone: Callable[[str, str], bool], reason: str) -> None:
        """Take back what people vouched for, where `gone` says so of the target and the person."""
        for target, (by, _) in list(self.state.guard.lowered.items()):
            if gone(target, by):
                self.journal.record("label.restored", {"target": target, "by": "mainspring", "reason": reason})

    def refused_again(self, call: CallState, checked: Checked) -> str | None:
        """Why a call that was begun may not be begun again: a limit or a revocation came since. None when it may."""
        if not checked.tool.consequential:
            return None
        grant, approval = call.intended.get("grant"), call.intended.get("approval")
        revoked = self._revoked()
        if approval is not None:
            gone = [a.by for a in self.journal.store.approval(approval).answers if spellings(a.by) & revoked]
            if gone:
                return f"the rights of {', '.join(gone)}, who approved it, were taken back"
        decision = self._ask(call, checked, Counter({grant: -1}) if grant else Counter(), revoked)
        held = approval is not None or not grant
        # What a grant allowed needs that grant still; what a person approved may go on as it was approved.
        return None if decision.outcome == "allow" or (held and decision.outcome == "ask") else decision.reason

    def answered_here(self, call: CallState) -> bool:
        """Whether a person of this home said that the call did not take effect, so that it is made again."""
        return call.answered_seq > self._foreign_to

    def begun_elsewhere(self, call: CallState, tool: Tool) -> bool:
        """Whether an intent came with an imported run: it says that somebody there allowed the call, not that we do."""
        return call.intent is not None and call.intent <= self._foreign_to and (tool.effect != "read" or tool.outside)

    def distrust(self) -> None:
        """A run that came from elsewhere brings its history along, and nobody's authority: its chain has no key.

        Its grants cover nothing here (`_revoked`), what people vouched for there is a stranger's again, and what they
        approved there is asked here.
        """
        reason = "this run was imported: nobody here said so"
        self._doubt(lambda target, by: self.state.guard.vouched[target] <= self._foreign_to, reason)
        for call in self.state.open_calls:
            if call.stage == "approved" and call.approval is not None and call.answered_seq <= self._foreign_to:
                self.journal.expire(call.approval)
                expired = {"id": call.approval, "answer": "expired", "by": "mainspring", "reason": reason}
                self.journal.record("approval.answered", expired)

    def _ask(self, call: CallState, checked: Checked, promised: Mapping[str, int], revoked: frozenset[str]) -> Decision:
        if self.state.bounds.over(time.time()):
            return Decision("deny", TIME_IS_OVER)
        return decide_call(call, checked, self.state, self.agent.policy, self.settings, promised, revoked, self.tools)

    def _revoked(self) -> frozenset[str]:
        """Principals and grants that were taken back, as of now, or a blink ago where the journal is a server's."""
        return self.journal.store.revoked(within_s=NEWS_S) | self._foreign

    def _decide(self, call: CallState, revoked: frozenset[str]) -> None:
        about = {"step": self.state.step, "call_id": call.part.id, "tool": call.part.name}
        checked = self.check(call)
        if isinstance(checked, Refusal):
            self.refuse(call, checked.reason, checked.cause)
            return
        promised = Counter(d.grant for d in self._allowed.values() if d.grant)
        decision = self._ask(call, checked, promised, revoked)
        if decision.outcome == "deny":
            self.refuse(call, denial(call.part.name, f"Not allowed: {decision.reason}."), "denied")
        elif decision.outcome == "ask":
            digest = call_digest(self.state, call, checked)
            approval = "ap_" + effect_key(self.state.run_id, self.journal.next_seq())[:20]
            expires_at = round(time.time() + (self.settings.approval_ttl_s or APPROVAL_TTL_S), 3)
            reach("approval.before_request")
            self.journal.request(ApprovalRequest(approval, digest, expires_at, decision.people, decision.approvers))
            self.journal.record(
                "approval.requested",
                about
                | approval_payload(call, checked, self.state)
                | {
                    "id": approval,
                    "digest": digest,
                    "reason": decision.reason,
                    "expires_at": expires_at,
                    "people": decision.people,
                    "approvers": list(decision.approvers),
                },
                call.label.join(checked.label),
            )
        else:
            self._allowed[call.part.id] = decision

    def _decide_again(self, call: CallState, revoked: frozenset[str]) -> None:
        """A yes does not outlive the right that it was given under: limits and revocations hold at each step."""
        checked = self.check(call)
        if isinstance(checked, Refusal) or call.approval is None:
            return
        decision = self._ask(call, checked, Counter(), revoked)
        if decision.outcome == "deny":
            self.journal.expire(call.approval)
            self.refuse(call, denial(call.part.name, f"Not allowed any more: {decision.reason}."), "denied")

    async def _expire_old(self, revoked: frozenset[str]) -> None:
        """An approval that ran out, or that the store does not honour, is asked for again."""
        for call in self.state.open_calls:
            if call.stage not in ("asked", "approved") or call.approval is None:
                continue
            if call.stage == "asked":
                await self.journal.flush()
            try:
                row = self.journal.store.approval(call.approval)
            except ApprovalError:
                row = None
            now = time.time()
            alive = row is not None and (row.expires_at is None or row.expires_at > now + 1.0)
            usable = (
                alive
                and row is not None
                and row.state in (("pending", "approved", "denied") if call.stage == "asked" else ("approved",))
                and self._still_asked(call, row.digest)
            )
            if usable:
                continue
            reason = "nobody answered in time" if not alive else "the question is not the same any more"
            self.journal.expire(call.approval)
            self.journal.record(
                "approval.answered",
                {"id": call.approval, "answer": "expired", "by": "mainspring", "reason": reason},
            )
            self._decide(call, revoked)

    def _still_asked(self, call: CallState, digest: str) -> bool:
        """False when the call is not what the question was about: a label was lowered since, say."""
        checked = self.check(call)
        return isinstance(checked, Refusal) or call_digest(self.state, call, checked) == digest
