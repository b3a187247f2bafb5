"""Notes found by meaning, older ones behind newer ones, and notes that say otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mainspring import Agent, ScriptedModel, ToolContext
from mainspring.label import USER, Label
from mainspring.library.embed.protocol import Encoded, Item, Space
from mainspring.memory import Memory, RunIndex, Scope, open_memory, recall
from mainspring.memory.conflicts import disagree
from mainspring.memory.meaning import FOLDER
from mainspring.memory.runs import FORGOTTEN
from mainspring.store import open_store

STRANGER = Label(frozenset({"tool:web"}))
#: Words that mean the same to the encoder below, and that no search by words takes for one another.
SAME = {"car": "vehicle", "automobile": "vehicle", "汽车": "vehicle", "rent": "lease", "landlord": "owner"}


class Thesaurus:
    """An encoder with a vector a word, the same one for words that mean the same."""

    def __init__(self, revision: str = "1") -> None:
        self.space = Space("thesaurus", revision, 64)
        self.encoded: list[str] = []

    def documents(self, items: Sequence[Item]) -> list[Encoded]:
        self.encoded += [str(item) for item in items]
        return [self._one(str(item)) for item in items]

    def queries(self, items: Sequence[Item]) -> list[Encoded]:
        return [self._one(str(item)) for item in items]

    def close(self) -> None: ...

    def _one(self, text: str) -> Encoded:
        vectors = []
        for word in text.lower().split():
            seed = int.from_bytes(hashlib.sha256(SAME.get(word, word).encode()).digest()[:4])
            vector = np.random.default_rng(seed).normal(size=64).astype(np.float32)
            vectors.append(vector / np.linalg.norm(vector))
        return Encoded(np.array(vectors, np.float32).reshape(-1, 64))


@pytest.fixture
def encoder() -> Thesaurus:
    return Thesaurus()


@pytest.fixture
def memory(home: Path, encoder: Thesaurus) -> Memory:
    with open_memory(home, meaning=encoder) as opened:
        yield opened


def test_a_note_is_found_in_other_words_and_in_another_language(memory: Memory, home: Path) -> None:
    wanted = memory.add("the car stands in garage seven", USER)
    for n in range(20):
        memory.add(f"lunch number {n} was soup", USER)
    assert memory.search("automobile", 1) == [wanted]
    assert memory.search("汽车", 1) == [wanted]
    with open_memory(home) as words_only:  # the control
        assert words_only.search("automobile", 1) == []


def test_words_and_meaning_together_come_before_either_alone(memory: Memory) -> None:
    by_meaning = memory.add("automobile parked", USER)
    both = memory.add("car parked", USER)
    memory.add("the train is late", USER)
    assert memory.search("car", 2) == [both, by_meaning]


def test_half_of_the_places_stay_for_what_no_outsider_wrote(memory: Memory) -> None:
    mine = memory.add("the vehicle is blue", USER)
    for n in range(30):
        memory.add(f"car car car {n}", STRANGER)
    assert mine in memory.search("automobile", 4)


def test_scopes_hold_for_meaning_too(memory: Memory) -> None:
    memory.add("the car is red", USER, scope=Scope("ben", "clerk"))
    assert memory.search("automobile", 5, Scope("ann", "clerk")) == []
    assert len(memory.search("automobile", 5, Scope("ben", "clerk"))) == 1


def test_vectors_are_made_once_and_again_after_they_were_deleted(home: Path) -> None:
    encoder = Thesaurus()
    with open_memory(home, meaning=encoder) as memory:
        memory.add("the car is red", USER)
        memory.search("automobile")
        memory.search("automobile")
    assert len(encoder.encoded) == 1
    import shutil

    shutil.rmtree(home / FOLDER)
    with open_memory(home, meaning=encoder) as memory:
        assert len(memory.search("automobile")) == 1
    assert len(encoder.encoded) == 2


def test_what_is_forgotten_leaves_the_vectors(home: Path, encoder: Thesaurus) -> None:
    with open_memory(home, meaning=encoder) as memory:
        gone, kept = memory.add("the car is red", USER), memory.add("the car is blue", USER)
        memory.search("automobile")
        memory.forget(gone.id, by="ann", why="asked")
        assert memory.search("automobile", 5) == [kept]
        assert memory._meaning is not None
        assert len(memory._meaning._index.ids()) == 1  # type: ignore[attr-defined]


def test_forgetting_without_the_encoder_takes_all_vectors_away(home: Path, encoder: Thesaurus) -> None:
    with open_memory(home, meaning=encoder) as memory:
        gone = memory.add("the car is red", USER)
        memory.search("automobile")
    assert (home / FOLDER).exists()
    with open_memory(home) as memory:
        memory.forget(gone.id, by="ann", why="asked")
    assert not (home / FOLDER).exists()


def test_an_encoder_that_is_not_there_leaves_words(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_CACHE", str(home / "empty"))
    monkeypatch.setattr("mainspring.memory.meaning._default", [])
    with open_memory(home, meaning=True) as memory:
        note = memory.add("the car is red", USER)
        assert memory.search("car") == [note]
        assert memory.search("automobile") == []


# --- past runs ---


def test_past_runs_are_found_by_meaning_and_a_forgotten_one_leaves_the_vectors(home: Path) -> None:
    sold = Agent("clerk", model=ScriptedModel(["the car is sold"])).run_sync("what of the car", home=home)
    Agent("clerk", model=ScriptedModel(["soup was eaten"])).run_sync("what of lunch", home=home)
    with RunIndex(open_store(home), embedder=Thesaurus()) as index:
        index.update()
        assert index.search("automobile", 1)[0].run == sold.id
        index.forget(sold.id, by="ann", why="asked")
        assert sold.id not in {found.run for found in index.search("automobile", 9)}
        assert index._meaning is not None
        assert len(index._meaning._index.ids()) == 2  # type: ignore[attr-defined]
    with RunIndex(open_store(home)) as words_only:
        assert words_only.search("automobile", 9) == []


# --- age ---


def test_of_notes_that_fit_alike_the_newer_one_comes_first_and_a_better_one_stays_ahead(home: Path) -> None:
    with Memory(home / "memory.sqlite", half_life_s=10.0) as memory:
        old = memory.add("tea in the blue kitchen cupboard", USER)
        new = memory.add("tea in the green kitchen cupboard", USER)
        memory.db.execute("UPDATE records SET created_at = created_at - 1000 WHERE id=?", (old.id,))
        assert [r.id for r in memory.search("tea kitchen")] == [new.id, old.id]
    with Memory(home / "memory.sqlite", half_life_s=None) as memory:
        assert {r.id for r in memory.search("tea kitchen")} == {new.id, old.id}


def test_age_changes_the_order_only_with_a_half_life(home: Path) -> None:
    with Memory(home / "memory.sqlite", half_life_s=None) as memory:
        old = memory.add("tea", USER)
        new = memory.add("tea and a great many other words that make this one fit less", USER)
        memory.db.execute("UPDATE records SET created_at = created_at - 1e6 WHERE id=?", (old.id,))
        assert [r.id for r in memory.search("tea")] == [old.id, new.id]
    with Memory(home / "memory.sqlite", half_life_s=10.0) as memory:
        assert [r.id for r in memory.search("tea")] == [new.id, old.id]


# --- what disagrees ---


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (("rent", "The rent is 900 euros"), ("rent", "The rent is 1,100 euros"), "numbers"),
        (("", "invoices are due within 30 days"), ("", "invoices are due within 14 days"), "numbers"),
        (("", "the shop opens on sundays"), ("", "the shop never opens on sundays"), "negation"),
        (("", "商店星期天开门"), ("", "商店星期天不开门"), "negation"),
        (("rent", "The rent is 900 euros"), ("rent", "Paid by standing order"), None),
        (("rent", "The rent is 900 euros"), ("deposit", "The deposit was 1,800 euros"), None),
        (("", "call Ann on 5 May"), ("", "soup has 300 calories"), None),
        (("rent", "900 euros"), ("rent", "900 euros, from 1 May"), None),
    ],
)
def test_notes_that_say_otherwise(home: Path, one: tuple[str, str], other: tuple[str, str], why: str | None) -> None:
    with open_memory(home) as memory:
        first = memory.add(one[1], USER, about=one[0])
        second = memory.add(other[1], USER, about=other[0])
        assert disagree(first, second) == disagree(second, first) == why
        assert [(r.id, w) for r, w in memory.disagreeing(first)] == ([(second.id, why)] if why else [])


def test_a_note_made_from_an_older_one_corrects_it(home: Path) -> None:
    with open_memory(home) as memory:
        old = memory.add("in Bern", USER, about="where Ann lives")
        new = memory.add("in Basel since May", USER, about="where Ann lives", parents=[old.id])
        assert [(r.id, why) for r, why in memory.disagreeing(old)] == [(new.id, "corrects")]


def test_recall_names_what_disagrees_and_a_stranger_replaces_nothing(home: Path) -> None:
    with open_memory(home) as memory:
        mine = memory.add("Bob's account is 111", USER, about="Bob's account")
        theirs = memory.add("Bob's account is 666", STRANGER, about="Bob's account")
    found = recall("account", ToolContext(run_id="r", home=home))
    by_id = {note["id"]: note for note in found.value}
    assert by_id[mine.id]["text"] == "Bob's account is 111"
    assert by_id[mine.id]["disagrees"] == [{"id": theirs.id, "why": "numbers"}]
    assert not found.labels["[0].disagrees"].strangers
    assert "steered:memory" in found.labels["[0].disagrees"].sources


def test_a_run_that_was_resumed_leaves_no_vectors_of_what_it_said_before(home: Path) -> None:
    sold = Agent("clerk", model=ScriptedModel(["the car is sold"])).run_sync("what of the car", home=home)
    kept = Agent("clerk", model=ScriptedModel(["soup was eaten"])).run_sync("what of lunch", home=home)
    with RunIndex(open_store(home), embedder=Thesaurus()) as index:
        index.update()
        index.search("automobile", 9)
        index._remove(sold.id)  # as when it was resumed: what it ended with does not hold, and is taken in anew
        index.update()
        index.forget(sold.id, by="ann", why="asked")
        assert index._meaning is not None
        held = {number for (number,) in index._read("SELECT number FROM entries WHERE run=?", (kept.id,))}
        assert set(index._meaning._index.ids().tolist()) == held  # type: ignore[attr-defined]


def test_a_run_forgotten_elsewhere_leaves_the_vectors_here(home: Path) -> None:
    sold = Agent("clerk", model=ScriptedModel(["the car is sold"])).run_sync("what of the car", home=home)
    with RunIndex(open_store(home), embedder=Thesaurus()) as index:
        index.update()
        assert index.search("automobile", 9)
        index.store.keep(FORGOTTEN, sold.id, {"by": "ann", "why": "asked", "at": 1.0}, version=0)
        index.update()
        assert index._meaning is not None
        assert len(index._meaning._index.ids()) == 0  # type: ignore[attr-defined]
