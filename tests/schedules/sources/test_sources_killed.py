"""A server that is killed at any moment, again and again: every item fires once, and none is missed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mainspring.schedules.sources import Tray
from mainspring.store import open_store

pytestmark = pytest.mark.slow

#: Looks for ever, as a scheduler does: an item's firing goes to disk under its id, and then the state.
PROGRAM = """
import json, os, sys, time
from pathlib import Path
from mainspring.schedules.sources import source_of
from mainspring.store import open_store

base, spec = Path(sys.argv[1]), json.loads(sys.argv[2])
store = open_store(base / "home")

def over(id):
    return ("done", "") if (base / "fired" / id).exists() else None

source = source_of(spec, store, str, name="s", **({"outcome": over} if spec["kind"] == "inbox" else {}))
state_file = base / "state.json"
while True:
    state = json.loads(state_file.read_text()) if state_file.exists() else {}
    polled = source.poll(state, time.time())
    for item in polled.items:
        made = base / "fired" / item.id
        if not made.exists():
            (base / "made").write_text(json.dumps(dict(item.payload)))
            os.rename(base / "made", made)
    if dict(polled.state) != state:
        (base / "state.new").write_text(json.dumps(polled.state))
        os.rename(base / "state.new", state_file)
    (base / "ready").touch()
    time.sleep(0.001)
"""


def killed_often(base: Path, spec: dict[str, object], work: list[object]) -> list[dict[str, object]]:
    """Run the program while `work` is done, kill it at random moments, and give what was fired in the end."""
    (base / "fired").mkdir()
    chance = random.Random(5)
    kills = 0
    server: subprocess.Popen[bytes] | None = None

    def start() -> subprocess.Popen[bytes]:
        (base / "ready").unlink(missing_ok=True)
        started = subprocess.Popen([sys.executable, "-c", PROGRAM, str(base), json.dumps(spec)])
        while not (base / "ready").exists():
            assert started.poll() is None
            time.sleep(0.005)
        return started

    server = start()
    try:
        while work:
            for _ in range(min(len(work), 8)):
                work.pop()()  # type: ignore[operator]
            time.sleep(chance.random() * 0.08)
            server.send_signal(signal.SIGKILL)
            server.wait()
            kills += 1
            server = start()
        known = -1
        while known != len(list((base / "fired").iterdir())):
            known = len(list((base / "fired").iterdir()))
            time.sleep(1.0)
    finally:
        server.kill()
        server.wait()
    assert kills > 5
    return [json.loads(p.read_text()) for p in (base / "fired").iterdir()]


def test_an_inbox(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()

    def drop(number: int) -> object:
        def work() -> None:
            (folder / f".{number}").write_text(str(number))
            os.rename(folder / f".{number}", folder / str(number))

        return work

    spec = {"kind": "inbox", "folder": str(folder), "settle_s": 0.02, "every_s": 0.01}
    fired = killed_often(tmp_path, spec, [drop(n) for n in range(80)])
    assert sorted(int(str(f["text"])) for f in fired) == list(range(80))
    assert len(list((folder / "done").iterdir())) == 80


def test_a_watch(tmp_path: Path) -> None:
    folder = tmp_path / "watched"
    folder.mkdir()

    def write(number: int) -> object:
        return lambda: (folder / str(number)).write_text(str(number))

    spec = {"kind": "watch", "paths": [str(folder)], "settle_s": 0.02, "existing": True}
    fired = killed_often(tmp_path, spec, [write(n) for n in range(80)])
    assert sorted(Path(str(f["path"])).name for f in fired) == sorted(str(n) for n in range(80))


def test_deliveries(tmp_path: Path) -> None:
    tray = Tray(open_store(tmp_path / "home"), "delivery", "orders")

    def deliver(number: int) -> object:
        return lambda: tray.put(str(number), {"body": str(number)}, time.time())

    spec = {"kind": "webhook", "hook": "orders", "secrets": ["secret:x"]}
    fired = killed_often(tmp_path, spec, [deliver(n) for n in range(80)])
    assert sorted(int(str(f["body"])) for f in fired) == list(range(80))
    assert tray.waiting(100) == []
