"""The real 0.5B model in its real process. The first test of all fetches 491 MB when they are not cached."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from mainspring.errors import ModelError
from mainspring.messages import Message, TextPart, ThinkingPart, ToolResultPart, system, user
from mainspring.model import Delta, ModelSettings, ToolSpec
from mainspring.models.local.carriers import SMALL, fetch
from mainspring.models.local.engine import Engine, EngineConfig, default_threads
from mainspring.models.local.model import LocalModel
from mainspring.models.local.names import resolve_local
from mainspring.models.local.progress import Progress

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FORECAST = ToolSpec(
    "forecast",
    "The weather of a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
        "required": ["city", "days"],
    },
)
ROUTE = ToolSpec(
    "route",
    "The way from one city to another.",
    {
        "type": "object",
        "properties": {"start": {"$ref": "#/$defs/City"}, "by": {"enum": ["train", "car"]}},
        "required": ["start", "by"],
        "$defs": {"City": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
    },
)


@pytest.fixture(scope="module")
def model() -> LocalModel:
    return resolve_local("local:0.5b")


def ask(model: LocalModel, messages: list[Message], tools: list[ToolSpec], settings: ModelSettings) -> Message:
    return asyncio.run(model.respond(messages, tools, settings))


def test_free_text_streams_and_is_counted(model: LocalModel) -> None:
    pieces: list[Delta] = []
    answer = ask(model, [user("What is the capital of France?")], [], ModelSettings(on_delta=pieces.append))
    assert "Paris" in answer.text
    assert "".join(piece.text for piece in pieces) == answer.text
    assert len(pieces) > 1
    assert answer.usage is not None
    assert answer.usage.usd == 0.0
    assert answer.usage.input_tokens > 20
    assert answer.usage.output_tokens >= 2
    assert (answer.model, answer.finish) == ("local:0.5b", "stop")


def test_a_call_satisfies_its_tools_schema(model: LocalModel) -> None:
    question = [system("Use a tool."), user("How will the weather be in Oslo for the next 3 days?")]
    answer = ask(model, question, [FORECAST, ROUTE], ModelSettings(extra={"tool_choice": "required"}))
    (call,) = answer.tool_calls
    assert call.invalid is None
    assert call.name == "forecast"
    assert "Oslo" in call.arguments["city"]
    assert call.arguments["days"] in range(1, 8)
    assert answer.finish == "tool_calls"


def test_a_schema_with_references_holds_too(model: LocalModel) -> None:
    answer = ask(model, [user("I drive from Rome.")], [ROUTE], ModelSettings(extra={"tool_choice": "required"}))
    (call,) = answer.tool_calls
    assert isinstance(call.arguments["start"]["name"], str)
    assert call.arguments["by"] in ("train", "car")


def test_facts_are_looked_up_before_they_are_told(model: LocalModel) -> None:
    answer = ask(model, [user("Shall I take an umbrella to Bergen?")], [FORECAST], ModelSettings())
    assert answer.tool_calls[0].name == "forecast"


def test_after_a_result_the_answer_is_text(model: LocalModel) -> None:
    question = [system("Answer in one short sentence."), user("How is the weather in Oslo today?")]
    call = ask(model, question, [FORECAST], ModelSettings(extra={"tool_choice": "required"}))
    result = ToolResultPart(call.tool_calls[0].id, "forecast", (TextPart("sunny, 21 degrees"),))
    answer = ask(model, [*question, call, Message("tool", (result,))], [FORECAST], ModelSettings())
    assert "sunny" in answer.text.lower()
    assert answer.finish == "stop"


def test_a_schema_binds_the_answer(model: LocalModel) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "inhabitants": {"type": "integer"}},
        "required": ["city", "inhabitants"],
    }
    value = json.loads(ask(model, [user("Name a large city.")], [], ModelSettings(output_schema=schema)).text)
    assert isinstance(value["city"], str)
    assert isinstance(value["inhabitants"], int)


def test_effort_buys_a_thought(model: LocalModel) -> None:
    answer = ask(model, [user("Weather in Oslo for 2 days?")], [FORECAST], ModelSettings(effort="high"))
    assert isinstance(answer.parts[0], ThinkingPart)


def test_prefill_and_stop_give_one_block_of_code(model: LocalModel) -> None:
    settings = ModelSettings(extra={"prefill": "```python\ndef add(a, b):\n", "stop": ["```"]})
    answer = ask(model, [user("Write a Python function add(a, b).")], [], settings)
    namespace: dict[str, object] = {}
    exec("def add(a, b):\n" + answer.text, namespace)
    assert "```" not in answer.text
    assert callable(namespace["add"])


def test_an_answer_cut_short_says_so(model: LocalModel) -> None:
    question = [user("Write a poem of twenty lines about the sea.")]
    answer = ask(model, question, [], ModelSettings(max_output_tokens=6))
    assert (answer.finish, bool(answer.text)) == ("length", True)
    assert answer.usage is not None
    assert answer.usage.output_tokens == 6
    settings = ModelSettings(max_output_tokens=6, extra={"tool_choice": "required"})
    half = ask(model, question, [FORECAST], settings)
    assert half.finish == "length"
    assert half.tool_calls[0].invalid == '{"tool": "forecast", "'[: len(half.tool_calls[0].invalid or "")]


def test_the_same_question_has_the_same_answer(model: LocalModel) -> None:
    settings = ModelSettings(max_output_tokens=20, seed=7, temperature=0.0)
    texts = {ask(model, [user("Tell me something.")], [], settings).text for _ in range(2)}
    assert len(texts) == 1


def test_a_growing_conversation_is_read_once(model: LocalModel) -> None:
    source = Path(textwrap.__file__).read_text()[:3000]
    talk = [system("You are a careful programmer."), user(f"Look at this file:\n{source}")]
    settings = ModelSettings(max_output_tokens=40)
    talk.append(ask(model, talk, [FORECAST, ROUTE], settings))
    for question in ("What is its first function?", "And its last?"):
        talk.append(user(question))
        answer = ask(model, talk, [FORECAST, ROUTE], settings)
        assert answer.usage is not None
        assert answer.usage.cache_read_tokens / answer.usage.input_tokens > 0.9
        talk.append(answer)


def test_a_watcher_sees_the_engine_load_and_read(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(Progress, "listener", lambda title, done, total: seen.append(title))
    fresh = resolve_local("local:0.5b", context=4096)
    ask(fresh, [user("Read this. " * 200)], [], ModelSettings(max_output_tokens=2))
    assert seen[0] == "Loading local:0.5b"
    read = [int(line.split(" has read ")[1].split(" of ")[0].replace(",", "")) for line in seen[1:]]
    assert read == sorted(read)
    assert len(read) >= 2
    assert read[-1] > 600


def test_a_killed_engine_fails_its_call_and_the_next_one_works(model: LocalModel) -> None:
    async def scenario() -> tuple[int | None, int | None, Message]:
        killed: list[int] = []

        def kill(_: Delta) -> None:
            if not killed and model.engine_pid is not None:
                killed.append(model.engine_pid)
                os.kill(model.engine_pid, signal.SIGKILL)

        with pytest.raises(ModelError, match="SIGKILL") as caught:
            await model.respond([user("Count to one hundred.")], [], ModelSettings(on_delta=kill))
        assert caught.value.retryable
        answer = await model.respond([user("Say hello.")], [], ModelSettings(max_output_tokens=8))
        return killed[0], model.engine_pid, answer

    before, after, answer = asyncio.run(scenario())
    assert before != after
    assert answer.text


def test_a_killed_engine_leaves_nothing_for_good(model: LocalModel) -> None:
    settings = ModelSettings(max_output_tokens=2)
    ask(model, [user("hi")], [], settings)
    pid = model.engine_pid
    assert pid is not None
    mine = f"mainspring-engine-{pid}-*"
    assert list(Path(tempfile.gettempdir()).glob(mine))
    os.kill(pid, signal.SIGKILL)
    while model.engine_pid == pid:
        time.sleep(0.05)
    ask(model, [user("hi")], [], settings)
    assert not list(Path(tempfile.gettempdir()).glob(mine))


def test_an_engine_whose_socket_was_cleaned_away_is_replaced(model: LocalModel) -> None:
    settings = ModelSettings(max_output_tokens=2)
    ask(model, [user("hi")], [], settings)
    (folder,) = Path(tempfile.gettempdir()).glob(f"mainspring-engine-{model.engine_pid}-*")
    shutil.rmtree(folder)
    with pytest.raises(ModelError, match="socket is gone") as caught:
        ask(model, [user("hi")], [], settings)
    assert caught.value.retryable
    assert ask(model, [user("hi")], [], settings).text


def test_a_cancelled_call_stops_the_generation(model: LocalModel) -> None:
    async def scenario() -> Message:
        started = asyncio.Event()
        settings = ModelSettings(on_delta=lambda _: started.set(), max_output_tokens=4000)
        long = asyncio.create_task(model.respond([user("Count to ten thousand, in words.")], [], settings))
        await started.wait()
        long.cancel()
        with pytest.raises(asyncio.CancelledError):
            await long
        # Had the 4,000 tokens gone on, this one would wait for minutes in the queue.
        return await model.respond([user("Say hello.")], [], ModelSettings(max_output_tokens=8, timeout_s=120))

    assert asyncio.run(scenario()).text


def test_time_that_is_over_is_a_retryable_error(model: LocalModel) -> None:
    settings = ModelSettings(timeout_s=0.05, max_output_tokens=4000)
    with pytest.raises(ModelError, match=r"no answer in 0.05 s") as caught:
        ask(model, [user("Count to ten thousand, in words.")], [], settings)
    assert caught.value.retryable


def test_calls_at_once_are_all_answered(model: LocalModel) -> None:
    async def scenario() -> list[Message]:
        settings = ModelSettings(max_output_tokens=5)
        return await asyncio.gather(*(model.respond([user(f"Say {n}.")], [], settings) for n in range(4)))

    assert all(answer.text for answer in asyncio.run(scenario()))


def test_a_prompt_that_is_too_long_says_by_how_much() -> None:
    small = resolve_local("local:0.5b", context=512)
    with pytest.raises(ModelError, match=r"has \d{4} tokens and .* a context of 512") as caught:
        ask(small, [user("word " * 2000)], [], ModelSettings())
    assert not caught.value.retryable
    assert small.context_window == 512


def test_a_cut_file_is_refused_by_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    with fetch(SMALL).open("rb") as file:
        path.write_bytes(file.read(20_000_000))
    with pytest.raises(ModelError, match=r"cut\.gguf cannot start") as caught:
        ask(resolve_local(f"local:{path}"), [user("hi")], [], ModelSettings())
    assert not caught.value.retryable
    assert "tensor" in str(caught.value)  # llama.cpp's own words


def test_an_idle_engine_goes_and_comes_back() -> None:
    engine = Engine(EngineConfig(fetch(SMALL), 1024, default_threads(), idle_s=1.0))

    async def once() -> str:
        text = []
        async for frame in engine.complete([{"role": "user", "content": "Say hello."}], params={"n_predict": 4}):
            text.append(frame.get("text", ""))
        return "".join(text)

    assert asyncio.run(once())
    first = engine.pid
    while engine.pid is not None:
        time.sleep(0.1)
    assert asyncio.run(once())
    assert engine.pid != first
    engine.close()


def test_an_engine_dies_with_its_parent() -> None:
    program = textwrap.dedent(
        """
        import asyncio, os, signal
        from mainspring.messages import user
        from mainspring.model import ModelSettings
        from mainspring.models.local.names import resolve_local

        model = resolve_local("local:0.5b")
        asyncio.run(model.respond([user("hi")], [], ModelSettings(max_output_tokens=2)))
        print(model.engine_pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    while _runs(pid):
        time.sleep(0.05)


def test_nothing_of_the_engine_reaches_the_users_screen(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import asyncio
        from mainspring.messages import user
        from mainspring.model import ModelSettings
        from mainspring.models.local.names import resolve_local

        asyncio.run(resolve_local("local:0.5b").respond([user("hi")], [], ModelSettings(max_output_tokens=2)))
        """
    )
    fetch(SMALL)
    # A module of the user's that is called like one of ours or the engine's must not be taken for it.
    (tmp_path / "queue.py").write_text("raise SystemExit('shadowed')")
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
