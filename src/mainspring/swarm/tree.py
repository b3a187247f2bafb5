"""A run and all that it started, read from their journals: who worked when, on what, and what each spent.

Only what the runtime itself wrote is used for times and spending: when events were journaled, and what providers
counted. What a model or a tool says of itself is shown as text and never counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from mainspring.errors import MainspringError, RunNotFoundError
from mainspring.messages import Usage, decode_usage
from mainspring.runtime.events import check_version
from mainspring.swarm.intervals import Interval

if TYPE_CHECKING:
    from mainspring.store import Event, RunRow, Store


@dataclass(slots=True)
class Node:
    """One run of a tree.

    Args:
        id, agent, task, created_at: as the store lists it.
        status: as :attr:`mainspring.runtime.run.Run.status` says it.
        parent: the run above it in this tree; None for the first.
        depth: how many runs of this tree stand above it.
        reason: why it failed, waits or was cancelled.
        problem: why its journal cannot be read to its end, or "".
        fork: whether it has the history of the run above instead of having been started by it.
        foreign: whether its journal came with an import, so that times and spending are what somebody else says.
        started_by: the intent (seq) of the run above that started it and its place among the tasks; None for others.
        strategy: what `swarm.run` decided for it: ``strategy``, ``kind`` and ``reason``; empty when nobody asked.
        began_at, ended_at: of its work, Unix times; None when it has not begun, or goes on.
        last_at: of its newest event.
        steps: answers of its model.
        usage: what its own model calls spent, without those of the runs below.
        unpriced: how many of these calls have no known price.
        first_input: tokens that its first model call read.
        work: when it was executed, in order.
        splits: intent -> when its sub-agents were started, and when their results were there (None: not yet).
        children: runs below it, oldest first.
    """

    id: str
    agent: str
    task: str
    status: str
    created_at: float
    parent: str | None = None
    depth: int = 0
    reason: str = ""
    problem: str = ""
    fork: bool = False
    foreign: bool = False
    started_by: tuple[int, int] | None = None
    strategy: dict[str, str] = field(default_factory=dict)
    began_at: float | None = None
    ended_at: float | None = None
    last_at: float = 0.0
    steps: int = 0
    usage: Usage = field(default_factory=Usage)
    unpriced: int = 0
    first_input: int = 0
    work: list[Interval] = field(default_factory=list)
    splits: dict[int, tuple[float, float | None]] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""
        return self.status in ("done", "failed", "cancelled")

    @property
    def copy(self) -> bool:
        """Whether its part was begun before: the second copy of a slow sub-agent, or another try (``~2``, ``~3``)."""
        return self.id.rpartition("~")[2].isdecimal() and "~" in self.id

    def walk(self) -> Iterator[Node]:
        """It and all below it, each before those below."""
        waiting: list[Node] = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))

    def parts(self) -> list[Node]:
        """The runs that it started and that count: no forks, and nothing that somebody else's journal claims, unless
        the whole comes from there."""
        return [c for c in self.children if not c.fork and (self.foreign or not c.foreign)]


def read(
    store: Store, run_id: str, *, intent: int | None = None, report: Callable[[int], None] = lambda count: None
) -> Node:
    """The tree under a run. A journal that cannot be read is a node with its problem, and not an error.

    Args:
        intent: leave out what other calls of the run started.
        report: receives the number of runs read so far.

    Raises:
        RunNotFoundError: there is no such run.
    """
    root = _node(store, store.row(run_id), None)
    seen = {run_id}
    spent: dict[str, dict[int, tuple[Usage, int]]] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        spent[node.id] = _read_journal(store, node)
        rows = [row for row in store.children(node.id) if row.id not in seen]  # an imported journal may name anything
        if intent is not None and node is root:
            rows = [row for row in rows if row.id.startswith(f"{run_id}.{intent}.")]
        seen.update(row.id for row in rows)
        node.children = [_node(store, row, node) for row in rows]
        waiting.extend(reversed(node.children))
        report(len(spent))
    for node in root.walk():
        _own_usage(node, spent[node.id])
    return root


def _node(store: Store, row: RunRow, above: Node | None) -> Node:
    status = "interrupted" if row.status == "running" and not row.alive else row.status
    node = Node(row.id, row.agent, row.task, status, row.created_at, last_at=row.created_at)
    node.foreign = store.imported(row.id) is not None
    if above is not None:
        node.parent, node.depth = above.id, above.depth + 1
    return node


def _read_journal(store: Store, node: Node) -> dict[int, tuple[Usage, int]]:
    """Fill in what the journal says; returns what each intent's answer says that was spent for it."""
    reader = _Reader(node)
    try:
        for event in store.events(node.id):
            reader.take(event)
    except RunNotFoundError:
        node.problem = "its journal is gone"
    except MainspringError as error:
        node.problem = str(error)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        node.problem = f"an event of its journal is not as it should be: {type(error).__name__}: {error}"
    reader.close()
    return reader.spent


