"""`mainspring runs`: looking at runs, and doing things with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_program import json_lines, mainspring

CLERK = Path(__file__).with_name("clerk.py")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished run; the tests only add to it."""
    home = tmp_path_factory.mktemp("home")
    mainspring("run", "Look\nclosely", "-q", "-a", f"{CLERK}:reader", home=home)
    return home


@pytest.fixture(scope="module")
def run(home: Path) -> str:
    return str(json_lines(mainspring("runs", "--json", home=home).stdout)[-1]["id"])


def test_the_list(home: Path, run: str) -> None:
    head, *rows = mainspring("runs", "list", home=home).stdout.splitlines()
    assert head.split() == ["ID", "STATUS", "AGENT", "AGE", "TASK"]
    assert [row.split()[:3] for row in rows if row.startswith(run)] == [[run, "done", "reader"]]
    assert mainspring("runs", "--status", "failed", "--json", home=home).stdout == ""
    assert mainspring("runs", "--status", "in_doubt", home=home).stdout.startswith("no runs")


def test_the_transcript(home: Path, run: str) -> None:
    shown = mainspring("runs", "show", run, home=home).stdout
    for text in (f"run {run}  done", "task: Look\n  closely", "Let me think.\n␛[2J", "  and more", "All ␛]0;owned"):
        assert text in shown
    assert "2 steps, 2 model calls, 8.0k tokens in, 200 out, $0.0200" in shown
    assert "\x1b" not in shown


def test_the_events(home: Path, run: str) -> None:
    head, *rows = mainspring("runs", "show", run, "--events", home=home).stdout.splitlines()
    assert head.split() == ["SEQ", "AT", "KIND", "CHARS", "PAYLOAD"]
    assert [row.split()[0] for row in rows] == [str(n) for n in range(1, len(rows) + 1)]
    lines = json_lines(mainspring("runs", "show", run, "--events", "--json", home=home).stdout)
    assert lines[0]["kind"] == "run"
    assert len(lines) == len(rows) + 1
    assert lines[1]["label"] == {"sources": ["user"]}


def test_a_run_by_the_beginning_of_its_id(home: Path, run: str) -> None:
    other = mainspring("runs", "fork", run, "--step", "1", home=home).stdout.strip()
    assert other != run
    for name in (run, run.rpartition("-")[2], run.rpartition("-")[2][:8], run[:-2]):
        [shown] = json_lines(mainspring("runs", "show", name, "--json", home=home).stdout)
        assert shown["run_id"] == run
    ambiguous = mainspring("runs", "show", run[:8], home=home, expect=1).stderr
    assert f"several runs begin with '{run[:8]}'" in ambiguous
    assert f"  {run}  done " in ambiguous
    assert f"  {other}  waiting" in ambiguous
    assert "no run begins with 'zz'" in mainspring("runs", "show", "zz", home=home, expect=1).stderr
    mainspring("runs", "show", "", home=home, expect=1)


def test_fork_and_go_on(home: Path, run: str) -> None:
    [forked] = json_lines(mainspring("runs", "fork", run, "--step", "1", "--json", home=home).stdout)
    assert (forked["parent"], forked["step"]) == (run, 1)
    done = mainspring("runs", "resume", str(forked["run_id"]), home=home)
    assert done.stdout.startswith("All ")
    assert "→ look" not in done.stderr  # the history's effects are not repeated
    beyond = mainspring("runs", "fork", run, "--step", "9", home=home, expect=1)
    assert "it cannot be forked at step 9" in beyond.stderr


def test_replay(home: Path, run: str) -> None:
    assert mainspring("runs", "replay", run, home=home).stdout == "identical: yes (2 model calls)\n"
    [report] = json_lines(mainspring("runs", "replay", run, "--json", home=home).stdout)
    assert report == {"run_id": run, "steps": 2, "identical": True, "differences": []}


