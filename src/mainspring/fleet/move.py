"""Moving a run from one journal to another, from a laptop to a fleet, so that it is never executable in both."""

from __future__ import annotations

import io

from mainspring.errors import RunNotFoundError, StoreError
from mainspring.fleet.worker import MOVED
from mainspring.messages import encode_usage
from mainspring.runtime.events import KINDS
from mainspring.runtime.inbox import WAKE
from mainspring.runtime.state import RunState
from mainspring.store import Changes, Lease, NewEvent, Store
from mainspring.store.transfer import export_run, import_run

_ENDED = ("done", "failed", "cancelled")


def move(source: Store, run_id: str, target: Store, where: str) -> None:
    """Have a run go on in another journal.

    The run is owned here while it is copied, ends here as cancelled, and only then may workers take it up there: a
    process that dies in between leaves it executable in one of them at most, and moving it again finishes the move.
    There it is an imported run: rights and the workspace that its journal names are given anew by a person.

    Args:
        where: what its reason here names, such as the folder or host.

    Raises:
        RunBusyError: a living process executes it.
        StoreError: it has ended, has sub-agents at work, is a sub-agent, or is there already as something else.
    """
    lease = source.acquire(run_id)
    try:
        if not _half_moved(source, run_id, target):
            _check(source, run_id)
            _copy(source, run_id, target)
            _end(source, lease, where)
    finally:
        source.release(lease)
    target.post(run_id, WAKE, {"moved": True})  # first: once the move counts as finished, nobody would do it again
    if target.kept(MOVED, run_id) is None:
        target.keep(MOVED, run_id, {"from": str(source.home)}, version=0)


def _half_moved(source: Store, run_id: str, target: Store) -> bool:
    """True when the run has ended here by a move, and nobody may take it up there yet."""
    last = source.event(run_id, source.row(run_id).head_seq)
    return (
        last.kind == "run.ended"
        and bool(last.payload.get("moved"))
        and bool(target.rows(prefix=run_id, limit=1))
        and target.kept(MOVED, run_id) is None
    )


def _check(source: Store, run_id: str) -> None:
    row = source.row(run_id)
    if row.status in _ENDED:
        raise StoreError(f"run {run_id} is {row.status}; what has ended is copied by: mainspring runs export {run_id}")
    working = [child.id for child in source.children(run_id) if child.status not in _ENDED]
    if working:
        raise StoreError(f"run {run_id} waits for sub-agents that stay here ({working[0]}, ...); let them end first")
    if source.event(run_id, 1).payload.get("bounds", {}).get("cause", {}).get("run"):
        raise StoreError(f"run {run_id} is a sub-agent, and whoever started it waits here; move that run when it rests")


def _copy(source: Store, run_id: str, target: Store) -> None:
    try:
        there = target.row(run_id)
    except RunNotFoundError:
        lines = io.StringIO()
        export_run(source, run_id, lines)
        import_run(target, io.StringIO(lines.getvalue()))
        return
    head = source.row(run_id).head_seq
    same = there.head_seq == head and target.event(run_id, head).hash == source.event(run_id, head).hash
    if not same or target.kept(MOVED, run_id) is not None:
        raise StoreError(f"run {run_id} is there already, and not as it is here; nothing was moved")


def _end(source: Store, lease: Lease, where: str) -> None:
    usage = encode_usage(RunState.of(source.events(lease.run_id)).usage)
    reason = f"moved to {where}; it goes on there"
    said = {"status": "cancelled", "reason": reason, "output": None, "usage": usage, "moved": where}
    open_ = tuple(a.id for a in source.approvals(run_id=lease.run_id) if a.state in ("pending", "approved"))
    changes = Changes(status="cancelled", release=True, expire=open_)
    source.append(lease, [NewEvent("run.ended", said, version=KINDS["run.ended"])], changes).done.result()
