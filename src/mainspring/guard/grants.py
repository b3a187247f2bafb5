"""Grants: rights that a run holds before it reads anything, compiled from its user's own words or declared.

A grant names a tool, what its authority arguments may be, how many calls it covers and until when. Nothing that a run
reads can add one or widen one; only a person can.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mainspring.errors import DeclarationError
from mainspring.names import spellings

if TYPE_CHECKING:
    from mainspring.guard.decision import Call, CallContext

#: In a grant: any value that no outsider can have written, chosen in a context that no outsider's text has entered.
TRUSTED = "trusted"
#: In a grant: any value at all. Only a declaration or a person gives it, never a compiler.
ANY = "any"


@dataclass(frozen=True, slots=True)
class Grant:
    """A right to call one tool.

    Args:
        tool: its exact name.
        arguments: argument -> the values that it may have, or ``"trusted"``, or ``"any"``. Authority and selector
            arguments that are not named must be trusted.
        count: calls that it covers.
        expires_at: Unix time, or None for the run's whole life.
        by: who gave it.
        why: the words of the task, or the declaration, that it was made from.
        cut_from: ids of the grants that it is a part of, which a creator handed on: it ends with any of them.

    Attributes:
        id: a digest of what it says, so that the same grant has the same name.
    """

    tool: str
    arguments: Mapping[str, tuple[Any, ...] | str] = field(default_factory=dict)
    count: int = 1
    expires_at: float | None = None
    by: str = "user"
    why: str = ""
    cut_from: tuple[str, ...] = ()
    id: str = field(default="", init=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.tool, str) or not self.tool:
            raise DeclarationError(f"a grant names a tool, not {self.tool!r}")
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 1:
            raise DeclarationError(f"grant for {self.tool!r}: count must be a whole number from 1, not {self.count!r}")
        until = self.expires_at
        if until is not None and (not isinstance(until, int | float) or not math.isfinite(until)):
            raise DeclarationError(f"grant for {self.tool!r}: expires_at must be a Unix time or None, not {until!r}")
        checked: dict[str, tuple[Any, ...] | str] = {}
        for name, allowed in dict(self.arguments).items():
            if isinstance(allowed, str) and allowed not in (TRUSTED, ANY):
                raise DeclarationError(
                    f"grant for {self.tool!r}: argument {name!r} may be 'trusted', 'any' or a list of values, "
                    f"not {allowed!r}"
                )
            if not isinstance(allowed, str) and not isinstance(allowed, Sequence):
                raise DeclarationError(f"grant for {self.tool!r}: argument {name!r} needs a list of values")
            checked[name] = allowed if isinstance(allowed, str) else tuple(allowed)
        if isinstance(self.cut_from, str) or not all(isinstance(i, str) for i in self.cut_from):
            raise DeclarationError(f"grant for {self.tool!r}: cut_from is a list of ids, not {self.cut_from!r}")
        object.__setattr__(self, "cut_from", tuple(self.cut_from))
        object.__setattr__(self, "arguments", checked)
        text = json.dumps(self.encode(), sort_keys=True, ensure_ascii=False, default=str)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        object.__setattr__(self, "id", f"gr_{digest[:16]}")

    def encode(self) -> dict[str, Any]:
        """As JSON-ready dict, for the journal."""
        return {
            "tool": self.tool,
            "arguments": {k: v if isinstance(v, str) else list(v) for k, v in self.arguments.items()},
            "count": self.count,
            "expires_at": self.expires_at,
            "by": self.by,
            "why": self.why,
            **({"cut_from": list(self.cut_from)} if self.cut_from else {}),
        }

    @classmethod
    def decode(cls, value: Mapping[str, Any]) -> Grant:
        """Inverse of :meth:`encode`; raises DeclarationError for anything that is no grant."""
        known = {"tool", "arguments", "count", "expires_at", "by", "why", "cut_from"}
        if not isinstance(value, Mapping) or set(value) - known or "tool" not in value:
            raise DeclarationError(f"not a grant: {str(value)[:200]!r}; it has the fields {sorted(known)}")
        arguments = value.get("arguments") or {}
        if not isinstance(arguments, Mapping):
            raise DeclarationError(f"grant for {value['tool']!r}: arguments must be an object, not {arguments!r}")
        return cls(
            value["tool"],
            {str(k): v if isinstance(v, str) else _values(value["tool"], k, v) for k, v in arguments.items()},
            value.get("count", 1),
            value.get("expires_at"),
            str(value.get("by", "user")),
            str(value.get("why", "")),
            tuple(value.get("cut_from") or ()),
        )

    def misses(self, call: Call, context: CallContext) -> str | None:
        """Why this grant does not cover `call`, or None when it does."""
        if self.tool != call.tool:
            return "it is for another tool"
        if context.revoked and not context.revoked.isdisjoint((self.id, *self.cut_from)):
            return "it was revoked"
        if context.revoked and spellings(self.by) & context.revoked:
            return "the rights of whoever gave it were taken back"
        if self.expires_at is not None and context.now >= self.expires_at:
            return "it has expired"
        if context.used.get(self.id, 0) >= self.count:
            return f"its {self.count} calls are used up"
        for name, argument in call.arguments.items():
            allowed = self.arguments.get(name, TRUSTED if argument.role != "payload" else ANY)
            if allowed == ANY:
                continue
            if allowed == TRUSTED:
                if not context.label.trusted:
                    return f"{name} was chosen by a model that had read outsiders' text"
                if not argument.label.trusted:
                    return f"{name} may have been written by {', '.join(sorted(argument.label.strangers))}"
            elif not _within(argument.value, allowed):
                return f"{name} is not one of the values that it names"
        for name, allowed in self.arguments.items():
            left_out = name not in call.arguments and not isinstance(allowed, str)
            if left_out and not _within(call.defaults.get(name), allowed):
                return f"{name} is left to its default, which is not one of the values that it names"
        return None

    def narrower(self, other: Grant) -> bool:
        """True when this grant allows nothing that `other` does not: rights may only shrink."""
        if self.tool != other.tool or self.count > other.count:
            return False
        if other.expires_at is not None and (self.expires_at is None or self.expires_at > other.expires_at):
            return False
        for name, wider in other.arguments.items():
            mine = self.arguments.get(name, TRUSTED)
            if wider == ANY or mine == wider:
                continue
            if name not in self.arguments or isinstance(mine, str) or isinstance(wider, str):
                return False
            if not mine or not all(any(_same(value, w) for w in wider) for value in mine):
                return False
        return all(name in other.arguments or mine == TRUSTED for name, mine in self.arguments.items())

    def shown(self) -> str:
        """In words, for a person."""
        parts = []
        for name, allowed in self.arguments.items():
            if allowed == TRUSTED:
                parts.append(f"{name} that no outsider wrote")
            elif allowed == ANY:
                parts.append(f"any {name}")
            else:
                parts.append(f"{name} {' or '.join(json.dumps(v, ensure_ascii=False, default=str) for v in allowed)}")
        times = "once" if self.count == 1 else f"{self.count} times"
        return f"{self.tool} {times}" + (f" with {', '.join(parts)}" if parts else "")

    def shown_without_values(self) -> str:
        """In words that hold none of its values, for a planner that must not see them."""
        return (
            f"{self.tool}, at most {self.count}, with exactly the {', '.join(self.arguments) or 'call'} that was named"
        )


def smallest_grant(call: Call, by: str = "") -> Grant:
    """The smallest grant that would cover `call`: once, with exactly these authority and selector values."""
    named = {n: (a.value,) for n, a in call.arguments.items() if a.role != "payload"}
    return Grant(call.tool, named, 1, None, by or "user", "approved by a person")


def shrink(grants: Sequence[Grant], held: Sequence[Grant]) -> list[Grant]:
    """`grants` as far as `held` allows them: what a sub-agent, skill or schedule gets of what it asked for.

    Raises:
        DeclarationError: one of them is wider than everything that is held.
    """
    for grant in grants:
        if not any(grant.narrower(h) for h in held):
            raise DeclarationError(f"{grant.shown()!r} is more than the creator holds; rights only shrink")
    return [replace(g) for g in grants]


def _values(tool: object, name: object, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise DeclarationError(f"grant for {tool!r}: argument {name!r} needs a list of values, not {value!r}")
    return tuple(value)


def _within(value: Any, allowed: Sequence[Any]) -> bool:
    """A list is within when each of its items is; `True` is not `1`, and `1` is `1.0` only as a number."""
    if any(_same(value, a) for a in allowed):
        return True
    return isinstance(value, list) and bool(value) and all(_within(item, allowed) for item in value)


def _same(one: Any, other: Any) -> bool:
    """Equality as JSON has it, at any depth."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(v, other[k]) for k, v in one.items())
    return type(one) is type(other) and bool(one == other)
