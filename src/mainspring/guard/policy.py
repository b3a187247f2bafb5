"""The plain policy: reads and undoable workspace writes pass, irreversible calls ask a person."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from mainspring.errors import DeclarationError
from mainspring.guard.decision import Call, CallContext, Decision
from mainspring.guard.grants import cover


def _names(which: str, value: Iterable[str]) -> tuple[str, ...]:
    if not isinstance(value, Iterable):
        raise DeclarationError(f"Policy({which}=...) takes a list of tool names, not {value!r}")
    names = (value,) if isinstance(value, str) else tuple(value)
    for name in names:
        if not isinstance(name, str) or not name:
            raise DeclarationError(f"Policy({which}=...) takes tool names, not {name!r}")
    return names


class Policy:
    """Which tools pass, ask or are denied, by name (shell patterns such as ``mail_*`` work).

    `deny` wins over `ask`, `ask` over `allow`; what no list names is decided by its effect.

    Raises:
        DeclarationError: a list holds something else than names.
    """

    def __init__(self, *, allow: Iterable[str] = (), ask: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        self.allow = _names("allow", allow)
        self.ask = _names("ask", ask)
        self.deny = _names("deny", deny)

    def decide(self, call: Call, context: CallContext) -> Decision:
        """Decide one call. Never raises; an effect it does not know is asked about."""
        for pattern in self.deny:
            if fnmatchcase(call.tool, pattern):
                return Decision("deny", f"the policy denies {pattern!r}")
        for pattern in self.ask:
            if fnmatchcase(call.tool, pattern):
                return Decision("ask", f"the policy asks before {pattern!r}")
        for pattern in self.allow:
            if fnmatchcase(call.tool, pattern):
                return Decision("allow", f"the policy allows {pattern!r}")
        if call.effect == "read":
            return Decision("allow", "it only reads")
        if call.effect == "write" and call.undoable:
            return Decision("allow", "it writes only inside the workspace, and can be undone")
        grant, why = cover(call, context)
        if grant is not None:
            return Decision("allow", f"the grant covers it: {grant.shown()}", grant.id)
        if call.effect == "write":
            return Decision("ask", f"it writes outside the workspace, and {why}")
        return Decision("ask", f"it cannot be undone, and {why}")


DEFAULT_POLICY = Policy()


def decide(call: Call, context: CallContext, policy: Policy | None = None) -> Decision:
    """The guard's one door: allow, ask or deny this call, with the reason."""
    return (policy or DEFAULT_POLICY).decide(call, context)
