"""What a planner is shown, and what it can pass on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.errors import ToolError
from mainspring.guard.handles import fill_answer, fill_text, resolve
from mainspring.guard.view import MAX_SHOWN_ITEMS, MAX_VIEW_CHARS, show, shown_label
from mainspring.label import JOINED, MODEL, USER, Label
from mainspring.value import MAX_DEPTH, Value, labels_of, read_path, wrap, write_path

STRANGER = Label(frozenset({"tool:web"}))
MADE = Label(frozenset({"made:web"}))
ATTESTED = Label(frozenset({"attested:web"}))
SECRET = Label(frozenset({"user"}), frozenset({"ann"}))
LABELS = st.sampled_from([STRANGER, MADE, ATTESTED, SECRET, USER])
KEYS = st.sampled_from(["id", "body", "odd key", 'q"uote', "a.b", "x-y", "", "0", "ключ"])


def marked(label: Label) -> st.SearchStrategy[Value]:
    """Leaves whose text says how they are labelled."""
    word = "EVIL" if not label.trusted else "ATTESTED" if label == ATTESTED else "fine"
    return st.builds(lambda n: Value(f"{word}{n}", label), st.integers(0, 99))


LEAVES = LABELS.flatmap(marked) | st.builds(Value, st.integers() | st.booleans() | st.none(), LABELS)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(Value, st.lists(inner, max_size=4), LABELS)
        | st.builds(Value, st.dictionaries(KEYS, inner, max_size=4), LABELS)
    ),
    max_leaves=12,
)


@given(TREES)
def test_no_strangers_text_is_ever_shown(value: Value) -> None:
    text = show(value, "v1")
    assert "EVIL" not in text
    assert "ATTESTED" not in text
    assert shown_label(value).trusted
    assert len(text) <= MAX_VIEW_CHARS + 200


@given(st.dictionaries(st.just("EVILKEY") | st.just("id"), st.just(Value(1, MADE)), min_size=1))
def test_keys_that_a_stranger_chose_are_not_shown(members: dict[str, Value]) -> None:
    assert "EVILKEY" not in show(Value(members, STRANGER), "v1", keys={"id"})
    assert ("id" in members) == ('"id"' in show(Value(members, STRANGER), "v1", keys={"id"}))


def test_numbers_of_strangers_are_handles_too() -> None:
    assert show(Value(1810, STRANGER), "v3") == "$v3 is a number, kept as a handle"
    assert "1810" not in show(Value([Value(1810, STRANGER)], MADE), "v3")


def test_a_long_list_is_counted() -> None:
    value = Value([Value(n, MADE) for n in range(MAX_SHOWN_ITEMS + 5)], MADE)
    assert "5 more, up to $v1[44]" in show(value, "v1")


@given(TREES)
@settings(max_examples=60)
def test_labels_are_kept_by_path(value: Value) -> None:
    again = wrap(value.plain(), labels_of(value))
    assert again.plain() == value.plain()
    assert again == value


@given(st.lists(st.integers(0, 99) | KEYS.filter(bool) | st.none(), max_size=5))
def test_paths_come_back(steps: list[Any]) -> None:
    assert read_path(write_path(steps)) == tuple(steps)


@pytest.mark.parametrize("text", ["[", "a b", "[-1]", "a..b", '["x]', "$x", "[0]]"])
def test_what_is_no_path_is_said(text: str) -> None:
    with pytest.raises(ToolError, match="is no path"):
        read_path(text)


def test_nesting_has_an_end() -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    with pytest.raises(ToolError, match=f"deeper than {MAX_DEPTH}"):
        wrap(cyclic, {})
    with pytest.raises(ToolError, match="nested deeper"):
        resolve(cyclic, lambda name: None, USER)


VALUES = {
    "v1": Value([Value({"to": Value("bob", ATTESTED), "body": Value("EVIL $v2 ${v2}", STRANGER)}, MADE)], MADE),
    "v2": Value("secret", SECRET),
}


def test_a_whole_handle_keeps_its_own_label() -> None:
    found = resolve("$v1[0].to", VALUES.get, MODEL)
    assert (found.value, found.origin, found.whole, found.handles) == (Value("bob", ATTESTED), "v1[0].to", True, True)
    assert resolve("${v1[0].to}", VALUES.get, MODEL).value == Value("bob", ATTESTED)


def test_a_joined_text_has_both_labels_and_is_filled_once() -> None:
    found = resolve("see ${v1[0].body}", VALUES.get, MODEL)
    joined = STRANGER.join(MODEL).join(JOINED)
    assert found.value == Value("see EVIL $v2 ${v2}", joined)  # a stranger's handle stays a text
    assert (found.whole, found.origin) == (False, "joined from v1[0].body")
    both = resolve("${v1[0].body} ${v2}", VALUES.get, MODEL).value
    assert both.label.readers == frozenset({"ann"})
    assert not both.label.trusted


def test_lists_and_objects_are_filled_item_by_item() -> None:
    found = resolve({"a": ["$v1[0].to", "x"], "b": "$v1[].to"}, VALUES.get, MODEL)
    assert found.value.plain() == {"a": ["bob", "x"], "b": ["bob"]}
    assert found.value.at(("a", 0)).label == ATTESTED
    assert found.value.whole_label.trusted


@pytest.mark.parametrize("text", ["$v", "$vx", "costs $5", "$v1x", "v1", "$$", "${x}", "$ v1"])
def test_what_is_no_handle_is_text(text: str) -> None:
    found = resolve(text, VALUES.get, MODEL)
    assert (found.value, found.handles) == (Value(text, MODEL), False)


@pytest.mark.parametrize("text", ["$v7", "$v1[3].to", "$v1.to", "a ${v7} b", "$v2.x"])
def test_a_handle_that_is_not_there_is_refused(text: str) -> None:
    with pytest.raises(ToolError) as caught:
        resolve(text, VALUES.get, MODEL)
    assert "EVIL" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_answer_is_filled_and_labelled() -> None:
    filled = fill_text("To ${v1[0].to}: $v2. And $v7 costs $5.", VALUES.get)
    assert filled.data == "To bob: secret. And $v7 costs $5."
    assert filled.label.readers == frozenset({"ann"})
    typed = fill_answer('{"to": "$v1[0].to", "all": ["${v1[0].body}"]}', VALUES.get, True)
    assert json.loads(typed.data) == {"to": "bob", "all": ["EVIL $v2 ${v2}"]}
    assert fill_answer("not json $v2", VALUES.get, True).data == "not json secret"
