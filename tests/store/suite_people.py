"""What every store must do for people: approvals, and what was said to a run."""

from __future__ import annotations

import concurrent.futures
import time

import pytest
from suite_common import Fixtures, Opener, add, again, ask, begin, use

from mainspring.errors import (
    ApprovalError,
    LeaseLostError,
    StoreError,
)
from mainspring.store import Changes, Lease, NewEvent, Store


class PeopleSuite(Fixtures):
    """Approvals are used once and with their intent; the inbox is taken once and with its events."""

    # --- approvals ---

    def test_an_approval_is_used_once_and_with_its_intent(self, store: Store) -> None:
        lease = begin(store)
        ask(store, lease, "ap_1")
        assert store.approval("ap_1").state == "pending"
        store.answer("ap_1", "approved", by="ann", reason="fine")
        assert [(i.kind, i.payload) for i in store.inbox(lease.run_id)] == [
            ("approval.answered", {"id": "ap_1", "answer": "approved", "by": "ann", "reason": "fine"})
        ]
        use(store, lease, "ap_1")
        row = store.approval("ap_1")
        assert (row.state, row.answered_by, row.used_seq) == ("used", "ann", 3)
        with pytest.raises(ApprovalError, match="cannot be used"):
            use(store, lease, "ap_1")
        assert store.verify(lease.run_id) == 3
        assert store.approval("ap_1") == row

    def test_an_approval_of_something_else_lets_nothing_through(self, store: Store) -> None:
        lease, other = begin(store), begin(store)
        ask(store, lease, "ap_1")
        with pytest.raises(ApprovalError):  # nobody has answered
            use(store, lease, "ap_1")
        store.answer("ap_1", "approved", by="ann")
        with pytest.raises(ApprovalError):
            use(store, other, "ap_1")
        lease = again(store, lease)
        with pytest.raises(ApprovalError):
            use(store, lease, "ap_1", digest="d2")
        lease = again(store, lease)
        with pytest.raises(ApprovalError):
            use(store, lease, "ap_2")
        assert store.verify(lease.run_id) == 2
        use(store, again(store, lease), "ap_1")

    def test_approvals_expire(self, store: Store) -> None:
        lease = begin(store)
        ask(store, lease, "ap_late", expires_at=time.time() - 1)
        with pytest.raises(ApprovalError, match="expired"):
            store.answer("ap_late", "approved", by="ann")
        ask(store, lease, "ap_soon", expires_at=time.time() + 0.3)
        store.answer("ap_soon", "approved", by="ann")
        time.sleep(0.35)
        with pytest.raises(ApprovalError):
            use(store, lease, "ap_soon")
        lease = again(store, lease)
        ask(store, lease, "ap_closed")
        add(store, lease, changes=Changes(expire=("ap_closed",)))
        with pytest.raises(ApprovalError, match="already settled: expired"):
            store.answer("ap_closed", "approved", by="ann")
        assert store.approval("ap_closed").state == "expired"

    def test_an_approval_is_answered_once(self, store: Store, reopen: Opener) -> None:
        lease = begin(store)
        ask(store, lease, "ap_1")
        store.answer("ap_1", "denied", by="ann")
        with pytest.raises(ApprovalError, match="denied by ann"):
            reopen().answer("ap_1", "approved", by="bob")
        with pytest.raises(ApprovalError, match="no approval"):
            store.answer("ap_0", "approved", by="ann")
        with pytest.raises(ApprovalError):
            use(store, lease, "ap_1")
        assert len(store.inbox(lease.run_id)) == 1

    def test_people_who_answer_at_the_same_moment(self, store: Store, reopen: Opener) -> None:
        lease = begin(store)
        ask(store, lease, "ap_1")
        stores = [store, reopen()]

        def answer(number: int) -> bool:
            try:
                stores[number % 2].answer("ap_1", "approved" if number % 3 else "denied", by=f"p{number}")
            except ApprovalError:
                return False
            return True

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            assert sum(pool.map(answer, range(12))) == 1
        assert len(store.inbox(lease.run_id)) == 1

    def test_an_intent_that_is_refused_does_not_use_its_approval(self, store: Store, reopen: Opener) -> None:
        lease = begin(store)
        for id in ("ap_1", "ap_2"):
            ask(store, lease, id)
        store.answer("ap_1", "approved", by="ann")
        changes = Changes(consume=(("ap_1", "d1", 4), ("ap_2", "d1", 4)))  # the second was never answered
        with pytest.raises(ApprovalError):
            store.append(lease, [NewEvent("effect.intended", {})], changes).done.result()
        assert store.approval("ap_1").state == "approved"
        assert store.verify(lease.run_id) == 3
        stale = Lease(lease.run_id, 0, 3, lease.head_hash)
        with pytest.raises(LeaseLostError):
            use(store, stale, "ap_1")
        assert reopen().approval("ap_1").state == "approved"

    def test_lists_of_approvals(self, store: Store) -> None:
        lease, other = begin(store), begin(store)
        ask(store, lease, "ap_b")
        ask(store, other, "ap_a")
        store.answer("ap_b", "approved", by="ann")
        assert [a.id for a in store.approvals()] == ["ap_b", "ap_a"]
        assert [a.id for a in store.approvals(run_id=other.run_id)] == ["ap_a"]
        assert [a.id for a in store.approvals(state="approved")] == ["ap_b"]
        with pytest.raises(ApprovalError, match="ap_c"):
            store.approval("ap_c")

    @pytest.mark.parametrize("field", ["by", "reason"])
    def test_an_answer_that_utf8_cannot_hold_is_refused(self, store: Store, field: str) -> None:
        lease = begin(store)
        ask(store, lease, "ap_1")
        said = {"by": "ann", "reason": ""} | {field: "bad \udc80"}
        with pytest.raises(StoreError):
            store.answer("ap_1", "approved", **said)
        assert store.approval("ap_1").state == "pending"
        assert store.inbox(lease.run_id) == []
        store.answer("ap_1", "approved", by="ann")

    # --- inbox ---

    def test_the_inbox_is_taken_with_the_events(self, store: Store, reopen: Opener) -> None:
        lease, other = begin(store), begin(store)
        outside = reopen()
        for n in range(3):
            outside.post(lease.run_id, "message", {"n": n, "text": "é" * 10_000})
        outside.post(other.run_id, "cancel", {})
        items = store.inbox(lease.run_id)
        assert [(i.kind, i.payload["n"]) for i in items] == [("message", 0), ("message", 1), ("message", 2)]
        taken = Changes(taken=(items[0].id, items[1].id, store.inbox(other.run_id)[0].id))
        with pytest.raises(LeaseLostError):
            add(store, Lease(lease.run_id, 0, 1, lease.head_hash), {"said": 0}, changes=taken)
        assert len(store.inbox(lease.run_id)) == 3
        add(store, lease, {"said": 0}, {"said": 1}, changes=taken)
        assert [i.payload["n"] for i in outside.inbox(lease.run_id)] == [2]
        assert len(store.inbox(other.run_id)) == 1  # of another run: not this lease's to take
