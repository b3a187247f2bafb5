"""Tests before and after a change, compared."""

from __future__ import annotations

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
    assert (check.verdict, "2 passed before and are not run any more" in check.detail) == ("failed", True)
