"""Tests before and after a change, compared."""

from __future__ import annotations

from dataclasses import replace

from mainspring.engineer.suites import Suite, compare, whole_suite

BEFORE = Suite(True, False, {"a": "passed", "b": "passed", "c": "failed", "s": "skipped"}, "FAILED: before")


def after(**outcomes: str) -> Suite:
    return Suite(True, "failed" not in outcomes.values(), outcomes, "after")


def test_what_broke_what_went_and_what_was_mended() -> None:
    found = compare(BEFORE, after(a="failed", c="passed", n="passed", m="error", s="passed"))
    assert found.broken == {"a"}
    assert found.gone == {"b"}
    assert found.mended == {"c"}
    assert found.added == {"n"}
    assert found.failing == {"m"}


def test_a_suite_as_good_as_before_passes_and_says_what_still_fails() -> None:
    check = whole_suite(BEFORE, after(a="passed", b="passed", c="failed", s="skipped"))
    assert check.verdict == "passed"
    assert "1 failed before the change and still do: c" in check.detail


def test_a_broken_test_fails_it() -> None:
    check = whole_suite(BEFORE, after(a="failed", b="passed", c="passed"))
    assert (check.verdict, "1 passed before and fail now: a" in check.detail) == ("failed", True)


def test_a_test_that_is_not_run_any_more_fails_it() -> None:
    check = whole_suite(BEFORE, after(a="passed", c="passed"))
    assert (check.verdict, "not run any more: b" in check.detail) == ("failed", True)


def test_a_flaky_test_is_named_and_does_not_fail_it() -> None:
    check = whole_suite(BEFORE, after(a="failed", b="passed", c="failed"), flaky=["a"])
    assert check.verdict == "passed"
    assert "flaky, failed once and passed when run again: a" in check.detail


def test_no_test_at_all_is_said_and_passes_nothing() -> None:
    nothing = Suite(True, False, {}, "nothing ran", empty=True)
    assert whole_suite(nothing, nothing).verdict == "not done"
    assert whole_suite(BEFORE, nothing).verdict == "failed"


def test_a_suite_that_was_ended_passes_nothing() -> None:
    assert whole_suite(BEFORE, Suite(False, False, {}, "TIMED OUT after 9 s")).verdict == "failed"


def test_a_runner_that_names_no_tests_is_judged_by_how_it_ended() -> None:
    good, bad = Suite(True, True, {}, "PASSED: make check"), Suite(True, False, {}, "FAILED: make check")
    assert whole_suite(good, good).verdict == "passed"
    assert whole_suite(good, bad).verdict == "failed"
    assert whole_suite(bad, bad).verdict == "not done"


def test_a_suite_that_names_no_test_any_more_has_lost_them() -> None:
    check = whole_suite(BEFORE, Suite(True, False, {}, "FAILED: it cannot be collected"))
    assert (check.verdict, "2 passed before and are skipped or not run any more" in check.detail) == ("failed", True)


def test_a_test_that_is_skipped_now_is_gone_and_one_that_failed_is_hidden() -> None:
    found = compare(BEFORE, after(a="skipped", b="passed", c="skipped"))
    assert (found.gone, found.hidden, found.broken) == ({"a"}, {"c"}, frozenset())


def test_a_file_that_can_be_collected_now_is_not_hidden() -> None:
    before = Suite(True, False, {"t.py": "error", "u.py": "error"}, "before")
    assert compare(before, after(**{"t.py::test_a": "passed"})).hidden == {"u.py"}


def test_a_person_may_accept_exactly_the_tests_that_went() -> None:
    gone = after(a="passed", c="passed")
    key = whole_suite(BEFORE, gone).detail.partition("finding ")[2].rstrip(")")
    assert whole_suite(BEFORE, gone, accepted=[key]).verdict == "passed"
    assert "as a person accepted" in whole_suite(BEFORE, gone, accepted=[key]).detail
    assert whole_suite(BEFORE, after(c="passed"), accepted=[key]).verdict == "failed"


def test_a_report_that_contradicts_itself_passes_nothing() -> None:
    fine = {"a": "passed", "b": "passed", "c": "passed"}
    assert whole_suite(BEFORE, Suite(True, False, fine, "FAILED (x)", broken="x")).verdict == "failed"
    assert whole_suite(BEFORE, Suite(True, False, fine, "FAILED (exit code 1)")).verdict == "failed"


def test_tests_that_cannot_run_here_with_or_without_the_change_are_not_done() -> None:
    idle = Suite(True, False, {"a": "skipped"}, "FAILED (nothing ran)", broken="nothing ran: all 1 tests were skipped")
    assert whole_suite(idle, idle).verdict == "not done"


def test_another_runner_than_before_passes_nothing() -> None:
    made, python = Suite(True, False, {}, "FAILED: make", runner="make"), Suite(True, True, {"t": "passed"}, "x")
    assert whole_suite(made, replace(python, runner="pytest")).verdict == "failed"
    assert whole_suite(replace(made, empty=True), replace(python, runner="pytest")).verdict == "passed"
    assert whole_suite(replace(python, runner="pytest"), replace(python, runner="pytest + node")).verdict == "passed"


def test_a_suite_that_was_cut_short_before_excuses_no_failure() -> None:
    cut = Suite(False, False, {}, "TIMED OUT after 9 s")
    assert whole_suite(cut, after(a="failed")).verdict == "failed"
    check = whole_suite(cut, after(a="passed"))
    assert (check.verdict, "without the change it did not end by itself" in check.detail) == ("passed", True)
