"""How much of a run's history was executed elsewhere: such a journal's chain has no key, so it gives no rights here."""

from __future__ import annotations

from mainspring.runtime.state import RunState
from mainspring.store import Store


def executed_elsewhere(store: Store, state: RunState) -> int:
    """The last event of a run that came with an import, its own or that of a run whose history it has; 0 for none."""
    mine = store.imported(state.run_id)
    ends = [] if mine is None else [mine.head_seq]
    for parent, seq in state.forks:
        theirs = store.imported(parent)
        if theirs is not None:
            ends.append(min(seq, theirs.head_seq))
    return max(ends, default=0)
