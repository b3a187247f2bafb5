"""`mainspring worker`: its agents, its lines, its errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_program import json_lines, mainspring

from mainspring import Agent, ScriptedModel

AGENTS = """
from mainspring import Agent, ScriptedModel, tool

@tool
def pay(to: str) -> str:
    return "paid " + to

clerk = Agent("clerk", model=ScriptedModel(["done"]), tools=[pay])
other = Agent("other", model=ScriptedModel(["done too"]))
"""


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    path = tmp_path / "agents.py"
    path.write_text(AGENTS)
    return path


def test_lines_for_people_and_for_programs(home: Path, agents: Path) -> None:
    run = Agent("other", model=ScriptedModel(["x"])).enqueue("x", home=home)
    done = mainspring("worker", "-a", agents, "--until-idle", home=home)
    assert done.stdout == ""
    assert f"rested {run.id} other done" in done.stderr
    run = Agent("clerk", model=ScriptedModel(["x"])).enqueue("x", home=home)
    lines = json_lines(mainspring("worker", "-a", agents, "--until-idle", "--json", home=home).stdout)
    assert [line["kind"] for line in lines] == [
        *("worker.started", "worker.taken", "worker.rested", "worker.stopped"),
    ]
    assert lines[2]["run_id"] == run.id


def test_a_run_is_left_to_a_worker(home: Path, agents: Path) -> None:
    put = mainspring("run", "x", "-a", f"{agents}:clerk", "--detach", "--queue", "night", "--allow", "pay", home=home)
    run_id = put.stdout.strip()
    assert "mainspring worker --agent" in put.stderr
    assert "waiting" in mainspring("runs", "show", run_id, home=home).stdout
    lines = json_lines(mainspring("worker", "-a", agents, "--until-idle", "--json", home=home).stdout)
    assert [(x["kind"], x["status"]) for x in lines if x.get("run_id")] == [
        *(("worker.taken", "waiting"), ("worker.rested", "done")),
    ]
    said = mainspring("run", "x", "-a", f"{agents}:clerk", "-d", "--json", "--priority", "2", home=home)
    assert json_lines(said.stdout)[0] | {"run_id": ""} == {"kind": "queued", "run_id": "", "queue": "", "priority": 2}
    assert "--detach needs --agent" in mainspring("run", "x", "--detach", home=home, expect=2).stderr
    assert "belong to --detach" in mainspring("run", "x", "--queue", "q", home=home, expect=2).stderr


def test_a_file_with_a_name_leaves_that_agent_out_of_nothing(home: Path, agents: Path) -> None:
    lines = json_lines(mainspring("worker", "-a", f"{agents}:other", "--until-idle", "--json", home=home).stdout)
    assert "runs of other, clerk" in lines[0]["text"]  # the named one first; those beside it may be its sub-agents


def test_two_agents_of_one_name(home: Path, agents: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.py"
    again.write_text(AGENTS)
    refused = mainspring("worker", "-a", agents, "-a", again, home=home, expect=1).stderr
    assert "two agents are called 'clerk'" in refused
    assert "missing option '--agent'" in mainspring("worker", home=home, expect=2).stderr
    (tmp_path / "empty.py").write_text("")
    assert "declares no Agent" in mainspring("worker", "-a", tmp_path / "empty.py", home=home, expect=1).stderr


def test_what_the_person_changed_holds_in_a_worker_too(home: Path, agents: Path) -> None:
    """A run that was started with options goes on with them, as `mainspring runs resume` does."""
    from mainspring.cli import origin
    from mainspring.cli.worker import load_agents
    from mainspring.guard import Policy

    found, declare = load_agents([str(agents)])
    clerk = next(a for a in found if a.name == "clerk")
    assert declare(clerk, clerk.origin or "") is clerk
    changed = declare(clerk, origin.Origin(str(agents), "clerk", options={"allow": "pay"}).encode())
    assert changed is not clerk
    assert isinstance(changed.policy, Policy)
    assert clerk.policy is None
    from mainspring.agent import declared

    assert declared["clerk"] is clerk


def test_a_run_is_moved_to_another_home(home: Path, agents: Path, tmp_path: Path) -> None:
    run = Agent("other", model=ScriptedModel(["x"])).enqueue("x", home=home)
    there = tmp_path / "there"
    assert json_lines(mainspring("runs", "move", run.id, "--to", there, "--json", home=home).stdout) == [
        {"run_id": run.id, "moved": str(there)}
    ]
    mainspring("worker", "-a", agents, "--until-idle", home=there)
    assert "done too" in mainspring("runs", "show", run.id, home=there).stdout
    assert "moved to" in mainspring("runs", "show", run.id, home=home).stdout
    assert "is cancelled" in mainspring("runs", "move", run.id, "--to", there, home=home, expect=1).stderr


def test_traces_go_to_the_collector_that_the_usual_variable_names(home: Path, agents: Path) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    got: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        run = Agent("other", model=ScriptedModel(["x"])).enqueue("x", home=home)
        where = f"http://127.0.0.1:{server.server_port}"
        more = {"OTEL_EXPORTER_OTLP_ENDPOINT": where, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
        mainspring("worker", "-a", agents, "--until-idle", home=home, **more)
        server.shutdown()
    assert {path for path, _ in got} == {"/v1/traces"}
    assert any(run.id.encode() in body and b"invoke_agent other" in body for _, body in got)
