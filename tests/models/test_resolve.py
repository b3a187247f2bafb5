"""Models by name: what resolves, and what the errors tell a person to do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mainspring.errors import ModelError
from mainspring.model import Model, model_name
from mainspring.models import resolve
from mainspring.models.compatible import credentials, parse

KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "MAINSPRING_KEY_127_0_0_1")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)


def test_the_package_loads_no_provider() -> None:
    code = (
        "import sys, mainspring.models, mainspring.langchain\n"
        "print([m for m in ('pydantic_ai', 'pydantic', 'openai', 'anthropic', 'langchain_core') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "provider", "model", "url"),
    [
        ("openai:gpt-5", "openai", "gpt-5", None),
        ("bedrock:us.anthropic.claude:0", "bedrock", "us.anthropic.claude:0", None),
        ("openai:qwen3:8b@http://localhost:11434/v1", "openai", "qwen3:8b", "http://localhost:11434/v1"),
        ("google-cloud:claude@20250101", "google-cloud", "claude@20250101", None),
        ("https://host/v1/#org/model", "", "org/model", "https://host/v1"),
        ("anthropic:claude-x@HTTP://127.0.0.1:9", "anthropic", "claude-x", "HTTP://127.0.0.1:9"),
    ],
)
def test_names(name: str, provider: str, model: str, url: str | None) -> None:
    address = parse(name)
    assert (address.provider, address.model, address.url) == (provider, model, url)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is no model name"),
        ("scripted", "names no provider"),
        ("claude-opus-4-8", "did you mean 'anthropic:claude-opus-4-8'"),
        ("opnai:gpt-5", "did you mean 'openai:gpt-5'"),
        ("zzzzzzzz:x", "'zzzzzzzz' is unknown"),
        ("openai:gpt-5", "set the environment variable OPENAI_API_KEY"),
        ("anthropic:claude-sonnet-4-5", "set the environment variable ANTHROPIC_API_KEY"),
        ("http://127.0.0.1:8000/v1", "'http://host:port/v1#MODEL'"),
        ("openai:@http://127.0.0.1:8000/v1", "has an address but no model"),
        ("groq:m@http://127.0.0.1:8000/v1", "write 'openai:MODEL@URL'"),
        ("http://[::1/v1#m", "is no address"),
        ("http://127.0.0.1:99999999/v1#m", "is no address"),
    ],
)
def test_errors_say_what_to_do(name: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(name)
    assert said in str(caught.value)
    assert not caught.value.retryable


def test_a_missing_package_names_the_extra() -> None:
    # Neither extra is a dependency of Mainspring itself.
    for provider in ("google", "mistral"):
        with pytest.raises(ModelError) as caught:
            resolve(f"{provider}:some-model")
        assert f"pip install 'mainspring[{provider}]'" in str(caught.value)


def test_a_key_in_an_address_is_refused_and_not_repeated() -> None:
    for name in ("openai:m@https://user:hunter2@gw.example.com/v1", "https://gw.example.com/v1?key=hunter2#m"):
        with pytest.raises(ModelError) as caught:
            resolve(name)
        assert "MAINSPRING_KEY_GW_EXAMPLE_COM" in str(caught.value)
        assert "hunter2" not in str(caught.value)


def test_a_resolved_model_is_kept_and_named_as_asked() -> None:
    name = "openai:some-model@http://127.0.0.1:9/v1"
    model = resolve(name)
    assert resolve(name) is model
    assert isinstance(model, Model)
    assert model_name(model) == name
    assert model.context_window == 128_000  # type: ignore[attr-defined]


def test_a_failed_name_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError):
        resolve("anthropic:claude-haiku-4-5")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "dummy")
    model = resolve("anthropic:claude-haiku-4-5")
    assert model.context_window == 200_000  # type: ignore[attr-defined]
    assert "image/" in model.takes  # type: ignore[attr-defined]
    assert model.thinks  # type: ignore[attr-defined]


def test_where_a_refused_key_comes_from() -> None:
    assert credentials("openai") == "the environment variable OPENAI_API_KEY"
    assert "AWS" in credentials("bedrock")
    assert credentials("", "http://gw.local:1/v1") == "the environment variable MAINSPRING_KEY_GW_LOCAL"
