"""Who has to say yes by a configuration's rules: several people, certain people, or a second one above an amount."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, Protocol

from mainspring.guard.decision import Call, Decision
from mainspring.guard.people import People


class Rule(Protocol):
    """A rule about approvals, see ``[[approvals.rules]]`` in docs/configuration.md."""

    @property
    def tools(self) -> tuple[str, ...]:
        """Names or patterns of the tools that it is about."""
        ...

    @property
    def people(self) -> int:
        """How many different people must say yes."""
        ...

    @property
    def approvers(self) -> tuple[str, ...]:
        """People or roles who may; empty means anybody."""
        ...

    @property
    def argument(self) -> str:
        """The rule holds only where this argument is above `above`; "" means always."""
        ...

    @property
    def above(self) -> float | None:
        """See `argument`."""
        ...


def with_rules(decision: Decision, call: Call, rules: Iterable[Rule], people: People) -> Decision:
    """The decision with what the rules ask of it beyond: they make it stricter and never lighter.

    A rule about an amount asks even where a grant would do: whoever wrote the grant did not see the amount.
    """
    if decision.outcome == "deny":
        return decision
    for rule in rules:
        if not any(fnmatchcase(call.tool, pattern) for pattern in rule.tools) or not _holds(rule, call):
            continue
        if decision.outcome == "allow" and rule.above is None:
            continue
        approvers = people.who(rule.approvers)
        if decision.approvers and approvers:  # both rules hold: only who is named by both may answer
            approvers = tuple(a for a in approvers if a in decision.approvers)
            if not approvers:
                return Decision("deny", "two rules about approvals name nobody in common", policy=("approvals",))
        reason = decision.reason
        if decision.outcome == "allow":
            reason = f"a rule asks for {rule.people} above {rule.above:g} in {rule.argument}"
        decision = replace(
            decision,
            outcome="ask",
            reason=reason,
            grant="",
            people=max(decision.people, rule.people),
            approvers=approvers or decision.approvers,
        )
    return decision


def _holds(rule: Rule, call: Call) -> bool:
    if rule.above is None:
        return True
    argument = call.arguments.get(rule.argument)
    if argument is None and rule.argument not in call.defaults:
        return False  # the tool has no such argument
    value = call.defaults[rule.argument] if argument is None else argument.value
    return any(_above(v, rule.above) for v in _leaves(value))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves(item)]
    return [leaf for item in value.values() for leaf in _leaves(item)] if isinstance(value, dict) else [value]


def _above(value: Any, most: float) -> bool:
    """A number above `most`; what is no number might stand for any, so it counts as above."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        # "10.000" is ten here and ten thousand there; only what can be read in one way is compared.
        if not re.fullmatch(r"\s*-?\d{1,15}(?:\.\d{1,2})?\s*", str(value)):
            return True
        value = float(str(value))
    return not value <= most
