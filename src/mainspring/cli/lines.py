"""What a narration is made of: lines with a style, and what was spent so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mainspring.cli.render import count, seconds, usd
from mainspring.messages import Usage


class Happening(Protocol):
    """What is narrated: a journal event, or a live one that was not journaled."""

    @property
    def kind(self) -> str: ...
    @property
    def at(self) -> float: ...
    @property
    def payload(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph to print. `style` is one of the keys of :data:`STYLES`; the text is safe for terminals."""

    style: str
    text: str


#: What each style looks like where colours exist.
STYLES: Mapping[str, str] = {
    "head": "bold",
    "think": "dim italic",
    "say": "",
    "call": "cyan",
    "result": "dim",
    "error": "red",
    "warn": "yellow",
    "spent": "dim blue",
    "person": "green",
    "guard": "magenta",
}


@dataclass
class Tally:
    """What a run has spent so far, and of how much."""

    steps: int = 0
    usage: Usage = field(default_factory=Usage)
    limits: Mapping[str, Any] = field(default_factory=dict)
    began: float = 0.0

    def text(self, now: float | None = None) -> str:
        """Such as ``step 3/50 · 4.1k tokens · $0.01/$2.00 · 12s``."""
        steps, tokens, dollars, time_limit = (self.limits.get(k) for k in ("steps", "tokens", "usd", "seconds"))
        parts = [f"step {self.steps}" + (f"/{steps:g}" if steps else "")]
        parts.append(count(self.usage.tokens) + (f"/{count(tokens)}" if tokens else "") + " tokens")
        if self.usage.usd is None or self.usage.usd > 0 or dollars:
            parts.append(usd(self.usage.usd) + (f"/{usd(dollars)}" if dollars else ""))
        if now is not None and self.began:
            parts.append(seconds(now - self.began) + (f"/{seconds(time_limit)}" if time_limit else ""))
        return " · ".join(parts)
