"""What a run that something else started may not go beyond: a sub-agent's, a schedule's.

Bounds stand in the run's first event, and the loop holds to them whatever the agent's declaration says when the run is
resumed: rights only shrink.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mainspring.errors import DeclarationError

_T = TypeVar("_T")

#: Why a bounded run does nothing more.
TIME_IS_OVER = "the time for which this run was given its rights is over"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The outermost that one run may do.

    Args:
        tools: names of the agent's tools that it holds; None means all of them.
        expires_at: Unix time from which on it makes no call and asks no model; None means never.
        cause: what started it: ``{"run": parent, "intent": seq, "index": n}`` for a sub-agent,
            ``{"schedule": name, "due": Unix time}`` for a schedule; empty for a person.
        depth: how many runs stand above it.
    """

    tools: tuple[str, ...] | None = None
    expires_at: float | None = None
    cause: Mapping[str, Any] = field(default_factory=dict)
    depth: int = 0

    @property
    def parent(self) -> str | None:
        """The run that waits for this one, if a run started it."""
        return self.cause.get("run")

    def hold(self, tools: Mapping[str, _T]) -> dict[str, _T]:
        """Those of `tools` that the run holds."""
        return dict(tools) if self.tools is None else {n: t for n, t in tools.items() if n in self.tools}

    def over(self, now: float) -> bool:
        """True when the time of its rights has passed."""
        return self.expires_at is not None and now >= self.expires_at

    def within(self, outer: Bounds) -> Bounds:
        """These bounds, cut down to what `outer` allows: what a run may hand on to a run that it starts."""
        tools = self.tools
        if outer.tools is not None:
            tools = outer.tools if tools is None else tuple(n for n in tools if n in outer.tools)
        times = [t for t in (self.expires_at, outer.expires_at) if t is not None]
        return Bounds(tools, min(times, default=None), self.cause, max(self.depth, outer.depth + 1))

    def encode(self) -> dict[str, Any]:
        """As JSON-ready dict, for the journal."""
        return {
            "tools": None if self.tools is None else list(self.tools),
            "expires_at": self.expires_at,
            "cause": dict(self.cause),
            "depth": self.depth,
        }

    @classmethod
    def decode(cls, value: Mapping[str, Any] | None) -> Bounds:
        """Inverse of :meth:`encode`; what this version does not know is refused, because it may narrow the run.

        Raises:
            DeclarationError: it is no bounds.
        """
        if value is None:
            return NO_BOUNDS
        if set(value) - {"tools", "expires_at", "cause", "depth"}:
            raise DeclarationError(f"the bounds of this run say more than this Mainspring knows: {sorted(value)}")
        tools = value["tools"]
        return cls(None if tools is None else tuple(tools), value["expires_at"], dict(value["cause"]), value["depth"])


NO_BOUNDS = Bounds()
