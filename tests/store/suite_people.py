"""What every store must do for people: approvals, and what was said to a run."""

from __future__ import annotations

import concurrent.futures
import time

import pytest
from suite_common import Fixtures, Opener, add, again, ask, begin, use

from mainspring.errors import (
    ApprovalError,
    LeaseLostError,
    RunNotFoundError,
    StoreError,
)
from mainspring.store import ApprovalRequest, Changes, Lease, NewEvent, Store


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

    # --- several people ---

    def ask_several(self, store: Store, lease: Lease, people: int, *approvers: str, id: str = "ap_n") -> None:
        """Let an approval of several people begin to wait."""
        request = ApprovalRequest(id, "d1", None, people, approvers)
        add(store, lease, {"asked": id}, changes=Changes(requests=(request,)))

    def test_an_approval_of_two_waits_for_the_second(self, store: Store, reopen: Opener) -> None:
        lease = begin(store)
        self.ask_several(store, lease, 2)
        first = store.answer("ap_n", "approved", by="ann", reason="fine", channel={"kind": "cli", "user": "ann"})
        assert (first.state, first.approved_by) == ("pending", ("ann",))
        assert store.inbox(lease.run_id) == []
        with pytest.raises(ApprovalError, match="cannot be used"):
            use(store, lease, "ap_n")
        lease = again(store, lease)
        second = reopen().answer("ap_n", "approved", by="bob")
        assert (second.state, second.approved_by, second.answered_by) == ("approved", ("ann", "bob"), "ann, bob")
        [item] = store.inbox(lease.run_id)
        assert item.payload == {
            **{"id": "ap_n", "answer": "approved", "by": "ann, bob", "reason": "", "people": ["ann", "bob"]}
        }
        use(store, lease, "ap_n")
        assert [(a.by, a.reason, dict(a.channel)) for a in store.approval("ap_n").answers] == [
            ("ann", "fine", {"kind": "cli", "user": "ann"}),
            ("bob", "", {}),
        ]
        with pytest.raises(ApprovalError, match="used already"):
            store.answer("ap_n", "approved", by="cid")

    @pytest.mark.parametrize("again_as", ["ann", "Ann", " ann ", "ANN\u200b", "ａｎｎ", "a\u00adnn"])
    def test_one_person_counts_once_however_they_write_their_name(self, store: Store, again_as: str) -> None:
        lease = begin(store)
        self.ask_several(store, lease, 2)
        store.answer("ap_n", "approved", by="ann")
        with pytest.raises(ApprovalError, match=r"counts once; 1 more person has to"):
            store.answer("ap_n", "approved", by=again_as)
        assert store.approval("ap_n").state == "pending"

    def test_accents_count_however_they_are_encoded(self, store: Store) -> None:
        lease = begin(store)
        self.ask_several(store, lease, 2)
        store.answer("ap_n", "approved", by="Zo\u00eb")
        with pytest.raises(ApprovalError, match="counts once"):
            store.answer("ap_n", "approved", by="zoe\u0308")
        store.answer("ap_n", "approved", by="zoe")  # another name

    def test_one_no_is_enough(self, store: Store) -> None:
        lease = begin(store)
        self.ask_several(store, lease, 3)
        store.answer("ap_n", "approved", by="ann")
        store.answer("ap_n", "approved", by="bob")
        store.answer("ap_n", "denied", by="ann", reason="I was wrong")
        assert store.approval("ap_n").state == "denied"
        with pytest.raises(ApprovalError, match="denied by ann"):
            store.answer("ap_n", "approved", by="cid")
        assert [i.payload["answer"] for i in store.inbox(lease.run_id)] == ["denied"]

    def test_only_those_who_may_answer_do(self, store: Store) -> None:
        lease = begin(store)
        self.ask_several(store, lease, 2, "ann", "Bob", "cid")
        for answer in ("approved", "denied"):
            with pytest.raises(ApprovalError, match="waits for ann or Bob or cid"):
                store.answer("ap_n", answer, by="dan")  # type: ignore[arg-type]
        store.answer("ap_n", "approved", by="bob")
        assert store.answer("ap_n", "approved", by="CID").state == "approved"

    @pytest.mark.parametrize(
        "name",
        ["clerk", "Clerk ", "agent:clerk", "AGENT:other", "mainspring", "model", "tool:web", "", " ", "\u200b", "аnn"],
    )
    def test_no_agent_answers(self, store: Store, name: str) -> None:
        lease = begin(store, agent="clerk")
        ask(store, lease, "ap_1")
        for answer in ("approved", "denied"):
            with pytest.raises(ApprovalError):
                store.answer("ap_1", answer, by=name)  # type: ignore[arg-type]
        assert store.approval("ap_1").answers == ()

    def test_two_who_race_each_count(self, store: Store, reopen: Opener) -> None:
        lease, stores = begin(store), [store, reopen(), reopen()]
        for round in range(10):
            id = f"ap_{round}"
            self.ask_several(store, lease, 3, id=id)

            def answer(number: int, id: str = id) -> str:
                try:
                    return stores[number % 3].answer(id, "approved", by=f"p{number % 4}").state
                except ApprovalError as error:
                    return "once" if "counts once" in str(error) else "late" if "settled" in str(error) else str(error)

            with concurrent.futures.ThreadPoolExecutor(12) as pool:
                said = list(pool.map(answer, range(12)))
            assert (said.count("pending"), said.count("approved")) == (2, 1), said
            assert set(said) <= {"pending", "approved", "once", "late"}
            assert len(store.approval(id).approved_by) == 3
        assert len(store.inbox(lease.run_id)) == 10

    # --- a grant with the yes ---

    def test_a_grant_is_given_with_the_yes_or_not_at_all(self, store: Store) -> None:
        lease = begin(store)
        for id in ("ap_1", "ap_2"):
            ask(store, lease, id)
        store.answer("ap_1", "approved", by="ann", grant={"tool": "pay"})
        given, answered = store.inbox(lease.run_id)
        assert (given.kind, given.payload["grant"], given.payload["by"]) == ("grant.given", {"tool": "pay"}, "ann")
        assert answered.kind == "approval.answered"
        with pytest.raises(ApprovalError, match="a grant goes with the yes"):
            store.answer("ap_2", "denied", by="ann", grant={"tool": "pay"})
        self.ask_several(store, lease, 2)
        with pytest.raises(ApprovalError, match="a grant goes with the yes of one"):
            store.answer("ap_n", "approved", by="ann", grant={"tool": "pay"})
        assert store.approval("ap_2").state == store.approval("ap_n").state == "pending"
        assert len(store.inbox(lease.run_id)) == 2

    # --- rights taken back ---

    def test_what_is_revoked(self, store: Store, reopen: Opener) -> None:
        other = reopen()
        assert store.revoked() == frozenset()
        store.revoke("gr_1", by="ann", reason="too wide")
        other.revoke("agent:Clerk", by="ann", channel={"kind": "cli"})
        assert store.revoked() == other.revoked() == {"gr_1", "agent:Clerk", "agent:clerk"}
        store.revoke("AGENT:clerk", by="bob", restore=True)
        assert other.revoked() == {"gr_1"}
        lines = other.revocations()
        assert [(x.number, x.name, x.revoked, x.by, x.reason) for x in lines] == [
            (1, "gr_1", True, "ann", "too wide"),
            (2, "agent:Clerk", True, "ann", ""),
            (3, "AGENT:clerk", False, "bob", ""),
        ]

    def test_who_was_revoked_decides_nothing(self, store: Store) -> None:
        lease = begin(store)
        ask(store, lease, "ap_1")
        store.revoke("ann", by="bob")
        with pytest.raises(ApprovalError, match="taken back by bob"):
            store.answer("ap_1", "approved", by="Ann")
        with pytest.raises(ApprovalError, match="taken back"):
            store.revoke("bob", by="ann")
        with pytest.raises(ApprovalError, match=r"taken back|own rights"):
            store.revoke("ann", by="ann", restore=True)
        with pytest.raises(ApprovalError, match="no person"):
            store.revoke("bob", by="agent:clerk")
        store.revoke("ann", by="bob", restore=True)
        assert store.answer("ap_1", "approved", by="ann").state == "approved"

    def test_a_yes_that_was_not_used_is_void_with_its_person(self, store: Store) -> None:
        lease = begin(store)
        for id in ("ap_used", "ap_given"):
            ask(store, lease, id)
            store.answer(id, "approved", by="ann")
        use(store, lease, "ap_used")
        self.ask_several(store, lease, 2)
        store.answer("ap_n", "approved", by="ann")
        store.revoke("ann", by="bob")
        assert store.approval("ap_used").state == "used"
        assert store.approval("ap_given").state == "expired"
        with pytest.raises(ApprovalError):
            use(store, lease, "ap_given")
        again(store, lease)
        assert store.answer("ap_n", "approved", by="bob").state == "pending"
        store.revoke("ann", by="bob", restore=True)
        assert store.answer("ap_n", "approved", by="ann").approved_by == ("bob", "ann")  # said anew

    def test_a_revocation_and_the_use_of_a_yes_have_an_order(self, store: Store, reopen: Opener) -> None:
        other, used = reopen(), 0
        for round in range(20):
            lease = begin(store)
            ask(store, lease, f"ap_{round}")
            store.answer(f"ap_{round}", "approved", by=f"ann{round}")
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                gone = pool.submit(other.revoke, f"ann{round}", by="bob")
                made = pool.submit(use, store, lease, f"ap_{round}")
                gone.result()
            used += made.exception() is None
            state = store.approval(f"ap_{round}").state
            assert state == ("used" if made.exception() is None else "expired")
            assert (len(list(store.events(lease.run_id))) == 3) == (state == "used")

    # --- seals ---

    def test_a_seal_is_signed_and_found(self, store: Store) -> None:
        lease = begin(store)
        add(store, lease, {"n": 1})
        first = store.seal(lease.run_id)
        assert (first.run, first.seq, first.head) == (lease.run_id, 2, lease.head_hash)
        assert store.seal(lease.run_id) == first  # it says so already
        add(store, lease, {"n": 2})
        second = store.seal(lease.run_id)
        assert (second.n, second.previous) == (first.n + 1, first.hash)
        assert store.newest_seal(lease.run_id, 3) == second
        assert store.newest_seal(lease.run_id, 2) == first
        assert store.newest_seal("nobody", 9) is None
        with pytest.raises(RunNotFoundError):
            store.seal("nobody")

    def test_events_of_some_kinds(self, store: Store) -> None:
        lease = begin(store)
        for n in range(600):  # more than a page
            store.append(lease, [NewEvent("a", {"n": n}), NewEvent("b", {"n": n})])
        add(store, lease)
        assert [e.payload["n"] for e in store.events_of(lease.run_id, ["a"])] == list(range(600))
        newest = [e.seq for e in store.events_of(lease.run_id, ["b", "run.started"], newest_first=True)]
        assert newest == [*range(1201, 1, -2), 1]

    def test_a_chain_is_checked_while_it_grows(self, store: Store) -> None:
        lease = begin(store)
        add(store, lease, *({"n": n} for n in range(1500)))
        links = store.chain(lease.run_id)
        assert next(links)[:2] == (1, "run.started")
        add(store, lease, {"late": 1})
        assert sum(1 for _ in links) == 1500
        assert store.verify(lease.run_id) == 1502
