"""Hosted models against servers that speak the providers' protocols: what goes out, what comes back."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import time
from typing import Any

import pytest

from mainspring.errors import ModelError
from mainspring.messages import (
    FilePart,
    ImagePart,
    Message,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
    decode,
    encode,
    system,
    user,
)
from mainspring.model import Delta, ModelSettings, ToolSpec
from mainspring.models import close_connections, resolve
from mainspring.models.hosted import HostedModel
from servers import Answer, Dies, Hangs, ModelServer, Raw, Seen, Status

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ADD = ToolSpec("add", "adds", {"type": "object", "properties": {"a": {"type": "integer"}}})
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
MODELS = {"openai": "some-model", "anthropic": "claude-haiku-4-5", "openai-responses": "gpt-5.6-sol"}


def model_at(server: ModelServer, protocol: str = "openai", model: str = "") -> HostedModel:
    return HostedModel.from_name(f"{protocol}:{model or MODELS[protocol]}@{server.url}")


def ask(
    model: HostedModel,
    messages: list[Message] | None = None,
    tools: tuple[ToolSpec, ...] = (),
    **settings: Any,
) -> Message:
    settings.setdefault("timeout_s", 30)
    return asyncio.run(model.respond(messages or [user("hi")], tools, ModelSettings(**settings)))


def fail(script: list[Any], protocol: str = "openai", **settings: Any) -> tuple[ModelError, ModelServer]:
    with ModelServer(script) as server, pytest.raises(ModelError) as caught:
        ask(model_at(server, protocol), **settings)
    return caught.value, server


@pytest.mark.parametrize("protocol", list(MODELS))
def test_text_and_usage(protocol: str) -> None:
    with ModelServer([Answer("hello", input_tokens=12, output_tokens=3)]) as server:
        model = model_at(server, protocol)
        answer = ask(model, [system("be good"), user("hi")])
    assert answer.text == "hello"
    assert (answer.role, answer.finish, answer.model) == ("assistant", "stop", model.name)
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.calls) == (12, 3, 1)
    assert decode(json.loads(json.dumps(encode(answer)))) == answer


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("protocol", list(MODELS))
def test_parallel_calls_and_deltas(protocol: str, streamed: bool) -> None:
    said: list[Delta] = []
    calls = [("c1", "add", '{"a": 1}'), ("c2", "add", '{"a": 22222}')]
    with ModelServer([Answer("let me see now", thinking="hmm, so it is", signature="S", calls=calls)]) as server:
        answer = ask(model_at(server, protocol), tools=(ADD,), on_delta=said.append if streamed else None)
    assert [(c.id, c.name, c.arguments) for c in answer.tool_calls] == [
        ("c1", "add", {"a": 1}),
        ("c2", "add", {"a": 22222}),
    ]
    assert answer.finish == "tool_calls"
    assert answer.text == "let me see now"
    if streamed:
        assert "".join(d.text for d in said if d.kind == "text") == "let me see now"
        assert "".join(d.text for d in said if d.kind == "thinking") == "hmm, so it is"
        assert "22222" in "".join(d.text for d in said if d.kind == "call")
        assert len([d for d in said if d.kind == "text"]) > 1


@pytest.mark.parametrize("streamed", [False, True])
def test_half_a_call_keeps_the_raw_text(streamed: bool) -> None:
    calls = [("c1", "add", '{"a": 1'), ("c2", "add", "[1]"), ("c3", "add", '{"a": NaN}'), ("c4", "add", "")]
    with ModelServer([Answer(calls=calls, finish="length")]) as server:
        answer = ask(model_at(server), tools=(ADD,), on_delta=(lambda d: None) if streamed else None)
    assert [c.invalid for c in answer.tool_calls] == ['{"a": 1', "[1]", '{"a": NaN}', None]
    assert all(c.arguments == {} for c in answer.tool_calls)
    assert answer.finish == "length"


def test_a_broken_call_can_be_sent_back() -> None:
    with ModelServer([Answer("ok")]) as server:
        ask(
            model_at(server),
            [
                user("hi"),
                Message("assistant", (ToolCallPart("c1", "add", {}, invalid='{"a": 1'),)),
                Message("tool", (ToolResultPart("c1", "add", (TextPart("no JSON"),), is_error=True),)),
            ],
        )
        sent = server.seen[0].body["messages"]
    assert '{\\"a\\": 1' in sent[1]["tool_calls"][0]["function"]["arguments"]
    assert "no JSON" in sent[2]["content"]


def test_calls_with_the_same_id_are_told_apart() -> None:
    with ModelServer([Answer(calls=[("0", "add", "{}")] * 10_000)]) as server:
        answer = ask(model_at(server), tools=(ADD,))
    assert len({c.id for c in answer.tool_calls}) == 10_000


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("protocol", list(MODELS))
def test_a_whole_conversation_comes_back_as_it_was(protocol: str, streamed: bool) -> None:
    on_delta = (lambda delta: None) if streamed else None
    calls = [("c1", "add", '{"a":1}'), ("c2", "add", '{"a":2}')]
    with ModelServer([Answer("sure", thinking="hmm", signature="SIG", calls=calls)]) as server:
        model = model_at(server, protocol)
        start = [system("be good"), user(["look", ImagePart(PNG)])]
        first = decode(encode(ask(model, start, (ADD,), effort="low", on_delta=on_delta)))
        results = Message(
            "tool",
            (
                ToolResultPart("c1", "add", (TextPart("one"),)),
                ToolResultPart("c2", "add", (TextPart("bad"), ImagePart(PNG)), is_error=True),
            ),
        )
        ask(model, [*start, first, results], (ADD,), effort="low")
        sent = json.dumps(server.seen[1].body)
        body = server.seen[1].body
    assert sent.count(base64.b64encode(PNG).decode()) == 2
    if protocol == "anthropic":
        blocks = body["messages"][1]["content"]
        assert blocks[0] == {"type": "thinking", "thinking": "hmm", "signature": "SIG"}
        assert [b["type"] for b in blocks] == ["thinking", "text", "tool_use", "tool_use"]
        assert [b["is_error"] for b in body["messages"][2]["content"]] == [False, True]
    elif protocol == "openai-responses":
        ids = [item.get("id") for item in body["input"]]
        assert [i for i in ids if i] == ["rs_1", "msg_1", "fc_0", "fc_1"]
        assert next(i for i in body["input"] if i.get("type") == "reasoning")["encrypted_content"] == "SIG"
    else:
        assert body["messages"][2]["reasoning_content"] == "hmm"
        assert [m.get("tool_call_id") for m in body["messages"] if m["role"] == "tool"] == ["c1", "c2"]


def test_thoughts_of_another_provider_are_not_sent() -> None:
    with ModelServer([Answer("sure", thinking="secret thoughts", signature="SIG")]) as server:
        first = ask(model_at(server, "anthropic"), effort="low")
        ask(model_at(server), [user("hi"), first, user("go on")])
        sent = json.dumps(server.seen[1].body)
    assert "sure" in sent
    assert "secret thoughts" not in sent
    assert "SIG" not in sent
    assert "mainspring/1" not in sent


def test_files_are_sent_or_described() -> None:
    pdf = FilePart(b"%PDF-1.4 x", "application/pdf", "bill.pdf")
    audio = FilePart(b"RIFF", "audio/wav", "talk.wav")
    with ModelServer([Answer("ok")]) as server:
        ask(model_at(server, "anthropic"), [user(["see", pdf, audio])])
        content = server.seen[0].body["messages"][0]["content"]
    assert content[1]["source"]["data"] == base64.b64encode(pdf.data).decode()
    assert "talk.wav" in content[2]["text"]
    assert "cannot see" in content[2]["text"]


def test_anthropic_cache_markers_effort_and_price() -> None:
    answer = Answer("ok", input_tokens=100, output_tokens=10, cache_read=1000, cache_write=50)
    with ModelServer([answer]) as server:
        said = ask(model_at(server, "anthropic"), [system("rules"), user("hi")], (ADD,), effort="high")
        body = server.seen[0].body
    assert body["system"][0]["cache_control"]["type"] == "ephemeral"
    assert body["tools"][-1]["cache_control"]["type"] == "ephemeral"
    assert body["cache_control"]["type"] == "ephemeral"
    assert body["thinking"]["type"] == "enabled"
    usage = said.usage
    assert usage is not None
    assert (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == (1150, 1000, 50)
    # 1 $ a million in, 5 $ out, 0.10 $ from and 1.25 $ into the cache.
    assert usage.usd == pytest.approx((100 * 1 + 10 * 5 + 1000 * 0.1 + 50 * 1.25) / 1e6)


def thinking_budget(effort: str) -> int:
    with ModelServer([Answer("ok")]) as server:
        ask(model_at(server, "anthropic"), effort=effort)
        body = server.seen[0].body
    return int(body.get("thinking", {}).get("budget_tokens", 0))


def test_more_effort_is_more_thinking() -> None:
    budgets = [thinking_budget(effort) for effort in ("none", "low", "medium", "high")]
    assert budgets == sorted(set(budgets))
    assert budgets[0] == 0


def test_a_thinking_budget_leaves_room_for_the_answer() -> None:
    with ModelServer([Answer("ok")]) as server:
        model = model_at(server, "anthropic")
        ask(model, effort="high", max_output_tokens=500, temperature=0.5)
        ask(model, effort="none", max_output_tokens=500, temperature=0.5)
        thinking, plain = (seen.body for seen in server.seen)
    assert thinking["max_tokens"] == thinking["thinking"]["budget_tokens"] + 500
    assert "temperature" not in thinking
    assert (plain["max_tokens"], plain["temperature"]) == (500, 0.5)


def test_openai_gets_a_cache_key_an_effort_and_no_run_id() -> None:
    with ModelServer([Answer("ok")]) as server:
        said = ask(model_at(server, "openai-responses"), effort="high", run_id="run-7")
        ask(model_at(server, "openai-responses"), run_id="run-7")
        ask(model_at(server, "openai-responses"), run_id="run-8")
        keys = [seen.body["prompt_cache_key"] for seen in server.seen]
        first = server.seen[0].body
    assert keys[0] == keys[1] != keys[2]
    assert "run-7" not in json.dumps(first)
    assert first["reasoning"]["effort"] == "high"
    assert said.usage is not None
    assert said.usage.usd is not None
    assert said.usage.usd > 0


def test_a_plain_server_gets_nothing_that_it_may_not_know() -> None:
    with ModelServer([Answer("ok")]) as server:
        said = ask(model_at(server), [user("hi")], (ADD,), effort="high", run_id="r", output_schema=SCHEMA)
        keys = set(server.seen[0].body)
    assert keys <= {"model", "messages", "tools", "tool_choice", "stream"}
    assert said.usage is not None
    assert said.usage.usd is None


def test_settings_reach_the_request() -> None:
    with ModelServer([Answer('{"x": 1}')]) as server:
        ask(
            model_at(server),
            max_output_tokens=77,
            temperature=0.5,
            seed=3,
            output_schema=SCHEMA,
            extra={"top_p": 0.25, "extra_body": {"mirostat": 1}},
        )
        body = server.seen[0].body
    assert body["temperature"] == 0.5
    assert body["seed"] == 3
    assert body["top_p"] == 0.25
    assert body["mirostat"] == 1
    assert body["max_tokens"] == 77
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["x"]


def test_lone_surrogates_go_out_and_come_in_as_valid_text() -> None:
    raw = (
        b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":'
        b'"tool_calls","message":{"role":"assistant","content":"a\\ud800b","tool_calls":[{"id":"c1","type":'
        b'"function","function":{"name":"add","arguments":"{\\"a\\": \\"\\\\ud83d\\"}"}}]}}]}'
    )
    with ModelServer([Raw(raw)]) as server:
        call = ToolCallPart("c0", "add", {"a\udc00": ["\ud800"]})
        result = ToolResultPart("c0", "add", (TextPart("r\udcff"),))
        answer = ask(
            model_at(server),
            [system("s\ud800"), user("u\ud800"), Message("assistant", (call,)), Message("tool", (result,))],
            (ADD,),
        )
    json.dumps(encode(answer), ensure_ascii=False).encode("utf-8")
    assert answer.text == "a\ufffdb"
    assert answer.tool_calls[0].arguments == {"a": "\ufffd"}


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_provider_that_hangs_is_given_up(protocol: str, streamed: bool) -> None:
    started = time.monotonic()
    error, server = fail([Hangs()], protocol, timeout_s=0.5, on_delta=(lambda delta: None) if streamed else None)
    assert error.retryable
    assert "did not answer" in str(error)
    assert time.monotonic() - started < 20
    assert len(server.seen) == 1


@pytest.mark.parametrize("protocol", list(MODELS))
@pytest.mark.parametrize("code", [408, 409, 429, 500, 503, 529])
def test_passing_failures_are_left_to_the_loop(protocol: str, code: int) -> None:
    body = {"error": {"message": "slow down, please", "type": "some_error"}}
    error, server = fail([Status(code, body, {"retry-after": "7"})], protocol)
    assert error.retryable
    assert error.status == code
    assert error.retry_after_s == 7
    assert "slow down, please" in str(error)
    assert len(server.seen) == 1  # nobody but the loop retries


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("code", "said"),
    [
        (400, "bad thing"),
        (401, "_API_KEY"),
        (403, "_API_KEY"),
        (404, "check the model's name and URL"),
        (402, "quota"),
        (422, "bad thing"),
    ],
)
def test_lasting_failures_say_what_to_do(protocol: str, code: int, said: str) -> None:
    error, server = fail([Status(code, {"error": {"message": "bad thing", "type": "x"}})], protocol)
    assert not error.retryable
    assert error.status == code
    assert said in str(error)
    assert len(server.seen) == 1


def test_used_up_quota_is_not_worth_waiting_for() -> None:
    body = {"error": {"message": "you exceeded your quota", "code": "insufficient_quota"}}
    error, _ = fail([Status(429, body)])
    assert not error.retryable


def test_a_server_that_is_not_there() -> None:
    with ModelServer([Answer("x")]) as server:
        url = server.url
    with pytest.raises(ModelError) as caught:
        ask(HostedModel.from_name(f"{url}#m"))
    assert caught.value.retryable
    assert "cannot be reached" in str(caught.value)


@pytest.mark.parametrize("protocol", list(MODELS))
def test_a_stream_that_dies_midway_is_no_answer(protocol: str) -> None:
    said: list[Delta] = []
    long = Answer("one two three four five six seven")
    error, server = fail([Dies(long, after=5)], protocol, on_delta=said.append)
    assert error.retryable
    assert said
    assert len(server.seen) == 1


def test_a_stream_that_ends_early_is_no_answer() -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunk["choices"] = [{"index": 0, "delta": {"content": "half an ans"}, "finish_reason": None}]
    body = f"data: {json.dumps(chunk)}\n\n".encode()
    error, _ = fail([Raw(body, "text/event-stream")], on_delta=lambda delta: None)
    assert error.retryable


@pytest.mark.parametrize("body", [b"\xff\xfe\x00garbage", b'{"choices": null}', b"", b"<html>busy</html>"])
@pytest.mark.parametrize("protocol", ["openai", "openai-responses"])
def test_an_unreadable_answer_is_worth_another_try(protocol: str, body: bytes) -> None:
    error, _ = fail([Raw(body)], protocol)
    assert error.retryable


@pytest.mark.parametrize("content_type", ["text/event-stream"])
@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_invalid_utf8_in_a_stream(protocol: str, content_type: str) -> None:
    error, _ = fail([Raw(b"data: {\xff\xfe\n\n", content_type)], protocol, on_delta=lambda delta: None)
    assert error.retryable


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal(streamed: bool) -> None:
    on_delta = (lambda delta: None) if streamed else None
    with ModelServer([Answer(refusal="I will not")]) as server:
        answer = ask(model_at(server), on_delta=on_delta)
    assert answer.finish == "refusal"
    assert answer.text == "I will not"
    with ModelServer([Answer(finish="refusal")]) as server:
        answer = ask(model_at(server, "anthropic"), on_delta=on_delta)
    assert answer.finish == "refusal"
    with ModelServer([Answer("half", finish="content_filter")]) as server:
        answer = ask(model_at(server), on_delta=on_delta)
    assert answer.finish == "refusal"


def test_the_key_goes_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    def key_seen(name: str) -> str:
        with ModelServer([Answer("ok")]) as server:
            ask(HostedModel.from_name(name.format(url=server.url)))
            seen: Seen = server.seen[0]
            return seen.headers.get("x-api-key") or seen.headers["authorization"].removeprefix("Bearer ")

    monkeypatch.delenv("MAINSPRING_KEY_127_0_0_1", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "openai-key")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "anthropic-key")
    assert key_seen("openai:m@{url}") == "openai-key"
    assert key_seen("anthropic:claude-haiku-4-5@{url}") == "anthropic-key"
    assert key_seen("{url}#m") != "openai-key"
    monkeypatch.setenv("MAINSPRING_KEY_127_0_0_1", "own-key")
    assert key_seen("openai:m@{url}") == key_seen("{url}#m") == "own-key"


def test_openai_base_url_is_a_compatible_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer([Answer("from elsewhere")]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert ask(HostedModel.from_name("openai:m")).text == "from elsewhere"
        assert server.seen[0].path == "/v1/chat/completions"


def test_one_model_serves_many_event_loops_and_closes() -> None:
    with ModelServer([Answer("ok")]) as server:
        model = model_at(server)
        assert [ask(model).text for _ in range(3)] == ["ok"] * 3

        async def twice() -> None:
            await asyncio.gather(*(model.respond([user("hi")], (), ModelSettings()) for _ in range(8)))
            await model.aclose()
            await model.aclose()
            await model.respond([user("hi")], (), ModelSettings())
            await model.aclose()

        asyncio.run(twice())
    assert len(server.seen) == 12


def test_whoever_ends_a_loop_can_close_all_connections(recwarn: pytest.WarningsRecorder) -> None:
    async def main(name: str) -> None:
        await close_connections()
        await resolve(name).respond([user("hi")], (), ModelSettings())
        await close_connections()

    gc.collect()
    recwarn.clear()  # other tests end their loops without closing
    with ModelServer([Answer("ok")]) as server:
        for _ in range(3):
            asyncio.run(main(f"{server.url}#m"))
    gc.collect()
    assert not [w for w in recwarn if issubclass(w.category, ResourceWarning) and "transport" in str(w.message)]
    assert len(server.seen) == 3


def test_cancelling_a_call_is_no_model_error() -> None:
    async def main(model: HostedModel) -> None:
        call = asyncio.create_task(model.respond([user("hi")], (), ModelSettings()))
        await asyncio.sleep(0.2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    with ModelServer([Hangs()]) as server:
        asyncio.run(main(model_at(server)))


def test_thinking_part_without_a_provider_is_left_out() -> None:
    with ModelServer([Answer("ok")]) as server:
        said = Message("assistant", (ThinkingPart("musing", "sig"), TextPart("hello")), model="other")
        ask(model_at(server, "anthropic"), [user("hi"), said, user("more")])
        assert "musing" not in json.dumps(server.seen[0].body)
