"""A library measured on queries from files, data sets and the journal."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from library_filled import FilledLibrary, WordsEmbedder
from mainspring import Agent, ScriptedModel, ToolCallPart
from mainspring.errors import ToolError
from mainspring.label import USER, Label
from mainspring.library.evaluate import (
    Judged,
    as_json,
    evaluate,
    judged_runs,
    read_dataset,
    read_queries,
    resolved,
    write_pages,
    write_queries,
)
from mainspring.library.page import Where
from mainspring.library.tools import library_tools
from mainspring.store import open_store

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[FilledLibrary]:
    made = FilledLibrary.of_words(tmp_path / "library", WordsEmbedder({"autos": "car", "vehicles": "car"}))
    made.add("/docs/manual.pdf", "Vehicles must be washed", "Invoices are paid", kind="pdf")
    made.add("/docs/tea.md", "Green tea is brewed")
    made.add("/other/tea.md", "Black tea is brewed longer")
    yield made
    made.close()


def lines(path: Path, *values: Any) -> Path:
    path.write_text("\n".join(v if isinstance(v, str) else json.dumps(v) for v in values))
    return path


def test_modes_are_measured_and_compared(library: FilledLibrary, tmp_path: Path) -> None:
    file = lines(
        tmp_path / "q.jsonl",
        {"query": "autos", "relevant": ["manual.pdf#1"], "kind": "paraphrase"},
        {"query": "green tea", "relevant": {"docs/tea.md": 2, "/other/tea.md#1": 1}, "kind": "words"},
        "",
        {"query": "invoices", "relevant": ["/docs/manual.pdf#2"], "kind": "words"},
    )
    told: list[tuple[int, int]] = []
    found = evaluate(library, read_queries(file), progress=lambda n, of: told.append((n, of)))
    text, _, hybrid = found.modes
    assert (found.queries, found.pages, found.complaints) == (3, 4, ())
    assert text.each[0] == 0.0
    assert hybrid.each[0] == 1.0
    assert text.kinds["paraphrase"].mean == 0.0
    assert text.kinds["words"].mean == 1.0
    assert [c.better for c in found.comparisons] == ["meaning", "hybrid"]
    assert found.comparisons[1].difference.mean == pytest.approx(1 / 3)
    assert told[-1] == (9, 9)
    shown = as_json(found)
    assert shown[2]["mode"] == "hybrid"
    assert shown[2]["ndcg10"]["mean"] == 1.0
    assert json.dumps(shown)


def test_names_that_the_library_lacks_are_told(library: FilledLibrary) -> None:
    queries = [
        Judged("tea", {"tea.md": 1.0, "docs/tea.md": 1.0}, line=1),  # two documents end so
        Judged("tea", {"gone.pdf#1": 1.0}, line=2),
        Judged("tea", {"manual.pdf#9": 1.0, "manual.pdf#1": 0.0}, line=3),
    ]
    found = evaluate(library, queries, modes=["text"])
    assert found.queries == 1
    assert [c.partition(":")[0] for c in found.complaints] == ["line 1", "line 2", "line 3"]
    assert "may mean 2 documents" in found.complaints[0]
    with pytest.raises(ToolError, match="holds no page that the queries name"):
        evaluate(library, queries[1:])
    with pytest.raises(ToolError, match="no mode dense"):
        evaluate(library, queries, modes=["dense"])


def test_times_are_of_the_searches(library: FilledLibrary) -> None:
    ticks = iter(range(1000))
    found = evaluate(library, [Judged("tea", {"docs/tea.md": 1.0})], modes=["text"], clock=lambda: next(ticks) * 0.005)
    assert found.modes[0].p50_ms == pytest.approx(5.0)


def test_a_repeat_counts_as_the_page_that_is_relevant(library: FilledLibrary) -> None:
    library.add("/copy/green.md", "Green tea is brewed", label=USER)  # shown for both
    found = evaluate(library, [Judged("green tea", {"docs/tea.md": 1.0})], modes=["text"])
    assert found.modes[0].ndcg10.mean == 1.0


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 2:"),
        ("[]", "line 2: it is no object but list"),
        ('{"query": " ", "relevant": ["a"]}', "line 2: `query` must be text"),
        ('{"query": "x"}', "line 2: `relevant` must be a list"),
        ('{"query": "x", "relevant": []}', "line 2: `relevant` must be a list"),
        ('{"query": "x", "relevant": [1]}', "line 2: `relevant` must be a list"),
        ('{"query": "x", "relevant": {"a": -1}}', "line 2: the grade of 'a' must be a number from 0 to 10, not -1"),
        ('{"query": "x", "relevant": {"a": true}}', "line 2: the grade of 'a'"),
        ('{"query": "x", "relevant": ["a"], "kind": 3}', "line 2: `kind` must be text"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    file = lines(tmp_path / "q.jsonl", {"query": "x", "relevant": ["a"]}, line)
    with pytest.raises(ToolError) as told:
        read_queries(file)
    assert complaint in str(told.value)
    assert "has 1 lines that are no queries" in str(told.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot be read"):
        read_queries(tmp_path / "gone")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ToolError, match="has no queries"):
        read_queries(tmp_path / "empty")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ToolError, match="cannot be read"):
        read_queries(tmp_path / "binary")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    queries = [Judged("x", {"a#1": 2.0}, "kind", 1), Judged("y", {"b": 1.0}, "", 2)]
    assert write_queries(queries, tmp_path / "q") == 2
    assert read_queries(tmp_path / "q") == queries


# --- data sets on disk ---


@pytest.mark.parametrize("form", ["jsonl", "csv", "parts"])
@pytest.mark.parametrize("dash", ["-", "_"])
def test_a_data_set_in_the_forms_of_beir(tmp_path: Path, form: str, dash: str) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    q, c = f"query{dash}id", f"corpus{dash}id"
    tables: dict[str, list[dict[str, Any]]] = {
        "queries": [
            {q: 1, "query": "a red car", "language": "english"},
            {q: 2, "query": "une voiture", "language": "french"},
            {q: 3, "query": "nothing", "language": "english"},
        ],
        "corpus": [{c: 0, "image": base64.b64encode(PNG).decode()}, {c: "x/../y", "markdown": "# A page"}],
        "qrels": [{q: 1, c: 0, "score": 1}, {q: 2, c: "x/../y", "score": 2}, {q: 3, c: 0, "score": 0}],
    }
    for name, rows in tables.items():
        if form == "csv":
            head = list(dict.fromkeys(k for row in rows for k in row))
            text = "\n".join([",".join(head), *(",".join(str(row.get(k, "")) for k in head) for row in rows)])
            (folder / f"{name}.csv").write_text(text)
        elif form == "parts":
            (folder / name).mkdir()
            for n, row in enumerate(rows):
                lines(folder / name / f"test-{n}.jsonl", row)
        else:
            lines(folder / f"{name}.jsonl", *rows)
    read = read_dataset(folder)
    assert (len(read.queries), read.pages) == (2, 2)
    assert [j.query for j in read_dataset(folder, language="French").queries] == ["une voiture"]
    out = tmp_path / "pages"
    assert write_pages(read, out) == write_pages(read, out) == 2
    files = sorted(path.name for path in out.iterdir())
    assert "page-0.png" in files
    assert (out / "page-0.png").read_bytes() == PNG
    assert len([f for f in files if f.endswith(".md")]) == 1
    one, two = resolved(read, out)
    assert dict(one.relevant) == {"page-0.png": 1.0}
    assert set(two.relevant) <= set(files)
    assert one.kind == "english"


def test_data_sets_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="has no table 'queries'"):
        read_dataset(tmp_path)
    lines(tmp_path / "queries.jsonl", {"id": 1, "words": "x"})
    with pytest.raises(ToolError, match="the table queries has no column 'query'; it has id, words"):
        read_dataset(tmp_path)
    lines(tmp_path / "queries.jsonl", {"id": 1, "query": "x"})
    lines(tmp_path / "qrels.jsonl", {"query-id": 1, "corpus-id": 1, "score": "much"})
    with pytest.raises(ToolError, match="'much' of query '1' in qrels is no number"):
        read_dataset(tmp_path)
    lines(tmp_path / "qrels.jsonl", "{")
    with pytest.raises(ToolError, match=r"qrels.jsonl line 1"):
        read_dataset(tmp_path)
    lines(tmp_path / "qrels.jsonl", {"query-id": 1, "corpus-id": 1})
    lines(tmp_path / "corpus.jsonl", {"corpus-id": 1, "image": "../../etc/passwd.png"})
    with pytest.raises(ToolError, match="there is no picture"):
        write_pages(read_dataset(tmp_path), tmp_path / "out")
    lines(tmp_path / "corpus.jsonl", {"corpus-id": 1, "image": base64.b64encode(b"text").decode()})
    with pytest.raises(ToolError, match="neither PNG, JPEG nor WebP"):
        write_pages(read_dataset(tmp_path), tmp_path / "out")


# --- the journal ---


def call(name: str, **arguments: Any) -> ToolCallPart:
    return ToolCallPart(f"{name}-{len(str(arguments))}", name, arguments)


@pytest.mark.parametrize(("guard", "page"), [("tainted", "default/1"), ("clean", "$v1[0].page")])
def test_what_runs_read_after_a_search_is_relevant_to_it(
    library: FilledLibrary, home: Path, guard: str, page: str
) -> None:
    tools = library_tools(opener=lambda name, home: library)
    lines = [call("library_search", query="vehicles"), call("library_read", page=page), "end"]
    Agent("clerk", model=ScriptedModel(lines), tools=tools, guard=guard).run_sync("Look", home=home, by="ann")
    unread = [call("library_search", query="green tea"), "end"]
    Agent("clerk", model=ScriptedModel(unread), tools=tools, guard=guard).run_sync("Look", home=home, by="ann")
    (judged,) = judged_runs(open_store(home), library.catalog)
    assert (judged.query, dict(judged.relevant)) == ("vehicles", {"/docs/manual.pdf#1": 1.0})
    assert judged.label.strangers == {"library"}
    assert judged_runs(open_store(home), library.catalog, trusted=True) == []
    assert judged_runs(open_store(home), library.catalog, library="other") == []
    assert evaluate(library, [judged], modes=["text"]).modes[0].ndcg10.mean == 1.0


def test_what_an_answer_cites_is_more_relevant(library: FilledLibrary, home: Path) -> None:
    said = {"statements": [{"text": "Wash them.", "excerpts": [1], "quote": "Vehicles must be washed"}]}
    tools = library_tools(opener=lambda name, home: library, model=ScriptedModel([json.dumps(said)]))
    lines = [call("library_ask", question="What of vehicles?"), "end"]
    Agent("clerk", model=ScriptedModel(lines), tools=tools, guard="tainted").run_sync("Look", home=home, by="ann")
    (judged,) = judged_runs(open_store(home), library.catalog)
    assert dict(judged.relevant) == {"/docs/manual.pdf#1": 2.0}


def test_a_private_page_keeps_its_readers_in_what_is_learnt(library: FilledLibrary, home: Path) -> None:
    (hers,) = library.add("/ann/x.txt", "Salaries", label=Label(frozenset({"library"}), frozenset({"ann"})))
    tools = library_tools(opener=lambda name, home: library, where=Where())
    lines = [call("library_search", query="salaries"), call("library_read", page=f"default/{hers.id}"), "end"]
    Agent("clerk", model=ScriptedModel(lines), tools=tools, guard="tainted").run_sync("Look", home=home, by="ann")
    (judged,) = judged_runs(open_store(home), library.catalog)
    assert judged.label.readers == {"ann"}
