"""What every store must do for workers and schedules: what is ready, whose child is whose, small documents."""

from __future__ import annotations

import time

import pytest
from suite_common import Opener, add, begin, begin_and_release

from mainspring.errors import StoreError
from mainspring.store import Changes, Store


class QueueSuite:
    """A part of `StoreConformance`."""

    # --- what somebody should take up ---

    def test_a_due_run_is_ready_and_a_sleeper_is_not(self, store: Store) -> None:
        now = time.time()
        early, late = begin(store), begin(store)
        add(store, early, changes=Changes(status="waiting", wake_at=now - 5, release=True))
        add(store, late, changes=Changes(status="waiting", wake_at=now + 500, release=True))
        assert store.ready(now) == [early.run_id]
        assert store.ready(now + 501) == [early.run_id, late.run_id]
        assert store.next_wake() == pytest.approx(now - 5)

    def test_the_stamp_changes_with_everything_that_is_written(self, store: Store) -> None:
        before = store.stamp()
        if before is None:
            pytest.skip("this store cannot tell cheaply")
        assert store.stamp() == before
        lease = begin(store)
        begun = store.stamp()
        add(store, lease, changes=Changes(status="waiting", release=True))
        rested = store.stamp()
        store.post(lease.run_id, "wake", {})
        posted = store.stamp()
        store.keep("stamped", "x", {}, version=0)
        assert len({before, begun, rested, posted, store.stamp()}) == 5

    def test_what_is_executed_or_has_ended_is_not_ready(self, store: Store) -> None:
        running, ended = begin(store), begin(store)
        add(store, ended, changes=Changes(status="done", release=True))
        assert store.ready(time.time() + 1) == []
        store.release(running)
        assert store.ready(time.time() + 1) == [running.run_id]  # interrupted: nobody owns it

    def test_a_word_in_the_inbox_makes_a_waiting_run_ready_but_a_pause_does_not(self, store: Store) -> None:
        one, other = begin(store), begin(store)
        for lease in (one, other):
            add(store, lease, changes=Changes(status="waiting", release=True))
        store.post(one.run_id, "wake", {})
        store.post(other.run_id, "pause", {"reason": "lunch"})
        assert store.ready(time.time()) == [one.run_id]

    def test_what_was_begun_and_whom_somebody_spoke_to_come_before_what_is_due(self, store: Store) -> None:
        due, spoken, begun = begin(store), begin(store), begin(store)
        store.release(begun)
        now = time.time()
        add(store, due, changes=Changes(status="waiting", wake_at=now - 50, release=True))
        add(store, spoken, changes=Changes(status="waiting", wake_at=now + 3600, release=True))
        store.post(spoken.run_id, "wake", {})
        assert sorted(store.ready(now)[:2]) == sorted([spoken.run_id, begun.run_id])
        assert store.ready(now)[2] == due.run_id

    def test_an_ended_run_is_ready_when_a_message_waits(self, store: Store) -> None:
        lease = begin(store)
        add(store, lease, changes=Changes(status="done", release=True))
        store.post(lease.run_id, "wake", {})
        assert store.ready(time.time()) == []
        store.post(lease.run_id, "message", {"message": {}, "by": "ann"})
        assert store.ready(time.time()) == [lease.run_id]

    def test_higher_priorities_come_first_and_queues_and_agents_are_kept_apart(self, store: Store) -> None:
        low = begin(store, priority=0)
        high = begin(store, priority=5, queue="gpu")
        other = begin(store, agent="somebody", priority=9)
        now = time.time()
        for lease in (low, high, other):
            add(store, lease, changes=Changes(status="waiting", wake_at=now, release=True))
        assert store.ready(now) == [other.run_id, high.run_id, low.run_id]
        assert store.ready(now, limit=1) == [other.run_id]
        assert store.ready(now, queues=["gpu"]) == [high.run_id]
        assert store.ready(now, agents=["clerk"], queues=["", "gpu"]) == [high.run_id, low.run_id]
        row = store.row(high.run_id)
        assert (row.priority, row.queue) == (5, "gpu")

    def test_a_run_that_is_taken_up_is_not_ready_any_more(self, store: Store) -> None:
        lease = begin(store)
        add(store, lease, changes=Changes(status="waiting", wake_at=1.0, release=True))
        taken = store.acquire(lease.run_id)
        add(store, taken, changes=Changes(status="running"))
        assert store.ready(time.time()) == []

    def test_another_process_takes_up_what_a_dead_one_left(self, store: Store, reopen: Opener) -> None:
        run_id = begin_and_release(store)
        assert reopen().ready(time.time()) == [run_id]

    def test_children_are_listed_oldest_first(self, store: Store) -> None:
        parent = begin(store)
        made = [begin(store, parent=parent.run_id).run_id for _ in range(3)]
        begin(store)
        assert [r.id for r in store.children(parent.run_id)] == made
        assert store.children(made[0]) == []

    # --- small documents ---

    def test_a_document_is_kept_changed_and_dropped(self, store: Store, reopen: Opener) -> None:
        made = store.keep("schedule", "daily", {"at": "ü"}, version=0, due_at=10.0)
        assert (made.version, made.body, made.due_at) == (1, {"at": "ü"}, 10.0)
        changed = store.keep("schedule", "daily", {"at": 2}, version=1)
        found = reopen().kept("schedule", "daily")
        assert found is not None
        assert (found.version, found.body, found.due_at) == (2, {"at": 2}, None)
        store.drop("schedule", "daily", version=changed.version)
        assert store.kept("schedule", "daily") is None

    def test_whoever_comes_too_late_changes_nothing(self, store: Store) -> None:
        store.keep("cap", "day", {"usd": 1}, version=0)
        with pytest.raises(StoreError, match="exists already"):
            store.keep("cap", "day", {"usd": 9}, version=0)
        store.keep("cap", "day", {"usd": 2}, version=1)
        with pytest.raises(StoreError, match="was changed"):
            store.keep("cap", "day", {"usd": 9}, version=1)
        with pytest.raises(StoreError, match="was changed"):
            store.drop("cap", "day", version=1)
        kept = store.kept("cap", "day")
        assert kept is not None
        assert kept.body == {"usd": 2}

    def test_documents_are_listed_by_kind_and_by_when_they_are_due(self, store: Store) -> None:
        for name, due in (("b", 5.0), ("a", 9.0), ("ab", None), ("c", 50.0)):
            store.keep("schedule", name, {}, version=0, due_at=due)
        store.keep("other", "a", {}, version=0, due_at=1.0)
        assert [k.name for k in store.all_kept("schedule")] == ["a", "ab", "b", "c"]
        assert [k.name for k in store.all_kept("schedule", prefix="a")] == ["a", "ab"]
        assert [k.name for k in store.all_kept("schedule", due=10.0)] == ["b", "a"]
        assert [k.name for k in store.all_kept("schedule", due=10.0, limit=1)] == ["b"]
