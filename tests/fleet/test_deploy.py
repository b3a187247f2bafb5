"""What can be checked of the files in deploy/ without the systems that they are for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "mainspring"
TEMPLATES = sorted((CHART / "templates").iterdir())


def check_command(words: list[str]) -> None:
    """Each option that a file names exists: the command fails only at the agents' file."""
    words = [w.replace("/etc/mainspring", "/nowhere") for w in words]
    program = [sys.executable, "-m", "mainspring.cli", *words]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert "no agent file at /nowhere/agents.py" in done.stderr, words
    assert done.returncode == 1


def test_the_systemd_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "mainspring.service").read_text()
    command = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    program, *words = command.removeprefix("ExecStart=").split()
    assert program.endswith("/mainspring")
    check_command([*words, "--port", "0"])
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: the unit's own words were not checked")
    unit = tmp_path / "mainspring.service"
    unit.write_text(text.replace(program, "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    unit.write_text(text.replace(program, "/bin/true").replace("TimeoutStopSec=60", "TimeoutStopSec=soon"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "Failed to parse" in done.stderr  # it does look


def test_the_compose_file_names_commands_that_exist() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert set(compose["services"]) == {"postgres", "serve", "worker"}
    for name in ("serve", "worker"):
        service = compose["services"][name]
        check_command(service["command"] + (["--port", "0"] if name == "serve" else []))
        assert service["depends_on"]["postgres"]["condition"] == "service_healthy"
        assert int(service["stop_grace_period"].removesuffix("s")) > 30
    assert all(port.startswith("127.0.0.1:") for port in compose["services"]["serve"]["ports"])


def test_the_container_file_starts_what_exists() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    command = re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)
    assert command is not None
    check_command([*yaml.safe_load(command.group(1)), "--port", "0"])
    assert re.search(r"^USER 10001$", text, re.MULTILINE)


def value(values: Any, path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values


def test_the_charts_templates_name_values_and_templates_that_exist() -> None:
    """No rendering, which needs Helm: references, blocks and definitions."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["apiVersion"] == "v2"
    whole = {path.name: path.read_text() for path in TEMPLATES}
    defined = {name for text in whole.values() for name in re.findall(r'define "([^"]+)"', text)}
    for name, text in whole.items():
        for path in re.findall(r"\.Values\.([A-Za-z.]+)", text):
            value(values, path)
        assert set(re.findall(r'include "([^"]+)"', text)) <= defined, name
        opened = len(re.findall(r"\{\{-? *(?:if|range|with|define)\b", text))
        assert opened == len(re.findall(r"\{\{-? *end\b", text)), name
        assert text.count("{{") == text.count("}}"), name
    with pytest.raises(KeyError):
        value(values, "worker.replica")  # the check would see it


def test_the_charts_grace_is_long_enough() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["terminationGracePeriodSeconds"] > 30 + values["preStopSeconds"]


def test_the_chart_as_helm_renders_it() -> None:
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("helm is not installed: the chart was not rendered")
    command = [helm, "template", "trial", str(CHART), "--set", "worker.queues={night}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    made = {(d["kind"], d["metadata"]["name"]): d for d in yaml.safe_load_all(done.stdout) if d}
    assert set(made) == {("Deployment", "trial-worker"), ("Deployment", "trial-serve"), ("Service", "trial-serve")}
    (container,) = made["Deployment", "trial-worker"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][-3:] == ["--queue", "night", "--json"]
