"""When a call for sub-agents is satisfied, and with which of their answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from mainspring.label import SYSTEM, Label, join_all
from mainspring.messages import Usage
from mainspring.swarm.child import Ended
from mainspring.swarm.options import Join


@dataclass(frozen=True, slots=True)
class Result:
    """What came back from sub-agents.

    Args:
        join: how it was to end, and `satisfied` whether it did.
        of: how many parts there were.
        answers: the good answers that it comes to, in the order of the parts (for "first" and "vote", one).
        missing: every other part, with the reason.
        votes: for "vote", how many gave that answer.
        label: of `answers` as a choice: for "first", "verified" and "vote" everybody who might have been chosen.
        usage: what all model calls below have spent, cancelled and failed parts included.
        run_id: the run that started them.
    """

    join: Join
    satisfied: bool
    of: int
    answers: tuple[Ended, ...] = ()
    missing: tuple[Ended, ...] = ()
    votes: int = 0
    label: Label = SYSTEM
    usage: Usage = field(default_factory=Usage)
    run_id: str = ""

    @property
    def outputs(self) -> list[object]:
        """The answers alone, as text or JSON data, in the order of the parts."""
        return [a.output for a in self.answers]


def ballot(output: object) -> str:
    """What counts as the same answer: equal data, or a text equal but for the space around it and its case."""
    if isinstance(output, str):
        return " ".join(output.split()).casefold()
    return json.dumps(output, sort_keys=True, ensure_ascii=False)


def votes(good: Iterable[Ended]) -> list[tuple[int, Ended]]:
    """Answers by how many gave them, most first; of equals the one that was there first."""
    counted: dict[str, list[Ended]] = {}
    for answer in sorted(good, key=lambda a: (a.at, a.index)):
        counted.setdefault(ballot(answer.output), []).append(answer)
    return sorted(((len(a), a[0]) for a in counted.values()), key=lambda found: -found[0])


def over(join: Join, k: int, good: list[Ended], to_come: int) -> bool:
    """Whether nothing that is still to come could change the outcome."""
    if to_come == 0:
        return True
    if join in ("first", "verified"):
        return bool(good)
    if join == "k":
        return len(good) >= k or len(good) + to_come < k
    if join == "vote":
        counted = votes(good)
        second = counted[1][0] if len(counted) > 1 else 0
        return bool(counted) and counted[0][0] > second + to_come
    return False


def result(join: Join, k: int, of: int, ended: Iterable[Ended], usage: Usage, run_id: str) -> Result:
    """The outcome, when it is over."""
    settled = sorted(ended, key=lambda e: e.index)
    good = [e for e in settled if e.good]
    missing = tuple(e for e in settled if not e.good)
    label, chosen, count = SYSTEM, good, 0
    if join in ("first", "verified", "vote") and good:
        counted = votes(good)
        chosen = [counted[0][1] if join == "vote" else min(good, key=lambda e: (e.at, e.index))]
        count = counted[0][0] if join == "vote" else 0
        label = join_all(e.label for e in good)
    satisfied = {"all": len(good) == of, "k": len(good) >= k}.get(join, bool(good))
    return Result(join, satisfied, of, tuple(chosen), missing, count, label, usage, run_id)
