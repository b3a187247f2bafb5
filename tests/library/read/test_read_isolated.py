"""Reading in another process: pages, pictures, limits, crashes, many at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from library_made import PdfPage, pdf, write

from mainspring.errors import ToolError
from mainspring.library.page import Page
from mainspring.library.read import ReadLimits, children, open_file
from mainspring.library.read.isolated import IsolatedReading
from mainspring.library.read.wire import Lost, page_message, page_of_message, receive, send

PROSE = ["The quick brown fox jumps over the lazy dog"] * 10


def opened(path: Path, limits: ReadLimits | None = None) -> IsolatedReading:
    reading = open_file(path, limits)
    assert isinstance(reading, IsolatedReading)
    return reading


@contextlib.contextmanager
def opened_child(tmp_path: Path) -> Iterator[int]:
    """The process that reads the next file."""
    reading = opened(write(tmp_path, "next.txt", "next"))
    assert reading._child is not None
    yield reading._child.pid
    reading.close()


@pytest.fixture(autouse=True)
def _no_children_left() -> object:
    yield
    children.close_readers()


def many(tmp_path: Path, count: int = 3) -> Path:
    return write(
        tmp_path, "a.pdf", pdf([PdfPage().text(60, 780, f"page {n}").lines(60, 700, PROSE) for n in range(count)])
    )


def test_the_same_pages_and_pictures_as_without(tmp_path: Path) -> None:
    path = many(tmp_path)
    apart, here = opened(path), open_file(path, isolated=False)
    assert apart.about == here.about
    assert list(apart.pages()) == list(here.pages())
    assert apart.render(2, 300).tobytes() == here.render(2, 300).tobytes()
    assert list(apart.pages()) == list(here.pages())  # once more
    assert apart.isolation in ("sandbox", "filter", "limits")
    with pytest.raises(ToolError, match="no page 9"):
        apart.render(9, 100)
    apart.close()
    apart.close()


def test_one_child_reads_many_files(tmp_path: Path) -> None:
    seen = set()
    for n in range(5):
        reading = opened(write(tmp_path, f"{n}.txt", f"words {n}"))
        assert [page.text for page in reading.pages()] == [f"words {n}"]
        assert reading._child is not None
        seen.add(reading._child.pid)
        reading.close()
    assert len(seen) == 1


def test_a_child_that_nobody_asks_any_more_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_IDLE_SECONDS", 0.3)
    first, second = (opened(write(tmp_path, f"{n}.txt", "words")) for n in range(2))
    kept: list[int] = []
    for reading in (first, second):
        assert reading._child is not None
        kept.append(reading._child.pid)
    first.close()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{kept[0]}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [Path(f"/proc/{pid}").exists() for pid in kept] == [False, True]  # the other one has a file open
    assert [page.text for page in second.pages()] == ["words"]
    second.close()
    while Path(f"/proc/{kept[1]}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{kept[1]}").exists()


def test_a_child_at_work_when_all_are_ended_reads_nothing_after(tmp_path: Path) -> None:
    reading = opened(write(tmp_path, "a.txt", "words"))
    assert reading._child is not None
    pid = reading._child.pid
    children.close_readers()
    assert [page.text for page in reading.pages()] == ["words"]  # its file is read to the end
    reading.close()
    with opened_child(tmp_path) as other:
        assert other != pid


def test_a_broken_file_does_not_cost_the_child(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"bad\.pdf cannot be read"):
        open_file(write(tmp_path, "bad.pdf", b"%PDF-1.7 nothing"))
    assert len(children.pool._idle) == 1
    assert opened(many(tmp_path)).about.kind == "pdf"


def test_a_killed_child_costs_a_page_and_no_more(tmp_path: Path) -> None:
    """The pages that were read stay, and the next child goes on after the one that was being read."""
    reading = opened(many(tmp_path, 300))
    pages: list[Page] = []
    for page in reading.pages():
        pages.append(page)
        if len(pages) == 10:
            assert reading._child is not None
            os.kill(reading._child.pid, signal.SIGKILL)
    assert [page.number for page in pages] == list(range(1, 301))
    empty = [page.number for page in pages if not page.text]
    assert len(empty) == 1
    assert f"page {empty[0]} of a.pdf ended its reader" in reading.problem
    assert opened(many(tmp_path)).render(1, 50).width == 50


def test_a_child_that_dies_again_and_again_ends_the_reading(tmp_path: Path) -> None:
    reading = opened(many(tmp_path, 2000))
    count = 0
    for _ in reading.pages():
        count += 1
        if reading._child is not None:
            reading._child._process.kill()
    assert 3 < count < 2000
    assert "was read up to page" in reading.problem


def test_a_picture_after_the_child_died(tmp_path: Path) -> None:
    reading = opened(many(tmp_path))
    assert reading._child is not None
    os.kill(reading._child.pid, signal.SIGKILL)
    with pytest.raises(ToolError, match="could not be rendered"):
        reading.render(1, 50)
    assert reading.render(1, 50).width == 50


def test_time_is_limited(tmp_path: Path) -> None:
    path = write(tmp_path, "slow.pdf", pdf([PdfPage().lines(60, 800, PROSE * 6) for _ in range(800)]))
    reading = opened(path, ReadLimits(seconds=2.0))
    pages = list(reading.pages())
    assert 0 < len(pages) < 800
    assert "the limit `seconds`" in reading.problem
    assert opened(many(tmp_path)).about.kind == "pdf"


def test_memory_is_limited(tmp_path: Path) -> None:
    path = write(tmp_path, "big.txt", b"words and more words\n\n" * 6_000_000)
    with pytest.raises(ToolError, match=r"big\.txt.*(memory|memory_mb)"):
        list(opened(path, ReadLimits(memory_mb=400)).pages())
    assert [page.text for page in opened(write(tmp_path, "a.txt", "fine"), ReadLimits(memory_mb=400)).pages()] == [
        "fine"
    ]


def test_several_threads_at_once(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"{n}.md", f"# Title {n}\n\nwords {n}") for n in range(12)]

    def read(path: Path) -> str:
        reading = opened(path)
        try:
            return next(iter(reading.pages())).text
        finally:
            reading.close()

    with ThreadPoolExecutor(4) as workers:
        assert list(workers.map(read, paths)) == [f"Title {n}\n\nwords {n}" for n in range(12)]
    assert len(children.pool._idle) <= 4


def test_a_child_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    path = many(tmp_path)
    found: list[IsolatedReading] = []
    thread = threading.Thread(target=lambda: found.append(opened(path)))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert len(list(found[0].pages())) == 3
    assert found[0].problem == ""


def test_children_end_with_their_parent(tmp_path: Path) -> None:
    path = many(tmp_path)
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom mainspring.library.read import open_file\n"
        f"reading = open_file(Path({str(path)!r}))\nprint(reading._child.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.kill()
    for _ in range(200):
        if not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]:
            return
        time.sleep(0.05)
    pytest.fail("the child still runs")


def test_without_a_sandbox_the_filter_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "sandbox_works", lambda: False)
    children.close_readers()
    reading = opened(many(tmp_path))
    assert len(list(reading.pages())) == 3
    assert reading.isolation in ("filter", "limits")
    reading.close()


def good() -> dict[str, object]:
    return page_message(Page(1, "words"))


@pytest.mark.parametrize(
    "change",
    [
        {"text": "a\0b"},
        {"text": "x" * 101},
        {"source": "elsewhere"},
        {"regions": [[0, 6, "text", None]]},
        {"regions": [[-1, 2, "text", None]]},
        {"regions": [[0, 2, "order", None]]},
        {"regions": [[0, 2, "text", [0, 0, float("nan"), 1]]]},
        {"regions": 3},
        {"number": "x"},
        {"number": 0},
        {"number": 10**30},
        {"line": 10**30},
        {"width": float("inf")},
        {"line": []},
    ],
)
def test_what_a_child_sends_is_checked(change: dict[str, object]) -> None:
    assert page_of_message(good(), 100).text == "words"
    with pytest.raises(Lost):
        page_of_message(good() | change, 100)


def test_a_frame_that_comes_byte_by_byte_has_no_more_time_than_another() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def drip() -> None:
            for byte in struct.pack(">II", 30, 0) + b"{" + b" " * 28 + b"}":
                theirs.send(bytes([byte]))
                time.sleep(0.05)

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(TimeoutError):
                receive(ours, 0.3)
        finally:
            thread.join()


def test_bytes_that_nobody_asked_for_are_not_taken() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(theirs, {"size": [1, 1]}, b"abc")
        assert receive(ours, 5.0, 3)[:2] == ({"size": [1, 1]}, b"abc")
        theirs.send(struct.pack(">II", 2, 1_000_000_000) + b"{}")
        with pytest.raises(Lost, match="too large"):
            receive(ours, 5.0, 0)


class Overtaken:
    """A child that a file has taken over: it sends pages and never stops."""

    isolation, files = "limits", 0

    def __init__(self, *, frames: int) -> None:
        self.frames, self.sent, self.killed = frames, 0, False

    def ask(self, message: dict[str, Any], *_: object) -> tuple[dict[str, Any], bytes]:
        if message["do"] == "open":
            return {"about": {"kind": "text", "title": "a", "extra": {}}, "problem": ""}, b""
        return self.next()

    def next(self, *_: object) -> tuple[dict[str, Any], bytes]:
        self.sent += 1
        if self.frames and self.sent % self.frames == 0:
            return {"done": False}, b""
        return {"page": page_message(Page(self.sent, "words"))}, b""

    def kill(self) -> None:
        self.killed = True


@pytest.mark.parametrize("frames", [0, 50], ids=["in one answer", "in many"])
def test_pages_without_end_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    child = Overtaken(frames=frames)
    monkeypatch.setattr(children.pool, "take", lambda *_: child)
    path = write(tmp_path, "a.txt", "words")
    reading = IsolatedReading("a.txt", os.open(path, os.O_RDONLY), "text", ReadLimits(pages=1_000))
    count = 0
    for _ in reading.pages():
        count += 1
        assert child.sent < 3_000
    assert count <= 1_300
    assert child.killed
    assert "was read up to page" in reading.problem
    reading.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser's files are copied")
def test_a_full_memory_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "a.txt", "words")
    path.chmod(0o600)
    os.chown(path, 1000, 1000)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "memfd_create", full)
    with pytest.raises(ToolError, match="No space left"):
        open_file(path)
