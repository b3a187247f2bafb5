"""What the suites of a store share: how to begin a run, to add to it, to ask and to use an approval, to move it."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mainspring.label import USER
from mainspring.store import ApprovalRequest, Changes, Lease, NewEvent, Store
from mainspring.store.transfer import export_run, import_run

#: Opens the same journal again, as another process would; the fixture closes them all.
Opener = Callable[[], Store]

_ids = (f"run-{n}" for n in itertools.count())


def begin(store: Store, run_id: str | None = None, **more: Any) -> Lease:
    """A new run with one event, on disk."""
    options = {"agent": "clerk", "task": "a task"} | more
    lease, appended = store.create(run_id or next(_ids), [NewEvent("run.started", {"n": 0}, USER)], **options)
    appended.done.result()
    return lease


def add(store: Store, lease: Lease, *payloads: dict[str, Any], changes: Changes | None = None) -> None:
    """Append notes, and wait until they are on disk."""
    events = [NewEvent("note", p) for p in payloads]
    store.append(lease, events, *([] if changes is None else [changes])).done.result()


def ask(store: Store, lease: Lease, id: str, digest: str = "d1", expires_at: float | None = None) -> None:
    """Let an approval begin to wait."""
    add(store, lease, {"asked": id}, changes=Changes(requests=(ApprovalRequest(id, digest, expires_at),)))


def use(store: Store, lease: Lease, id: str, digest: str = "d1") -> None:
    """Write an intent that uses an approval up."""
    changes = Changes(consume=((id, digest, lease.head_seq + 1),))
    store.append(lease, [NewEvent("effect.intended", {"approval": id})], changes).done.result()


def again(store: Store, lease: Lease) -> Lease:
    """Own a run again after an append under `lease` failed."""
    store.release(lease)
    return store.acquire(lease.run_id)


def exported(store: Store, run_id: str) -> list[dict[str, Any]]:
    """The lines of an export."""
    out = io.StringIO()
    export_run(store, run_id, out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def imported(store: Store, lines: list[Any]) -> str:
    """Import the lines of an export."""
    return import_run(store, [line if isinstance(line, str) else json.dumps(line) for line in lines])


def begin_and_release(store: Store) -> str:
    """A new run that nobody owns."""
    lease = begin(store)
    store.release(lease)
    return lease.run_id


class Fixtures:
    """What a store's own test module provides: `reopen` (see `Opener`), an empty journal `elsewhere`, `forget`."""

    @pytest.fixture
    def reopen(self) -> Iterator[Opener]:
        raise NotImplementedError

    @pytest.fixture
    def elsewhere(self) -> Iterator[Store]:
        raise NotImplementedError

    @pytest.fixture
    def store(self, reopen: Opener) -> Store:
        return reopen()

    def forget(self, store: Store, run_id: str) -> None:
        """Remove a run and all that belongs to it from the file."""
        raise NotImplementedError
