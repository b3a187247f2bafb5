"""The guard's one door: what is revoked, an organisation's limits, the agent's own policy, the default policy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.errors import ApprovalError, DeclarationError
from mainspring.guard.cedar.facts import Facts, arguments_of, facts_of, understood, values_of
from mainspring.guard.cedar.reasons import listed, source_of, why_ask, why_failed
from mainspring.guard.cedar.rules import Rules, Verdict, default_rules
from mainspring.guard.decision import Call, CallContext, Decision
from mainspring.guard.grants import Grant
from mainspring.names import person_key

if TYPE_CHECKING:
    from typing import TypeAlias

    #: A Cedar file, Cedar text, or several of them.
    Cedar: TypeAlias = str | Path | Iterable[str | Path]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")  # as mainspring.tool takes them
_UNKNOWN = "something about the call is missing or unknown (its effect, mode, roles or labels)"


def _names(which: str, value: Iterable[str]) -> tuple[str, ...]:
    if not isinstance(value, Iterable):
        raise DeclarationError(f"Policy({which}=...) takes a list of tool names, not {value!r}")
    names = (value,) if isinstance(value, str) else tuple(value)
    for name in names:
        if not isinstance(name, str) or not name:
            raise DeclarationError(f"Policy({which}=...) takes tool names, not {name!r}")
    return names


def _sources(cedar: Cedar) -> list[str | Path]:
    return [cedar] if isinstance(cedar, str | Path) else list(cedar)


class Policy:
    """Which tools pass, ask or are denied: by name (shell patterns such as ``mail_*`` work), and by Cedar rules.

    The strictest that matches wins: `deny` and `forbid`, then `ask`, then `allow` and `permit`. What nothing matches is
    decided by the default policy.

    Args:
        allow, ask, deny: tool names or patterns.
        cedar: Cedar files or Cedar text, or a list of them; see docs/policy.md for what rules may speak of.
        people: everybody's roles by name, when it is known who there is; rules may name nobody else then.

    Raises:
        DeclarationError: a list holds something else than names, or a rule is wrong (it says where).
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        ask: Iterable[str] = (),
        deny: Iterable[str] = (),
        cedar: Cedar = (),
        people: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self.allow = _names("allow", allow)
        self.ask = _names("ask", ask)
        self.deny = _names("deny", deny)
        sources = _sources(cedar)
        self.rules: Rules | None = Rules(sources, people=people) if sources else None

    @classmethod
    def cedar(cls, source: Cedar, *, people: Mapping[str, Iterable[str]] | None = None) -> Policy:
        """A policy of Cedar rules only: a file, or the text itself. Raises DeclarationError."""
        return cls(cedar=source, people=people)

    def allowing(self, names: Iterable[str]) -> Policy:
        """The same policy with these tools allowed and no longer asked about by name; denials and rules stay."""
        extra = _names("allow", names)
        changed = Policy(allow=(*self.allow, *extra), ask=[p for p in self.ask if p not in extra], deny=self.deny)
        changed.rules = self.rules
        return changed

    def joined(self, other: Policy) -> Policy:
        """Both policies as one: of everything that either says, the strictest holds."""
        both = Policy(allow=(*self.allow, *other.allow), ask=(*self.ask, *other.ask), deny=(*self.deny, *other.deny))
        both.rules = self.rules.joined(other.rules) if self.rules and other.rules else self.rules or other.rules
        return both

    def decide(self, call: Call, context: CallContext) -> Decision:
        """Decide one call by this policy and the default one. Never raises; what it does not know is not allowed."""
        return _guarded(call, context, self, None)


class Decides(Protocol):
    """Anything that can stand in for a Policy."""

    def decide(self, call: Call, context: CallContext) -> Decision:
        """Allow, ask or deny."""
        ...


class Limits:
    """An organisation's limits: Cedar rules that forbid, above whatever an agent or a run is permitted.

    Args:
        sources: files or Cedar text; every rule in them is a `forbid`.
        people: as in :class:`Policy`.

    Raises:
        DeclarationError: a file cannot be read, a rule is wrong, or it permits something.
    """

    def __init__(self, sources: Cedar, *, people: Mapping[str, Iterable[str]] | None = None) -> None:
        self.rules = Rules(_sources(sources), limits=True, people=people)


DEFAULT_POLICY = Policy()


def decide(
    call: Call, context: CallContext, policy: Decides | None = None, *, limits: Limits | None = None
) -> Decision:
    """The guard's one door: allow, ask or deny this call, with the reason. Never raises."""
    return _guarded(call, context, policy if policy is not None else DEFAULT_POLICY, limits)


def _guarded(call: Call, context: CallContext, policy: Decides, limits: Limits | None) -> Decision:
    try:
        return _decide(call, context, policy, limits)
    except ApprovalError as error:  # from `person_key`; a rule for the right name must not be passed by
        return Decision("deny", f"a name for whom the run acts, or whose rights were taken back, is no name: {error}")
    except Exception as error:  # whatever is wrong, the call is not made; the message could quote a value
        return Decision("deny", f"the guard could not decide ({type(error).__name__}), so the call is refused")


