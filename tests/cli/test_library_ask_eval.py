"""`mainspring library ask` and `mainspring library eval` as a person types them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cli_program import json_lines, mainspring

from mainspring import Agent, ScriptedModel, ToolCallPart
from mainspring.library.library import Library
from mainspring.library.tools import library_tools


class Speaking(BaseHTTPRequestHandler):
    """A server that speaks OpenAI's chat completions and gives one answer."""

    answer = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": type(self).answer}
        body: dict[str, Any] = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
        body |= {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        body |= {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        return None


@pytest.fixture
def model() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Speaking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1#m"
    server.shutdown()
    server.server_close()


@pytest.fixture
def filled(home: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "boiler.md").write_text(
        "# Care\n\nThe boiler must be vented every May.\n\n# Sale\n\nIt costs 70 euros.\n"
    )
    (folder / "tea.txt").write_text("Green tea is brewed at 70 degrees.\n")
    with Library.open(home=home, embedder="none") as library:
        library.index(folder, jobs=1)
    return folder


def said(text: str, quote: str) -> str:
    return json.dumps({"statements": [{"text": text, "excerpts": [1], "quote": quote}]})


def test_an_answer_with_its_quote(filled: Path, home: Path, model: str) -> None:
    Speaking.answer = said("Every \x1b[31m May.", "must be vented every May")
    ask = ("library", "ask", "When must the boiler be vented?", "--model", model)
    done = mainspring(*ask, home=home)
    first, *rest = done.stdout.splitlines()
    assert first.startswith("Every")
    assert first.endswith("May. [1]")
    assert "\x1b" not in done.stdout
    assert f"[1] {filled / 'boiler.md'}" in "\n".join(rest)
    assert '"must be vented every May"' in done.stdout
    (line,) = json_lines(mainspring(*ask, "--json", home=home).stdout)
    assert line["found"] is True
    assert line["citations"][0]["quote"] == "must be vented every May"
    assert "library" in line["label"]


def test_a_made_up_quote_is_no_answer(filled: Path, home: Path, model: str) -> None:
    Speaking.answer = said("Every June.", "must be vented every June")
    done = mainspring("library", "ask", "When must the boiler be vented?", "--model", model, home=home, expect=1)
    assert done.stdout == "The library holds no answer to this.\n"
    assert "left out: 1 statement whose quote" in done.stderr


def test_modes_are_compared_on_a_file(filled: Path, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(
        '{"query": "vented", "relevant": ["boiler.md#1"], "kind": "words"}\n'
        '{"query": "green tea", "relevant": ["docs/tea.txt", "gone.md"], "kind": "names"}\n'
    )
    done = mainspring("library", "eval", file, "--modes", "text,hybrid", home=home)
    assert done.stdout.startswith("2 queries, 2 pages")
    assert "NDCG@10 BY KIND" in done.stdout
    assert "hybrid over text: +0.000 [+0.000, +0.000], may be chance" in done.stdout
    assert "line 2: the library has no page 'gone.md'" in done.stderr
    lines = json_lines(mainspring("library", "eval", file, "--modes", "text", "--json", home=home).stdout)
    assert lines[0]["ndcg10"]["mean"] == 1.0
    assert lines[0]["kb_per_page"] > 0


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        ([], 2, "say which queries"),
        (["q.jsonl", "--from-journal"], 2, "say which queries"),
        (["q.jsonl", "--trusted"], 2, "go with --from-journal"),
        (["q.jsonl", "--modes", "dense"], 1, "there is no mode dense"),
        (["bad.jsonl"], 1, "line 1:"),
        (["--from-journal"], 1, "no run has searched this library"),
        (["--dataset", "."], 1, "has no table 'queries'"),
    ],
)
def test_wrong_usage(
    filled: Path, home: Path, tmp_path: Path, arguments: list[str], status: int, complaint: str
) -> None:
    (tmp_path / "q.jsonl").write_text('{"query": "vented", "relevant": ["boiler.md#1"]}\n')
    (tmp_path / "bad.jsonl").write_text("{\n")
    done = mainspring("library", "eval", *arguments, home=home, cwd=tmp_path, expect=status)
    assert complaint in done.stderr


def test_queries_of_the_journal(filled: Path, home: Path, tmp_path: Path) -> None:
    lines = [
        ToolCallPart("1", "library_search", {"query": "vented boiler"}),
        ToolCallPart("2", "library_read", {"page": "default/1"}),
        "end",
    ]
    agent = Agent("clerk", model=ScriptedModel(lines), tools=library_tools(), guard="tainted")
    assert agent.run_sync("Look", home=home, by="ann").status == "done"
    out = tmp_path / "real.jsonl"
    arguments = ("library", "eval", "--from-journal", "--modes", "text", "--write", out, "--json")
    (line,) = json_lines(mainspring(*arguments, home=home).stdout)
    assert (line["queries"], line["ndcg10"]["mean"]) == (1, 1.0)
    (written,) = json_lines(out.read_text())
    assert written["relevant"] == {f"{filled / 'boiler.md'}#1": 1.0}


def test_a_data_set_is_indexed_and_measured(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text('{"corpus_id": 7, "text": "A boiler"}\n{"corpus_id": 8, "text": "Some tea"}\n')
    (folder / "queries.jsonl").write_text('{"query_id": 1, "query": "boiler"}\n')
    (folder / "qrels.jsonl").write_text('{"query_id": 1, "corpus_id": 7, "score": 1}\n')
    with Library.open("eval-set", home=home, embedder="none"):
        pass  # by words only: the encoder's weights are no part of this
    arguments = ("library", "eval", "--dataset", folder, "--modes", "text", "--json")
    for _ in range(2):
        (line,) = json_lines(mainspring(*arguments, home=home).stdout)
        assert (line["pages"], line["ndcg10"]["mean"]) == (2, 1.0)
