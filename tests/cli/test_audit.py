"""`mainspring audit`: checked, searched, exported, and checked elsewhere with nothing but the public key."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from cli_program import json_lines, mainspring

from mainspring import Agent, ScriptedModel, ToolCallPart, tool
from mainspring.audit import sign
from mainspring.store import close_stores, open_store


@tool
def pay(to: str) -> str:
    """Pay somebody."""
    return f"paid {to}"


@pytest.fixture
def run(home: Path) -> str:
    script = [ToolCallPart("", "pay", {"to": "bob \x1b[2J\u202e"}), "Paid."]
    made = Agent("clerk", model=ScriptedModel(script), tools=[pay]).run_sync("Pay", home=home, run_id="r1")
    made.pending()[0].approve(by="ann", reason="seen")
    made.resume_sync()
    sign(open_store(home), "r1")
    return "r1"


def test_verify_search_export(home: Path, run: str, tmp_path: Path) -> None:
    shown = mainspring("audit", "verify", home=home).stdout
    assert "1 runs signed to their end, 0 wrong" in shown
    head = shown.rpartition("newest seal: ")[2].split()[0]
    mainspring("audit", "verify", run, "--head", head, home=home)
    missed = mainspring("audit", "verify", "--head", "0" * 64, "--json", home=home, expect=1)
    assert json_lines(missed.stdout)[0]["problems"][0]["where"] == "the seals"

    found = mainspring("audit", "search", "--person", "Ann", "--since", "1h", home=home).stdout
    assert "approval answered" in found
    assert not set(found) & set("\x1b\u202e")
    [line] = json_lines(
        mainspring("audit", "search", "--tool", "pay", "--action", "effect", "--json", home=home).stdout
    )
    assert (line["by"], line["outcome"]) == ("agent:clerk", "done")
    assert mainspring("audit", "search", "--text", "nowhere", home=home).stdout == "nothing was found\n"

    out, key = tmp_path / "audit.jsonl", tmp_path / "home.pub"
    mainspring("audit", "export", "-o", out, home=home)
    key.write_text(mainspring("audit", "key", home=home).stdout)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    checked = mainspring("audit", "verify", "--file", out, "--key", key, home=elsewhere)
    assert "records, all signed by ed25519:" in checked.stdout
    assert mainspring("audit", "export", "--tool", "pay", home=home).stdout.count("\n") > 2
    out.write_text(out.read_text().replace('"by":"ann"', '"by":"eve"'))
    wrong = mainspring("audit", "verify", "--file", out, "--key", key, home=elsewhere, expect=1)
    assert "the signature is not" in wrong.stderr
    [line] = json_lines(
        mainspring("audit", "verify", "--file", out, "--key", key, "--json", home=home, expect=1).stdout
    )
    assert line["ok"] is False
    assert mainspring("audit", "trust", key, "--json", home=elsewhere).stdout
    assert "--key" in mainspring("audit", "verify", "--file", out, home=home, expect=2).stderr


def test_a_changed_journal_is_found_and_not_exported(home: Path, run: str) -> None:
    close_stores()
    with sqlite3.connect(home / "journal.db") as connection:
        connection.execute("UPDATE events SET payload=replace(payload, 'Paid', 'Lost') WHERE kind='run.ended'")
    connection.close()
    wrong = mainspring("audit", "verify", "--all", home=home, expect=1)
    assert "WRONG: run r1, event" in wrong.stdout
    assert "nothing was exported" in mainspring("audit", "export", home=home, expect=1).stderr


def test_an_unsigned_end_is_shown(home: Path, run: str) -> None:
    Agent("other", model=ScriptedModel(["x"])).run_sync("go", home=home, run_id="r2")
    (home / "audit" / "seals.jsonl").unlink()
    gone = mainspring("audit", "verify", home=home, expect=1).stdout
    assert "is gone, but this home has signed before" in gone
    assert "unsigned" in gone


def test_runs_that_are_not_there(home: Path) -> None:
    assert "no run" in mainspring("audit", "verify", "nobody", home=home, expect=1).stderr
    assert "--since takes" in mainspring("audit", "search", "--since", "soon", home=home, expect=2).stderr