def _own_usage(node: Node, spent: dict[int, tuple[Usage, int]]) -> None:
    """Take in what tools spent, but not what sub-agents did: these have journals of their own."""
    started = {c.started_by[0] for c in node.children if c.started_by is not None}
    for intent, (usage, unpriced) in spent.items():
        if intent not in started:
            node.usage += usage
            node.unpriced += unpriced
    node.splits = {intent: times for intent, times in node.splits.items() if intent in started}
    for intent in started - set(node.splits):  # a program asked on its behalf, or its own journal is damaged
        begun = [c.began_at or c.created_at for c in node.children if c.started_by and c.started_by[0] == intent]
        node.splits[intent] = (min(begun), None)


class _Reader:
    """Takes one journal's events into a node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.since: float | None = None
        self.spent: dict[int, tuple[Usage, int]] = {}

    def take(self, event: Event) -> None:
        """One more event, in order."""
        check_version(event)
        if not isfinite(event.at):  # an imported journal may say anything
            raise ValueError(f"its time is {event.at}")
        node, p = self.node, event.payload
        if event.kind == "run.started":
            cause = (p.get("bounds") or {}).get("cause") or {}
            self._started(cause)
            node.strategy = {k: str(v) for k, v in dict(cause.get("strategy") or {}).items()}
            node.began_at = self.since = event.at
        elif event.kind == "run.forked":  # what was copied is the other run's
            self.since = None
            self.spent = {}
            node.began_at, node.steps, node.usage, node.unpriced, node.first_input = None, 0, Usage(), 0, 0
            node.work, node.splits = [], {}
        elif event.kind == "run.resumed":
            if event.seq == 2:
                node.began_at = self.since = None  # until now it waited for a worker
            self._rest(node.last_at)  # where a process died
            node.began_at = event.at if node.began_at is None else node.began_at
            self.since, node.reason = event.at, ""
        elif event.kind in ("run.waiting", "run.paused", "run.ended"):
            self._rest(event.at)
            node.reason = str(p.get("reason") or "")
        elif event.kind == "model.answered":
            node.steps += 1
            before = node.usage.calls
            self._spend(p["message"].get("usage"))
            node.first_input = node.usage.input_tokens if before == 0 else node.first_input
        elif event.kind in ("context.compacted", "grants.compiled", "drift.checked"):
            self._spend(p.get("usage"))
        elif event.kind == "effect.intended":
            node.splits[event.seq] = (event.at, None)
        elif event.kind == "effect.done":
            begun = node.splits.get(p["intent"])
            if begun is not None:
                node.splits[p["intent"]] = (begun[0], max(begun[0], event.at))
            if p.get("usage"):
                self.spent[p["intent"]] = _priced(decode_usage(p["usage"]))
        node.last_at = event.at

    def _started(self, cause: dict[str, Any]) -> None:
        node, index = self.node, cause.get("index")
        if node.parent is None:
            return
        if cause.get("run") != node.parent:
            node.fork = True  # the first event is that of the run above
        elif isinstance(cause.get("intent"), int):
            node.started_by = (cause["intent"], index if isinstance(index, int) else 0)

    def _spend(self, encoded: Any) -> None:
        if encoded:
            usage, unpriced = _priced(decode_usage(encoded))
            self.node.usage += usage
            self.node.unpriced += unpriced

    def _rest(self, at: float) -> None:
        if self.since is not None:
            self.node.work.append((self.since, max(self.since, at)))  # a clock may have been put back
        self.since = None

    def close(self) -> None:
        """The journal ends here."""
        self._rest(self.node.last_at)
        if self.node.ended:
            self.node.ended_at = self.node.last_at


def _priced(usage: Usage) -> tuple[Usage, int]:
    """The usage with an unknown price as 0, and for how many calls it is unknown."""
    if usage.usd is not None:
        return usage, 0
    known = Usage(
        usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.calls, 0.0
    )
    return known, usage.calls


def totals(root: Node) -> dict[str, tuple[int, Usage, int]]:
    """Run id -> steps, usage and calls without a price, of it and all below, each run counted once.

    Forks, and imported runs under one that is not, have sums of their own and are part of no other.
    """
    found: dict[str, tuple[int, Usage, int]] = {}
    for node in reversed(list(root.walk())):
        steps, usage, unpriced = node.steps, node.usage, node.unpriced
        for child in node.parts():
            more = found[child.id]
            steps, usage, unpriced = steps + more[0], usage + more[1], unpriced + more[2]
        found[node.id] = (steps, usage, unpriced)
    return found
