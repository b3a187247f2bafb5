"""Memory out and in again, and that no way of using it makes a label cleaner."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mainspring.errors import StoreError
from mainspring.label import MODEL, PASTE, USER, Label, tool_label
from mainspring.memory import Memory, Scope, export_records, import_records, open_memory

MAIL = tool_label("mail")


def exported(memory: Memory) -> list[str]:
    file = io.StringIO()
    export_records(memory, file)
    return file.getvalue().splitlines(keepends=True)


def test_records_come_in_as_an_outsiders(home: Path, tmp_path: Path) -> None:
    with open_memory(home) as here, open_memory(tmp_path / "there") as there:
        a = here.add("a", USER, about="tea", scope=Scope("ann", "clerk"))
        b = here.add({"b": [1]}, MAIL, scope=Scope("ann", "clerk"), parents=[a.id], keep_s=1e6)
        rule = here.add("be brief", USER, kind="rule", by="ann")
        lines = exported(here)
        assert import_records(there, lines).added == 3
        for old in (a, b, rule):
            new = there.get(old.id)
            assert (new.value, new.about, new.parents, new.digest) == (old.value, old.about, old.parents, old.digest)
            assert new.label == old.label.join(Label(frozenset({"imported"})))
            assert new.kind == "note"
        assert there.search("tea", scope=Scope("ann", "clerk"))[0].id == a.id
        again = import_records(there, lines)
        assert (again.added, again.present) == (0, 3)
        assert import_records(here, lines).present == 3
        assert here.get(a.id).label == USER  # what is here stays as it is


def test_a_person_may_vouch_for_a_file(home: Path, tmp_path: Path) -> None:
    with open_memory(home) as here, open_memory(tmp_path / "there") as there:
        a, b = here.add("a", USER), here.add("b", MAIL)
        rule = here.add("be brief", USER, kind="rule", by="ann")
        with pytest.raises(StoreError, match="say why"):
            import_records(there, exported(here), by="ann")
        import_records(there, exported(here), by="ann", why="my own backup")
        assert there.get(a.id).label == USER
        assert there.get(b.id).label == MAIL  # taken as the file says, not cleaner
        assert there.rules(Scope()) == [there.get(rule.id)]
        assert {(j.by, j.why, j.verdict) for j in there.judgements()} == {("ann", "my own backup", "trust")}
        there.distrust(a.id, by="ben", why="x")
        assert there.get(a.id).label.strangers == {"imported", "distrusted"}


def test_what_was_forgotten_does_not_come_back(home: Path) -> None:
    with open_memory(home) as memory:
        record = memory.add("secret", USER)
        lines = exported(memory)
        memory.forget(record.id, by="ann", why="x")
        assert import_records(memory, lines).forgotten == 1
        assert import_records(memory, lines, by="ann", why="x").forgotten == 1
        assert memory.get(record.id).value is None
        assert len(exported(memory)) == 1  # the head


GOOD: dict[str, Any] = {
    "id": "m_0123456789abcdef",
    "kind": "note",
    "person": "",
    "agent": "",
    "about": "",
    "value": "x",
    "label": {"sources": ["user"]},
    "parents": [],
    "run": "",
    "tool": "",
    "by": "",
    "created_at": 1.0,
    "expires_at": None,
}
HEAD = '{"mainspring":"memory","format":1}'


def test_the_good_line_is_good(home: Path) -> None:
    with open_memory(home) as memory:
        assert import_records(memory, [HEAD, json.dumps(GOOD)]).added == 1


@pytest.mark.parametrize(
    "change",
    [
        {"id": "m_../../etc/passwd"},
        {"id": "m_0123456789ABCDEF"},
        {"id": 1},
        {"kind": "order"},
        {"value": None},
        {"value": "x" * 70_000},
        {"value": "\ud800"},
        {"value": float("inf")},
        {"about": "y" * 501},
        {"label": {"sources": ["user"], "purposes": []}},
        {"label": {}},
        {"label": {"sources": "user"}},
        {"parents": "m_1"},
        {"created_at": "now"},
        {"created_at": -1},
        {"expires_at": float("nan")},
        {"extra": 1},
        {"person": "\ud800"},
    ],
    ids=str,
)
def test_a_damaged_line_stops_everything(home: Path, change: dict[str, Any]) -> None:
    lines = [HEAD, json.dumps(GOOD | {"id": "m_" + "1" * 16}), json.dumps(GOOD | change)]
    with open_memory(home) as memory:
        with pytest.raises(StoreError, match="line 3"):
            import_records(memory, lines)
        assert memory.records() == []


@pytest.mark.parametrize(
    "head", ["", "[]", "nonsense", "[" * 100_000, '{"mainspring":"run"}', '{"mainspring":"memory","format":2}']
)
def test_another_file(home: Path, head: str) -> None:
    with open_memory(home) as memory, pytest.raises(StoreError):
        import_records(memory, [head, json.dumps(GOOD)])


def test_another_text_under_a_known_id(home: Path) -> None:
    with open_memory(home) as memory:
        record = memory.add("a", MAIL)
        line = json.dumps(GOOD | {"id": record.id})
        with pytest.raises(StoreError, match="another text"):
            import_records(memory, [HEAD, line], by="ann", why="x")
        assert memory.get(record.id).value == "a"


class Ways(RuleBasedStateMachine):
    """Every way of using memory except a person's trust, against what each text was first written with."""

    folders: Path

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.memory = open_memory(Path(self.folder.name) / "0")
        self.homes = 1
        self.strangers: dict[str, set[str]] = {}
        self.readers: dict[str, list[frozenset[str]]] = {}

    def teardown(self) -> None:
        if hasattr(self, "memory"):
            self.memory.close()
            self.folder.cleanup()

    @rule(
        label=st.sampled_from([USER, MODEL, MAIL, PASTE, MAIL.steering(), Label(frozenset(), frozenset({"ann"}))]),
        chosen=st.lists(st.integers(0, 20), max_size=3),
        run=st.sampled_from(["", "r1", "r2"]),
    )
    def write(self, label: Label, chosen: list[int], run: str) -> None:
        known = [r.id for r in self.memory.records()]
        parents = [known[n % len(known)] for n in chosen] if known else []
        record = self.memory.add(f"tea {len(self.strangers)}", label, parents=parents, run=run)
        self.strangers[record.id] = set(label.strangers).union(*(self.strangers[p] for p in parents))
        allowed = [] if label.readers is None else [label.readers]
        self.readers[record.id] = allowed + [r for p in parents for r in self.readers[p]]

    @rule(run=st.sampled_from(["", "r1", "r2"]), limit=st.integers(1, 5))
    def recall_and_sum_up(self, run: str, limit: int) -> None:
        found = self.memory.search("tea", limit, run=run)
        label = MODEL
        for record in found:
            label = label.join(record.label)
        if found:
            self.write(label, [], run)

    @rule()
    def move(self) -> None:
        lines = exported(self.memory)
        self.memory.close()
        self.memory = open_memory(Path(self.folder.name) / str(self.homes))
        self.homes += 1
        import_records(self.memory, lines)
        for id_ in self.strangers:
            self.strangers[id_] |= {"imported"}

    @rule(n=st.integers(0, 20))
    def distrust(self, n: int) -> None:
        known = self.memory.records()
        if known:
            record = known[n % len(known)]
            self.memory.distrust(record.id, by="ann", why="x")
            self.strangers[record.id] |= {"distrusted"}

    @rule(n=st.integers(0, 20))
    def forget(self, n: int) -> None:
        known = self.memory.records()
        if known:
            record = known[n % len(known)]
            self.memory.forget(record.id, by="ann", why="x")

    @invariant()
    def no_label_is_cleaner(self) -> None:
        if not hasattr(self, "memory"):
            return
        for record in self.memory.records():
            assert record.label.strangers >= self.strangers[record.id], record
            for readers in self.readers[record.id]:
                assert record.label.readers is not None
                assert record.label.readers <= readers


TestWays = Ways.TestCase
TestWays.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
