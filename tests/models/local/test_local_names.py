"""From names to models, and settings that a local model refuses; nothing here starts an engine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mainspring.errors import ModelError
from mainspring.messages import user
from mainspring.model import Model, ModelSettings, ToolSpec
from mainspring.models.local.doctor import status
from mainspring.models.local.engine import default_threads
from mainspring.models.local.names import resolve_local

TOOL = ToolSpec("stop", "End.", {"type": "object", "properties": {}})


def test_the_default_is_the_one_that_mends_bugs() -> None:
    assert resolve_local("local").name == "local:1.5b"
    assert resolve_local("local:0.5B").name == "local:0.5b"
    assert isinstance(resolve_local("local"), Model)


@pytest.mark.parametrize("name", ["openai:gpt", "local:7b", "local:hf/org/m.gguf", "local:file.bin"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match=name.removeprefix("local:")):
        resolve_local(name)


def test_a_path_is_not_looked_at_before_the_first_call(tmp_path: Path) -> None:
    model = resolve_local(f"local:{tmp_path}/m.gguf")
    with pytest.raises(ModelError, match="there is no file"):
        asyncio.run(model.respond([user("hi")], [], ModelSettings()))
    (tmp_path / "m.gguf").mkdir()
    with pytest.raises(ModelError, match="is a folder"):
        asyncio.run(model.respond([user("hi")], [], ModelSettings()))
    (tmp_path / "m.gguf").rmdir()
    (tmp_path / "m.gguf").write_bytes(b"hello")
    with pytest.raises(ModelError, match="not a GGUF file") as caught:
        asyncio.run(model.respond([user("hi")], [], ModelSettings()))
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("settings", "tools", "words"),
    [
        (ModelSettings(extra={"top_q": 1}), [], "top_q"),
        (ModelSettings(extra={"stop": "x"}), [], "give a list"),
        (ModelSettings(extra={"stop": [""]}), [], "give a list"),
        (ModelSettings(extra={"prefill": 3}), [], "give a text"),
        (ModelSettings(extra={"prefill": "x"}), [TOOL], "works only for free text"),
    ],
)
def test_wrong_settings_are_named(settings: ModelSettings, tools: list[ToolSpec], words: str) -> None:
    model = resolve_local("local:/nowhere.gguf")
    with pytest.raises(ModelError, match=words):
        asyncio.run(model.respond([user("hi")], tools, settings))


def test_wrong_numbers_in_the_environment_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_LOCAL_CONTEXT", "lots")
    with pytest.raises(ModelError, match="MAINSPRING_LOCAL_CONTEXT is 'lots'"):
        resolve_local("local")
    monkeypatch.setenv("MAINSPRING_LOCAL_CONTEXT", "8192")
    assert resolve_local("local").context_window == 8192
    monkeypatch.setenv("MAINSPRING_LOCAL_THREADS", "0")
    with pytest.raises(ModelError, match="MAINSPRING_LOCAL_THREADS is '0'"):
        default_threads()
    monkeypatch.setenv("MAINSPRING_LOCAL_THREADS", "3")
    assert default_threads() == 3


def test_doctor_says_what_is_here_and_what_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_CACHE", str(tmp_path))
    findings = {name: (ok, detail, fix) for name, ok, detail, fix in status()}
    assert findings["local engine"][0]
    assert "not here yet" in findings["weights local:1.5b"][1]
    assert str(tmp_path) in findings["model cache"][1]
    monkeypatch.setenv("MAINSPRING_LOCAL_THREADS", "none")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MAINSPRING_CACHE", str(tmp_path / "file" / "cache"))
    findings = {name: (ok, detail, fix) for name, ok, detail, fix in status()}
    assert not findings["local threads"][0]
    assert findings["local threads"][2]
    assert not findings["model cache"][0]
    assert "MAINSPRING_CACHE" in findings["model cache"][2]
