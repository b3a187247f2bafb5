"""When schedules fire, against an oracle that walks minute by minute; schedulers whose clocks jump, or who die."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mainspring import Agent, Run, ScriptedModel, points
from mainspring.fleet import Worker
from mainspring.schedules import Schedule, Scheduler, Schedules, firing
from mainspring.schedules.scheduler import LATE_S
from mainspring.store import Store, open_store

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",  # its gap begins at midnight
    "Australia/Lord_Howe",  # moves by half an hour
    "Asia/Kathmandu",
    "America/St_Johns",
    "Pacific/Apia",  # has no 30 December 2011
)
MINUTE = timedelta(minutes=1)


def zone_named(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


class Line:
    """A cron line as sets of numbers; None stands for a star."""

    def __init__(self, minute: set[int] | None, hour: set[int] | None, day: set[int] | None, weekday: set[int] | None):
        self.minute, self.hour, self.day, self.weekday = minute, hour, day, weekday

    def __repr__(self) -> str:
        fields = (self.minute, self.hour, self.day, None, self.weekday)
        return " ".join("*" if f is None else ",".join(map(str, sorted(f))) for f in fields)

    def on(self, wall: datetime) -> bool:
        """Whether a wall clock that shows this is meant."""
        if self.minute is not None and wall.minute not in self.minute:
            return False
        if self.hour is not None and wall.hour not in self.hour:
            return False
        weekday = wall.isoweekday() % 7
        if self.day is not None and self.weekday is not None:
            return wall.day in self.day or weekday in self.weekday
        return (self.day is None or wall.day in self.day) and (self.weekday is None or weekday in self.weekday)

    def times(self, zone: tzinfo, after: float, until: float) -> list[float]:
        """Debian's rules: with a star in minutes or hours by real time; else once for each time that the wall shows."""
        if self.minute is None or self.hour is None:
            first = int(after // 60) * 60
            minutes = range(first, int(until) + 1, 60)
            return [float(t) for t in minutes if t > after and self.on(datetime.fromtimestamp(t, zone))]
        wall = datetime.fromtimestamp(after, zone).replace(tzinfo=None, second=0, microsecond=0) - timedelta(days=2)
        found: set[float] = set()
        while (at := moment(wall, zone)) <= until + 2 * 86_400:
            if self.on(wall) and after < at <= until:
                found.add(at)
            wall += MINUTE
        return sorted(found)


def moment(wall: datetime, zone: tzinfo) -> float:
    """The first time at which a clock there shows `wall` or, where it never does, shows what comes after the gap."""
    at = wall.replace(tzinfo=zone, fold=0).timestamp()
    if datetime.fromtimestamp(at, zone).replace(tzinfo=None) == wall:
        return at
    after = at
    while datetime.fromtimestamp(after - 60, zone).replace(tzinfo=None) > wall:
        after -= 60
    return after


@st.composite
def lines(draw: st.DrawFn) -> Line:
    minute = draw(st.none() | st.sets(st.sampled_from([0, 1, 15, 29, 30, 31, 59]), min_size=1, max_size=3))
    hour = draw(st.none() | st.sets(st.sampled_from([0, 1, 2, 3, 23, 12]), min_size=1, max_size=3))
    day = draw(st.none() | st.none() | st.sets(st.integers(1, 31), min_size=1, max_size=5))
    weekday = draw(st.none() | st.none() | st.sets(st.integers(0, 6), min_size=1, max_size=3))
    return Line(minute, hour, day, weekday)


def transitions(name: str) -> list[float]:
    """Hours in which the offset of a zone changes, and where leap days and years begin and end."""
    zone = zone_named(name)
    spans = [(2024, 2026), (2011, 2012)] if name == "Pacific/Apia" else [(2024, 2026)]
    found = [datetime(2024, 2, 29, 12, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC), datetime(2100, 2, 28, tzinfo=UTC)]
    for first, last in spans:
        at = datetime(first, 1, 1, tzinfo=UTC)
        while at.year < last:
            after = at + timedelta(hours=1)
            if at.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
                found.append(at)
            at = after
    return [f.timestamp() for f in found]


TRANSITIONS = {name: transitions(name) for name in ZONES}


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(line=lines(), zone=st.sampled_from(ZONES), which=st.integers(0, 50), before=st.integers(0, 2 * 86_400))
@example(Line({10, 30}, {2}, None, None), "Europe/Berlin", 3, 3600)  # two times in one gap: one moment
@example(Line({0}, {0}, None, None), "America/Santiago", 4, 7200)
@example(Line({0}, {0}, {29}, None), "UTC", 0, 86_400)
def test_cron_lines_fire_when_the_oracle_says(line: Line, zone: str, which: int, before: int) -> None:
    around = TRANSITIONS[zone]
    after = around[which % len(around)] - before
    until = after + 3 * 86_400
    expected = line.times(zone_named(zone), after, until)
    schedule = Schedule("job", "clerk", "x", {"cron": repr(line), "zone": zone})
    assert schedule.times_between(after, until, 100_000) == expected
    assert schedule.times_between(after, until, 2) == expected[-2:]
    walked, at = [], after
    while (following := schedule.next_after(at)) is not None and following <= until and len(walked) < 50:
        assert following > at
        walked.append(following)
        at = following
    assert walked == expected[:50]
    for inside in expected[:3]:  # whoever looks in the middle sees the same times
        assert schedule.next_after(inside - 0.5) == inside


@settings(max_examples=100, deadline=None)
@given(
    every=st.integers(1, 100_000) | st.sampled_from([86_400, 604_800]),
    start=st.integers(0, 10**9),
    after=st.integers(10**9, 4 * 10**9),
)
def test_intervals_are_even_and_unmoved_by_who_looks_when(every: int, start: int, after: int) -> None:
    schedule = Schedule("job", "clerk", "x", {"every": float(every), "start": float(start)})
    following = schedule.next_after(float(after))
    assert following is not None
    assert after < following <= after + every
    assert (following - start) % every == 0
    times = schedule.times_between(float(after), float(after + 5 * every), 100)
    assert times == [following + n * every for n in range(5)]
    assert schedule.times_between(float(after), float(after + 10**9), 3)[-1] > after + 10**9 - every


# --- the scheduler ---

BEGIN = 4_000_000_000.0 - 4_000_000_000.0 % 86_400


class World:
    """A journal, a clock, and as many schedulers as die."""

    def __init__(self, home: Path) -> None:
        self.store: Store = open_store(home)
        self.now = BEGIN
        self.agent = Agent("clerk", model=ScriptedModel(["done"]))
        self.scheduler = self.another()

    def another(self) -> Scheduler:
        return Scheduler(self.store, {"clerk": self.agent}, lambda: self.now)

    def fired(self) -> list[float]:
        """The times for which there are runs, in order."""
        rows = self.store.rows(limit=100_000)
        return sorted(float(Run(row.id, self.store).state.bounds.cause["due"]) for row in rows)


@contextmanager
def worlds() -> Iterator[World]:
    from mainspring.store import close_stores

    with tempfile.TemporaryDirectory() as folder:
        try:
            yield World(Path(folder))
        finally:
            close_stores()


def passed(after: float, until: float, step: float) -> list[float]:
    return [BEGIN + n * step for n in range(10_000) if after < BEGIN + n * step <= until]


MOVES = st.lists(st.integers(-7200, 7200) | st.sampled_from([0, 1, 599, 600, 601, 3600]), min_size=1, max_size=8)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(moves=MOVES, catch_up=st.sampled_from(["all", "once", "skip"]))
def test_a_clock_that_jumps_makes_nothing_fire_twice_and_loses_nothing(moves: list[int], catch_up: str) -> None:
    step = 600.0
    with worlds() as world:
        # "cancel": whatever is due begins at once, though no worker ends the run before
        schedule = Schedule("job", "clerk", "x", {"every": step}, catch_up=catch_up, overlap="cancel", most=1000)
        Schedules(world.store).add(schedule, by="ann", now=world.now)
        expected: list[float] = []
        newest = BEGIN
        for move in moves:
            world.now += move
            world.scheduler.tick()
            due = passed(newest, world.now, step)
            newest = max([newest, *due])
            if catch_up == "all":
                expected += due
            elif catch_up == "once":
                expected += due[-1:]
            else:
                expected += [t for t in due[-1:] if world.now - t <= LATE_S]
        assert world.fired() == expected
        missed = [f for f in Schedules(world.store).get("job").history if f.status == "missed"]
        assert bool(missed) <= (catch_up == "skip")


class Killed(BaseException):
    """The process is gone: nothing that comes after this happens."""


PLACES = (
    "schedule.fired",
    "schedule.before_keep",
    "schedule.kept",
    "before keep",
    "after keep",
    "before enqueue",
    "after enqueue",
    "within enqueue",
)


@contextmanager
def dying(store: Store, place: str, count: int) -> Iterator[None]:
    """Within it, whoever comes to `place` for the `count`-th time is killed."""
    left = [count]

    def reached(name: str) -> None:
        if name == place:
            left[0] -= 1
            if not left[0]:
                raise Killed

    def around(function: Any, name: str) -> Any:
        def called(*arguments: Any, **named: Any) -> Any:
            reached(f"before {name}")
            result = function(*arguments, **named)
            reached(f"after {name}")
            return result

        return called

    def half(owner: Store, start: Any) -> str:
        if place == "within enqueue":  # the run is there, and nobody has said that it may be taken up
            from mainspring.runtime.starting import create

            left[0] -= 1
            if not left[0]:
                lease, appended = create(owner, start)
                appended.done.result()
                owner.release(lease)
                raise Killed
        return str(around(enqueue, "enqueue")(owner, start))

    enqueue = firing.enqueue
    points.hook = reached
    try:
        with mock.patch.object(firing, "enqueue", half), mock.patch.object(store, "keep", around(store.keep, "keep")):
            yield
    finally:
        points.hook = None


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    deaths=st.lists(st.tuples(st.sampled_from(PLACES), st.integers(1, 3)), min_size=1, max_size=4),
    moves=st.lists(st.sampled_from([60, 120, 300, 30]), min_size=4, max_size=4),
)
def test_wherever_a_scheduler_dies_each_time_fires_exactly_once(
    deaths: list[tuple[str, int]], moves: list[int]
) -> None:
    with worlds() as world:
        schedule = Schedule("job", "clerk", "x", {"every": 60.0}, catch_up="all", overlap="cancel", most=1000)
        Schedules(world.store).add(schedule, by="ann", now=world.now)
        for (place, count), move in zip(deaths, moves, strict=False):
            world.now += move
            with dying(world.store, place, count), contextlib.suppress(Killed):
                world.scheduler.tick()
            world.scheduler = world.another()
        world.now += 60
        world.scheduler.tick()
        expected = passed(BEGIN, world.now, 60.0)
        assert world.fired() == expected
        entry = Schedules(world.store).get("job")
        assert Counter(f.due for f in entry.history if f.run_id) == Counter(expected)
        assert entry.spent["firings"] == len(expected)
        assert {a.kind for a in entry.attention} <= {"late"}


