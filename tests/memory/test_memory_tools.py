"""`remember` and `recall` as a run calls them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mainspring.errors import ToolError
from mainspring.label import MODEL, USER, Label, tool_label
from mainspring.memory import memory_tools, open_memory, recall, remember
from mainspring.memory.memory import MAX_PER_RUN
from mainspring.tool import ToolContext
from mainspring.value import Labelled, Value, wrap

MAIL = tool_label("mail")


def context(home: Path, key: str = "k", **labels: Label) -> ToolContext:
    return ToolContext("run1", key, None, home, labels=labels, principal=("ann", "clerk"))


def keep(at: ToolContext, **arguments: Any) -> Any:
    return asyncio.run(remember.call(remember.validate(arguments), at))


def find(at: ToolContext, **arguments: Any) -> Value:
    found = asyncio.run(recall.call(recall.validate(arguments), at))
    assert isinstance(found, Labelled)
    return wrap(found.value, recall.result_labels | dict(found.labels))


def test_what_the_guard_is_told() -> None:
    assert [t.name for t in memory_tools()] == ["remember", "recall"]
    assert not remember.consequential  # nobody is told, and a label cannot be lost: no reason to ask
    assert remember.settlement == "keyed"
    assert recall.effect == "read"
    assert not recall.outside
    assert {remember.role(a) for a in remember.schema["properties"]} == {"payload"}
    assert not recall.label.trusted  # whatever says nothing better
    assert remember.label.trusted


def test_a_note_has_the_labels_of_everything_that_was_passed(home: Path) -> None:
    keep(context(home, text=MODEL, about=MAIL), text="tea", about="ann")
    with open_memory(home) as memory:
        (record,) = memory.records()
    assert record.label == MODEL.join(MAIL)
    assert (record.person, record.agent, record.run, record.tool) == ("ann", "clerk", "run1", "remember")


def test_what_nobody_labelled_is_a_strangers(home: Path) -> None:
    keep(context(home, text=MODEL), text="tea", about="ann")
    keep(context(home, "k2"), text="coffee")
    with open_memory(home) as memory:
        assert [r.label.strangers for r in memory.records()] == [{"unlabelled"}, {"unlabelled"}]


def test_the_same_effect_is_remembered_once(home: Path) -> None:
    at = context(home, text=MODEL)
    assert keep(at, text="tea") == keep(at, text="tea")
    with open_memory(home) as memory:
        assert len(memory.records()) == 1


def test_each_recalled_field_says_who_wrote_it(home: Path) -> None:
    keep(context(home, "k1", text=MODEL), text="tea for Ann")
    keep(context(home, "k2", text=MAIL), text="tea for Eve")
    found = find(context(home, query=MODEL), query="tea")
    assert found.label.trusted
    assert found.label.steered == {"memory"}  # an outsider's note had a say in what was found
    by_text = {item.data["text"].data: item.data for item in found.data}
    assert by_text["tea for Ann"]["text"].label == MODEL
    assert by_text["tea for Eve"]["text"].label.strangers == {"tool:mail"}
    assert by_text["tea for Eve"]["about"].label.strangers == {"tool:mail"}
    for item in by_text.values():
        assert item["id"].label.trusted
        assert item["outsider"].label.trusted
    assert by_text["tea for Eve"]["outsider"].data is True


def test_a_strangers_query_chooses_and_does_not_write(home: Path) -> None:
    keep(context(home, text=USER), text="tea")
    found = find(context(home, query=MAIL), query="tea")
    assert found.whole_label.trusted
    assert "tool:mail" in found.whole_label.steered


def test_a_note_made_from_others_is_as_dirty_as_they_are(home: Path) -> None:
    first = keep(context(home, "k1", text=MAIL), text="tea")
    at = context(home, "k2", text=MODEL, made_from=MODEL)
    keep(at, text="in short: tea", made_from=[first["id"]])
    found = find(context(home), query="short")
    assert found.data[0].data["text"].label.strangers == {"tool:mail"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"text": "x", "made_from": ["m_0000000000000000"]}, "no record"),
        ({"text": ""}, "empty"),
        ({"text": "x", "days": -1}, "days must be"),
        ({"text": "\ud800"}, "half a character"),
    ],
)
def test_a_note_that_cannot_be_kept(home: Path, arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ToolError, match=complaint):
        asyncio.run(remember.call({"about": "", "made_from": None, "days": 0} | arguments, context(home)))


def test_other_bad_input(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="limit must be"):
        asyncio.run(recall.call({"query": "x", "limit": 1000}, context(home)))
    with pytest.raises(ToolError, match="needs a home"):
        asyncio.run(recall.call({"query": "x", "limit": 1}, ToolContext()))
    (tmp_path / "file").write_text("x")
    with pytest.raises(ToolError, match="cannot be"):
        keep(context(tmp_path / "file"), text="x")
    for wanted in ("kind", "label", "by", "scope", "rule"):  # a model cannot say any of these
        with pytest.raises(ToolError, match="wrong arguments"):
            remember.validate({"text": "x", wanted: "rule"})


def test_a_run_cannot_fill_the_disk(home: Path) -> None:
    with open_memory(home) as memory, memory.transaction():
        for n in range(MAX_PER_RUN):
            memory.add(f"{n}", MODEL, run="run1")
    with pytest.raises(ToolError, match="no more"):
        keep(context(home, text=MODEL), text="one more")


def configure(home: Path, text: str) -> None:
    (home / "mainspring.toml").write_text(f"[memory]\n{text}\n")


def test_a_person_can_switch_it_off(home: Path) -> None:
    keep(context(home, text=MODEL), text="tea")
    configure(home, "enabled = false")
    for attempt in (lambda: keep(context(home, "k2", text=MODEL), text="two"), lambda: find(context(home), query="")):
        with pytest.raises(ToolError, match="switched off"):
            attempt()
    configure(home, "enabled = true")
    assert [r["text"] for r in find(context(home), query="").plain()] == ["tea"]


@pytest.mark.parametrize(("days", "kept_days"), [(0, 2), (1, 1), (30, 2)])
def test_a_person_says_how_long_at_most(home: Path, days: int, kept_days: int) -> None:
    configure(home, 'ttl = "2d"')
    keep(context(home, text=MODEL), text="tea", days=days)
    with open_memory(home) as memory:
        (record,) = memory.records()
    assert record.expires_at == pytest.approx(record.created_at + kept_days * 86_400)


def test_a_person_says_how_many_notes_a_run_may_keep(home: Path) -> None:
    configure(home, "max_records = 2")
    for number in range(2):
        keep(context(home, f"k{number}", text=MODEL), text=f"note {number}")
    with pytest.raises(ToolError, match="this run has written 2 records already"):
        keep(context(home, "k2", text=MODEL), text="one more")
    assert keep(context(home, "k1", text=MODEL), text="note 1")["remembered"], "a repeated call is no new note"


def test_a_configuration_that_is_wrong_is_not_passed_over(home: Path) -> None:
    configure(home, "enabled = 'no'")
    with pytest.raises(ToolError, match=r"memory\.enabled is 'no'; allowed: true or false"):
        find(context(home), query="")
