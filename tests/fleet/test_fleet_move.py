"""A run that moves to another journal is executed in one of them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, Run, ScriptedModel
from mainspring.errors import RunBusyError, StoreError
from mainspring.fleet import Worker
from mainspring.fleet.move import move
from mainspring.store import SQLiteStore, Store, open_store

AGENT = Agent("a", model=ScriptedModel(["done"]))


def work(store: Store) -> None:
    asyncio.run(asyncio.wait_for(Worker(store, [AGENT], poll_s=0.01).run(until_idle=True), 30))


def test_a_run_goes_on_in_the_other_journal_only(home: Path, tmp_path: Path) -> None:
    run = AGENT.enqueue("x", home=home)
    here, there = open_store(home), open_store(tmp_path / "fleet")
    move(here, run.id, there, "the fleet")
    assert (run.status, run.reason) == ("cancelled", "moved to the fleet; it goes on there")
    assert here.ready(time.time()) == []
    work(here)
    work(there)
    moved = Run(run.id, there)
    assert (moved.status, moved.output) == ("done", "done")
    assert run.verify()
    assert moved.verify()
    with pytest.raises(StoreError, match="is cancelled"):
        move(here, run.id, there, "the fleet")


@pytest.mark.parametrize(("method", "status"), [("append", "waiting"), ("keep", "cancelled"), ("post", "cancelled")])
def test_a_move_that_was_cut_off_is_executable_in_one_place_and_can_be_finished(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, status: str
) -> None:
    run = AGENT.enqueue("x", home=home)
    here, there = open_store(home), open_store(tmp_path / "fleet")

    def full(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(SQLiteStore, method, full)
        with pytest.raises(StoreError, match="disk is full"):
            move(here, run.id, there, "the fleet")
    work(there)
    assert Run(run.id, there).status == "waiting"  # it is there, and nobody takes it up
    assert run.status == status
    move(here, run.id, there, "the fleet")
    work(there)
    assert (run.status, Run(run.id, there).status) == ("cancelled", "done")


def test_what_is_executed_is_not_moved(home: Path, tmp_path: Path) -> None:
    run = AGENT.enqueue("x", home=home)
    here, there = open_store(home), open_store(tmp_path / "fleet")
    lease = here.acquire(run.id)
    with pytest.raises(RunBusyError):
        move(here, run.id, there, "the fleet")
    here.release(lease)
    assert there.rows() == []
