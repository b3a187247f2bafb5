"""Schedules as a person makes them, and the scheduler that fires them, over a real journal and with runs that work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, ScriptedModel, points, tool
from mainspring.errors import DeclarationError, StoreError
from mainspring.fleet import Worker
from mainspring.guard import Grant
from mainspring.label import Label
from mainspring.messages import Message, TextPart, ToolCallPart, Usage
from mainspring.schedules import Entry, Schedule, Scheduler, Schedules
from mainspring.schedules import scheduler as module
from mainspring.schedules.sources import Item, Polled
from mainspring.store import Store, open_store

NOON = 4_000_000_000.0 - 4_000_000_000.0 % 86_400 + 12 * 3600  # a noon in UTC, in 2096, so that no rights have run out


class World:
    """A journal, an agent, a scheduler and a clock that only the test sets."""

    def __init__(self, home: Path) -> None:
        self.store: Store = open_store(home)
        self.now = NOON
        self.lines: list[str] = []
        self.sent: list[str] = []
        model = ScriptedModel(["done"])
        self.script = model.script
        sent = self.sent

        @tool(effect="irreversible", authority=["to"])
        def send(to: str) -> str:
            """Send."""
            sent.append(to)
            return "sent"

        @tool(effect="read", authority=[])
        def look() -> str:
            """Look."""
            return "seen"

        self.agent = Agent("clerk", model=model, tools=[send, look], guard="tainted")
        self.schedules = Schedules(self.store)
        self.scheduler = self.another()

    def another(self) -> Scheduler:
        """A scheduler as another process would have it."""
        return Scheduler(self.store, {"clerk": self.agent}, lambda: self.now, report=self.lines.append)

    def add(self, trigger: dict[str, Any], **more: Any) -> Entry:
        schedule = Schedule("job", "clerk", "look after it", trigger, **more)
        return self.schedules.add(schedule, by="ann", now=self.now)

    def tick(self, seconds: float = 0.0) -> float | None:
        self.now += seconds
        return self.scheduler.tick()

    def work(self) -> None:
        """Execute what is ready."""
        asyncio.run(Worker(self.store, [self.agent]).run(until_idle=True))

    @property
    def runs(self) -> list[str]:
        return [row.id for row in reversed(self.store.rows(limit=1000))]

    @property
    def entry(self) -> Entry:
        return self.schedules.get("job")

    def history(self) -> list[str]:
        return [f.status for f in self.entry.history]


@pytest.fixture
def world(home: Path) -> World:
    return World(home)


def test_a_cron_line_fires_a_run_at_its_time_and_not_before(world: World) -> None:
    entry = world.add({"cron": "30 12 * * *"})
    assert entry.due_at == NOON + 1800
    assert world.tick(1799) == NOON + 1800
    assert world.runs == []
    world.tick(1)
    assert len(world.runs) == 1
    assert world.runs[0].startswith("job-")
    world.work()
    assert world.store.row(world.runs[0]).status == "done"
    world.tick(10)
    assert world.history() == ["done"]
    assert world.entry.due_at == NOON + 86_400 + 1800
    assert world.entry.spent["firings"] == 1


def test_the_same_time_never_fires_twice(world: World) -> None:
    world.add({"every": 60.0})
    world.tick(60)
    other = world.another()
    other.tick()
    world.tick()
    assert len(world.runs) == 1
    world.now -= 3600  # a clock that was set back
    world.tick()
    world.tick(3600)
    assert len(world.runs) == 1
    world.work()
    world.tick(60)
    assert len(world.runs) == 2


@pytest.mark.parametrize("place", ["schedule.fired", "schedule.before_keep", "schedule.kept"])
def test_a_scheduler_that_dies_neither_loses_nor_doubles_a_firing(world: World, place: str) -> None:
    class Killed(BaseException):
        pass

    def die(name: str) -> None:
        if name == place:
            raise Killed

    world.add({"every": 60.0})
    points.hook = die
    try:
        with pytest.raises(Killed):
            world.tick(60)
    finally:
        points.hook = None
    world.scheduler = world.another()
    world.tick()
    assert len(world.runs) == 1
    assert world.history() == ["waiting"]
    assert world.entry.spent["firings"] == 1


@pytest.mark.parametrize(
    ("more", "runs", "history"),
    [
        ({"catch_up": "once"}, 1, ["waiting"]),
        ({"catch_up": "skip"}, 0, ["missed"]),
        ({"catch_up": "all", "most": 3, "overlap": "queue"}, 1, ["missed", "waiting"]),
        ({"catch_up": "once", "late_s": 30.0}, 0, ["missed"]),
    ],
)
def test_what_passed_while_nobody_looked(world: World, more: dict[str, Any], runs: int, history: list[str]) -> None:
    world.add({"cron": "0 * * * *"}, **more)
    world.tick(10 * 3600 + 600)  # ten hours away
    assert len(world.runs) == runs
    assert world.history() == history
    if "missed" in history:
        assert world.entry.attention[0].kind == "missed"
    else:
        assert world.entry.attention[0].kind == "late"
    if more.get("overlap") == "queue":  # the other two follow, one after the other
        for expected in (2, 3, 3):
            world.work()
            world.tick(60)
            world.tick(60)
            assert len(world.runs) == expected


def test_a_firing_while_the_run_before_works(world: World) -> None:
    world.add({"every": 60.0})
    world.tick(60)
    world.tick(60)
    assert world.history() == ["waiting", "skipped"]
    schedule = Schedule("job", "clerk", "x", {"every": 60.0}, overlap="cancel")
    world.schedules.change("job", schedule, by="ann", now=world.now)
    world.tick(60)
    world.work()
    world.tick(5)
    assert [world.store.row(id).status for id in world.runs] == ["cancelled", "done"]


def test_nothing_to_do_starts_no_run(world: World, tmp_path: Path) -> None:
    world.add({"every": 60.0}, check={"exists": str(tmp_path / "in" / "*.csv")})
    for _ in range(5):
        world.tick(60)
    assert world.runs == []
    assert world.entry.state.nothing == 5
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("x")
    world.tick(60)
    assert len(world.runs) == 1


def test_other_checks(world: World, tmp_path: Path) -> None:
    from mainspring.schedules import checks

    file = tmp_path / "f"
    file.write_text("1")
    found, seen = checks.look({"changed": str(file)}, None, world.agent, None)
    assert found
    assert checks.look({"changed": str(file)}, None, world.agent, seen) == (False, seen)
    file.write_text("longer")
    assert checks.look({"changed": str(file)}, None, world.agent, seen)[0]
    for status, expected in ((0, True), (1, False)):
        command = {"command": ["sh", "-c", f"test -f f && exit {status}; exit 9"]}
        assert checks.look(command, str(tmp_path), world.agent, None)[0] is expected
    with pytest.raises(checks.CheckFailed, match="neither 0 nor 1"):
        checks.look({"command": ["sh", "-c", "touch f2 || exit 7"]}, str(tmp_path), world.agent, None)
    assert not (tmp_path / "f2").exists()
    checks.register("wanted", lambda: True)
    assert checks.look({"python": "wanted"}, None, world.agent, None)[0]
    with pytest.raises(checks.CheckFailed, match="no function"):
        checks.look({"python": "nothing_such"}, None, world.agent, None)


def test_a_check_that_fails_is_shown_and_starts_nothing(world: World) -> None:
    world.add({"every": 60.0}, check={"python": "nothing_such"})
    world.tick(60)
    world.tick(60)
    assert world.runs == []
    assert [a.kind for a in world.entry.attention] == ["error"]


def test_a_firing_holds_its_schedules_rights_and_no_more(world: World) -> None:
    world.script[:] = [
        Message("assistant", (ToolCallPart("a", "send", {"to": "ann"}),), Usage(calls=1)),
        Message("assistant", (ToolCallPart("b", "send", {"to": "eve"}),), Usage(calls=1)),
        "done",
    ]
    grants = (Grant("send", {"to": ("ann",)}),)
    world.add({"every": 60.0}, tools=("send",), grants=grants, rights_s=3600.0)
    world.tick(60)
    state = module.Run(world.runs[0], world.store).state
    assert state.bounds.tools == ("send",)
    assert state.bounds.expires_at == world.now + 3600
    assert state.bounds.cause == {"schedule": "job", "due": world.now}
    assert [g.tool for g in state.guard.grants] == ["send"]
    assert state.guard.turns == []


def test_rights_that_the_agent_lacks_are_refused(world: World) -> None:
    world.add({"every": 60.0}, tools=("launch",))
    world.tick(60)
    assert world.runs == []
    assert "launch" in world.entry.attention[0].text
    world.tick(60)
    assert world.runs == []  # tried again, and shown


def test_failing_firings_pause_a_schedule_and_ask_for_a_person(world: World) -> None:
    world.script[:] = []  # a model with nothing to say fails
    world.add({"every": 60.0}, failures=2)
    for _ in range(5):
        world.tick(60)
        world.work()
    world.tick(60)
    entry = world.entry
    assert entry.state.failed == 2
    assert "2 firings in a row failed" in entry.paused
    assert [a.kind for a in entry.attention] == ["failing"]
    assert entry.due_at is None
    world.schedules.resume("job", by="ann", now=world.now)
    assert world.entry.paused == ""
    assert world.entry.due_at == world.now - world.now % 60 + 60


def test_caps_hold_for_a_day(world: World, home: Path) -> None:
    world.add({"every": 3600.0}, caps={"firings": 2})
    for _ in range(5):
        world.tick(3600)
        world.work()
    assert len(world.runs) == 2
    assert world.history().count("capped") == 3
    assert [a.kind for a in world.entry.attention] == ["capped"]
    for _ in range(9):  # into the next day
        world.tick(3600)
        world.work()
    assert len(world.runs) == 4


def test_money_is_capped_by_what_a_run_may_cost(world: World) -> None:
    world.script[:] = [Message("assistant", (TextPart("done"),), Usage(1, 1, calls=1, usd=0.4), finish="stop")]
    world.add({"every": 3600.0}, caps={"usd": 1.0}, limits={"usd": 0.5})
    for _ in range(6):
        world.tick(3600)
        world.work()
    world.tick(60)
    assert len(world.runs) == 2  # 0.4 and 0.4; a third could cost 0.5
    assert world.entry.spent["usd"] == pytest.approx(0.8)


def test_the_home_has_a_cap_and_a_command_that_is_told(world: World, home: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    (home / "mainspring.toml").write_text(
        f'[schedules]\nfirings_per_day = 1\nnotify = ["sh", "-c", "cat >> {told}"]\n', encoding="utf-8"
    )
    world.add({"every": 60.0})
    other = Schedule("other", "clerk", "x", {"every": 60.0})
    world.schedules.add(other, by="ann", now=world.now)
    world.tick(60)
    assert len(world.runs) == 1
    line = json.loads(told.read_text())
    assert (line["kind"], line["schedule"]) == ("capped", "other")


def test_revoked_people_and_expired_schedules_fire_nothing(world: World) -> None:
    world.add({"every": 60.0}, by="bob")
    world.schedules.add(Schedule("short", "clerk", "x", {"every": 60.0}, expires_at=NOON + 90), by="ann", now=world.now)
    world.store.revoke("bob", by="ann")
    world.tick(60)
    assert "were taken back" in world.entry.paused
    assert len(world.runs) == 1
    world.work()
    world.tick(60)
    assert world.schedules.get("short").paused == "it has expired"
    assert len(world.runs) == 1


def test_a_person_asks_for_a_firing_now(world: World) -> None:
    world.add({"at": NOON + 86_400.0}, check={"python": "nothing_such"})
    world.tick(5)
    assert world.runs == []
    world.schedules.run_now("job", by="ann", now=world.now)
    world.tick(0)
    assert len(world.runs) == 1
    assert [c["what"] for c in world.entry.changes] == ["added", "asked to run"]
    assert {c["by"] for c in world.entry.changes} == {"ann"}


def test_agents_that_are_not_known_here_are_left_to_others(world: World) -> None:
    world.add({"every": 60.0})
    lost = Scheduler(world.store, {}, lambda: world.now)
    world.now += 60
    assert lost.tick() == world.now + module.RETRY_S
    assert world.runs == []
    assert world.tick() is not None
    assert len(world.runs) == 1


def test_what_is_kept_can_be_changed_only_by_somebody_who_looked(world: World) -> None:
    world.add({"every": 60.0})
    with pytest.raises(StoreError, match="exists already"):
        world.add({"every": 60.0})
    world.schedules.pause("job", "holidays", by="ann")
    world.tick(600)
    assert world.runs == []
    world.schedules.remove("job", by="ann")
    with pytest.raises(StoreError, match="there is no schedule"):
        world.schedules.get("job")


def test_a_damaged_document_stops_nobody_else(world: World) -> None:
    world.store.keep("schedule", "broken", {"schedule": {"name": 1}}, version=0, due_at=NOON)
    world.add({"every": 60.0})
    world.tick(60)
    assert len(world.runs) == 1
    assert any("broken" in line for line in world.lines)


def test_what_fails_in_one_schedule_stops_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def poll(self, state: Any, now: float) -> Polled:
            raise RuntimeError("unforeseen")

    monkeypatch.setattr(module, "source_of", lambda *_, **__: Broken())
    world.schedules.add(Schedule("a", "clerk", "x", {"source": {"kind": "inbox"}}), by="ann", now=world.now)
    world.add({"every": 60.0})
    world.tick(60)
    assert len(world.runs) == 1
    assert world.schedules.get("a").attention[0].text == "RuntimeError: unforeseen"


def test_runs_of_a_paused_schedule_are_settled(world: World) -> None:
    world.add({"every": 60.0})
    world.tick(60)
    world.schedules.pause("job", "holidays", by="ann", now=world.now)
    world.work()
    world.tick(10)
    world.tick(600)
    assert world.history() == ["done"]
    assert world.entry.due_at is None


class Letters:
    """A source of two letters, the second of which comes later."""

    def __init__(self) -> None:
        self.fail = False

    def poll(self, state: Any, now: float) -> Polled:
        known = int(state.get("n", 0))
        label = Label(frozenset({"mail:box"}))
        items = tuple(Item(f"m{n}", {"text": f"letter {n}: obey!"}, label) for n in range(known, 2))
        return Polled(items, {"n": 2}, now + 30)


def test_items_of_a_source_fire_runs_under_their_own_label(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "source_of", lambda *_, **__: Letters())
    world.add({"source": {"kind": "inbox"}}, caps={"firings": 1})
    assert world.tick() is not None
    assert len(world.runs) == 1  # the cap: the state stays, so the second is found again
    assert world.entry.state.source == {}
    world.schedules.change(
        "job", Schedule("job", "clerk", "sort it", {"source": {"kind": "inbox"}}), by="ann", now=world.now
    )
    world.tick(1)
    assert len(world.runs) == 2
    assert world.entry.state.source == {"n": 2}
    world.tick(60)
    assert len(world.runs) == 2
    for run_id in world.runs:
        state = module.Run(run_id, world.store).state
        assert state.label.strangers == {"mail:box"}
        assert state.guard.turns == []
        assert "obey" in state.task


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"trigger": {"cron": "61 * * * *"}}, "field for the minute"),
        ({"trigger": {"cron": "* * *"}}, "wrong number of fields"),
        ({"trigger": {"cron": "0 0 * * *", "zone": "Mars/Olympus"}}, "time zone"),
        ({"trigger": {"cron": "0 0 * * *", "zone": "../etc"}}, "time zone"),
        ({"trigger": {"every": 0.1}}, "1 seconds or more"),
        ({"trigger": {"every": float("nan")}}, "number of seconds"),
        ({"trigger": {}}, "a trigger says one of"),
        ({"trigger": {"at": 5.0, "every": 5.0}}, "a trigger says one of"),
        ({"check": {"exists": ""}}, "is a text"),
        ({"check": {"command": "rm"}}, "list of texts"),
        ({"catch_up": "maybe"}, "catch_up is one of"),
        ({"overlap": 3}, "overlap is one of"),
        ({"most": 0}, "most is a whole number"),
        ({"rights_s": None}, "rights_s is a positive"),
        ({"caps": {"euro": 3}}, "'euro' is unknown"),
        ({"limits": {"usd": -1}}, "must be a positive number"),
        ({"name": " "}, "name is a text"),
        ({"task": ""}, "task is a text"),
        ({"name": "\ud800"}, "half characters"),
        ({"grants": ("send",)}, "takes Grant objects"),
    ],
)
def test_bad_schedules_are_refused_with_words(change: dict[str, Any], complaint: str) -> None:
    good: dict[str, Any] = {"name": "job", "agent": "clerk", "task": "x", "trigger": {"every": 60.0}}
    with pytest.raises(DeclarationError, match=complaint):
        Schedule(**(good | change))


def test_schedules_that_never_fire_are_refused(world: World) -> None:
    with pytest.raises(DeclarationError, match="never fires"):
        world.add({"at": NOON - 1})
    with pytest.raises(DeclarationError, match="expired"):
        world.add({"every": 60.0}, expires_at=NOON - 1)


def test_what_is_encoded_is_decoded(world: World) -> None:
    make: Callable[..., Schedule] = Schedule
    schedule = make(
        *("job", "clerk", "x", {"cron": "0 9 * * 1-5", "zone": "Europe/Berlin"}),
        tools=["send"],
        grants=(Grant("send", {"to": ("ann",)}, 3),),
        check={"command": ["true"]},
        caps={"usd": 1},
    )
    assert Schedule.decode(json.loads(json.dumps(schedule.encode()))) == schedule
    with pytest.raises(DeclarationError, match="does not know"):
        Schedule.decode(schedule.encode() | {"hosts": []})
