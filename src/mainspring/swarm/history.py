"""What past runs of an agent took, alone and split: a few sums for each kind of task, newer runs weighing more.

The sums come from the journals of runs that were started by `swarm.run` here and have ended: times of events, tokens
as the providers counted them, and how the run ended. Nothing that a model, a tool or a task says goes into them, an
imported journal's figures do not count, and one run moves an average only so far.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mainspring.errors import MainspringError, StoreError

if TYPE_CHECKING:
    from mainspring.store import Kept, Store
    from mainspring.swarm.tree import Node

Strategy: TypeAlias = Literal["alone", "split"]

KIND = "strategy"
#: Weight that a sum keeps with each further run of its side: about the last ten runs count.
DECAY = 0.9
#: Runs of each side (after decay) below which not enough is known.
ENOUGH_RUNS = 2.5
#: Runs under way that are remembered for one kind of task; older ones are forgotten without having counted.
MOST_OPEN = 50
#: Seconds after which a run that has not ended is forgotten.
FORGOTTEN_S = 30 * 86400.0
#: The least and the most that one run may say of itself, in seconds and tokens: a clock may have jumped.
_SECONDS = (0.01, 30 * 86400.0)
_TOKENS = (1.0, 1e10)


@dataclass(frozen=True, slots=True)
class Side:
    """What is known of one way of doing a kind of task.

    Args:
        runs: how many, each older one weighing less.
        done: those of them that ended as done.
        log_seconds, log_tokens: sums of logarithms over the same runs, so that one long run does not decide.
    """

    runs: float = 0.0
    done: float = 0.0
    log_seconds: float = 0.0
    log_tokens: float = 0.0

    @property
    def done_share(self) -> float:
        """Share of runs that ended as done."""
        return self.done / self.runs if self.runs else 0.0

    @property
    def seconds(self) -> float:
        """Geometric mean of seconds of execution."""
        return math.exp(self.log_seconds / self.runs) if self.runs else 0.0

    @property
    def tokens(self) -> float:
        """Geometric mean of tokens, sub-agents included."""
        return math.exp(self.log_tokens / self.runs) if self.runs else 0.0

    @property
    def enough(self) -> bool:
        """Whether it was seen often enough to be compared."""
        return self.runs >= ENOUGH_RUNS

    def with_run(self, done: bool, seconds: float, tokens: float) -> Side:
        """The same with one more run."""
        return Side(
            self.runs * DECAY + 1.0,
            self.done * DECAY + done,
            self.log_seconds * DECAY + math.log(min(max(seconds, _SECONDS[0]), _SECONDS[1])),
            self.log_tokens * DECAY + math.log(min(max(tokens, _TOKENS[0]), _TOKENS[1])),
        )

    def encode(self) -> list[float]:
        """As JSON."""
        return [round(v, 6) for v in (self.runs, self.done, self.log_seconds, self.log_tokens)]

    @classmethod
    def decode(cls, value: Any) -> Side:
        """Inverse of :meth:`encode`; what cannot be such sums is nothing that is known."""
        try:
            runs, done, log_seconds, log_tokens = (float(v) for v in value)
        except (TypeError, ValueError):
            return cls()
        most = 1.0 / (1.0 - DECAY) + 1e-3
        sane = 0.0 <= done <= runs <= most
        for total, (least, largest) in ((log_seconds, _SECONDS), (log_tokens, _TOKENS)):
            sane = sane and runs * math.log(least) - 1e-3 <= total <= runs * math.log(largest) + 1e-3
        return cls(runs, done, log_seconds, log_tokens) if sane else cls()


@dataclass(frozen=True, slots=True)
class History:
    """What is known of an agent and a kind of task.

    Args:
        waiting: run id -> its strategy and when it was begun, of runs that have not counted yet.
    """

    alone: Side = field(default_factory=Side)
    split: Side = field(default_factory=Side)
    waiting: Mapping[str, tuple[Strategy, float]] = field(default_factory=dict)

    def encode(self) -> dict[str, Any]:
        """As JSON-ready dict."""
        waiting = {run: list(entry) for run, entry in self.waiting.items()}
        return {"alone": self.alone.encode(), "split": self.split.encode(), "waiting": waiting}

    @classmethod
    def decode(cls, body: Mapping[str, Any]) -> History:
        """Inverse of :meth:`encode`; what is no history is an empty one."""
        waiting: dict[str, tuple[Strategy, float]] = {}
        found = body.get("waiting")
        for run, entry in found.items() if isinstance(found, dict) else ():
            if isinstance(entry, list) and len(entry) == 2 and entry[0] in ("alone", "split"):
                waiting[run] = (entry[0], float(entry[1]))
        return cls(Side.decode(body.get("alone")), Side.decode(body.get("split")), waiting)


def recall(store: Store, agent: str, kind: str, *, clock: Callable[[], float] = time.time) -> History:
    """What is known by now; runs that have ended since somebody last asked are counted first.

    Args:
        agent: its name.
        kind: of the task, see :mod:`mainspring.swarm.shape`.
    """
    known = History()
    for _ in range(20):
        kept = store.kept(KIND, _name(agent, kind))
        known = _decoded(kept)
        settled = _settled(store, agent, kind, known, clock())
        if settled == known or _keep(store, agent, kind, settled, kept):
            return settled
    return known  # others write all the time; what they wrote is counted by the next one that asks


def begun(
    store: Store, agent: str, kind: str, strategy: Strategy, run_id: str, *, clock: Callable[[], float] = time.time
) -> bool:
    """Remember that a run was begun, so that it counts once it has ended. False when others write all the time."""
    for _ in range(20):
        kept = store.kept(KIND, _name(agent, kind))
        known = _decoded(kept)
        waiting = {**known.waiting, run_id: (strategy, clock())}
        newest = sorted(waiting.items(), key=lambda item: item[1][1])[-MOST_OPEN:]
        if _keep(store, agent, kind, History(known.alone, known.split, dict(newest)), kept):
            return True
    return False


def _settled(store: Store, agent: str, kind: str, known: History, now: float) -> History:
    sides: dict[Strategy, Side] = {"alone": known.alone, "split": known.split}
    waiting = dict(known.waiting)
    for run_id, (strategy, since) in known.waiting.items():
        figures = _figures(store, agent, kind, strategy, run_id)
        if figures is None:
            if not 0 <= now - since < FORGOTTEN_S:
                del waiting[run_id]
            continue
        del waiting[run_id]
        if figures:
            sides[strategy] = sides[strategy].with_run(*figures)
    return History(sides["alone"], sides["split"], waiting)


def _figures(
    store: Store, agent: str, kind: str, strategy: Strategy, run_id: str
) -> tuple[bool, float, float] | tuple[()] | None:
    """Done, seconds and tokens of a run that has ended; None when it goes on, empty when it does not count."""
    from mainspring.swarm.intervals import total
    from mainspring.swarm.tree import read, totals

    try:
        row = store.row(run_id)
        if row.status not in ("done", "failed", "cancelled"):
            return None
        root: Node = read(store, run_id)
    except MainspringError:
        return ()  # it is gone
    ours = root.agent == agent and root.strategy.get("strategy") == strategy and root.strategy.get("kind") == kind
    if not ours or root.foreign or root.problem or row.status == "cancelled":
        return ()
    seconds = total([i for n in root.walk() if not n.fork and not n.foreign for i in n.work])
    return row.status == "done", seconds, float(totals(root)[run_id][1].tokens)


def _decoded(kept: Kept | None) -> History:
    if kept is None:
        return History()
    try:
        return History.decode(kept.body)
    except (AttributeError, TypeError, ValueError):
        return History()


def _keep(store: Store, agent: str, kind: str, history: History, kept: Kept | None) -> bool:
    name = _name(agent, kind)
    try:
        store.keep(KIND, name, history.encode(), version=0 if kept is None else kept.version)
    except StoreError:
        if store.kept(KIND, name) == kept:
            raise  # nobody was faster: it cannot be written
        return False
    return True


def _name(agent: str, kind: str) -> str:
    return f"{kind}:{agent}"
