"""Which runs a worker takes up next: higher priorities first, and among equals no agent at the cost of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring.store import RunRow


def pick(ready: Mapping[str, Sequence[RunRow]], active: Mapping[str, int], free: int) -> list[RunRow]:
    """At most `free` runs, in the order in which they are to be taken up.

    Args:
        ready: for each agent its runs that are ready, the most urgent first.
        active: how many runs of each agent this worker executes already.

    Among runs of one priority, the agent with the fewest runs at work comes next: a thousand runs of one agent leave
    room for the one run of another.
    """
    left = {agent: list(rows) for agent, rows in ready.items() if rows}
    count = {agent: active.get(agent, 0) for agent in left}
    picked: list[RunRow] = []
    while left and len(picked) < free:
        agent = min(left, key=lambda a: (-left[a][0].priority, count[a], a))
        picked.append(left[agent].pop(0))
        count[agent] += 1
        if not left[agent]:
            del left[agent]
    return picked
