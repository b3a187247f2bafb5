"""What a run's sub-agents gained and cost, from journals alone: the critical path, the time saved, who was at work.

*One after another* is what the same runs would have taken one by one: the sum of the time in which each was executed.
The *critical path* of a run is its own time plus, for each split, the path of the longest sub-agent among those whose
answer counted; it is what would be left with places for all at once. Time in which a run slept or waited for a person
is in neither.

What cannot be known from them: what the run would have spent without splitting. Its context would have grown, and no
sub-agent would have read orders and tools anew. So tokens are compared with what can be counted: all that a split
spent, against what one run for each part spent (without second copies and cancelled runs). `opening_tokens` is what the
sub-agents read before their first answer, the most that beginning anew can have cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mainspring.swarm.intervals import Interval, shares, total, union, without
from mainspring.swarm.tree import Node, read, totals

if TYPE_CHECKING:
    from mainspring.store import Store

#: A run that gained less than this from its newest splits is told to stop, see :func:`worth_it`.
LEAST_GAIN = 1.3
#: How many finished splits in a row must have gained too little.
ENOUGH_SPLITS = 2
#: Splits shorter than this, in seconds, say nothing of what splitting gains: most of it is starting runs.
LEAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Path:
    """The longest chain of work that waits for each other.

    Args:
        seconds: its length in time of execution.
        steps, tokens: answers of models and tokens on it.
        runs: ids of the runs on it, from the first.
    """

    seconds: float
    steps: int
    tokens: int
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """One call that started sub-agents.

    Args:
        run, intent: the run that made it, and where in its journal.
        parts: how many tasks it had.
        runs: how many runs were started for them, second copies included.
        done: parts with a run that ended as done.
        stopped: parts whose runs were all cancelled, by a join that had enough or by a person.
        finished: whether every run has ended.
        seconds: from the call until its result (or the newest event) was there.
        alone_seconds: what one run for each part took, one after another.
        gain: the second over the first; None when no time has passed, or no part came to an end.
        path: the longest of its sub-agents, with those below it.
        tokens: all that was spent, with everything below.
        needed_tokens: the share of one run for each part.
        opening_tokens: read by all runs before their first answers.
        at_work: how many sub-agents were at work -> share of `seconds`; 0 means that all waited.
    """

    run: str
    intent: int
    parts: int
    runs: int
    done: int
    stopped: int
    finished: bool
    seconds: float
    alone_seconds: float
    gain: float | None
    path: Path
    tokens: int
    needed_tokens: int
    opening_tokens: int
    at_work: dict[int, float] = field(default_factory=dict)

    @property
    def tokens_times(self) -> float:
        """All tokens over those of one run for each part."""
        return self.tokens / self.needed_tokens if self.needed_tokens else 1.0

    def line(self) -> str:
        """A short line for the model that split. Made of figures of the runtime only."""
        gain = "gain unknown" if self.gain is None else f"{self.gain:.1f} times as fast as one after another"
        began = f"{self.parts} part{'s' if self.parts != 1 else ''}"
        missing = f" ({self.parts - self.done} not done)" if self.done < self.parts else ""
        return (
            f"{began}{missing}: {gain} ({_s(self.seconds)}, not {_s(self.alone_seconds)}), "
            f"critical path {self.path.steps} step{'s' if self.path.steps != 1 else ''} / {_s(self.path.seconds)}; "
            f"tokens {self.tokens_times:.1f} times"
        )


@dataclass(frozen=True, slots=True)
class Analysis:
    """What splitting did for a whole tree.

    Args:
        seconds: from the first run's beginning to the newest event of the tree.
        alone_seconds: what all of it took in execution, one after another, one run for each part.
        gain: how many times as fast it was; time in which nobody was at work counts for nobody. None for no time.
        path: the critical path.
        splits: every call that started sub-agents, those of the first run first.
    """

    seconds: float
    alone_seconds: float
    gain: float | None
    path: Path
    splits: tuple[Split, ...]

    def encode(self) -> dict[str, Any]:
        """As JSON-ready dict."""
        return asdict(self)


def analyse(root: Node) -> Analysis:
    """The figures of a tree that was read before."""
    figures = _Figures(root)
    splits = tuple(s for node in root.walk() for s in figures.splits(node) if figures.counts(node))
    began = root.began_at if root.began_at is not None else root.created_at
    last = max((n.last_at for n in root.walk() if figures.counts(n)), default=began)
    busy = total([i for n in root.walk() if figures.counts(n) for i in n.work])
    alone = figures.alone[root.id]
    return Analysis(max(0.0, last - began), alone, _over(alone, busy), figures.path[root.id], splits)


def split_of(store: Store, run_id: str, intent: int) -> Split | None:
    """What one call of a run gained so far; None when it started nothing."""
    root = read(store, run_id, intent=intent)
    return next((s for s in _Figures(root).splits(root) if s.intent == intent), None)


def splits_of(store: Store, run_id: str) -> list[Split]:
    """What each call of a run gained so far, oldest first."""
    root = read(store, run_id)
    return _Figures(root).splits(root)


def gained(store: Store, run_id: str, intent: int) -> str:
    """A line for the model on what a call of its run gained; "" when it started fewer than two parts."""
    split = split_of(store, run_id, intent)
    return "" if split is None or split.parts < 2 else split.line()


def worth_it(history: Sequence[Split], tasks: int) -> str | None:
    """Why this run should not split again, or None.

    Args:
        history: what the run's splits gained so far, oldest first.
        tasks: how many parts it wants to start now.
    """
    # Where a join had enough, nobody knows how many parts one after another would have needed.
    judged = [
        s
        for s in history
        if s.finished and s.parts > 1 and s.gain is not None and not s.stopped and s.seconds >= LEAST_SECONDS
    ]
    newest = judged[-ENOUGH_SPLITS:]
    if tasks < 2 or len(newest) < ENOUGH_SPLITS or any((s.gain or 0.0) >= LEAST_GAIN for s in newest):
        return None
    said = " and ".join(f"{s.gain:.1f}" for s in newest)
    return (
        f"splitting does not pay in this run: its last {len(newest)} splits were {said} times as fast as one after "
        f"another (at least {LEAST_GAIN:g} is wanted). Do these {tasks} parts yourself, one after another."
    )


class _Figures:
    """Sums over a tree, from the leaves up; no recursion, since a tree may be deep."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self.alone: dict[str, float] = {}
        self.path: dict[str, Path] = {}
        self.cover: dict[str, list[Interval]] = {}
        self.totals = totals(root)
        self._left_out = {
            below.id
            for node in root.walk()
            for c in node.children
            if c.fork or (c.foreign and not node.foreign)
            for below in c.walk()
        }
        for node in reversed(list(root.walk())):
            self._add(node)

    def counts(self, node: Node) -> bool:
        """Whether it is part of the sums of the first run."""
        return node.id not in self._left_out

    def _add(self, node: Node) -> None:
        own = total(without(node.work, [self._span(node, intent) for intent in node.splits]))
        alone, path = own, Path(own, node.steps, node.usage.tokens, (node.id,))
        for stage in self._stages(node):
            needed = _needed(stage)
            alone += sum(self.alone[c.id] for c in needed)
            longest = self._longest(needed or stage)
            path = Path(
                path.seconds + longest.seconds,
                path.steps + longest.steps,
                path.tokens + longest.tokens,
                path.runs + longest.runs,
            )
        self.alone[node.id], self.path[node.id] = alone, path
        self.cover[node.id] = union([*node.work, *(i for c in node.parts() for i in self.cover[c.id])])

    def _longest(self, runs: Sequence[Node]) -> Path:
        return max((self.path[c.id] for c in runs), key=lambda p: (p.seconds, p.steps))

    def _span(self, node: Node, intent: int) -> Interval:
        began, done = node.splits[intent]
        if done is None:
            done = max([began, *(below.last_at for c in _of(node, intent) for below in c.walk())])
        return began, done

    def _stages(self, node: Node) -> list[list[Node]]:
        """Sub-agents that were at work beside each other: of one call, or of calls at the same time."""
        stages: list[list[Node]] = []
        until = 0.0
        for intent in sorted(node.splits, key=lambda i: node.splits[i][0]):
            began, done = self._span(node, intent)
            if stages and began < until:
                stages[-1].extend(_of(node, intent))
            else:
                stages.append(list(_of(node, intent)))
            until = max(until, done)
        unknown = [c for c in node.parts() if c.started_by is None or c.started_by[0] not in node.splits]
        return [s for s in [*stages, unknown] if s]

    def splits(self, node: Node) -> list[Split]:
        """What each of its calls gained."""
        found = []
        for intent in sorted(node.splits):
            runs = _of(node, intent)
            if not runs:
                continue
            began, done = self._span(node, intent)
            needed = _needed(runs)
            alone = sum(self.alone[c.id] for c in needed)
            places = {c.started_by for c in runs}
            found.append(
                Split(
                    run=node.id,
                    intent=intent,
                    parts=len(places),
                    runs=len(runs),
                    done=len({c.started_by for c in runs if c.status == "done"}),
                    stopped=len(places - {c.started_by for c in runs if c.status != "cancelled"}),
                    finished=all(c.ended for c in runs),
                    seconds=done - began,
                    alone_seconds=alone,
                    gain=_over(alone, done - began) if needed else None,
                    path=self._longest(needed or runs),
                    tokens=sum(self.totals[c.id][1].tokens for c in runs),
                    needed_tokens=sum(self.totals[c.id][1].tokens for c in needed),
                    opening_tokens=sum(c.first_input for c in runs),
                    at_work=shares([self.cover[c.id] for c in runs], (began, done)),
                )
            )
        return found


def _of(node: Node, intent: int) -> list[Node]:
    return [c for c in node.parts() if c.started_by is not None and c.started_by[0] == intent]


def _needed(runs: Sequence[Node]) -> list[Node]:
    """One run for each part: the one that is done first, else the one that came furthest; none for a cancelled part."""

    def rank(node: Node) -> tuple[bool, bool, float, str]:
        return (node.status != "done", node.copy, node.last_at, node.id)

    best: dict[object, Node] = {}
    for node in sorted(runs, key=rank):
        if node.status != "cancelled":
            best.setdefault(node.started_by or node.id, node)
    return list(best.values())


def _over(alone: float, taken: float) -> float | None:
    return alone / taken if taken > 0 else None


def _s(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:,.0f} s"
