"""What every store must do. A store's own test module inherits :class:`StoreConformance` and says how to open one."""

from __future__ import annotations

import concurrent.futures
import io
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.errors import (
    ApprovalError,
    JournalVersionError,
    LeaseLostError,
    RunBusyError,
    RunNotFoundError,
    StoreError,
)
from mainspring.label import SYSTEM, USER, Label
from mainspring.store import ApprovalRequest, Changes, Lease, NewEvent, Store
from mainspring.store.transfer import export_run, import_run

#: Opens the same journal again, as another process would; the fixture closes them all.
Opener = Callable[[], Store]

TEXT = st.text(st.characters(exclude_categories=("Cs",)))  # Cs: lone surrogates, which no UTF-8 can hold
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
PAYLOADS = st.dictionaries(TEXT, JSON, max_size=5)
NAMES = st.frozensets(TEXT, max_size=4)
LABELS = st.builds(Label, NAMES, st.none() | NAMES)

_ids = (f"run-{n}" for n in itertools.count())
anything = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


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


class StoreConformance:
    """The suite. A subclass provides the fixture `reopen`: see `Opener`; and `elsewhere`, an empty second journal."""

    @pytest.fixture
    def reopen(self) -> Iterator[Opener]:
        raise NotImplementedError

    @pytest.fixture
    def elsewhere(self) -> Iterator[Store]:
        raise NotImplementedError

    @pytest.fixture
    def store(self, reopen: Opener) -> Store:
        return reopen()

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

    # --- export and import ---

    def full_run(self, store: Store) -> str:
        """A run with blobs, approvals and an inbox."""
        lease = begin(store, task="a täsk", parent="somebody")
        label = Label(frozenset({"tool:wéb"}), frozenset({"ann"}))
        store.append(lease, [NewEvent("note", {"big": "漢" * 9000, "n": 1.5}, label, 2)])
        ask(store, lease, "ap_open")
        ask(store, lease, "ap_used", expires_at=time.time() + 100)
        store.answer("ap_used", "approved", by="ann")
        add(store, lease, {}, changes=Changes(taken=(store.inbox(lease.run_id)[0].id,)))
        use(store, lease, "ap_used")
        store.post(lease.run_id, "message", {"text": "go on 🙂"})
        add(store, lease, changes=Changes(status="waiting", wake_at=12.5, release=True))
        return lease.run_id

    def test_export_and_import(self, store: Store, elsewhere: Store) -> None:
        run_id = self.full_run(store)
        lines = exported(store, run_id)
        assert imported(elsewhere, lines) == run_id
        assert list(elsewhere.events(run_id)) == list(store.events(run_id))
        assert elsewhere.row(run_id) == store.row(run_id)
        assert elsewhere.approvals() == store.approvals()
        assert [i.payload for i in elsewhere.inbox(run_id)] == [{"text": "go on 🙂"}]
        assert elsewhere.verify(run_id) == store.verify(run_id)
        assert exported(elsewhere, run_id) == lines
        lease = elsewhere.acquire(run_id)
        add(elsewhere, lease, {"n": 2})
        assert elsewhere.verify(run_id) == store.verify(run_id) + 1

    def test_a_run_that_was_being_executed_can_be_taken_over(self, store: Store, elsewhere: Store) -> None:
        run_id = begin(store).run_id
        imported(elsewhere, exported(store, run_id))
        assert not elsewhere.row(run_id).alive
        assert elsewhere.acquire(run_id).epoch == 2

    def test_an_import_is_refused_where_the_run_is(self, store: Store) -> None:
        run_id = self.full_run(store)
        before = exported(store, run_id)
        with pytest.raises(StoreError, match="in this home already"):
            imported(store, before)
        assert exported(store, run_id) == before

    def test_an_import_is_refused_where_its_approval_is(self, store: Store, elsewhere: Store) -> None:
        run_id = self.full_run(store)
        ask(elsewhere, begin(elsewhere), "ap_open", digest="mine")
        with pytest.raises(StoreError):
            imported(elsewhere, exported(store, run_id))
        with pytest.raises(RunNotFoundError):
            elsewhere.row(run_id)
        assert elsewhere.approval("ap_open").digest == "mine"
        begin(elsewhere)  # the writer goes on

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda lines: lines[:0], "empty"),
            (lambda lines: lines[1:], "no header"),
            (lambda lines: lines[:2] + lines[3:], "chain"),
            (lambda lines: [x for x in lines if "event" not in x][:1], "0 of 6 events"),
            (lambda lines: [x for x in lines if x.get("event", {}).get("seq") != 6], "5 of 6 events"),
            (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "chain"),
            (lambda lines: [*lines, lines[1]], "chain"),
            (lambda lines: [json.dumps(lines[0])[:-5], *lines[1:]], "line 1 is no JSON"),
            (lambda lines: [*lines[:-1], json.dumps(lines[-1])[:20]], "is no JSON"),
            (lambda lines: [*lines, {"other": 1}], "no event"),
            (lambda lines: [*lines, [1]], "no JSON object"),
            (lambda lines: [*lines, {"event": 5}], "damaged"),
            (lambda lines: [*lines, "[" * 100_000], "no JSON"),
            (lambda lines: [{"mainspring_export": True, "run": {}}, *lines[1:]], "no header"),
            (lambda lines: [{"mainspring_export": 1, "run": {}}, *lines[1:]], "'id' is missing"),
        ],
    )
    def test_damaged_exports_leave_nothing(self, store: Store, elsewhere: Store, damage: Any, message: str) -> None:
        run_id = self.full_run(store)
        with pytest.raises(StoreError, match=message):
            imported(elsewhere, damage(exported(store, run_id)))
        self.nothing_in(elsewhere)

    @pytest.mark.parametrize("kind", ["event", "run", "approval", "inbox"])
    def test_any_wrong_field_is_refused_or_harmless(self, store: Store, elsewhere: Store, kind: str) -> None:
        lines = exported(store, self.full_run(store))
        number = next(n for n, line in enumerate(lines) if kind in line)
        values = [None, "x", 5, 5.5, -1, True, [], {}, 2**70, "\ud800"]
        for field, value in itertools.product(lines[number][kind], values):
            changed = [dict(line) for line in lines]
            changed[number][kind] = changed[number][kind] | {field: value}
            try:
                found = imported(elsewhere, changed)
            except StoreError:
                assert elsewhere.rows() == []
                assert elsewhere.approvals() == []
            else:  # the header, approvals and inbox are no part of the chain
                assert kind != "event", (field, value)
                assert elsewhere.verify(found) == 6
                self.forget(elsewhere, found)
        self.nothing_in(elsewhere)

    def test_every_changed_event_is_found(self, store: Store, elsewhere: Store) -> None:
        lines = exported(store, self.full_run(store))
        changes: list[tuple[str, object]] = [
            ("payload", {"n": 99}),
            ("kind", "other"),
            ("version", 9),
            ("label", '{"sources":[]}'),
            ("at", 1.0),
            ("hash", "0" * 64),
        ]
        for number, (field, value) in itertools.product(range(1, 7), changes):
            changed = [dict(line) for line in lines]
            changed[number] = {"event": changed[number]["event"] | {field: value}}
            if changed == lines:
                continue
            with pytest.raises(StoreError, match="chain does not fit"):
                imported(elsewhere, changed)
        self.nothing_in(elsewhere)

    def test_an_export_of_a_newer_mainspring_is_refused(self, store: Store, elsewhere: Store) -> None:
        lines = exported(store, self.full_run(store))
        with pytest.raises(JournalVersionError, match="format 99"):
            imported(elsewhere, [lines[0] | {"mainspring_export": 99}, *lines[1:]])
        self.nothing_in(elsewhere)

    def nothing_in(self, store: Store) -> None:
        """Nothing was written, and the store still works."""
        assert store.rows() == []
        assert store.approvals() == []
        lease = begin(store, "probe")
        assert store.inbox("probe") == []
        store.release(lease)
        self.forget(store, "probe")

    def forget(self, store: Store, run_id: str) -> None:
        """Remove a run and all that belongs to it from the file."""
        raise NotImplementedError

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


def begin_and_release(store: Store) -> str:
    """A new run that nobody owns."""
    lease = begin(store)
    store.release(lease)
    return lease.run_id
