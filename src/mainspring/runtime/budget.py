"""Limits and the breaker, checked in one place: before each model call."""

from __future__ import annotations

from dataclasses import dataclass

from mainspring.agent import Limits
from mainspring.runtime.bounds import TIME_IS_OVER
from mainspring.runtime.state import RunState

#: Share of a limit at which the model is warned, and at which it is asked for its last word.
WARN_SHARE = 0.8
LAST_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the budget says before a model call.

    Args:
        stop: why the run must end now, or None.
        warn: `(name, spent, allowed, text for the model)` for a limit that comes near, or None.
    """

    stop: str | None = None
    warn: tuple[str, float, float, str] | None = None


GO = Verdict()


def check_budget(state: RunState, limits: Limits, now: float) -> Verdict:
    """Compare what was spent with what is allowed, and look for a run that goes in circles."""
    if state.bounds.over(now):
        return Verdict(stop=TIME_IS_OVER)
    looping = _circle(state, limits)
    if looping is not None:
        return looping
    if limits.tool_failures is not None and state.failures >= limits.tool_failures:
        return Verdict(stop=f"{state.failures} tool calls in a row failed (limit tool_failures={limits.tool_failures})")
    spent: dict[str, float] = {
        "steps": state.step,
        "tokens": state.usage.tokens,
        "usd": state.usage.usd or 0.0,
        "seconds": state.seconds(now),
    }
    for name, value in spent.items():
        allowed = getattr(limits, name)
        if allowed is None:
            continue
        if value >= allowed:
            return Verdict(stop=f"limit {name} reached: {_number(value)} of {_number(allowed)} spent")
    for name, value in spent.items():
        allowed = getattr(limits, name)
        if allowed is None:
            continue
        # A share says nothing of a few steps; and a run of one step was asked for one answer, not for its last word.
        last = 0 < allowed - 1 <= value if name == "steps" else value >= allowed * LAST_SHARE
        if last and f"{name}:last" not in state.warned:
            text = (
                f"This is your last step: limit {name} ({_number(value)} of {_number(allowed)}). Do not call tools. "
                "Give your final answer now, and say what is done and what is not."
            )
            return Verdict(warn=(f"{name}:last", value, allowed, text))
        if value >= allowed * WARN_SHARE and name not in state.warned and f"{name}:last" not in state.warned:
            text = f"{_number(value)} of {_number(allowed)} {name} are spent. Bring the work to an orderly end."
            return Verdict(warn=(name, value, allowed, text))
    return GO


def _circle(state: RunState, limits: Limits) -> Verdict | None:
    if limits.repeats is None:
        return None
    prints = state.fingerprints
    if not prints or prints[-1] not in prints[-5:-1]:
        return None  # the last step is new; no circle of up to four steps ends with it
    for period in (1, 2, 3, 4):
        rounds = 1
        while (rounds + 1) * period <= len(prints) and all(
            prints[-i] == prints[-i - rounds * period] for i in range(1, period + 1)
        ):
            rounds += 1
        if rounds >= limits.repeats:
            what = "the same call" if period == 1 else f"the same {period} steps"
            return Verdict(stop=f"no progress: {what} with the same answer {rounds} times in a row")
        key = f"repeats:{state.step}"
        if rounds >= max(2, limits.repeats // 2) and rounds * period >= 3 and key not in state.warned:
            text = (
                f"You have done the same {rounds} times with the same answer. It will not change. Take another way, "
                "or give your final answer."
            )
            return Verdict(warn=(key, rounds, limits.repeats, text))
    return None


def _number(value: float) -> str:
    return f"{value:,.4g}" if isinstance(value, float) and not value.is_integer() else f"{int(value):,}"
