"""Schedules under `mainspring serve`, as a process: a check that finds nothing, then something; a webhook; SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_program import COMMAND, environment, json_lines, mainspring

from mainspring import Agent, ScriptedModel
from mainspring.cli import schedule_serving
from mainspring.schedules import Schedule, Scheduler, Schedules
from mainspring.schedules.kept import KIND
from mainspring.store import open_store

AGENTS = """
from mainspring import Agent, ScriptedModel
from mainspring.swarm import spawn_tool
clerk = Agent("clerk", model=ScriptedModel(["done"]))
boss = Agent("boss", model=ScriptedModel(["done"]), tools=[
    spawn_tool(agents=[Agent("hidden", model=ScriptedModel(["done"]))])
])
"""
CONFIG = """
[secrets]
orders = "env:ORDERS_KEY"
"""
KEY = "a key of thirty-two characters..."


@pytest.fixture
def agents(tmp_path: Path, home: Path) -> Path:
    home.mkdir(exist_ok=True)
    (home / "mainspring.toml").write_text(CONFIG)
    path = tmp_path / "agents.py"
    path.write_text(AGENTS)
    return path


@contextlib.contextmanager
def serving(folder: Path, home: Path, agents: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    """The process, its address, and the file that it writes its lines to."""
    said = folder / "out"
    with open(said, "wb") as out:
        process = subprocess.Popen(
            [*COMMAND, "serve", "-a", str(agents), "--port", "0", "--json"],
            stdout=out,
            env=environment(home, ORDERS_KEY=KEY),
        )
    try:
        until(lambda: b"\n" in said.read_bytes())
        first = json.loads(said.read_text().splitlines()[0])
        yield process, "http://" + first["text"].rpartition("http://")[2], said
    finally:
        process.kill()
        process.wait(30)


@pytest.fixture
def service(tmp_path: Path, home: Path, agents: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    with serving(tmp_path, home, agents) as found:
        yield found


def until(true: Callable[[], Any], seconds: float = 40) -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def deliver(address: str, name: str, body: bytes, key: str = KEY) -> int:
    signature = "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": signature}
    request = urllib.request.Request(f"{address}/hooks/{name}", body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def shown(home: Path, name: str) -> dict[str, Any]:
    return json_lines(mainspring("schedule", "show", name, "--json", home=home).stdout)[0]


@pytest.mark.slow
def test_serve_fires_schedules(
    home: Path, agents: Path, service: tuple[subprocess.Popen[bytes], str, Path], tmp_path: Path
) -> None:
    process, address, said = service
    flag = tmp_path / "something"
    clerk = f"{agents}:clerk"
    common = ("schedule", "add", "-a", clerk, "-t", "Do it")
    mainspring(*common, "often", "--every", "1s", "--check-exists", flag, "--cap", "firings=1", home=home)
    idle = until(lambda: (e := shown(home, "often"))["nothing"]["times"] >= 2 and e)
    assert idle["history"] == []  # looked at, and nothing done: no run, no model
    assert json_lines(mainspring("runs", "--json", home=home).stdout) == []
    flag.touch()
    fired = until(lambda: (e := shown(home, "often"))["history"] and e["history"][0]["status"] == "done" and e)
    runs = json_lines(mainspring("runs", "--json", home=home).stdout)
    assert [(r["id"], r["status"]) for r in runs] == [(fired["history"][0]["run_id"], "done")]

    assert deliver(address, "orders", b"{}") == 401  # there is no such hook yet
    mainspring(
        *common,
        "orders",
        "--webhook",
        "orders",
        "--secret",
        "orders",
        "--set",
        "scheme=github",
        home=home,
        ORDERS_KEY=KEY,
    )
    until(lambda: deliver(address, "orders", b'{"order": 17}') == 202)  # the doors are looked up every second
    assert deliver(address, "orders", b'{"order": 17}') == 200  # known already
    assert deliver(address, "orders", b'{"order": 18}', "another key") == 401
    entry = until(lambda: (e := shown(home, "orders"))["history"] and e["history"][0]["status"] == "done" and e)
    assert len(entry["history"]) == 1
    events = json_lines(mainspring("runs", "show", entry["history"][0]["run_id"], "--json", home=home).stdout)
    assert "17" in json.dumps(events)
    assert "webhook:orders" in json.dumps(events)

    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    lines = json_lines(said.read_text())
    assert lines[-1]["kind"] == "worker.stopped"
    assert any(line["kind"] == "worker.schedule" and "often: fired" in line["text"] for line in lines)
    # One firing a day was allowed, and it says so at a glance.
    assert "capped" in shown(home, "often")["wants"]


@pytest.mark.slow
def test_a_watched_file_fires_long_before_the_next_look(home: Path, agents: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    sets = ("--set", "every_s=86400", "--set", "settle_s=0")
    mainspring("schedule", "add", "in", "-a", f"{agents}:clerk", "-t", "Read", "--watch", folder, *sets, home=home)
    written = 0

    def found() -> bool:  # the folder is listened to a moment after the service answers
        nonlocal written
        written += 1
        (folder / f"{written}.txt").write_text("x")
        time.sleep(0.3)
        return bool(shown(home, "in")["history"])

    with serving(tmp_path, home, agents):
        until(found, 60)


def test_what_is_added_while_it_serves_is_listened_to(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_serving, "_LOOK_S", 0.05)
    store = open_store(home)
    scheduler = Scheduler(store, {"clerk": Agent("clerk", model=ScriptedModel(["done"]))})
    folders = [tmp_path / "first", tmp_path / "second"]

    def wanted(folder: Path) -> bool:
        kept = store.kept(KIND, folder.name)
        return kept is not None and kept.due_at is not None and kept.due_at <= time.time()

    async def main() -> None:
        async with schedule_serving.listening(store, scheduler):
            for folder in folders:
                folder.mkdir()
                source = {"kind": "watch", "paths": [str(folder)], "every_s": 86400}
                Schedules(store).add(Schedule(folder.name, "clerk", "Read", {"source": source}), by="ann")
                scheduler.tick()  # the first look, after which nothing is due for a day
                assert not wanted(folder)
                end = time.monotonic() + 30
                while not wanted(folder):
                    assert time.monotonic() < end
                    (folder / "new").touch()
                    await asyncio.sleep(0.05)

    asyncio.run(main())


def test_two_ticks_and_a_killed_one_fire_once(home: Path, agents: Path) -> None:
    mainspring("schedule", "add", "once", "-a", f"{agents}:clerk", "-t", "x", "--every", "1h", home=home)
    mainspring("schedule", "run-now", "once", home=home)
    tick = ("schedule", "tick", "--once", "--json", "-a", agents)
    lines = json_lines(mainspring(*tick, home=home).stdout)
    assert "once: fired once-" in lines[0]["text"]
    assert mainspring(*tick, home=home).stdout == ""
    assert [r["status"] for r in json_lines(mainspring("runs", "--json", home=home).stdout)] == ["waiting"]
    worked = json_lines(mainspring(*tick, "--work", home=home).stdout)
    assert [(x["kind"], x.get("status")) for x in worked if x["kind"] == "worker.rested"] == [("worker.rested", "done")]
    assert shown(home, "once")["last"]["status"] == "done"
    assert (
        "--work goes with --once" in mainspring("schedule", "tick", "--work", "-a", agents, home=home, expect=2).stderr
    )


def test_a_worker_knows_whom_its_agents_may_start(home: Path, agents: Path) -> None:
    lines = json_lines(mainspring("worker", "-a", agents, "--until-idle", "--json", home=home).stdout)
    assert "hidden" in lines[0]["text"]
    agents.write_text(AGENTS.replace('"clerk",', '"hidden", instructions="Another one.",'))
    refused = mainspring("worker", "-a", agents, "--until-idle", home=home, expect=1).stderr
    assert "two agents are called 'hidden'" in refused
    assert "a sub-agent of 'boss'" in refused
