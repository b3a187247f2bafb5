"""Memory under kills, several processes, damage and a full disk."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mainspring.errors import StoreError
from mainspring.label import MODEL, USER
from mainspring.memory import open_memory

WRITER = """
import sys
from pathlib import Path
from mainspring.label import tool_label
from mainspring.memory import open_memory
home, who, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with open_memory(home) as memory:
    for n in range(number):
        memory.add(f"tea {n}", tool_label("mail"), about=who, key=f"{who}-{n}", run=who)
        print(n, flush=True)
"""


def writer(home: Path, who: str, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(home), who, str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_kill_loses_nothing_that_was_acknowledged_and_doubles_nothing(home: Path) -> None:
    for attempt in range(4):
        child = writer(home, "w", 200)
        assert child.stdout is not None
        said = -1
        for _ in range(10 + attempt):
            said = int(child.stdout.readline())
        time.sleep(0.002 * attempt)
        child.send_signal(signal.SIGKILL)
        said = max([said, *map(int, child.stdout.read().split())])
        child.wait()
        with open_memory(home) as memory:
            texts = [r.text for r in memory.records()]
            assert len(texts) == len(set(texts))
            assert {f"tea {n}" for n in range(said + 1)} <= set(texts)
            assert len(memory.search("tea", 1000)) == len(texts)  # the index was written with the records
            assert not any(r.label.trusted for r in memory.records())
    child = writer(home, "w", 200)
    child.communicate()
    with open_memory(home) as memory:
        assert len(memory.records()) == 200


def test_processes_write_at_the_same_time(home: Path) -> None:
    children = [writer(home, who, 60) for who in ("a", "b", "a")]  # two under the same keys
    for child in children:
        child.communicate()
        assert child.returncode == 0
    with open_memory(home) as memory:
        records = memory.records()
    assert len(records) == 120
    assert {r.about for r in records} == {"a", "b"}


def test_damage_is_said_with_what_to_do(home: Path) -> None:
    with open_memory(home) as memory:
        for n in range(200):
            memory.add(f"tea {n} " + "x" * 500, USER)
    path = home / "memory.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreError, match=r"damaged.*mainspring memory import"), open_memory(home) as memory:
        memory.search("tea")
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="damaged"):
        open_memory(home)


def test_a_full_disk_is_said_and_leaves_memory_as_it_was(home: Path) -> None:
    with open_memory(home) as memory:
        memory.add("tea", USER)
        pages = memory.read("PRAGMA page_count")[0][0]
        memory.db.execute(f"PRAGMA max_page_count={pages + 3}")
        before = memory.records()
        with pytest.raises(StoreError, match="disk is full"):
            memory.add("z" * 60_000, MODEL)
        assert memory.records() == before
        memory.db.execute("PRAGMA max_page_count=1000000")
        memory.add("room again", MODEL)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="MAINSPRING_HOME"):
        open_memory(tmp_path / "file")


@pytest.mark.slow
def test_a_hundred_thousand_records(home: Path) -> None:
    with open_memory(home) as memory:
        with memory.transaction():
            for n in range(100_000):
                memory.add(f"note {n} about topic {n % 997} and person {n % 101}", USER if n % 2 else MODEL)
        for query in ("topic 13", "note", "person 7 topic 500 note"):
            began = time.perf_counter()
            found = memory.search(query, 10)
            print(f"{query!r}: {len(found)} in {(time.perf_counter() - began) * 1e3:.1f} ms")
            assert len(found) == 10
