"""The repair benchmark keeps its book, compares like with like, and counts only what it saw itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_project import make_project

from benchmarks.repair import arms, bugs, known
from benchmarks.repair.book import Book
from benchmarks.repair.packages import MUTATED, PAIRS, source
from benchmarks.repair.report import report
from mainspring.code.breaking.sdist import Source

SLIP: dict[str, Any] = {
    "id": "toolz-1.2.0:f",
    "origin": "mutation",
    "package": "toolz",
    "version": "1.2.0",
    "path": "a.py",
    "function": "f",
    "line": 2,
    "before": "    return 1",
    "after": "    return 2",
    "kind": "operator",
}
FIX = {**SLIP, "id": "toolz-1.0.0:f~", "origin": "release", "version": "1.0.0", "kind": "reverted"}


def row(arm: str, bug: dict[str, Any], *, solved: bool, done: bool, budget: int = 9) -> dict[str, Any]:
    return {
        "model": "m",
        "arm": arm,
        "bug": bug["id"],
        "budget": budget,
        "solved": solved,
        "claimed": done,
        "false_done": done and not solved,
        "tests_touched": False,
        "reason": "",
        "version": f"{arm}-1",
        "tries": 2,
        "seconds": 1.5,
        "tokens": 10,
    }


def printed(capsys: pytest.CaptureFixture[str], results: list[dict[str, Any]]) -> dict[str, Any]:
    report(("m", "not yet"), [SLIP, FIX], results, {"seed": 7})
    answer: dict[str, Any] = json.loads(capsys.readouterr().out.strip().split("\n")[-1])
    return answer


def test_an_interrupted_benchmark_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    book = Book(path)
    book.bugs["1+0/7"] = [SLIP]
    book.sound["toolz-1.2.0"] = (180, 0.5)
    book.add(row("bare", SLIP, solved=False, done=True))
    again = Book(path)
    assert again.bugs == book.bugs
    assert list(again.sound["toolz-1.2.0"] or ()) == [180, 0.5]
    assert again.find("m", "bare", SLIP, 9) == row("bare", SLIP, solved=False, done=True)
    assert again.find("m", "harness", SLIP, 9) is None
    assert again.find("m", "bare", SLIP, 10) is None  # another budget is another measurement


def test_the_object_on_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    both = [row("bare", b, solved=b is FIX, done=True) for b in (SLIP, FIX)]
    both += [row("harness", b, solved=b is SLIP, done=b is SLIP) for b in (SLIP, FIX)]
    answer = printed(capsys, both)
    assert (answer["bugs"], answer["bare_solved"], answer["harness_solved"]) == (2, 1, 1)
    assert (answer["false_done"], answer["bare_false_done"]) == (0, 1)
    assert "swarm_solved" not in answer
    assert "swarm_solved" in answer["skipped"]
    assert answer["sources"] == {
        "mutation": {"bugs": 1, "bare_solved": 0, "harness_solved": 1},
        "release": {"bugs": 1, "bare_solved": 1, "harness_solved": 0},
    }
    assert (answer["model"], answer["complete"]) == ("m", False)
    assert answer["models"]["m"]["bare"]["tries"] == 4
    assert answer["models"]["m"]["bare"]["versions"] == ["bare-1"]


def test_arms_have_a_version_of_their_own() -> None:
    assert len({arms.version(arm) for arm in arms.ARMS}) == 2
    assert arms.version("harness") == arms.version("harness")


def test_an_unfinished_benchmark_counts_only_what_both_arms_met(capsys: pytest.CaptureFixture[str]) -> None:
    results = [row("bare", b, solved=False, done=False) for b in (SLIP, FIX)]
    results.append(row("harness", SLIP, solved=True, done=True))
    answer = printed(capsys, results)
    assert (answer["bugs"], answer["all_bugs"], answer["complete"]) == (1, 2, False)
    assert (answer["bare_solved"], answer["harness_solved"]) == (0, 1)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A package whose archive is a folder here: the small project of these tests."""
    archive = make_project(tmp_path / "archive")

    def fetch(_: Source, folder: Path) -> Path:
        shutil.copytree(archive, folder)
        return folder

    monkeypatch.setattr(arms, "fetch", fetch)
    monkeypatch.setattr(bugs, "fetch", fetch)
    return Source("small", "1", "", "", ("shapes.py",), ".", "tests")


def a_bug(package: Source, scratch: Path) -> dict[str, Any]:
    """The first slip that the small project's tests notice."""
    search = bugs._Search(scratch, 1, {})
    return next(search.slips(package))


def test_a_slip_is_one_that_the_tests_notice(package: Source, tmp_path: Path) -> None:
    sound: bugs.Sound = {}
    search = bugs._Search(tmp_path, 1, sound)
    found = list(search.slips(package))
    assert sound["small-1"] is not None
    assert sound["small-1"][0] > 0
    functions = [bug["function"] for bug in found]
    assert len(functions) == len(set(functions)) > 1
    assert all(bug["failing"] > 0 for bug in found)
    folder = bugs.release_folder(tmp_path, package)
    for bug in found:
        bugs.mutation_of(bug).apply(folder)  # raises unless the search left the sound text behind
        bugs.mutation_of(bug).revert(folder)


