"""What splitting gained and cost, computed from times that are known."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.messages import Usage
from mainspring.swarm.critical import Split, analyse, worth_it
from mainspring.swarm.intervals import Interval, shares, total, union, without
from mainspring.swarm.tree import Node


def node(id: str, *work: Interval, status: str = "done", tokens: int = 100, steps: int = 1, **more: object) -> Node:
    made = Node(id, "a", "t", status, work[0][0] if work else 0.0, usage=Usage(tokens, 0, calls=1), steps=steps)
    made.work = list(work)
    made.began_at = work[0][0] if work else None
    made.last_at = work[-1][1] if work else 0.0
    made.first_input = tokens // 2
    for name, value in more.items():
        setattr(made, name, value)
    return made


def above(children: list[Node], work: Interval, split: tuple[float, float | None], intent: int = 4) -> Node:
    root = node("r", work, steps=2, splits={intent: split}, children=children)
    for index, child in enumerate(children):
        child.parent, child.depth = "r", 1
        child.started_by = child.started_by or (intent, index)
    return root


def test_the_path_is_the_runs_own_time_and_the_longest_sub_agents() -> None:
    root = above([node("r.4.0", (2, 5)), node("r.4.1", (2, 12), steps=3), node("r.4.2", (2, 6))], (0, 14), (2, 12))
    found = analyse(root)
    assert found.path.runs == ("r", "r.4.1")
    assert (found.path.seconds, found.path.steps, found.path.tokens) == (4 + 10, 2 + 3, 200)
    assert found.alone_seconds == 4 + 3 + 10 + 4
    assert found.gain == pytest.approx(21 / 14)
    [split] = found.splits
    assert (split.seconds, split.alone_seconds, split.gain) == (10, 17, 1.7)
    assert split.at_work == {1: 0.6, 2: 0.1, 3: 0.3}
    assert split.line() == (
        "3 parts: 1.7 times as fast as one after another (10 s, not 17 s), "
        "critical path 3 steps / 10 s; tokens 1.0 times"
    )


def test_waiting_for_a_place_is_no_work_and_not_on_the_path() -> None:
    root = above([node("r.4.0", (0, 5)), node("r.4.1", (5, 10))], (0, 10), (0, 10))
    found = analyse(root)
    assert found.splits[0].gain == 1.0
    assert found.path.seconds == 5  # with a place for each


def test_a_second_copy_costs_tokens_and_is_not_counted_as_work_saved() -> None:
    slow = node("r.4.1", (0, 9), status="cancelled")
    copy = node("r.4.1~2", (5, 8), started_by=(4, 1))
    root = above([node("r.4.0", (0, 3)), slow, copy], (0, 8), (0, 8))
    slow.started_by = (4, 1)
    [split] = analyse(root).splits
    assert (split.parts, split.runs, split.done, split.stopped) == (2, 3, 2, 0)
    assert split.alone_seconds == 3 + 3
    assert (split.tokens, split.needed_tokens, split.tokens_times) == (300, 200, 1.5)


def test_where_the_first_good_answer_is_enough_the_others_are_neither_gain_nor_path() -> None:
    parts = [node("r.4.0", (0, 3)), node("r.4.1", (0, 4), status="cancelled")]
    [split] = analyse(above(parts, (0, 3), (0, 3))).splits
    assert split.path.runs == ("r.4.0",)
    assert (split.gain, split.stopped) == (1.0, 1)
    assert worth_it([split, split], 5) is None  # nobody knows how many would have been needed


def test_calls_at_the_same_time_are_one_stage() -> None:
    root = above([node("a", (1, 5)), node("b", (1, 7), started_by=(5, 0))], (0, 8), (1, 5))
    root.splits[5] = (1, 7)
    found = analyse(root)
    assert found.path.seconds == 2 + 6
    assert found.alone_seconds == 2 + 4 + 6
    assert len(found.splits) == 2


def test_a_run_that_goes_on_has_figures_so_far() -> None:
    waits = node("r.4.1", status="waiting")
    [split] = analyse(above([node("r.4.0", (1, 4)), waits], (0, 1), (1, None))).splits
    assert (split.finished, split.done, split.seconds, split.gain) == (False, 1, 3, 1.0)


def test_sub_agents_of_sub_agents() -> None:
    inner = [node("c.7.0", (2, 6), depth=2, started_by=(7, 0)), node("c.7.1", (2, 4), depth=2, started_by=(7, 1))]
    child = node("c", (1, 2), (6, 7), splits={7: (2, 6)}, children=inner)
    found = analyse(above([child], (0, 8), (1, 7)))
    assert found.path.runs == ("r", "c", "c.7.0")
    assert found.path.seconds == 2 + 2 + 4
    assert found.alone_seconds == 2 + 2 + 4 + 2
    assert found.splits[0].at_work == {1: 1.0}  # it sleeps while its own are at work


def test_a_very_deep_tree() -> None:
    root = deepest = node("n0", (0, 1))
    for number in range(1, 3000):
        child = node(f"n{number}", (0, 1), started_by=(4, 0), depth=number)
        deepest.splits, deepest.children = {4: (0, 1)}, [child]
        deepest = child
    assert len(analyse(root).path.runs) == 3000


def split(gain: float | None, *, parts: int = 4, finished: bool = True, stopped: int = 0, took: float = 1) -> Split:
    path = analyse(node("x", (0, 1))).path
    return Split("r", 4, parts, parts, parts, stopped, finished, took, gain or 0.0, gain, path, 100, 100, 0)


def test_splitting_that_does_not_pay_is_refused_after_two_times() -> None:
    assert worth_it([], 10) is None
    assert worth_it([split(0.9)], 10) is None
    refused = worth_it([split(4.0), split(0.9), split(1.2)], 10)
    assert refused is not None
    assert "0.9 and 1.2 times" in refused
    assert worth_it([split(0.9), split(0.9)], 1) is None  # one sub-agent is no split
    assert worth_it([split(0.9), split(1.0), split(2.0)], 10) is None
    for unclear in (
        split(None),
        split(0.1, finished=False),
        split(0.5, parts=1),
        split(0.2, stopped=1),
        split(0.2, took=0.9),
    ):
        assert worth_it([split(0.9), unclear], 10) is None
        assert worth_it([split(0.9), unclear, split(0.8)], 10) is not None


stretches = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda p: (min(p), max(p))), max_size=6)


@given(stretches, stretches)
def test_stretches_of_time(some: list[Interval], holes: list[Interval]) -> None:
    inside = {second for began, ended in some for second in range(int(began), int(ended))}
    cut = {second for began, ended in holes for second in range(int(began), int(ended))}
    assert total(some) == len(inside)
    assert total(without(some, holes)) == len(inside - cut)
    joined = union(some)
    assert all(a[1] < b[0] for a, b in pairwise(joined))
    found = shares([union(some), union(holes)], (0, 50))
    assert sum(found.values()) == pytest.approx(1.0, abs=0.001)
    assert found.get(2, 0.0) == pytest.approx(len(inside & cut) / 50, abs=0.001)
