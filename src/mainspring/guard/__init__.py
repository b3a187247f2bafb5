"""Decides whether a call may go ahead. It knows nothing of the runtime that asks."""

from mainspring.guard.decision import Call, CallContext, Decision, Outcome
from mainspring.guard.policy import DEFAULT_POLICY, Policy, decide

__all__ = ["DEFAULT_POLICY", "Call", "CallContext", "Decision", "Outcome", "Policy", "decide"]