def test_the_judge_takes_the_code_and_nothing_else(package: Source, tmp_path: Path) -> None:
    bug = a_bug(package, tmp_path / "scratch")
    worked = make_project(tmp_path / "worked")
    mutation = bugs.mutation_of(bug)
    mutation.apply(worked)
    assert arms.judge(package, worked, bug, tmp_path / "judge-1") is False
    (worked / "tests" / "test_shapes.py").write_text("def test_all():\n    pass\n")
    (worked / "conftest.py").write_text("collect_ignore_glob = ['*']\n")
    assert arms.judge(package, worked, bug, tmp_path / "judge-2") is False
    mutation.revert(worked)
    assert arms.judge(package, worked, bug, tmp_path / "judge-3") is True
    (worked / "shapes.py").unlink()
    assert arms.judge(package, worked, bug, tmp_path / "judge-4") is False


def test_a_touched_test_file_is_seen(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    before = arms._tests(project)
    (project / "shapes.py").write_text("changed = True\n")
    (project / "tests" / "test_more.py").write_text("")
    assert arms._untouched(project, before)
    (project / "tests" / "test_shapes.py").write_text("def test_all():\n    pass\n")
    assert not arms._untouched(project, before)


def test_bugs_come_in_turn_and_mixed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def slips(self: Any, package: Source) -> Any:
        return iter([{**SLIP, "id": f"{package.name}{i}"} for i in range(3)])

    def fixes(self: Any, name: str) -> Any:
        return iter([{**FIX, "id": f"{name}{i}~"} for i in range(3)])

    monkeypatch.setattr(bugs._Search, "slips", slips)
    monkeypatch.setattr(bugs._Search, "fixes", fixes)
    found = bugs.find_bugs(tmp_path, 8, 4, 1, {})
    assert [bug["origin"] for bug in found].count("release") == 4
    names = [bug["id"] for bug in found if bug["origin"] == "mutation"]
    assert names == [f"{package.name}0" for package in MUTATED[:8]]
    assert "release" in {bug["origin"] for bug in found[:3]}


def test_noted_bugs_name_listed_releases_and_hold_no_code() -> None:
    for key, noted in json.loads(known.FILE.read_text("utf-8")).items():
        slips, fixes = (int(n) for n in key.partition("/")[0].split("+"))
        assert [b["origin"] for b in noted].count("mutation") == slips
        assert [b["origin"] for b in noted].count("release") == fixes
        assert len({b["id"] for b in noted}) == slips + fixes
        for bug in noted:
            assert source(bug["package"], bug["version"])
            assert not {"before", "after"} & bug.keys()
            if bug["origin"] == "release":
                assert any(n.name == bug["package"] and o.version == bug["older"] for o, n in PAIRS)


def test_a_noted_bug_is_made_again(package: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = a_bug(package, tmp_path / "one")
    monkeypatch.setattr(known, "source_of", lambda *_: package)
    file = tmp_path / "bugs.json"
    monkeypatch.setattr(known, "FILE", file)
    file.write_text(json.dumps({"1+0/1": [known.noted(bug)]}))
    assert known.known(tmp_path / "two", "1+0/1", 1) == [bug]
    assert known.known(tmp_path / "two", "1+0/2", 2) is None
    file.write_text(json.dumps({"1+0/1": [{**known.noted(bug), "digest": "0" * 16}]}))
    with pytest.raises(known.MainspringError, match="cannot be made again"):
        known.known(tmp_path / "three", "1+0/1", 1)


def test_one_failed_attempt_does_not_end_the_others(
    package: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.repair import __main__ as program

    path = tmp_path / "rows.json"
    book = Book(path)
    book.bugs["1+1/11"] = [SLIP, FIX]
    book.save()

    def attempt(scratch: Path, model: str, arm: str, bug: dict[str, Any], budget: Any) -> dict[str, Any]:
        if (arm, bug["id"]) == ("bare", SLIP["id"]):
            raise known.MainspringError("the engine died")
        return row(arm, bug, solved=True, done=True, budget=budget.tokens)

    monkeypatch.setattr(program, "attempt", attempt)
    monkeypatch.setattr("sys.argv", ["repair", "--model", "m", "--slips", "1", "--fixes", "1", "--resume", str(path)])
    assert program.main() == 1
    said = capsys.readouterr()
    assert "the engine died" in said.err
    answer = json.loads(said.out.strip().split("\n")[-1])
    assert (answer["bugs"], answer["all_bugs"], answer["complete"]) == (1, 2, False)
    assert len(Book(path).results) == 3
    monkeypatch.setattr(program, "attempt", lambda *a: row(a[2], a[3], solved=False, done=False, budget=a[4].tokens))
    assert program.main() == 0  # tries the missing one once more
    assert len(Book(path).results) == 4
    answer = json.loads(capsys.readouterr().out.strip().split("\n")[-1])
    assert (answer["bugs"], answer["complete"]) == (2, True)
