"""What every store must do when a run is exported and imported."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import pytest
from suite_common import Fixtures, add, ask, begin, exported, imported, use

from mainspring.errors import (
    ApprovalError,
    JournalVersionError,
    RunNotFoundError,
    StoreError,
)
from mainspring.label import Label
from mainspring.store import ApprovalRequest, Changes, NewEvent, Store


class TransferSuite(Fixtures):
    """What is exported comes back whole; what is damaged leaves nothing."""

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
        several = ApprovalRequest("ap_two", "d1", None, 2, ("ann", "bob"))
        store.append(lease, [], Changes(requests=(several,))).done.result()
        store.answer("ap_two", "denied", by="bob", reason="no", channel={"kind": "cli", "user": "bob"})
        store.append(lease, [], Changes(taken=(store.inbox(lease.run_id)[0].id,))).done.result()
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

    def test_where_an_import_came_from_is_remembered(self, store: Store, elsewhere: Store) -> None:
        run_id = self.full_run(store)
        assert exported(store, run_id)[0]["mainspring_export"] == 2
        seal = store.seal(run_id)
        lines = exported(store, run_id)
        assert lines[-1] == {"seal": seal.encode()}
        imported(elsewhere, lines)
        came = elsewhere.imported(run_id)
        assert came is not None
        assert (came.head_seq, came.head_hash, came.seal) == (6, store.event(run_id, 6).hash, seal)
        assert store.imported(run_id) is None
        assert exported(elsewhere, run_id) == lines  # it is handed on

    def test_what_the_first_format_can_say_is_written_in_it(self, store: Store) -> None:
        lease = begin(store)
        ask(store, lease, "ap_1")
        lines = exported(store, lease.run_id)
        assert lines[0]["mainspring_export"] == 1
        assert set(lines[-1]["approval"]) == {
            *("id", "run_id", "digest", "state", "requested_at", "expires_at", "answered_by", "used_seq")
        }

    def test_a_file_brings_no_yes_and_no_grant(self, store: Store, elsewhere: Store) -> None:
        lease = begin(store)
        for id, people in (("ap_1", 1), ("ap_2", 2)):
            add(store, lease, changes=Changes(requests=(ApprovalRequest(id, "d1", None, people),)))
        store.answer("ap_1", "approved", by="ann", grant={"tool": "pay"})
        store.answer("ap_2", "approved", by="ann")
        imported(elsewhere, exported(store, lease.run_id))
        assert {i.kind for i in elsewhere.inbox(lease.run_id)} == {"approval.answered"}
        assert elsewhere.approval("ap_1").state == "expired"
        taken = elsewhere.acquire(lease.run_id)
        with pytest.raises(ApprovalError):
            use(elsewhere, taken, "ap_1")
        assert elsewhere.answer("ap_2", "approved", by="bob").state == "pending"  # ann's yes was given elsewhere
        assert elsewhere.answer("ap_2", "approved", by="ann").state == "approved"

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

    @pytest.mark.parametrize("field", ["people", "approvers", "answers"])
    def test_odd_approvals_are_refused(self, store: Store, elsewhere: Store, field: str) -> None:
        lines = exported(store, self.full_run(store))
        number = next(n for n, line in enumerate(lines) if line.get("approval", {}).get("people") == 2)
        good = lines[number]["approval"]["answers"][0]
        bad: dict[str, list[Any]] = {
            "people": [0, -1, True, "2", None, 2**40],
            "approvers": ["ann", [1], None, {}],
            "answers": [
                None,
                [1],
                [{}],
                [good | {"answer": "maybe"}],
                [good | {"by": "агент x"}],
                [good | {"void": 1}],
            ],
        }
        for value in bad[field]:
            changed = [dict(line) for line in lines]
            changed[number] = {"approval": lines[number]["approval"] | {field: value}}
            with pytest.raises(StoreError):
                imported(elsewhere, changed)
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
