"""What `effort="auto"` spends."""

from mainspring.models.effort import choose_effort


def test_auto_starts_low_rises_with_failures_and_falls_back() -> None:
    assert [choose_effort("auto", n)[0] for n in (0, 1, 2, 3, 9, 0)] == ["low", "medium", "high", "high", "high", "low"]


def test_the_reason_says_how_many_tries_failed() -> None:
    assert choose_effort("auto", 1)[1] == "1 failed try in a row"
    assert choose_effort("auto", 2)[1] == "2 failed tries in a row"
    assert "nothing failed" in choose_effort("auto", 0)[1]


def test_a_fixed_effort_is_granted_whatever_fails() -> None:
    assert choose_effort("medium", 7) == ("medium", "set by the agent")
    assert choose_effort("none", 7)[0] == "none"


def test_a_model_without_thinking_is_asked_for_none() -> None:
    assert choose_effort("auto", 5, thinks=False)[0] == "none"
