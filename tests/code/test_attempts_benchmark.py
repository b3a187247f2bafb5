"""The benchmark of verified attempts: stops at the first verified one, keeps its rows, and counts by prefix."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from small_project import Told, make_project

from benchmarks.attempts import __main__ as program
from benchmarks.attempts.attempt import SEEDS, attempts
from benchmarks.attempts.report import Book, prefix, summary
from benchmarks.repair import arms, bugs
from benchmarks.repair.arms import Budget
from mainspring.code.breaking.sdist import Source
from mainspring.messages import Message

SETTINGS = {"model": "m", "tokens_per_attempt": 9, "seconds_per_attempt": 9.0}
ONE: dict[str, Any] = {"id": "one", "origin": "mutation", "kind": "operator"}
TWO: dict[str, Any] = {"id": "two", "origin": "release", "kind": "reverted"}


def row(
    bug: str, number: int, *, verified: bool = False, solved: bool | None = None, tokens: int = 10
) -> dict[str, Any]:
    return {
        **SETTINGS,
        "bug": bug,
        "attempt": number,
        "verified": verified,
        "solved": verified if solved is None else solved,
        "tokens": tokens,
        "seconds": 1.0,
        "version": "v",
    }


def test_what_fewer_attempts_would_have_made_is_the_beginning_of_what_more_made() -> None:
    rows = [row("one", 1), row("one", 2, verified=True), row("two", 1), row("two", 2), row("two", 3), row("two", 4)]
    first, second, fourth = (summary([ONE, TWO], rows, n) for n in (1, 2, 4))
    assert [s["solved"] for s in (first, second, fourth)] == [0, 1, 1]
    assert [s["tokens"] for s in (first, second, fourth)] == [20, 40, 60]
    assert [s["tokens_per_solved"] for s in (first, second, fourth)] == [None, 40, 60]
    assert fourth["solved_by_source"] == {"mutation": 1, "release": 0}
    assert prefix(rows[:1], 4) is None  # not made yet, and not verified
    assert summary([ONE, TWO], rows, 8)["bugs"] == 1


def test_a_verified_attempt_that_is_not_solved_ends_the_bug() -> None:
    rows = [row("one", 1, verified=True, solved=False), row("one", 2, verified=True)]
    found = summary([ONE], rows, 2)
    assert (found["solved"], found["false_verified"], found["attempts_made"]) == (0, 1, 1)


def test_rows_are_kept_as_they_come_and_others_settings_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    book = Book(path, SETTINGS)
    book.add({k: v for k, v in row("one", 1).items() if k not in SETTINGS})
    with path.open("a") as file:
        file.write('{"bug": "one", "att')  # the process died here
    again = Book(path, SETTINGS)
    assert again.rows == book.rows == [row("one", 1)]
    again.add(row("one", 2, verified=True))
    assert [r["attempt"] for r in Book(path, SETTINGS).of(ONE)] == [1, 2]
    assert Book(path, {**SETTINGS, "tokens_per_attempt": 10}).rows == []


class Second(Told):
    """Knows the answer under the seeds of the second attempt, and not under those of the first."""

    def __init__(self, right: str) -> None:
        super().__init__(lambda prompt, begin: "", infill=False)
        self.right, self.seeds = right, set[int]()

    async def respond(self, messages: Sequence[Message], tools: Any, settings: Any) -> Message:
        number = settings.seed // SEEDS
        self.seeds.add(number)
        begin = settings.extra.get("prefill", "")
        wrong = "0" if begin.rstrip().endswith("return") else "pass"
        self.say = lambda prompt, begin: self.right.removeprefix(begin) if number else wrong
        return await super().respond(messages, tools, settings)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    archive = make_project(tmp_path / "archive")

    def fetch(_: Source, folder: Path) -> Path:
        shutil.copytree(archive, folder)
        return folder

    monkeypatch.setattr(arms, "fetch", fetch)
    monkeypatch.setattr(bugs, "fetch", fetch)
    monkeypatch.setattr("benchmarks.attempts.attempt.fetch", fetch)
    return Source("small", "1", "", "", ("shapes.py",), ".", "tests")


@pytest.mark.slow
def test_attempts_are_made_until_one_is_verified_and_known_ones_not_again(package: Source, tmp_path: Path) -> None:
    found = next(b for b in bugs._Search(tmp_path / "search", 1, {}).slips(package))
    bug = {**found, "id": "small:slip"}
    right = bug["before"].splitlines()
    wrong = bug["after"].splitlines()
    line = next(a for a, b in zip(right, wrong, strict=True) if a != b)
    model = Second(line.strip())
    kept: list[dict[str, Any]] = []
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    budget = Budget(3_000, 120.0)
    rows = list(attempts(scratch, model, bug, 4, budget, [], kept.append, package))
    assert rows == kept
    assert [(r["attempt"], r["verified"], r["solved"]) for r in rows] == [(1, False, False), (2, True, True)]
    assert model.seeds == {0, 1}
    assert all(r["tokens"] > 0 for r in rows)
    asked = len(model.asked)
    again = list(attempts(scratch, model, bug, 4, budget, rows, kept.append, package))
    assert again == rows
    assert len(model.asked) == asked
    assert len(kept) == 2


def test_the_whole_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[int] = []

    def attempt(scratch: Path, model: str, bug: dict[str, Any], number: int, *_: Any) -> dict[str, Any]:
        calls.append(number)
        if bug["id"] == "two" and len(calls) < 5:
            raise program.MainspringError("the engine died")
        return {k: v for k, v in row(bug["id"], number, verified=number == 2).items() if k not in SETTINGS}

    bugs_ = [{**b, "package": "toolz", "version": "1.2.0"} for b in (ONE, TWO)]
    monkeypatch.setattr(program, "known", lambda *_: bugs_)
    monkeypatch.setattr("benchmarks.attempts.attempt.attempt", attempt)
    path = tmp_path / "rows.jsonl"
    monkeypatch.setattr("sys.argv", ["attempts", "--model", "m", "--attempts", "2,1", "--resume", str(path)])
    assert program.main() == 1
    said = capsys.readouterr()
    assert "the engine died" in said.err
    answer = json.loads(said.out.strip().split("\n")[-1])
    assert (answer["bugs"], answer["all_bugs"], answer["complete"]) == (1, 2, False)
    calls += [0, 0, 0]
    assert program.main() == 0
    answer = json.loads(capsys.readouterr().out.strip().split("\n")[-1])
    assert (answer["bugs"], answer["complete"], answer["model"]) == (2, True, "m")
    assert answer["by_attempts"]["1"]["solved"] == 0
    assert answer["by_attempts"]["2"]["solved_share"] == 1.0
    assert calls == [1, 2, 1, 0, 0, 0, 1, 2]
