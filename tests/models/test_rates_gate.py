"""The gate before a provider: limits, pauses, fewer at a time after a refusal; waiting can be given up."""

from __future__ import annotations

import asyncio
import functools
import math
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mainspring.config import RateSettings
from mainspring.errors import ModelError
from mainspring.messages import Usage, assistant, user
from mainspring.model import ModelSettings
from mainspring.models.rates import Caller, Gate, Paced, fitting, gate_of, overloaded
from mainspring.models.rates.gate import Bucket, Ticket


def in_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test that is a coroutine, run to its end."""

    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def entered(gate: Gate, reads: float = 0.0, most_written: int | None = 0) -> Ticket:
    ticket = gate.try_enter(reads, most_written)
    assert ticket is not None
    return ticket


def room(gate: Gate, reads: float = 0.0) -> bool:
    """Whether a call could go through now."""
    return gate._wait(reads, gate._clock()) == 0


def test_nothing_is_limited_until_the_provider_refuses() -> None:
    gate = Gate("m")
    for _ in range(5_000):
        entered(gate, 1e9)
    assert gate.in_flight == 5_000
    assert gate.window is None


def test_requests_a_minute_are_spread_over_it() -> None:
    clock = Clock()
    gate = Gate("m", RateSettings(requests_per_minute=120), clock)
    through = 0
    for _ in range(601):  # a minute in steps of a tenth of a second
        while gate.try_enter(0) is not None:
            through += 1
        clock.now += 0.1
    assert 120 <= through <= 123  # one second's worth at the start


def test_a_slow_rate_lets_the_first_call_through() -> None:
    clock = Clock()
    gate = Gate("m", RateSettings(requests_per_minute=2), clock)
    entered(gate)
    assert gate.try_enter(0) is None
    clock.now += 29
    assert gate.try_enter(0) is None
    clock.now += 1.1
    entered(gate)


def test_tokens_are_counted_as_guessed_and_then_as_they_were() -> None:
    clock = Clock()
    gate = Gate("m", RateSettings(tokens_per_minute=6_000), clock)  # a burst of 1,500
    ticket = entered(gate, 1_500)
    assert not room(gate, 500)
    gate.answered(ticket, 400, 100)  # it was fewer: the rest is there again
    assert room(gate, 990)
    ticket = entered(gate, 900)
    gate.answered(ticket, 3_000, 1_000)  # it was more, and is owed
    clock.now += 20
    assert not room(gate, 500)
    clock.now += 15
    assert room(gate, 500)


def test_a_call_larger_than_the_burst_goes_through_and_is_owed() -> None:
    clock = Clock()
    gate = Gate("m", RateSettings(tokens_per_minute=6_000), clock)
    entered(gate, 6_000)
    clock.now += 44
    assert not room(gate, 10)
    clock.now += 2
    assert room(gate, 10)


def test_calls_at_once_and_a_share_among_processes() -> None:
    gate = Gate("m", RateSettings(at_once=4, requests_per_minute=60_000, processes=2))
    first = entered(gate)
    entered(gate)
    assert gate.try_enter(0) is None
    gate.left(first)
    gate.left(first)  # told twice: it counts once
    entered(gate)
    assert gate.try_enter(0) is None
    clock = Clock()
    half = Gate("m", RateSettings(requests_per_minute=60, processes=2), clock)
    entered(half)
    clock.now += 1.5
    assert half.try_enter(0) is None


def test_a_refusal_pauses_everybody_for_as_long_as_was_asked() -> None:
    clock = Clock()
    gate = Gate("m", RateSettings(adapt=False), clock)
    gate.refused(entered(gate), 7.0)
    assert gate.try_enter(0) is None
    assert gate.pause_left() == pytest.approx(7.0)
    clock.now += 6.9
    assert gate.try_enter(0) is None
    clock.now += 0.2
    entered(gate)


@pytest.mark.parametrize(("asked", "pause"), [(1e12, 3_600.0), (math.inf, 3_600.0), (-5.0, 1.0), (math.nan, 1.0)])
def test_a_provider_that_asks_for_nonsense_does_not_stop_everybody_for_ever(asked: float, pause: float) -> None:
    gate = Gate("m", clock=Clock())
    gate.refused(entered(gate), asked)
    assert gate.pause_left() == pytest.approx(pause)


def test_without_a_pause_named_each_refusal_in_a_row_pauses_longer_up_to_a_minute() -> None:
    clock = Clock()
    gate = Gate("m", RateSettings(adapt=False), clock)
    pauses = []
    for _ in range(8):
        ticket = entered(gate)
        clock.now += 0.1
        gate.refused(ticket)
        pauses.append(gate.pause_left())
        clock.now += gate.pause_left()
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])
    gate.answered(entered(gate))
    ticket = entered(gate)
    clock.now += 0.1
    gate.refused(ticket)
    assert gate.pause_left() == pytest.approx(1)


def test_after_a_refusal_fewer_go_at_once_and_answers_bring_more() -> None:
    clock = Clock()
    gate = Gate("m", clock=clock)
    tickets = [entered(gate) for _ in range(40)]
    clock.now += 0.1
    for ticket in tickets[10:]:
        gate.refused(ticket, 1.0)
    assert gate.window == 10  # those that it took
    for ticket in tickets[:10]:
        gate.answered(ticket)
    clock.now += 2
    before = gate.window
    again = [entered(gate) for _ in range(before)]
    assert gate.try_enter(0) is None
    for ticket in again:
        gate.answered(ticket)
    assert gate.window == before + 1
    one = [entered(gate) for _ in range(before)]
    clock.now += 0.1
    gate.refused(one[0], 1.0)
    assert gate.window == int((before + 0.9) * 0.7)


def test_what_a_person_has_set_is_not_adapted() -> None:
    clock = Clock()
    gate = Gate("m", RateSettings(at_once=5), clock)
    gate.refused(entered(gate), 1.0)
    assert gate.window is None
    gate.configure(RateSettings())
    clock.now += 2
    gate.refused(entered(gate), 1.0)
    assert gate.window == 1


@in_a_loop
async def test_waiting_in_line_and_giving_it_up() -> None:
    gate = Gate("m", RateSettings(at_once=1))
    first = entered(gate)
    gives_up = asyncio.create_task(gate.enter(0))
    goes_on = asyncio.create_task(gate.enter(0))
    await asyncio.sleep(0)
    assert gate.waiting == 2
    assert gate.try_enter(0) is None
    gives_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gives_up
    assert gate.waiting == 1
    gate.answered(first)
    ticket = await asyncio.wait_for(goes_on, 5)
    assert ticket is not None
    assert gate.in_flight == 1
    assert gate.waiting == 0


@in_a_loop
async def test_the_first_in_line_is_woken_when_its_time_has_come() -> None:
    gate = Gate("m", RateSettings(requests_per_minute=6_000))  # a hundred a second
    tickets = await asyncio.wait_for(asyncio.gather(*(gate.enter(0) for _ in range(130))), 20)
    assert None not in tickets
    assert gate.in_flight == 130


@in_a_loop
async def test_a_long_pause_is_told_to_those_who_wait_and_to_those_who_come() -> None:
    gate = Gate("m", RateSettings(at_once=1))
    ticket = entered(gate)
    waits = asyncio.create_task(gate.enter(0, longest_s=60))
    await asyncio.sleep(0)
    gate.refused(ticket, 3_600)
    assert await asyncio.wait_for(waits, 5) is None
    assert await asyncio.wait_for(gate.enter(0, longest_s=60), 5) is None
    assert gate.waiting == 0
    assert gate.pause_left() > 3_500


@in_a_loop
async def test_a_gate_holds_over_threads_with_loops_of_their_own() -> None:
    gate = Gate("m", RateSettings(at_once=2))
    most, wrong = 0, []

    async def calls() -> None:
        nonlocal most
        for _ in range(50):
            ticket = await gate.enter(0)
            assert ticket is not None
            most = max(most, gate.in_flight)
            await asyncio.sleep(0)
            gate.answered(ticket)

    def main() -> None:
        try:
            asyncio.run(asyncio.wait_for(calls(), 30))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=main) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert wrong == []
    assert most <= 2
    assert gate.in_flight == 0


@in_a_loop
async def test_a_place_whose_loop_is_gone_blocks_nobody() -> None:
    gate = Gate("m", RateSettings(at_once=1))
    ticket = entered(gate)

    def abandoned() -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(gate.enter(0))
        loop.run_until_complete(asyncio.sleep(0))
        assert not task.done()
        loop.close()
        kept.append(task)

    kept: list[object] = []
    await asyncio.to_thread(abandoned)
    waits = asyncio.create_task(gate.enter(0))
    await asyncio.sleep(0)
    gate.answered(ticket)
    assert await asyncio.wait_for(waits, 5) is not None


def test_a_bucket_that_waits_is_full_then() -> None:
    bucket = Bucket(60, 1, 0.0)
    bucket.take(1, 0.0)
    wait = bucket.wait(1, 0.0)
    assert wait == pytest.approx(1.0)
    assert bucket.wait(1, wait) == 0.0
    assert not math.isinf(bucket.wait(1e12, wait))  # more than it can hold is let through when it is full


def test_the_pattern_that_says_most_is_taken() -> None:
    patterns = {"*": 1, "openai:*": 2, "openai:gpt-5*": 3, "openai:gpt-5": 4, "http://[::1]:80/v1#*": 5}
    assert fitting("anthropic:x", patterns) == "*"
    assert fitting("openai:gpt-4", patterns) == "openai:*"
    assert fitting("openai:gpt-5-mini", patterns) == "openai:gpt-5*"
    assert fitting("openai:gpt-5", patterns) == "openai:gpt-5"
    assert fitting("http://[::1]:80/v1#m", patterns) == "http://[::1]:80/v1#*"
    assert fitting("openai:x", {"anthropic:*": 1}) is None


class Named:
    name = "same"

    async def respond(self, messages: object, tools: object, settings: object) -> object:
        return assistant("hi", usage=Usage(10, 5))


def test_models_of_one_section_share_its_gate_and_objects_have_their_own() -> None:
    sections = {"same*": RateSettings(at_once=3)}
    shared = gate_of("same:1", sections, "file")
    assert gate_of("same:2", sections, "file") is shared
    assert gate_of(Named(), sections, "file") is shared
    assert gate_of("same:1", sections, "another file") is not shared
    one, other = Named(), Named()
    assert gate_of(one, {}) is gate_of(one, {}) is not gate_of(other, {})
    assert gate_of("same:1", {}) is gate_of("same:1", {}) is not shared
    gate_of("same:1", {"same*": RateSettings(at_once=9)}, "file")
    assert shared.settings.at_once == 9  # a changed file holds at once


@in_a_loop
async def test_a_model_beside_the_loop_waits_for_its_turn_too() -> None:
    gate = Gate("m", RateSettings(at_once=1))
    ticket = entered(gate)
    paced = Paced(Named(), gate, Caller())  # type: ignore[arg-type]
    assert paced.name == "same"
    asked = asyncio.create_task(paced.respond([user("x")], [], ModelSettings()))
    await asyncio.sleep(0)
    assert gate.waiting == 1
    gate.answered(ticket)
    assert (await asyncio.wait_for(asked, 5)).text == "hi"
    assert gate.in_flight == 0


@in_a_loop
async def test_a_refusal_beside_the_loop_pauses_the_others() -> None:
    class Refuses(Named):
        async def respond(self, messages: object, tools: object, settings: object) -> object:
            raise ModelError("busy", retryable=True, retry_after_s=9.0, status=429)

    gate = Gate("m")
    with pytest.raises(ModelError, match="busy"):
        await Paced(Refuses(), gate, Caller()).respond([], [], ModelSettings())  # type: ignore[arg-type]
    assert gate.pause_left() > 8
    assert gate.in_flight == 0


@pytest.mark.parametrize(
    ("status", "retry_after", "expected"),
    [(429, None, True), (429, 1.0, True), (503, 2.0, True), (503, None, False), (529, 1.0, True), (500, 1.0, False)],
)
def test_what_counts_as_too_many_calls(status: int, retry_after: float | None, expected: bool) -> None:
    assert overloaded(ModelError("x", retryable=True, retry_after_s=retry_after, status=status)) is expected
