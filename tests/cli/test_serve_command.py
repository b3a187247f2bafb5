"""`mainspring serve` as a process: HTTP, and how it stops."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from cli_program import COMMAND, environment, json_lines, mainspring

AGENTS = """
from mainspring import Agent, ScriptedModel
clerk = Agent("clerk", model=ScriptedModel(["done"]))
"""


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    path = tmp_path / "agents.py"
    path.write_text(AGENTS)
    return path


def get(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.slow
def test_serve(home: Path, agents: Path, tmp_path: Path) -> None:
    program = [*COMMAND, "serve", "-a", str(agents), "--port", "0", "--json"]
    with open(tmp_path / "out", "wb") as out:
        process = subprocess.Popen(program, stdout=out, env=environment(home))
    try:
        end = time.monotonic() + 30
        while b"\n" not in (tmp_path / "out").read_bytes():
            assert time.monotonic() < end
            time.sleep(0.02)
        first = json.loads((tmp_path / "out").read_text().splitlines()[0])
        address = "http://" + first["text"].rpartition("http://")[2]
        assert address.startswith("http://127.0.0.1:")
        assert get(address + "/healthz") == (200, "ok\n")
        status, body = get(address + "/readyz")
        assert (status, json.loads(body)) == (200, {"ready": True, "runs": 0, "held": None})
        assert get(address + "/nothing")[0] == 404
        put = mainspring("worker", "-a", agents, "--until-idle", "--json", home=home)
        assert json_lines(put.stdout)[0]["kind"] == "worker.started"
        from mainspring import Agent, Run, ScriptedModel

        run = Agent("clerk", model=ScriptedModel(["done"])).enqueue("x", home=home)
        while Run.load(run.id, home).status != "done":
            assert time.monotonic() < end + 30
            time.sleep(0.02)
        _, page = get(address + "/metrics")
        assert 'mainspring_runs_ended_total{agent="clerk",status="done"} 1.0' in page
        assert "mainspring_worker_places 64.0" in page
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(30)
    assert json_lines((tmp_path / "out").read_text())[-1]["kind"] == "worker.stopped"


def test_it_does_not_listen_for_other_machines_unasked(home: Path, agents: Path) -> None:
    refused = mainspring("serve", "-a", agents, "--host", "0.0.0.0", home=home, expect=1).stderr
    assert "can be reached from other machines" in refused
    assert "--public" in refused


def test_a_port_that_is_taken(home: Path, agents: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port}" in mainspring("serve", "-a", agents, "--port", port, home=home, expect=1).stderr
