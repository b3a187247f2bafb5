"""The tool that shows a model a map."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring import Agent, ScriptedModel
from mainspring.code.repomap import repo_map_tool
from mainspring.messages import ToolCallPart, assistant
from mainspring.tools.provenance import WORKSPACE


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "basket.py").write_text("class Basket:\n    def total(self):\n        return 0\n")
    (root / "mailer.py").write_text("def send_letter(address):\n    return address\n")
    return root


def _ask(shop: Path, **arguments: object) -> str:
    model = ScriptedModel([assistant("", ToolCallPart("c1", "repo_map", arguments)), "done"])
    run = Agent("a", model=model, tools=[repo_map_tool()]).run_sync("look", workspace=shop)
    assert run.status == "done"
    (done,) = [event.payload for event in run.events() if event.kind in ("effect.done", "effect.failed")]
    return str(done)


def test_a_model_sees_the_files_and_their_signatures(shop: Path) -> None:
    said = _ask(shop, about="who sends the letter")
    assert said.index("mailer.py") < said.index("basket.py")
    assert "def send_letter(address)" in said


def test_open_files_are_left_out(shop: Path) -> None:
    said = _ask(shop, open_files=["mailer.py"])
    assert "basket.py" in said
    assert "mailer.py" not in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"tokens": 100_000}, "200 to 8000"),
        ({"tokens": 0}, "200 to 8000"),
        ({"about": "x" * 30_000}, "30,000 characters"),
        ({"open_files": ["../../etc/passwd"]}, "outside"),
        ({"open_files": ["a.py"] * 60}, "60 paths"),
    ],
)
def test_what_cannot_be_answered_is_told(shop: Path, arguments: dict[str, object], told: str) -> None:
    assert told in _ask(shop, **arguments)


def test_a_folder_without_source_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no source files" in _ask(tmp_path / "empty")


def test_the_tool_only_reads_and_what_it_shows_is_the_workspaces() -> None:
    tool = repo_map_tool()
    assert (tool.name, tool.effect, tool.label) == ("repo_map", "read", WORKSPACE)
    assert not tool.authority
