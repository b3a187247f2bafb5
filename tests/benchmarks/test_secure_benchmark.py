"""The secure benchmark measures what it says: fair pairs, a split that nobody chooses, fixes judged by running them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.secure import measure, peer
from benchmarks.secure.functional import Outcome
from benchmarks.secure.measure import Verdict, faults, fix_state, judge, run_tests
from benchmarks.secure.snippets import RELATIVES, Snippet, load
from mainspring.tools.sandbox import check

WORKS = "def works(app):\n    assert app.answer() == 42\n\n\ndef attack(app):\n    return app.weak\n"
BAD = "weak = True\n\n\ndef answer():\n    return 42\n"
GOOD = BAD.replace("True", "False")

needs_sandbox = pytest.mark.skipif(not check()[0], reason="the sandbox does not work here")


def snippet(bad: str = BAD, good: str = GOOD, test: str = WORKS, cwe: str = "CWE-89") -> Snippet:
    return Snippet("made-up", cwe, "app/one.py", bad, good, None, test)


def verdict(one: Snippet, mended: str | None = None, left: int = 0, came: int = 0) -> Verdict:
    finding: Any = object()
    return Verdict(one, (finding,), (), mended, left, came)


def test_there_are_enough_snippets_of_enough_classes() -> None:
    snippets = load()
    assert len(snippets) >= 60
    assert len({one.cwe for one in snippets}) >= 15
    assert len({one.language for one in snippets}) >= 6
    halves = [one.half for one in snippets]
    assert 0.35 < halves.count("seen") / len(halves) < 0.65


def test_every_pair_differs_and_its_class_is_known() -> None:
    for one in load():
        assert one.bad != one.good, one.name
        assert one.cwe in RELATIVES, one.name
        assert one.cwe in one.relatives, one.name
        assert one.before not in (one.bad, one.good), one.name
        assert (one.test is not None) == (one.language == "Python" and one.before is None), one.name
        assert "{{aws" not in one.bad, one.name
        assert "{{password" not in one.bad, one.name


def test_no_file_holds_what_looks_like_a_key() -> None:
    key = "AK" + "IA"
    made = next(one for one in load() if one.name == "py-secret-cloud-key")
    assert key in made.bad
    for file in Path(measure.__file__).parent.rglob("*.*"):
        if "__pycache__" not in file.parts and file.is_file():
            assert key not in file.read_text(), file


def test_the_half_is_a_matter_of_the_name_alone() -> None:
    assert snippet().half == snippet(bad="x = 1\n").half


def test_states_of_a_fix() -> None:
    one = snippet()
    mended = {"made-up.mended": Outcome(True, False, "")}
    assert fix_state(Verdict(one, (), (), None, 0, 0), mended) == "missed"
    assert fix_state(verdict(one), mended) == "no_fix"
    assert fix_state(verdict(one, GOOD, left=1), mended) == "still_found"
    assert fix_state(verdict(one, GOOD, came=1), mended) == "still_found"
    assert fix_state(verdict(one, GOOD), {}) == "untested"
    assert fix_state(verdict(one, GOOD), mended) == "fixed"
    assert fix_state(verdict(one, GOOD), {"made-up.mended": Outcome(False, None, "x")}) == "broken_by_fix"
    assert fix_state(verdict(one, GOOD), {"made-up.mended": Outcome(True, True, "")}) == "attack_works"


def test_a_pair_is_judged_by_what_the_scanner_says(tmp_path: Path) -> None:
    bad = "import pickle\nfrom flask import request\n\n\ndef view():\n    return pickle.loads(request.data)\n"
    good = bad.replace("pickle", "json")
    found = judge(snippet(bad, good, cwe="CWE-502"), tmp_path / "one")
    assert found.found
    assert not found.alarmed
    swapped = judge(snippet(good, bad, cwe="CWE-502"), tmp_path / "two")
    assert not swapped.found
    assert swapped.alarmed
    assert swapped.own_alarm
    assert not judge(snippet(bad, good, cwe="CWE-89"), tmp_path / "three").found


def test_bandit_is_judged_by_the_same_rule(tmp_path: Path) -> None:
    bad = "import hashlib\n\n\ndef digest(data):\n    return hashlib.md5(data).hexdigest()\n"
    said = peer.ask([snippet(bad, bad.replace("md5", "sha256"), cwe="CWE-327")], tmp_path)
    assert said["snippets"] == 1
    assert said["any"] == {"recall": 1.0, "false_alarm_rate": 0.0, "own_class_false_alarm_rate": 0.0}


@needs_sandbox
def test_programs_are_run_and_unfair_pairs_are_told(tmp_path: Path) -> None:
    mended = verdict(snippet(), "weak = False\n\n\ndef answer():\n    return 41\n")
    outcomes = run_tests([mended], tmp_path)
    assert outcomes["made-up.bad"] == Outcome(True, True, "")
    assert outcomes["made-up.good"] == Outcome(True, False, "")
    assert not outcomes["made-up.mended"].works
    assert "AssertionError" in outcomes["made-up.mended"].error
    assert faults([mended], outcomes) == []
    assert fix_state(mended, outcomes) == "broken_by_fix"
    unfair = [verdict(snippet(bad=GOOD)), verdict(snippet(good=BAD)), verdict(snippet(good="def answer(:\n"))]
    for one in unfair:
        assert len(faults([one], run_tests([one], tmp_path))) == 1


@needs_sandbox
@pytest.mark.slow
def test_every_snippet_is_a_fair_measure(tmp_path: Path) -> None:
    verdicts = [Verdict(one, (), (), None, 0, 0) for one in load()]
    assert faults(verdicts, run_tests(verdicts, tmp_path)) == []


@needs_sandbox
@pytest.mark.slow
def test_the_object(benchmark_object: Callable[..., dict[str, Any]]) -> None:
    value = benchmark_object("secure")
    assert value["quick"] is True
    assert value["snippets"] == value["seen"]["pairs"] + value["held_out"]["pairs"] >= 15
    found = round(value["recall"] * value["snippets"])
    states = ("fixed", "broken_by_fix", "attack_works", "still_found", "no_fix", "untested")
    assert sum(value[state] for state in states) == found
    assert sum(one["pairs"] for one in value["languages"].values()) == value["snippets"]
    assert value["per_class_of"] == "seen"
    assert sum(one["pairs"] for one in value["per_class"].values()) == value["seen"]["pairs"]
    assert value["background"]["lines"] > 1000
    assert 0 <= value["bandit_recall"] <= 1
