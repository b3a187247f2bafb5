"""What the model server will say and how long it will take: drawn from the seed, the same for every system.

Imports nothing but the standard library, because it runs inside each peer's own environment.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from dataclasses import asdict, dataclass

INSTRUCTIONS = (
    "You examine one part. Call the tool measure with the part's number and the next step, one call at a time, "
    "and answer with the part's number and the check of all measurements. " + "Be exact and brief. " * 40
)
#: Parts from here on are for warming up: no latency, no limit, no failure.
WARM_UP = 1_000_000
RESULT_CHARS = 800


@dataclass(frozen=True, slots=True)
class Size:
    """How large the task is, and what the server is like.

    Args:
        parts: independent parts of the task.
        calls: model calls of a part; between two of them there is one tool call.
        median_s, sigma: of a model call's latency, log-normal.
        tool_s: of a tool call.
        rate: requests a second that the server takes; it holds one second's worth of them in stock.
        failing: share of the requests that end with status 500, after half of their latency.
    """

    parts: int = 100
    calls: int = 4
    median_s: float = 0.22
    sigma: float = 0.6
    tool_s: float = 0.02
    rate: float = 32.0
    failing: float = 0.02
    seed: int = 11

    def encode(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Size:
        """Inverse of :meth:`encode`."""
        return cls(**json.loads(text))

    def _random(self, part: int, step: int, attempt: int) -> random.Random:
        return random.Random(f"{self.seed}:{part}:{step}:{attempt}")

    def latency(self, part: int, step: int, attempt: int) -> float:
        """Seconds until the answer to a request that is taken; `attempt` counts those before it from 0."""
        if part >= WARM_UP:
            return 0.0
        full = self._random(part, step, attempt).lognormvariate(math.log(self.median_s), self.sigma)
        return full / 2 if self.fails(part, step, attempt) else full

    def fails(self, part: int, step: int, attempt: int) -> bool:
        """Whether it ends with status 500."""
        return part < WARM_UP and self._random(part, step, attempt + 1_000).random() < self.failing

    def requests(self, part: int) -> list[tuple[float, float]]:
        """Every request of a part that is tried again at once: its seconds, and the tool's seconds behind it."""
        found = []
        for step in range(self.calls):
            attempt = 0
            while self.fails(part, step, attempt):
                found.append((self.latency(part, step, attempt), 0.0))
                attempt += 1
            tool = self.tool_s if step < self.calls - 1 else 0.0
            found.append((self.latency(part, step, attempt), tool))
        return found


def task(part: int) -> str:
    """What an agent is told."""
    return f"Examine part [part {part}]."


def marker(part: int, step: int) -> str:
    """A text that only this measurement returns."""
    return hashlib.sha256(f"{part}.{step}".encode()).hexdigest()[:16]


def measurement(part: int, step: int) -> str:
    """The tool's answer."""
    head = f"measurement {part}.{step} <{marker(part, step)}>\n"
    return head + ("within the usual range; " * (RESULT_CHARS // 20))[: RESULT_CHARS - len(head)]


def verdict(part: int, markers: list[str]) -> str:
    """The final answer of an agent that saw these measurements."""
    return f"part {part}: {hashlib.sha256(' '.join(markers).encode()).hexdigest()[:16]}"


def expected(size: Size, part: int) -> str:
    """The right answer: every measurement was made, in turn, and came back to the model."""
    return verdict(part, [marker(part, step) for step in range(size.calls - 1)])
