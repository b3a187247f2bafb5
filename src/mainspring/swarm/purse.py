"""What sub-agents may spend: shares of what their creator had left, so that their sum never passes it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from mainspring.agent import Limits
from mainspring.messages import Usage
from mainspring.swarm.parent import Parent


@dataclass(frozen=True, slots=True)
class Share:
    """What one sub-agent was given: US dollars and tokens, None where there is no limit."""

    usd: float | None = None
    tokens: int | None = None


class Purse:
    """The money and tokens of one call.

    Steps and seconds are no amounts that are used up together: each sub-agent gets at most what its creator has left.

    Args:
        call_usd: the most that one model call can cost; kept back from each share, since a run stops after the call
            that reaches its limit.
    """

    def __init__(self, parent: Parent, call_usd: float | None) -> None:
        limits, spent = Limits.of(parent.state.limits), parent.state.usage
        self.usd = None if limits.usd is None else max(0.0, limits.usd - (spent.usd or 0.0))
        self.tokens = None if limits.tokens is None else max(0, limits.tokens - spent.tokens)
        self.steps = None if limits.steps is None else max(1, limits.steps - parent.state.step)
        now = time.time()
        self.seconds = None if limits.seconds is None else max(1.0, limits.seconds - parent.seconds(now))
        self.call_usd = parent.dearest if call_usd is None else call_usd
        self.spent = Usage()
        self._shares: dict[str, Share] = {}

    def before(self, usage: Usage) -> None:
        """Others of the same call have spent this."""
        self.usd = None if self.usd is None else max(0.0, self.usd - (usage.usd or 0.0))
        self.tokens = None if self.tokens is None else max(0, self.tokens - usage.tokens)

    def finished(self, run_id: str, usage: Usage) -> None:
        """A sub-agent has ended; what it left is there for the others."""
        self.spent += replace(usage, usd=usage.usd or 0.0)
        self._shares.pop(run_id, None)

    def working(self, run_id: str, limits: Limits) -> None:
        """A sub-agent is at work that was given these limits before."""
        usd = None if limits.usd is None else limits.usd + self.call_usd
        self._shares[run_id] = Share(usd, limits.tokens)

    def share(self, run_id: str, to_come: int, own: Limits) -> Limits | None:
        """The limits of the next sub-agent, or None when nothing is left that it could begin with.

        Args:
            to_come: how many have not begun, this one included.
            own: what its declaration allows.
        """
        usd = tokens = None
        if self.usd is not None:
            left = self.usd - (self.spent.usd or 0.0) - sum(s.usd or 0.0 for s in self._shares.values())
            # Shares of which not even one call could be paid are of no use: rather fewer and larger ones.
            usd = min(left, max(left / to_come, 2 * self.call_usd)) - self.call_usd
            if usd <= 0:
                return None
        if self.tokens is not None:
            rest = self.tokens - self.spent.tokens - sum(s.tokens or 0 for s in self._shares.values())
            tokens = rest // to_come
            if tokens <= 0:
                return None
        limits = replace(
            own,
            usd=min((u for u in (own.usd, usd) if u is not None), default=None),
            tokens=min((t for t in (own.tokens, tokens) if t is not None), default=None),
            steps=min((n for n in (own.steps, self.steps) if n is not None), default=None),
            seconds=min((n for n in (own.seconds, self.seconds) if n is not None), default=None),
        )
        self.working(run_id, limits)
        return limits
