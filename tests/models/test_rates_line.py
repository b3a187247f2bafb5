"""Who goes first before a provider: shares by priority, parents first, and nobody starves."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.models.rates.line import LEVEL_S, Caller, Line


def served(line: Line[str], count: int) -> list[str]:
    found = []
    for _ in range(count):
        place = line.first()
        assert place is not None
        found.append(place.item)
        line.pop()
    return found


def test_a_single_run_is_not_behind_all_of_a_swarm() -> None:
    line: Line[str] = Line()
    for number in range(100):
        line.push("swarm", Caller("s", depth=1), float(number) / 1000)
    line.push("single", Caller("one"), 1.0)
    assert "single" in served(line, 2)


def test_a_priority_more_is_twice_the_turns() -> None:
    line: Line[str] = Line()
    for number in range(60):
        line.push("low", Caller("a", weight=0), float(number))
        line.push("high", Caller("b", weight=1), float(number))
    assert 19 <= served(line, 60).count("low") <= 21


def test_among_equals_the_oldest_goes_first() -> None:
    line: Line[str] = Line()
    for number in range(5):
        line.push(str(number), Caller(f"run {number}"), float(number))
    assert served(line, 5) == ["0", "1", "2", "3", "4"]


def test_a_parent_goes_before_its_children_that_came_before_it() -> None:
    line: Line[str] = Line()
    line.push("child", Caller("s", depth=1), 0.0)
    line.push("grandchild", Caller("s", depth=2), 0.0)
    line.push("parent", Caller("s"), LEVEL_S / 2)
    assert served(line, 3) == ["parent", "child", "grandchild"]


def test_but_not_before_a_child_that_has_waited_for_long() -> None:
    line: Line[str] = Line()
    line.push("child", Caller("s", depth=1), 0.0)
    line.push("parent", Caller("s"), LEVEL_S * 1.1)
    assert served(line, 2) == ["child", "parent"]


def test_nobody_starves_behind_ever_new_runs_of_the_highest_priority() -> None:
    line: Line[str] = Line()
    line.push("patient", Caller("patient", weight=0), 0.0)
    for number in range(5_000):
        line.push("pusher", Caller(f"run {number}", weight=5), float(number))
        (item,) = served(line, 1)
        if item == "patient":
            break
    else:
        raise AssertionError("it was never served")
    assert number <= 2**5


def test_who_has_left_is_passed_over() -> None:
    line: Line[str] = Line()
    gone = line.push("gone", Caller("a"), 0.0)
    alone = line.push("also gone", Caller("b"), 0.0)
    line.push("stays", Caller("a"), 1.0)
    line.leave(gone)
    line.leave(gone)
    line.leave(alone)
    assert len(line) == 1
    assert served(line, 1) == ["stays"]
    assert line.first() is None
    assert len(line) == 0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-20, 20), st.integers(0, 3), st.booleans()), max_size=60)
)
def test_everybody_is_served_once(callers: list[tuple[str, int, int, bool]]) -> None:
    line: Line[int] = Line()
    left = []
    for number, (family, weight, depth, leaves) in enumerate(callers):
        place = line.push(number, Caller(family, weight, depth, weight), float(number))
        if leaves:
            left.append(number)
            line.leave(place)
    assert len(line) == len(callers) - len(left)
    found = []
    while (place := line.first()) is not None:
        found.append(place.item)
        line.pop()
    assert sorted(found + left) == list(range(len(callers)))
