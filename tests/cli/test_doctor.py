"""`mainspring doctor` and `models`: what is there, what is missing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from cli_program import json_lines, mainspring

from mainspring.cli import doctor_library

CLERK = Path(__file__).with_name("clerk.py")
SECRET = "sk-not-to-be-shown"


def test_the_doctor_names_every_part_and_no_secret(tmp_path: Path) -> None:
    done = mainspring("doctor", "--json", home=tmp_path, expect=None, SOME_API_KEY=SECRET)
    checks = {check["name"]: check for check in json_lines(done.stdout)}
    assert {"python", "home", "journal", "disk", "sandbox", "local engine", "provider keys", "uv"} <= set(checks)
    assert "SOME_API_KEY" in checks["provider keys"]["found"]
    assert done.returncode == (0 if all(c["ok"] for c in checks.values() if c["needed"]) else 1)
    assert all(check["ok"] or check["fix"] for check in checks.values())
    told = mainspring("doctor", home=tmp_path, expect=done.returncode, SOME_API_KEY=SECRET)
    assert SECRET not in done.stdout + done.stderr + told.stdout + told.stderr
    for check in checks.values():
        assert f"{check['name']}: " in told.stdout


def test_a_home_that_cannot_be_used_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = mainspring("doctor", "--json", home=tmp_path / "file" / "home", expect=1)
    checks = {check["name"]: check for check in json_lines(done.stdout)}
    assert not checks["home"]["ok"]
    assert "uv" in checks  # the rest is looked at all the same


def test_a_changed_journal_is_found(tmp_path: Path) -> None:
    mainspring("run", "Look", "-q", "-a", f"{CLERK}:reader", home=tmp_path)
    with sqlite3.connect(tmp_path / "journal.db") as database:
        database.execute("UPDATE events SET payload=replace(payload, 'Look', 'Leak') WHERE seq=1")
    done = mainspring("doctor", "--json", home=tmp_path, expect=1)
    [journal] = [check for check in json_lines(done.stdout) if check["name"] == "journal"]
    assert not journal["ok"]
    assert "event 1" in journal["found"]


def checked(home: Path, **more: str) -> dict[str, dict[str, object]]:
    done = mainspring("doctor", "--json", home=home, expect=None, **more)
    return {str(check["name"]): check for check in json_lines(done.stdout)}


def test_what_guards_runs_is_looked_at(tmp_path: Path) -> None:
    mainspring("run", "Look", "-q", "-a", f"{CLERK}:reader", home=tmp_path)
    found = checked(tmp_path)
    assert found["configuration"]["ok"]
    assert "ed25519:" in str(found["audit key"]["found"])
    assert found["pins"]["found"] == "nothing is pinned"
    assert {f"sandbox: {what}" for what in ("system calls", "namespaces", "control groups")} <= set(found)
    assert ("sandbox: granted hosts" in found) == found["sandbox"]["ok"]


def test_a_configuration_that_no_run_could_use_is_found(tmp_path: Path) -> None:
    (tmp_path / "mainspring.toml").write_text('[policy]\nfile = "own.cedar"\n[tools.pay]\nauthority = ["to"]\n')
    (tmp_path / "own.cedar").write_text("permit(principal, action, resource) when { nonsense };\n")
    found = checked(tmp_path)
    assert "mainspring.toml: 1 tools, 0 MCP servers, 0 people" in str(found["configuration"]["found"])
    assert not found["policy"]["ok"]
    assert "own.cedar" in str(found["policy"]["found"])
    (tmp_path / "own.cedar").write_text("permit(principal, action, resource);\n")
    assert checked(tmp_path)["policy"]["found"] == "own.cedar: every rule is understood"
    (tmp_path / "mainspring.toml").write_text("[tols]\n")
    broken = checked(tmp_path)["configuration"]
    assert not broken["ok"]
    assert broken["needed"]
    assert "tols" in str(broken["found"])


def test_a_signing_key_that_others_can_read_is_found(tmp_path: Path) -> None:
    mainspring("run", "Look", "-q", "-a", f"{CLERK}:reader", home=tmp_path)
    key = tmp_path / "keys" / "audit.key"
    key.chmod(0o644)
    found = checked(tmp_path)["audit key"]
    assert not found["ok"]
    assert "mode 644" in str(found["found"])
    assert found["fix"] == f"chmod go= {key}"


def test_pins_with_changes_are_found(tmp_path: Path) -> None:
    orders = tmp_path / "AGENTS.md"
    orders.write_text("Be kind.\n")
    shown = mainspring("pins", "diff", orders, "--json", home=tmp_path, expect=1)
    [state] = json_lines(shown.stdout)
    mainspring("pins", "approve", orders, "--digest", str(state["digest"]), home=tmp_path)
    assert checked(tmp_path)["pins"]["ok"]
    orders.write_text("Be cruel.\n")
    changed = checked(tmp_path)["pins"]
    assert not changed["ok"]
    assert not changed["needed"]
    assert f"instructions {orders} has changed" in str(changed["found"])


def test_the_models(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    listed = mainspring("models", home=tmp_path, MAINSPRING_CACHE=cache).stdout
    assert "local:0.5b" in listed
    lines = json_lines(mainspring("models", "list", "--json", home=tmp_path, MAINSPRING_CACHE=cache).stdout)
    local = [line for line in lines if "cached" in line]
    assert {line["name"] for line in local} == {"local:0.5b", "local:1.5b", "e5"}
    assert not any(line["cached"] for line in local)
    assert sum(line["default"] for line in local) == 1
    wrong = mainspring("models", "fetch", "local:9b", home=tmp_path, expect=1, MAINSPRING_CACHE=cache)
    assert "there is no local model '9b'" in wrong.stderr


def test_what_the_library_needs_is_looked_at(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    found = checked(tmp_path, MAINSPRING_CACHE=str(tmp_path / "cache"))
    assert found["library"]["ok"]
    assert found["library: OCR"]["ok"]
    encoder = found["library: encoder"]
    assert (encoder["ok"], encoder["needed"], encoder["fix"]) == (False, False, "mainspring models fetch e5")


def test_the_doctor_knows_what_the_extra_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_library, "find_spec", lambda name: None if name == "av" else True)
    (found,) = doctor_library.library()
    assert (found.ok, found.needed, found.found) == (False, False, "without av")
    assert "mainspring[library]" in found.fix
