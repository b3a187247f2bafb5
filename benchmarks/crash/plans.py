"""What a run is to do: a seeded list of steps, each a list of calls, written into the task itself."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

#: How the journal settles a call of each tool after a crash, and how often a plan picks it.
TOOLS = {
    "look": ("read", 2),
    "charge": ("keyed", 4),
    "book": ("reconcile", 3),
    "book_by_child": ("reconcile", 2),
    "reserve": ("reconcile", 2),
    "guess": ("reconcile", 1),
    "publish": ("opaque", 3),
    "publish_by_child": ("opaque", 2),
}

#: Tools whose doubts only a person can settle.
MAY_PARK = ("guess", "publish", "publish_by_child")


@dataclass(frozen=True)
class Plan:
    """The steps of one run: each a list of (tool, number), numbers being unique in the run."""

    agent: str
    steps: tuple[tuple[tuple[str, int], ...], ...]

    @property
    def task(self) -> str:
        """The task's text; the model reads its script back from it."""
        return json.dumps([[list(call) for call in step] for step in self.steps])

    @property
    def calls(self) -> dict[int, str]:
        """Tool by number."""
        return {n: tool for step in self.steps for tool, n in step}

    def denied(self, n: int) -> bool:
        """Whether the person says no to call `n` when asked."""
        return self.agent == "crash-asks" and n % 9 == 8


def make_plan(rng: random.Random) -> Plan:
    """Two to four steps of one to three calls side by side; a third of the runs ask before each effect."""
    names = [name for name, (_, weight) in TOOLS.items() for _ in range(weight)]
    number = 0
    steps = []
    for _ in range(rng.randint(2, 4)):
        step = []
        for _ in range(rng.choice((1, 1, 2, 3))):
            step.append((rng.choice(names), number))
            number += 1
        steps.append(tuple(step))
    return Plan(rng.choice(("crash-allows", "crash-allows", "crash-asks")), tuple(steps))


def read_task(text: str) -> list[list[tuple[str, int]]]:
    """Inverse of :attr:`Plan.task`."""
    return [[(tool, n) for tool, n in step] for step in json.loads(text)]