def test_export_and_import_into_another_home(home: Path, run: str, tmp_path: Path) -> None:
    exported = mainspring("runs", "export", run, home=home).stdout
    json_lines(exported)
    assert "日本" in exported
    assert mainspring("runs", "export", run, home=home, PYTHONIOENCODING="ascii").stdout == exported
    path = tmp_path / "run.jsonl"
    mainspring("runs", "export", run, "-o", path, home=home)
    assert path.read_text() == exported
    elsewhere = tmp_path / "elsewhere"
    assert mainspring("runs", "import", path, home=elsewhere).stdout == f"{run}\n"
    assert mainspring("runs", "show", run, "--events", home=elsewhere).stdout == (
        mainspring("runs", "show", run, "--events", home=home).stdout
    )
    mainspring("runs", "import", path, home=elsewhere, expect=1)  # it is there already
    third = tmp_path / "third"
    [read] = json_lines(mainspring("runs", "import", "-", "--json", home=third, stdin=exported.encode()).stdout)
    assert read == {"run_id": run, "status": "done"}


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda text: text.replace("closely", "quickly"), "mainspring: error: "),
        (lambda text: text.splitlines()[0], "mainspring: error: "),
        (lambda text: "", "the export is empty"),
        (lambda text: "{}\n", "no export of a Mainspring run"),
        (lambda text: text.replace('"mainspring_export":', '"mainspring_export":99'), "format 99"),
    ],
)
def test_a_damaged_export_is_refused_as_a_whole(home: Path, run: str, tmp_path: Path, damage, complaint: str) -> None:
    text = damage(mainspring("runs", "export", run, home=home).stdout)
    refused = mainspring("runs", "import", "-", home=tmp_path, stdin=text.encode(), expect=1)
    assert complaint in refused.stderr
    assert mainspring("runs", "--json", home=tmp_path).stdout == ""


def test_an_export_that_is_no_text_is_refused(home: Path, tmp_path: Path) -> None:
    assert "UTF-8" in mainspring("runs", "import", "-", home=tmp_path, stdin=b"\xff\xfe", expect=1).stderr
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    mainspring("runs", "import", tmp_path / "odd", home=tmp_path, expect=1)


def test_what_a_person_says_to_a_finished_run_makes_it_go_on(home: Path, run: str) -> None:
    fork = mainspring("runs", "fork", run, "--step", "1", home=home).stdout.strip()
    mainspring("runs", "send", fork, "-", "--by", "ann", home=home, stdin="Schnell, bitte: ü\n".encode())
    done = mainspring("runs", "resume", fork, "--json", home=home)
    [said] = [line for line in json_lines(done.stdout) if line["kind"] == "message.added"]
    assert said["payload"]["by"] == "ann"
    assert "Schnell, bitte: ü" in json.dumps(said, ensure_ascii=False)


def test_cancel(home: Path, run: str) -> None:
    fork = mainspring("runs", "fork", run, "--step", "1", home=home).stdout.strip()
    [line] = json_lines(mainspring("runs", "cancel", fork, "--reason", "not needed", "--json", home=home).stdout)
    assert line["reason"] == "not needed"
    [shown] = json_lines(mainspring("runs", "show", fork, "--json", home=home).stdout)
    assert shown["status"] == "cancelled"
    assert "not needed" in shown["reason"]


def test_undo_takes_edits_back_newest_first(home: Path, tmp_path: Path) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text(
        "from mainspring import Agent, ScriptedModel\n"
        "from mainspring.messages import ToolCallPart\n"
        "from mainspring.tools import coding_tools\n"
        "def edit(n, old, new):\n"
        "    arguments = {'path': 'a.txt', 'old': old, 'new': new}\n"
        "    return ToolCallPart(str(n), 'edit_file', arguments)\n"
        "script = [edit(1, 'one', 'two'), edit(2, 'two', 'three'), 'Edited.']\n"
        "agent = Agent('editor', model=ScriptedModel(script), tools=coding_tools())\n"
    )
    desk = tmp_path / "desk"
    desk.mkdir()
    file = desk / "a.txt"
    file.write_text("one\n")
    mainspring("run", "Edit", "-a", editor, "-w", desk, home=home)
    assert file.read_text() == "three\n"
    assert mainspring("runs", "undo", "last", home=home).stdout == "restored a.txt\n"
    assert file.read_text() == "two\n"
    [line] = json_lines(mainspring("runs", "undo", "last", "--all", "--json", home=home).stdout)
    assert line["undone"] == ["restored a.txt"]
    assert file.read_text() == "one\n"
    assert "nothing was undone" in mainspring("runs", "undo", "last", home=home).stderr
    file.write_text("by hand\n")
    assert "a.txt was changed" in mainspring("runs", "undo", "last", home=home, expect=1).stderr
    assert file.read_text() == "by hand\n"
    never = mainspring("runs", "undo", "last", "--compaction", home=home, expect=1)
    assert "never compacted" in never.stderr
