"""Records of memory: written once, found again, and never cleaner than what they were made from."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.errors import StoreError, ToolError
from mainspring.label import MODEL, USER, Label, tool_label
from mainspring.memory import Memory, Scope, open_memory
from mainspring.memory.memory import MAX_CHARS

MAIL = tool_label("mail")


@pytest.fixture
def memory(home: Path) -> Iterator[Memory]:
    with open_memory(home) as held:
        yield held


def test_a_record_comes_back_as_it_was_written(memory: Memory, home: Path) -> None:
    label = Label(frozenset({"tool:mail"}), frozenset({"ann"}))
    for value in ("Ann likes tea \U0001f375", {"a": [1, 2.5, None, True]}, ["x"], 17, False):
        written = memory.add(value, label, about="ann", scope=Scope("ann", "clerk"), run="r", tool="t", by="")
        with open_memory(home) as other:
            assert other.get(written.id) == written
        assert written.value == value
        assert written.label == written.written == label


def test_a_summary_is_as_dirty_as_its_dirtiest_parent(memory: Memory) -> None:
    clean, dirty = memory.add("a", USER), memory.add("b", MAIL)
    middle = memory.add("a and b", MODEL, parents=[clean.id, dirty.id])
    top = memory.add("all of it", MODEL, parents=[middle.id])
    assert top.label.strangers == {"tool:mail"}
    assert memory.made_from(dirty.id) == [middle.id, top.id]


def test_trust_is_given_and_taken_by_a_person_only_and_kept(memory: Memory) -> None:
    dirty = memory.add("b", Label(frozenset({"tool:mail", "user"}), frozenset({"ann"})))
    trusted = memory.trust(dirty.id, by="ann", why="read it")
    assert trusted.label == Label(frozenset({"user", "person:ann"}), frozenset({"ann"}))  # its readers stay
    child = memory.add("from b", MODEL, parents=[dirty.id])
    assert child.label.trusted
    memory.distrust(dirty.id, by="ben", why="it was a trick")
    assert memory.get(dirty.id).label.strangers == {"tool:mail", "distrusted"}
    assert memory.get(child.id).label.strangers == {"tool:mail", "distrusted"}  # what came of it falls with it
    assert [(j.by, j.why, j.verdict) for j in memory.judgements(dirty.id)] == [
        ("ann", "read it", "trust"),
        ("ben", "it was a trick", "distrust"),
    ]
    assert memory.trust(dirty.id, by="ann", why="no, it is right").label.trusted
    assert memory.get(child.id).label.trusted
    assert memory.get(dirty.id).written.strangers == {"tool:mail"}


def test_a_clean_record_that_turns_out_wrong_takes_its_children_along(memory: Memory) -> None:
    wrong = memory.add("the account is 17", USER)
    assert memory.search("account", run="r2") == [wrong]
    later = memory.add("paid to 17", MODEL, run="r2")  # says nothing of where it is from
    elsewhere = memory.add("paid to 18", MODEL, run="r3")
    memory.distrust(wrong.id, by="ann", why="it is 71")
    assert not memory.get(later.id).label.trusted
    assert memory.get(elsewhere.id).label.trusted


def test_trust_in_a_summary_does_not_reach_its_parents(memory: Memory) -> None:
    dirty = memory.add("b", MAIL)
    top = memory.add("sum", MODEL, parents=[dirty.id])
    assert memory.trust(top.id, by="ann", why="x").label.trusted
    assert not memory.get(dirty.id).label.trusted


def test_a_person_has_a_name_and_a_reason(memory: Memory) -> None:
    record = memory.add("b", MAIL)
    for by, why in (("", "x"), ("a b", "x"), ("ann", " ")):
        with pytest.raises(StoreError):
            memory.trust(record.id, by=by, why=why)
    assert not memory.get(record.id).label.trusted
    with pytest.raises(StoreError, match="no record begins with"):
        memory.trust("m_nothing", by="ann", why="x")


def test_judgements_cannot_be_rewritten_nor_records(memory: Memory) -> None:
    record = memory.add("b", MAIL)
    memory.trust(record.id, by="ann", why="x")
    for statement in (
        "UPDATE judgements SET by='ben'",
        "DELETE FROM judgements",
        "UPDATE records SET label='{\"sources\":[]}'",
        "UPDATE records SET kind='rule'",
    ):
        with pytest.raises(sqlite3.IntegrityError), memory.lock:
            memory.db.execute(statement)


def test_forgetting_erases_the_text_and_keeps_the_label(memory: Memory, home: Path) -> None:
    secret = "xylophone-4711"
    record = memory.add(f"the password is {secret}", MAIL, about=secret, key="k")
    child = memory.add("sum", MODEL, parents=[record.id])
    memory.forget(record.id, by="ann", why="asked for")
    assert memory.search(secret) == []
    assert memory.records() == [child]
    gone = memory.get(record.id)
    assert (gone.value, gone.about, gone.state, gone.label) == (None, "", "forgotten", MAIL)
    assert memory.get(child.id).label.strangers == {"tool:mail"}
    assert memory.add(f"the password is {secret}", MAIL, about=secret, key="k").state == "forgotten"
    for file in home.iterdir():
        assert secret.encode() not in file.read_bytes()
        assert b"xylophone" not in file.read_bytes()
    with pytest.raises(StoreError, match="was forgotten"):
        memory.trust(record.id, by="ann", why="x")


def test_what_has_expired_is_not_recalled(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    record = memory.add("tea", USER, keep_s=100)
    now = record.created_at
    monkeypatch.setattr("time.time", lambda: now + 101)
    assert memory.search("tea") == []
    assert memory.records() == []
    assert [r.state for r in memory.records(gone=True)] == ["expired"]


def test_one_key_writes_once(memory: Memory) -> None:
    first = memory.add("tea", MAIL, key="k")
    assert memory.add("tea", MODEL, key="k") == first
    assert len(memory.records()) == 1
    with pytest.raises(StoreError, match="with another text"):
        memory.add("coffee", MAIL, key="k")


def test_nobody_sees_what_is_of_somebody_else(memory: Memory) -> None:
    for person in ("", "ann", "ben"):
        for agent in ("", "clerk", "scout"):
            memory.add(f"tea of {person} {agent}", USER, scope=Scope(person, agent))
    seen = {(r.person, r.agent) for r in memory.search("tea", 20, Scope("ann", "clerk"))}
    assert seen == {("", ""), ("", "clerk"), ("ann", ""), ("ann", "clerk")}
    assert {(r.person, r.agent) for r in memory.search("tea", 20, Scope("", "clerk"))} == {("", ""), ("", "clerk")}
    other = memory.search("tea ben", 1)[0]
    with pytest.raises(ToolError, match="no record"):
        memory.add("mine", MODEL, scope=Scope("ann", "clerk"), parents=[other.id])
    assert Scope.of(("ann", "clerk", "helper")) == Scope("ann", "helper")
    assert Scope.of(("clerk",)) == Scope("", "clerk")
    assert Scope.of(()) == Scope()


def test_rules_are_written_by_people_only(memory: Memory) -> None:
    rule = memory.add("be brief", USER, kind="rule", by="ann")
    assert memory.rules(Scope("ann", "clerk")) == [rule]
    for tool, by, label in (("remember", "ann", USER), ("", "", USER), ("", "ann", MAIL)):
        with pytest.raises(ToolError, match="by a person"):
            memory.add("obey", label, kind="rule", by=by, tool=tool)
    with pytest.raises(sqlite3.IntegrityError):  # nor by a bug of ours
        memory.insert(
            {"id": "m_x", "kind": "rule", "person": "", "agent": "", "about": "", "value": '"x"', "digest": ""}
            | {"run": "", "tool": "remember", "by": "", "created_at": 0},
            USER,
            (),
        )
    memory.distrust(rule.id, by="ben", why="x")
    assert memory.rules(Scope("ann", "clerk")) == []


@pytest.mark.parametrize(
    ("value", "about", "complaint"),
    [
        ("", "", "empty"),
        (None, "", "empty"),
        ("\ud800", "", "half a character"),
        ("x", "\udfff", "half a character"),
        (float("nan"), "", "JSON"),
        ({1, 2}, "", "JSON"),
        ("x" * MAX_CHARS, "", "too many"),
        ("x", "y" * 501, "at most 500"),
    ],
)
def test_what_cannot_be_kept(memory: Memory, value: object, about: str, complaint: str) -> None:
    with pytest.raises(ToolError, match=complaint):
        memory.add(value, USER, about=about)
    assert memory.records() == []


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ("Ann likes Earl Grey", ["earl", "GREY tea", "ann's"]),
        ("Crème brûlée à la Zoë", ["creme", "BRULEE", "zoe\u0308"]),
        ("東京に住んでいます", ["東京", "京", "住ん", "す", "東京タワー"]),
        ("서울에서 만나요", ["서울", "만나요", "울에"]),
        ("ฉันชอบชา", ["ชอบ", "ชา"]),
        ("I ❤ snake_case_names", ["case", "snake"]),
        ("Straße Ⅷ ﬁle", ["STRASSE", "viii", "file"]),
        ("नमस्ते दुनिया", ["दुनिया"]),
    ],
)
def test_words_of_any_script_are_found(memory: Memory, text: str, queries: list[str]) -> None:
    record = memory.add(text, USER)
    memory.add("something else entirely", USER)
    for query in queries:
        assert memory.search(query) == [record], query


@pytest.mark.parametrize("query", ['"', "a OR", "NEAR(", "*", "text:x", "-x", "\0", "\ud800", "()" * 500, "x " * 5000])
def test_a_query_is_only_words(memory: Memory, query: str) -> None:
    memory.add("tea", USER)
    memory.search(query)


def test_a_query_without_words_finds_the_newest(memory: Memory) -> None:
    ids = [memory.add(f"n{n}", USER).id for n in range(4)]
    assert [r.id for r in memory.search(" !? ", 2)] == ids[:1:-1]


def test_outsiders_cannot_crowd_out_what_people_wrote(memory: Memory) -> None:
    kept = [memory.add(f"the account of Bob is {n}", USER) for n in range(3)]
    for n in range(50):
        memory.add(f"account Bob account Bob {n}", MAIL)
    found = memory.search("account Bob", 6)
    assert sorted(r.id for r in found if r.label.trusted) == sorted(r.id for r in kept)
    assert len(found) == 6
    assert len(memory.search("account Bob", 1)) == 1
    assert memory.search("account Bob", 1)[0].label.trusted
    assert memory.mixed()


def test_a_label_that_cannot_be_read_is_a_strangers_and_is_not_recalled(memory: Memory) -> None:
    record = memory.add("tea", USER)
    memory.db.execute("DROP TRIGGER records_written_once")
    newer = '{"sources":["user"],"purposes":["x"]}'
    memory.db.execute("UPDATE records SET label=?, effective=?", (newer, newer))
    assert not memory.get(record.id).label.trusted
    assert not memory.get(record.id).label.readable_by("ann")
    assert memory.search("tea") == []
    child = memory.add("sum", MODEL, parents=[record.id])
    assert not child.label.trusted


def test_a_circle_of_descent_ends(memory: Memory) -> None:
    a, b = memory.add("a", USER), memory.add("b", MAIL)
    numbers = dict(memory.read("SELECT id, number FROM records"))
    for child, parent in ((a, b), (b, a)):
        memory.db.execute("INSERT INTO parents VALUES (?,?)", (numbers[child.id], parent.id))
    memory.settle(a.id)
    assert memory.get(a.id).label.strangers == {"tool:mail"}


def test_a_long_descent_is_settled_at_once(memory: Memory) -> None:
    """Each note was made from the one before and from the first: in 2,000 steps, not in 2,000 times 2,000."""
    first = memory.add("the first", USER)
    last = first
    with memory.transaction():
        for n in range(2_000):
            last = memory.add(f"note {n}", MODEL, parents=[first.id, last.id])
    began = time.perf_counter()
    memory.distrust(first.id, by="ann", why="x")
    assert time.perf_counter() - began < 20  # some 0.1 s on a quiet machine
    assert not memory.get(last.id).label.trusted
    memory.trust(first.id, by="ann", why="x")
    assert memory.get(last.id).label.trusted


def test_threads_that_race_for_a_key_write_one_record(memory: Memory) -> None:
    found: list[str] = []

    def write() -> None:
        for n in range(25):
            found.append(memory.add(f"tea {n}", USER, key=f"{n}").id)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 100
    assert len(set(found)) == 25 == len(memory.records())


def test_a_newer_format_and_another_programs_file_are_left_alone(home: Path) -> None:
    open_memory(home).close()
    path = home / "memory.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(StoreError, match="update Mainspring"):
        open_memory(home)
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE other (x)")
    with pytest.raises(StoreError, match="another program"):
        open_memory(home)
