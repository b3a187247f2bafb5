"""Decides whether a call may go ahead. It knows nothing of the runtime that asks."""

from mainspring.guard.decision import MODES, Argument, Call, CallContext, Decision, Mode, Outcome
from mainspring.guard.grants import ANY, TRUSTED, Grant, shrink, smallest_grant
from mainspring.guard.policy import DEFAULT_POLICY, Limits, Policy, decide

__all__ = [
    "ANY",
    "DEFAULT_POLICY",
    "MODES",
    "TRUSTED",
    "Argument",
    "Call",
    "CallContext",
    "Decision",
    "Grant",
    "Limits",
    "Mode",
    "Outcome",
    "Policy",
    "decide",
    "shrink",
    "smallest_grant",
]