@pytest.mark.parametrize("place", PLACES)
def test_each_place_of_death_is_reached(place: str) -> None:
    """The control of the test above: a scheduler does come by there, and is gone."""
    with worlds() as world:
        schedule = Schedule("job", "clerk", "x", {"every": 60.0})
        Schedules(world.store).add(schedule, by="ann", now=world.now)
        world.now += 60
        with dying(world.store, place, 1), pytest.raises(Killed):
            world.scheduler.tick()


def test_what_was_fired_by_one_that_died_is_done_once_by_a_worker() -> None:
    import asyncio

    with worlds() as world:
        schedule = Schedule("job", "clerk", "x", {"every": 60.0}, overlap="queue", catch_up="all")
        Schedules(world.store).add(schedule, by="ann", now=world.now)
        draw = random.Random(3)
        for place in PLACES:
            world.now += 60
            with dying(world.store, place, 1):
                try:
                    world.scheduler.tick()
                except Killed:
                    world.scheduler = world.another()
            if draw.random() < 0.7:
                asyncio.run(Worker(world.store, [world.agent]).run(until_idle=True))
        for _ in range(2 * len(PLACES)):
            world.scheduler.tick()
            asyncio.run(Worker(world.store, [world.agent]).run(until_idle=True))
            world.now += 5
        assert world.fired() == passed(BEGIN, world.now, 60.0)
        rows = world.store.rows(limit=100)
        assert {row.status for row in rows} == {"done"}
        assert all(Run(row.id, world.store).state.usage.calls == 1 for row in rows)
