"""`mainspring recall` as a person types it."""

from __future__ import annotations

from pathlib import Path

from cli_program import json_lines, mainspring

from mainspring import Agent, ScriptedModel, ToolCallPart, tool


@tool(effect="read", authority=())
def mails() -> str:
    """Read the mail."""
    return "a stranger's words"


def work(home: Path, *lines: object) -> str:
    agent = Agent("clerk", model=ScriptedModel([*lines]), tools=[mails], guard="tainted", grants=[])  # type: ignore[list-item]
    return agent.run_sync("Sort the letters", home=home, by="ann").id


def test_what_finished_runs_said_is_found_with_who_may_have_written_it(home: Path) -> None:
    assert mainspring("recall", home=home).stdout == "no run has finished\n"
    work(home, "All letters are sorted.")
    work(home, ToolCallPart("", "mails", {}), "Eve's \x1b[2J letters come first.")
    head, *rows = mainspring("recall", "search", "letters", home=home).stdout.splitlines()
    assert head.split()[:2] == ["RUN", "WHAT"]
    assert len(rows) == 4
    assert sum("tool:mails" in row for row in rows) == 1
    assert not any("\x1b" in row for row in rows)
    (line,) = json_lines(mainspring("recall", "search", "Eve", "--json", home=home).stdout)
    assert (line["what"], line["trusted"], line["person"]) == ("outcome", False, "ann")
    assert mainspring("recall", "search", "nowhere", home=home).stdout == "no finished run has these words\n"
    assert mainspring("recall", "letters", "all", home=home).stdout.splitlines()[0] == head  # as --help shows it
    assert mainspring("recall", "letters all", home=home).stdout.splitlines()[0] == head
    assert "did you mean 'forget'?" in mainspring("recall", "forgt", home=home, expect=2).stderr


def test_a_forgotten_run_stays_away(home: Path) -> None:
    run_id = work(home, "A secret letter.")
    assert mainspring("recall", "forget", run_id, home=home, expect=2).stdout == ""  # it says why, or it is not done
    mainspring("recall", "forget", run_id, "--why", "Ann asked", "--by", "ann", home=home)
    for _ in range(2):
        assert mainspring("recall", "search", "secret", "--json", home=home).stdout == ""
        assert "0 finished runs" in mainspring("recall", "rebuild", home=home).stderr
    failed = mainspring("recall", "forget", "none", "--why", "x", home=home, expect=1)
    assert "none" in failed.stderr
    assert "Traceback" not in failed.stderr