def _decide(call: Call, context: CallContext, policy: Decides, limits: Limits | None) -> Decision:
    gone = _revoked(context) if context.revoked else ()
    if gone:
        return Decision("deny", f"the rights of {listed(gone)} were taken back", policy=("revoked",))
    if not _NAME.match(call.tool):
        return Decision("deny", "no tool can have this name: letters, digits, '_' and '-' only", policy=("name",))
    question = _Question(call, context)
    taken = False
    if limits is not None:
        forbidden = question.ask(limits.rules)
        if forbidden.outcome is not None:
            return _said(question, forbidden, limits.rules)
        # A limit that lets through what a grant covers has used the grant.
        taken = limits.rules.needs_grant
    if isinstance(policy, Policy) and type(policy).decide is Policy.decide:
        decision = _by_policy(question, policy)
    else:
        try:
            decision = policy.decide(call, context)
        except Exception as error:
            return Decision("deny", f"the agent's policy failed ({type(error).__name__}), so the call is refused")
    if not isinstance(decision, Decision) or decision.outcome not in ("allow", "ask", "deny"):
        return Decision("deny", "the agent's policy gave no decision")
    if decision.outcome != "allow":
        return decision
    if not question.known:
        return Decision("ask", _UNKNOWN)
    if taken and not decision.grant and question.grant is not None:
        return Decision("allow", decision.reason, question.grant.id, decision.policy)
    return decision


def _revoked(context: CallContext) -> list[str]:
    """The principals whose rights were taken back, however their names are written."""
    keys = _keys(context.revoked)
    mine = dict.fromkeys([*context.principals, context.agent, f"agent:{context.agent}"])
    return [name for name in mine if name and {person_key(name), person_key(name.removeprefix("person:"))} & keys]


@lru_cache(maxsize=64)
def _keys(names: frozenset[str]) -> frozenset[str]:
    return frozenset(person_key(name) for name in names)


class _Question:
    """One call, with facts that are worked out only when a rule needs them."""

    def __init__(self, call: Call, context: CallContext) -> None:
        self.call, self.context = call, context
        self.known = understood(call, context)
        self._facts: tuple[Facts, Grant | None] | None = None

    def _found(self) -> tuple[Facts, Grant | None]:
        if self._facts is None:
            self._facts = facts_of(self.call, self.context)
        return self._facts

    @property
    def facts(self) -> Facts:
        return self._found()[0]

    @property
    def grant(self) -> Grant | None:
        return self._found()[1]

    def ask(self, rules: Rules) -> Verdict:
        return rules.ask(self.facts, values_of(self.call)) if rules.reads_values else rules.ask(self.facts)


def _by_policy(question: _Question, policy: Policy) -> Decision:
    call = question.call
    own = question.ask(policy.rules) if policy.rules is not None else Verdict(None)
    for pattern in policy.deny:
        if fnmatchcase(call.tool, pattern):
            return Decision("deny", f"the policy denies {pattern!r}", policy=("deny",))
    if own.outcome == "deny" and policy.rules is not None:
        return _said(question, own, policy.rules)
    for pattern in policy.ask:
        if fnmatchcase(call.tool, pattern) and own.outcome != "ask":
            return Decision("ask", f"the policy asks before {pattern!r}", policy=("ask",))
    if own.outcome == "ask" and policy.rules is not None:
        return _said(question, own, policy.rules)
    for pattern in policy.allow:
        if fnmatchcase(call.tool, pattern):
            return Decision("allow", f"the policy allows {pattern!r}", policy=("allow",))
    if own.outcome == "allow" and policy.rules is not None:
        return _said(question, own, policy.rules)
    return _by_default(question)


def _by_default(question: _Question) -> Decision:
    call = question.call
    if question.known and not call.outside:
        # The two commonest answers, without waiting for Cedar to be loaded; a test holds them against default.cedar.
        if call.effect == "read":
            return Decision("allow", "it only reads", policy=("default:reads",))
        if call.effect == "write" and call.undoable:
            reason = "it writes only inside the workspace, and can be undone"
            return Decision("allow", reason, policy=("default:workspace",))
    rules = default_rules()
    verdict = question.ask(rules)
    if verdict.outcome is not None:
        return _said(question, verdict, rules)
    return Decision("ask", why_ask(call, question.context, question.facts, arguments_of(call)))


def _said(question: _Question, verdict: Verdict, rules: Rules) -> Decision:
    """A set of rules' verdict as a decision."""
    names = tuple(r.name for r in verdict.rules)
    if verdict.failed:
        return Decision("deny", why_failed(verdict.failed), policy=verdict.failed)
    reasons = [r.reason or f"the rule {r.name} {_VERBS[r.outcome]} it" for r in verdict.rules]
    reason = "; ".join(dict.fromkeys(reasons[:3]))
    if verdict.outcome == "ask":
        return _asked(reason, verdict, names)
    grant = question.grant
    # A rule that looked at grants has used this one, unless another rule allows the call without.
    if verdict.outcome == "allow" and grant is not None and all(r.needs_grant for r in verdict.rules):
        return Decision("allow", f"{reason}: {grant.id}, given by {source_of(grant.by)}", grant.id, names)
    return Decision(verdict.outcome or "deny", reason, policy=names)


_VERBS: Mapping[Any, str] = {"allow": "permits", "ask": "asks before", "deny": "forbids"}


def _asked(reason: str, verdict: Verdict, names: Sequence[str]) -> Decision:
    """Several rules that ask: as many people as the strictest wants, all of whom every rule accepts."""
    people = max(r.people for r in verdict.rules)
    named = [set(r.approvers) for r in verdict.rules if r.approvers]
    approvers = sorted(set.intersection(*named)) if named else []
    if named and len(approvers) < people:
        return Decision("deny", f"{reason}; but no {people} people may say yes to all of these rules", "", tuple(names))
    return Decision("ask", reason, "", tuple(names), people, tuple(approvers))
