"""DBOS on a real PostgreSQL as the dispatcher; the journal is ours all the same."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from fleet_agents import clerk, dawdler
from worker_processes import all_ended, ledger, until, worker_environment

from mainspring.fleet.on_dbos import DBOSDispatcher
from mainspring.fleet.worker import Worker
from mainspring.store import open_store
from postgres_server import NoPostgres, PostgresServer, shared_server

PROGRAM = Path(__file__).with_name("dbos_worker.py")


@pytest.fixture(scope="module")
def server() -> PostgresServer:
    try:
        return shared_server()
    except NoPostgres as error:
        pytest.skip(str(error))


def start(home: Path, effects: Path, url: str) -> subprocess.Popen[bytes]:
    with open(effects / "dbos.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, str(PROGRAM), str(home), url],
            env=worker_environment(home, effects),
            stdout=log,
            stderr=log,
        )


@pytest.mark.slow
def test_a_worker_dies_and_another_finishes_with_each_effect_once(
    home: Path, tmp_path: Path, server: PostgresServer
) -> None:
    effects = tmp_path / "effects"
    effects.mkdir()
    url = server.create_database()
    slow = dawdler.enqueue("take your time", home=home)
    first = start(home, effects, url)
    second = None
    try:
        until(lambda: (effects / "dawdling").exists(), "the slow step")
        runs = [clerk.enqueue(f"task {n}", home=home) for n in range(10)]
        second = start(home, effects, url)
        first.kill()  # in the middle of a workflow, with the run's lease
        first.wait(30)
        (effects / "enough").touch()
        until(lambda: all_ended([slow, *runs]), "the end of all runs")
        second.terminate()
        assert second.wait(60) == 0
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.wait(30)
    assert {r.status for r in (slow, *runs)} == {"done"}, (effects / "dbos.log").read_text()
    paid = Counter(ledger(effects))
    assert (len(paid), max(paid.values())) == (22, 1)


def test_each_wake_up_is_one_workflow_and_a_lost_one_is_asked_for_again(home: Path) -> None:
    now, asked = [0.0], list[str]()
    run = clerk.enqueue("x", home=home)
    store = open_store(home)
    worker = Worker(store, [clerk])
    dispatcher = DBOSDispatcher("", monotonic=lambda: now[0])

    def feed() -> list[str]:
        asked.clear()
        dispatcher._feed(worker, lambda run_id, workflow_id: asked.append(workflow_id))
        return list(asked)

    epoch = store.row(run.id).epoch
    assert feed() == [f"{run.id}:{epoch}:0"]
    assert feed() == []  # it is on its way
    now[0] = 5.0
    assert feed() == [f"{run.id}:{epoch}:1"]  # whoever took the workflow died before it took the run
    now[0] = 10.0
    assert feed() == []
    lease = store.acquire(run.id)
    assert feed() == []
    store.release(lease)
    assert feed() == [f"{run.id}:{epoch + 1}:0"]  # another stretch, another workflow
    store.acquire(run.id)
    assert feed() == []
