"""`library_search`, `library_read` and `library_ask` as a run calls them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from library_filled import FilledLibrary
from mainspring import ScriptedModel
from mainspring.errors import DeclarationError, ToolError
from mainspring.label import MODEL, USER, Label, tool_label
from mainspring.library.page import Where
from mainspring.library.tools import library_tools
from mainspring.tool import Tool, ToolContext
from mainspring.value import Labelled, Value, wrap

ANN = Label(frozenset({"library"}), frozenset({"ann"}))
MAIL = tool_label("mail")


class Shelves:
    """Libraries by name."""

    def __init__(self, home: Path) -> None:
        self.held = {name: FilledLibrary.of_words(home, name=name) for name in ("default", "work")}

    def __call__(self, name: str, home: Path) -> FilledLibrary:
        return self.held[name]


@pytest.fixture
def shelves(home: Path) -> Iterator[Shelves]:
    made = Shelves(home)
    yield made
    for library in made.held.values():
        library.close()


@pytest.fixture
def boilers(shelves: Shelves) -> Shelves:
    library = shelves.held["default"]
    library.add("/docs/boiler.pdf", "Boilers are vented in May", "Boilers are sold in June", kind="pdf", heading="Care")
    library.add("/mine/boiler.md", "My boiler is in the cellar", kind="markdown", label=USER)
    library.add("/ann/boiler.txt", "The boiler of Ann leaks", label=ANN)
    return shelves


def tools(shelves: Shelves, *more: Any, **options: Any) -> dict[str, Tool]:
    return {t.name: t for t in library_tools(*more, opener=shelves, **options)}


def context(home: Path, person: str = "ben", **labels: Label) -> ToolContext:
    return ToolContext("run1", "k", None, home, labels=labels, principal=(person, "agent:clerk"))


def call(tool: Tool, at: ToolContext, **arguments: Any) -> Value:
    found = asyncio.run(tool.call(tool.validate(arguments), at))
    assert isinstance(found, Labelled)
    return wrap(found.value, tool.result_labels | dict(found.labels))


def test_what_the_guard_is_told(boilers: Shelves) -> None:
    held = tools(boilers)
    assert list(held) == ["library_search", "library_read"]
    for tool in held.values():
        assert (tool.effect, tool.outside, tool.consequential) == ("read", False, False)
        assert not tool.label.trusted
    assert held["library_search"].role("query") == "payload"
    assert held["library_read"].role("page") == "selector"
    assert len(held["library_search"].description) < 200


def test_each_field_says_who_wrote_it(boilers: Shelves, home: Path) -> None:
    found = call(tools(boilers)["library_search"], context(home, query=MODEL), query="boiler cellar")
    assert found.label.trusted
    assert found.label.steered == {"library"}
    by_uri = {item.data["uri"].data: item for item in found.data}
    mine, theirs = by_uri["/mine/boiler.md"], by_uri["/docs/boiler.pdf"]
    for name in ("title", "heading", "text", "uri"):
        assert mine.data[name].label.trusted
        assert theirs.data[name].label.strangers == {"library"}
    for name in ("page", "number", "kind", "score", "box", "changed_at", "outsider", "same_text"):
        assert theirs.data[name].label.trusted, name
    assert (mine.data["outsider"].data, theirs.data["outsider"].data) == (False, True)


def test_among_trusted_pages_nobody_steers(boilers: Shelves, home: Path) -> None:
    found = call(tools(boilers, where=Where(trusted=True))["library_search"], context(home), query="boiler")
    assert [p["uri"] for p in found.plain()] == ["/mine/boiler.md"]
    assert found.whole_label.strangers == frozenset()
    assert found.whole_label.steered == frozenset()


def test_a_page_that_was_not_found_steers_too(boilers: Shelves, home: Path) -> None:
    found = call(tools(boilers)["library_search"], context(home), query="cellar", path="/mine/")
    assert found.label.steered == frozenset()  # outside of what could be found
    boilers.held["default"].add("/mine/x.md", "zzz")
    found = call(tools(boilers)["library_search"], context(home), query="cellar", limit=1)
    assert [p["uri"] for p in found.plain()] == ["/mine/boiler.md"]
    assert found.label.steered == {"library"}


def test_a_strangers_query_chooses_and_does_not_write(boilers: Shelves, home: Path) -> None:
    found = call(tools(boilers)["library_search"], context(home, query=MAIL), query="boiler")
    assert "tool:mail" in found.whole_label.steered
    assert "tool:mail" not in found.whole_label.strangers


@pytest.mark.parametrize("principal", [("ben", "agent:clerk"), ("", "agent:clerk"), ()])
def test_a_page_that_others_may_not_read_is_not_there_for_them(
    boilers: Shelves, home: Path, principal: tuple[str, ...]
) -> None:
    held = tools(boilers, model=ScriptedModel(['{"statements": []}']))
    library = boilers.held["default"].catalog
    (hers,) = [document for document in library.documents() if document.label == ANN]
    (secret,) = library.pages_of(hers.id)
    at = ToolContext("r", "k", None, home, principal=principal)
    found = call(held["library_search"], at, query="boiler of Ann leaks", limit=20)
    assert "/ann/boiler.txt" not in [p["uri"] for p in found.plain()]
    assert found.whole_label.readers is None
    with pytest.raises(ToolError) as hidden:
        call(held["library_read"], at, page=f"default/{secret.id}")
    with pytest.raises(ToolError) as absent:
        call(held["library_read"], at, page="default/999")
    assert str(hidden.value).replace(str(secret.id), "N") == str(absent.value).replace("999", "N")
    ann = call(held["library_search"], context(home, "ann"), query="boiler of Ann leaks")
    assert ann.plain()[0]["uri"] == "/ann/boiler.txt"
    assert ann.label.readers == {"ann"}  # that it exists is hers as well
    assert call(held["library_read"], context(home, "ann"), page=f"default/{secret.id}").whole_label.readers == {"ann"}


def test_reading_gives_the_page_and_what_stands_around(boilers: Shelves, home: Path) -> None:
    held = tools(boilers)
    found = call(held["library_read"], context(home, page=MAIL), page="default/1")
    plain = found.plain()
    assert plain["text"] == "Boilers are vented in May"
    assert (plain["before"], plain["after"], plain["section"]) == (None, "default/2", ["default/2"])
    assert found.data["text"].label.strangers == {"library"}
    assert found.data["after"].label.trusted
    assert "tool:mail" in found.data["after"].label.steered
    assert call(held["library_read"], context(home), page="2").plain()["before"] == "default/1"


@pytest.mark.parametrize(
    "page", ["", "x", "default/", "other/1", "default/1/2", "default/-1", "9" * 400, "../1", "1\n"]
)
def test_an_id_that_is_none(boilers: Shelves, home: Path, page: str) -> None:
    with pytest.raises(ToolError, match="no page"):
        call(tools(boilers)["library_read"], context(home), page=page)


def test_a_call_narrows_and_never_widens(boilers: Shelves, home: Path) -> None:
    held = tools(boilers, where=Where(paths=("/docs/",), kinds=("pdf",)))
    search, read = held["library_search"], held["library_read"]

    def uris(**more: Any) -> set[str]:
        return {p["uri"] for p in call(search, context(home), query="boiler", **more).plain()}

    assert uris() == uris(path="/docs/") == uris(path="*.pdf") == uris(kind="pdf") == {"/docs/boiler.pdf"}
    assert uris(path="/mine/") == uris(path="/") - {"/docs/boiler.pdf"} == uris(kind="markdown") == set()
    with pytest.raises(ToolError, match="no page"):
        call(read, context(home), page="default/3")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"query": "x", "limit": 0}, "limit must be from 1 to 20"),
        ({"query": "x", "limit": 21}, "limit must be from 1 to 20"),
        ({"query": "x", "kind": "exe"}, "there is no kind 'exe'; use one of pdf"),
        ({"query": "?"}, "no words to search by"),
    ],
)
def test_bad_calls(boilers: Shelves, home: Path, arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ToolError, match=complaint):
        call(tools(boilers)["library_search"], context(home), **arguments)


def test_several_libraries_are_searched_as_one(boilers: Shelves, home: Path) -> None:
    boilers.held["work"].add("/files/boiler.txt", "A boiler at work")
    held = tools(boilers, ("default", "work"))
    found = call(held["library_search"], context(home), query="boiler", limit=2).plain()
    assert {p["page"].partition("/")[0] for p in found} == {"default", "work"}
    assert call(held["library_read"], context(home), page="work/1").plain()["uri"] == "/files/boiler.txt"


def test_names_that_are_none(boilers: Shelves, home: Path) -> None:
    for names in ((), ("",), ("../x",), ("a/b",)):
        with pytest.raises(DeclarationError, match="needs names of libraries"):
            library_tools(names)
    with pytest.raises(ToolError, match="there is no library 'gone'; there are: default, work"):
        call(library_tools(("gone",))[0], context(home), query="x")
    assert not (home / "library" / "gone").exists()
    with pytest.raises(ToolError, match="needs a home"):
        call(tools(boilers)["library_search"], ToolContext(), query="x")


def test_a_question_is_answered_with_checked_quotes(boilers: Shelves, home: Path) -> None:
    said = {"statements": [{"text": "In May.", "excerpts": [1, 2, 3], "quote": "Boilers are vented in May"}]}
    ask = tools(boilers, model=ScriptedModel([json.dumps(said)]))["library_ask"]
    found = call(ask, context(home, question=MODEL), question="When are boilers vented?")
    plain = found.plain()
    assert (plain["found"], plain["answer"]) == (True, "In May. [1]")
    assert plain["citations"][0]["page"] == "default/1"
    # A model that saw a stranger's page may spell something in any of it.
    for name in ("found", "answer", "citations"):
        assert found.data[name].label.strangers == {"library", "reader"}


def test_a_citation_names_the_library_that_its_page_is_in(shelves: Shelves, home: Path) -> None:
    # Both number their documents and pages from 1.
    shelves.held["default"].add("/docs/boiler.pdf", "Boilers are vented in May")
    shelves.held["work"].add("/files/boiler.pdf", "Boilers are sold in June")
    for page, quote in (("default/1", "vented in May"), ("work/1", "sold in June")):
        said = {"statements": [{"text": "So it is.", "excerpts": [1, 2], "quote": quote}]}
        ask = tools(shelves, ("default", "work"), model=ScriptedModel([json.dumps(said)]))["library_ask"]
        found = call(ask, context(home), question="What of shelves?")
        assert [c["page"] for c in found.plain()["citations"]] == [page]


def test_what_a_confidential_query_found_is_confidential(boilers: Shelves, home: Path) -> None:
    asked = context(home, query=Label(frozenset({"user"}), frozenset({"ben"})))
    found = call(tools(boilers)["library_search"], asked, query="boiler cellar")
    for field in ("page", "score", "same_text", "text", "uri"):
        assert all(item.data[field].label.readers == {"ben"} for item in found.data), field
