"""What every store must do. A store's own test module inherits :class:`StoreConformance` and says how to open one."""

from __future__ import annotations

import concurrent.futures
import json
import threading
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from suite_common import Opener, add, again, ask, begin, begin_and_release
from suite_people import PeopleSuite
from suite_queues import QueueSuite
from suite_transfer import TransferSuite

from mainspring.errors import (
    LeaseLostError,
    RunBusyError,
    RunNotFoundError,
    StoreError,
)
from mainspring.label import SYSTEM, USER, Label
from mainspring.store import ApprovalRequest, Changes, Lease, NewEvent, Store

TEXT = st.text(st.characters(exclude_categories=("Cs",)))  # Cs: lone surrogates, which no UTF-8 can hold
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
PAYLOADS = st.dictionaries(TEXT, JSON, max_size=5)
NAMES = st.frozensets(TEXT, max_size=4)
LABELS = st.builds(Label, NAMES, st.none() | NAMES)

# One suite for several stores: each inherits the tests, and each has a store of its own as a fixture.
anything = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


class StoreConformance(PeopleSuite, QueueSuite, TransferSuite):
    """The suite: events, lists, leases and closing here, people and transfer from their own files."""

    # --- events ---

    def test_events_come_back_in_order_without_gaps(self, store: Store) -> None:
        lease = begin(store)
        for n in range(700):  # more than one page
            store.append(lease, [NewEvent("note", {"n": 2 * n}), NewEvent("note", {"n": 2 * n + 1})])
        add(store, lease, {"n": 1400})
        events = list(store.events(lease.run_id))
        assert [e.seq for e in events] == list(range(1, 1403))
        assert [e.payload["n"] for e in events[1:]] == list(range(1401))
        assert [e.at for e in events] == sorted(e.at for e in events)
        assert [e.seq for e in store.events(lease.run_id, after=1400)] == [1401, 1402]
        assert store.event(lease.run_id, 2).payload == {"n": 0}
        assert store.row(lease.run_id).head_seq == lease.head_seq == 1402
        assert store.verify(lease.run_id) == 1402

    def test_what_append_returns_is_what_is_read(self, store: Store) -> None:
        lease = begin(store)
        label = Label(frozenset({"tool:web", "user"}), frozenset({"ann"}))
        appended = store.append(lease, [NewEvent("note", {"big": "x" * 20_000}, label, 3), NewEvent("note", {})])
        appended.done.result()
        assert list(appended.events) == list(store.events(lease.run_id, after=1))

    @anything
    @given(payload=PAYLOADS, label=LABELS, kind=TEXT, version=st.integers(0, 2**31))
    def test_any_payload_and_label_come_back(
        self, reopen: Opener, payload: dict[str, Any], label: Label, kind: str, version: int
    ) -> None:
        store = reopen()
        lease = begin(store)
        store.append(lease, [NewEvent(kind, payload, label, version)]).done.result()
        found = reopen().event(lease.run_id, 2)
        assert (found.payload, found.label, found.kind, found.version) == (payload, label, kind, version)
        assert json.dumps(found.payload) == json.dumps(payload)  # 1, 1.0 and True are equal, but not the same
        assert store.verify(lease.run_id) == 2
        store.release(lease)

    def test_sizes_around_the_blob_border(self, store: Store) -> None:
        lease = begin(store)
        sizes = [2040, 2048, 8170, *range(8180, 8185), 8192, 8193, 100_000]
        characters = ["a", "é", "漢", "🙂", "\x00", "\x1f", '"', "\u2028"]
        texts = [c * (size // len(c.encode())) for size in sizes for c in characters]
        add(store, lease, *({"text": text} for text in texts))
        assert [e.payload["text"] for e in store.events(lease.run_id, after=1)] == texts
        assert store.verify(lease.run_id) == len(texts) + 1

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), b"bytes", {1, 2}, object(), "\ud800", {(1, 2): 3}])
    def test_a_payload_that_json_cannot_say_is_refused_and_the_run_goes_on(self, store: Store, bad: object) -> None:
        lease = begin(store)
        with pytest.raises(StoreError, match="cannot be journaled"):
            store.append(lease, [NewEvent("note", {"fine": 1}), NewEvent("note", {"bad": bad})])
        with pytest.raises(StoreError, match="cannot be journaled"):
            store.post(lease.run_id, "message", {"bad": bad})
        add(store, lease, {"n": 1})
        assert [e.payload for e in store.events(lease.run_id)] == [{"n": 0}, {"n": 1}]

    def test_deeply_nested_payloads_are_refused_not_crashed_on(self, store: Store) -> None:
        lease = begin(store)
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        with pytest.raises(StoreError, match="cannot be journaled"):
            store.append(lease, [NewEvent("note", {"deep": deep})])
        add(store, lease, {"n": 1})

    def test_unknown_runs_and_events(self, store: Store) -> None:
        lease = begin(store)
        for call in (
            lambda: store.row("nobody"),
            lambda: list(store.events("nobody")),
            lambda: store.event(lease.run_id, 2),
            lambda: store.verify("nobody"),
            lambda: store.acquire("nobody"),
            lambda: store.post("nobody", "message", {}),
        ):
            with pytest.raises(RunNotFoundError):
                call()
        begin(store, "nobody")  # what was refused left nothing behind

    def test_an_id_is_used_once(self, store: Store, reopen: Opener) -> None:
        lease = begin(store)
        with pytest.raises(StoreError, match="exists already"):
            begin(store, lease.run_id)
        with pytest.raises(StoreError, match="exists already"):
            begin(reopen(), lease.run_id)
        add(store, lease, {"n": 1})
        assert store.verify(lease.run_id) == 2

    # --- lists ---

    def test_rows(self, store: Store) -> None:
        lease = begin(store, "aa-1", agent="clerk", task="first")
        begin(store, "ab-2", agent="clerk", task="second", parent="aa-1")
        add(store, lease, changes=Changes(status="done", release=True))
        assert [r.id for r in store.rows()] == ["ab-2", "aa-1"]
        assert [r.id for r in store.rows(status="done")] == ["aa-1"]
        assert [r.id for r in store.rows(prefix="ab")] == ["ab-2"]
        assert [r.id for r in store.rows(prefix="a%")] == []
        assert len(store.rows(limit=1)) == 1
        first, second = store.row("aa-1"), store.row("ab-2")
        assert (first.agent, first.task, first.status, first.alive) == ("clerk", "first", "done", False)
        assert (second.parent, second.status, second.alive, second.epoch) == ("aa-1", "running", True, 1)

    def test_sleepers_are_due_when_their_time_has_come(self, store: Store) -> None:
        now = time.time()
        runs = [begin(store) for _ in range(4)]
        add(store, runs[0], changes=Changes(status="waiting", wake_at=now + 50, release=True))
        add(store, runs[1], changes=Changes(status="waiting", wake_at=now - 5, release=True))
        add(store, runs[2], changes=Changes(status="waiting", release=True))
        add(store, runs[3], changes=Changes(status="done", wake_at=now - 9, release=True))
        assert store.due(now) == [runs[1].run_id]
        assert store.due(now + 60) == [runs[1].run_id, runs[0].run_id]
        assert store.row(runs[0].run_id).wake_at == now + 50
        woken = store.acquire(runs[1].run_id)
        assert store.row(woken.run_id).status == "waiting"  # until its owner says otherwise
        add(store, woken, {"n": 1}, changes=Changes(status="running"))
        assert store.due(now + 60) == [runs[0].run_id]

    # --- many at once ---

    def test_many_runs_from_many_threads(self, store: Store) -> None:
        def one(number: int) -> str:
            lease = begin(store, f"many-{number}")
            for n in range(20):
                add(store, lease, {"run": number, "n": n})
            add(store, lease, changes=Changes(status="done", release=True))
            return lease.run_id

        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            for number, run_id in enumerate(pool.map(one, range(100))):
                wanted = [{"run": number, "n": n} for n in range(20)]
                assert [e.payload for e in store.events(run_id, after=1)] == wanted
                assert store.verify(run_id) == 21

    def test_one_refused_job_leaves_the_others_of_its_group_alone(self, store: Store, reopen: Opener) -> None:
        good, stale, asked = begin(store), begin(store), begin(store)
        ask(store, good, "ap_taken")
        old = Lease(stale.run_id, 0, stale.head_seq, stale.head_hash)
        results = [  # queued without waiting, so that the writer finds them together
            store.append(good, [NewEvent("note", {"n": 1})]),
            store.append(old, [NewEvent("note", {"n": "stale"})]),
            store.append(asked, [NewEvent("note", {})], Changes(requests=(ApprovalRequest("ap_taken", "d", None),))),
            store.append(asked, [NewEvent("note", {})], Changes(consume=(("ap_none", "d", 2),))),
            store.append(good, [NewEvent("note", {"n": 2})]),
        ]
        errors = [r.done.exception() for r in results]
        assert [type(e) for e in errors] == [type(None), LeaseLostError, StoreError, LeaseLostError, type(None)]
        assert [e.payload.get("n") for e in reopen().events(good.run_id)][-2:] == [1, 2]
        assert store.verify(stale.run_id) == store.verify(asked.run_id) == 1
        add(store, good, {"n": 3})  # the writer goes on
        add(store, again(store, asked), {"n": 1})

    # --- leases ---

    def test_a_stale_lease_writes_nothing(self, store: Store, reopen: Opener) -> None:
        first = begin(store)
        store.release(first)
        other = reopen()
        second = other.acquire(first.run_id)
        assert second.epoch == first.epoch + 1
        forged = Lease(first.run_id, first.epoch, first.head_seq, first.head_hash)
        changes = Changes(status="done", requests=(ApprovalRequest("ap_stale", "d", None),))
        with pytest.raises(LeaseLostError, match="epoch 1 is over"):
            add(store, forged, {"n": 1}, changes=changes)
        with pytest.raises(LeaseLostError):
            add(store, first, {"n": 1})
        assert not store.holds(first)
        assert store.row(first.run_id).status == "running"
        assert store.approvals() == []
        add(other, second, {"n": 2})
        assert [e.payload["n"] for e in store.events(first.run_id)] == [0, 2]

    def test_the_right_epoch_of_the_wrong_owner_writes_nothing(self, store: Store, reopen: Opener) -> None:
        lease = begin(store)
        forged = Lease(lease.run_id, lease.epoch, lease.head_seq, lease.head_hash)
        with pytest.raises(LeaseLostError):
            add(reopen(), forged, {"n": 1})
        add(store, lease, {"n": 2})

    def test_a_run_has_one_owner(self, store: Store, reopen: Opener) -> None:
        lease = begin(store)
        other = reopen()
        for asked in (store, other):
            with pytest.raises(RunBusyError):
                asked.acquire(lease.run_id)
            assert asked.row(lease.run_id).alive
        assert store.holds(lease)
        store.release(lease)
        store.release(lease)
        assert not store.holds(lease)
        assert not other.row(lease.run_id).alive
        taken = other.acquire(lease.run_id)
        store.release(lease)  # late: it must not take the run from its new owner
        assert other.row(lease.run_id).alive
        add(other, taken, {"n": 1})
        other.close()
        assert store.acquire(lease.run_id).epoch == 3

    def test_threads_that_race_for_a_run(self, store: Store, reopen: Opener) -> None:
        stores = [store, reopen(), reopen()]
        for _ in range(20):
            run_id = begin_and_release(store)
            barrier = threading.Barrier(6)

            def grab(own: Store, run_id: str = run_id, barrier: threading.Barrier = barrier) -> Lease | None:
                barrier.wait()
                try:
                    return own.acquire(run_id)
                except RunBusyError:
                    return None

            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                won = [lease for lease in pool.map(grab, stores * 2) if lease is not None]
            assert len(won) == 1

    def test_release_with_the_last_events(self, store: Store, reopen: Opener) -> None:
        lease = begin(store)
        add(store, lease, {"n": 1}, changes=Changes(status="waiting", release=True))
        with pytest.raises(LeaseLostError, match="given up"):
            add(store, lease, {"n": 2})
        taken = reopen().acquire(lease.run_id)
        assert (taken.head_seq, taken.epoch) == (2, 2)

    # --- closing ---

    def test_closing(self, store: Store, reopen: Opener) -> None:
        lease = begin(store)
        last = store.append(lease, [NewEvent("note", {"n": 1})])
        store.close()
        assert last.done.exception() is None  # what was queued is on disk
        store.close()
        assert not store.holds(lease)
        with pytest.raises(StoreError):
            add(store, lease, {"n": 2})
        with pytest.raises(StoreError):
            store.acquire(lease.run_id)
        with pytest.raises(StoreError):
            begin(store)
        with pytest.raises(StoreError):
            store.row(lease.run_id)
        other = reopen()
        taken = other.acquire(lease.run_id)
        assert [e.payload["n"] for e in other.events(lease.run_id)] == [0, 1]
        assert taken.head_seq == 2

    def test_a_label_of_the_system_is_the_default(self, store: Store) -> None:
        lease = begin(store)
        add(store, lease, {"n": 1})
        assert store.event(lease.run_id, 2).label == SYSTEM
        assert store.event(lease.run_id, 1).label == USER
