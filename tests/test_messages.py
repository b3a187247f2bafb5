"""Messages come back from the journal as they were; damaged ones are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import StoreError
from mainspring.messages import (
    FilePart,
    ImagePart,
    Message,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
    assistant,
    decode,
    decode_part,
    decode_usage,
    encode,
    encode_part,
    encode_usage,
    system,
    user,
)

TEXT = st.text()  # lone surrogates too: messages are only turned into JSON here, the journal's encoding comes later
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
COUNT = st.integers(0, 2**60)
CONTENT = st.one_of(
    st.builds(TextPart, TEXT),
    st.builds(ImagePart, st.binary(max_size=50), TEXT, TEXT),
    st.builds(FilePart, st.binary(max_size=50), TEXT, TEXT),
)
PARTS = st.one_of(
    CONTENT,
    st.builds(ThinkingPart, TEXT, st.none() | TEXT),
    st.builds(ToolCallPart, TEXT, TEXT, st.dictionaries(TEXT, JSON, max_size=3), st.none() | TEXT),
    st.builds(ToolResultPart, TEXT, TEXT, st.lists(CONTENT, max_size=3).map(tuple), st.booleans()),
)
USAGES = st.builds(Usage, COUNT, COUNT, COUNT, COUNT, COUNT, st.none() | st.floats(0, 1e9))
MESSAGES = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    st.lists(PARTS, max_size=4).map(tuple),
    st.none() | USAGES,
    st.none() | TEXT,
    st.none() | TEXT,
)


@given(MESSAGES)
def test_messages_come_back(message: Message) -> None:
    assert decode(encode(message)) == message
    assert decode(json.loads(json.dumps(encode(message)))) == message


@given(USAGES, USAGES)
def test_usage_comes_back_and_adds_up(a: Usage, b: Usage) -> None:
    assert decode_usage(json.loads(json.dumps(encode_usage(a)))) == a
    both = a + b
    assert both == b + a
    assert both.tokens == a.tokens + b.tokens
    assert both.calls == a.calls + b.calls
    assert (both.usd is None) == (a.usd is None or b.usd is None)
    assert a + Usage() == a


def test_the_written_form_is_frozen() -> None:
    """Journals and context digests hold these bytes: a change here needs a new event version."""
    message = Message(
        "assistant",
        (
            TextPart("é"),
            ThinkingPart("hm", "sig"),
            ImagePart(b"\x00\xff", "image/webp", "a cat"),
            FilePart(b"x", "text/csv", "t.csv"),
            ToolCallPart("c1", "f", {"b": 1, "a": None}),
            ToolCallPart("c2", "g", {}, '{"half'),
            ToolResultPart("c1", "f", (TextPart("ok"),)),
            ToolResultPart("c2", "g", (), True),
        ),
        Usage(5, 6, 7, 8, 1, None),
        "m",
        "tool_calls",
    )
    assert json.dumps(encode(message), ensure_ascii=False, separators=(",", ":")) == (
        '{"role":"assistant","parts":[{"type":"text","text":"é"},'
        '{"type":"thinking","text":"hm","signature":"sig"},'
        '{"type":"image","media_type":"image/webp","description":"a cat","data":"AP8="},'
        '{"type":"file","media_type":"text/csv","name":"t.csv","data":"eA=="},'
        '{"type":"call","id":"c1","name":"f","arguments":{"b":1,"a":null}},'
        '{"type":"call","id":"c2","name":"g","arguments":{},"invalid":"{\\"half"},'
        '{"type":"result","call_id":"c1","name":"f","content":[{"type":"text","text":"ok"}]},'
        '{"type":"result","call_id":"c2","name":"g","content":[],"is_error":true}],'
        '"usage":{"in":5,"out":6,"calls":1,"usd":null,"cache_read":7,"cache_write":8},'
        '"model":"m","finish":"tool_calls"}'
    )


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"type": "text"},
        {"type": "text", "text": 5},
        {"type": "thinking", "text": None},
        {"type": "call", "id": "c", "name": "f"},
        {"type": "call", "id": "c", "name": "f", "arguments": [1]},
        {"type": "call", "id": 5, "name": "f", "arguments": {}},
        {"type": "image", "media_type": "image/png", "data": "no base64!"},
        {"type": "image", "media_type": "image/png", "data": "é"},
        {"type": "image", "media_type": "image/png", "data": 5},
        {"type": "image", "media_type": "image/png", "data": "AP8"},
        {"type": "file", "data": "AP8="},
        {"type": "result", "call_id": "c", "name": "f", "content": 5},
        {"type": "result", "call_id": "c", "name": "f", "content": ["x"]},
        {"type": "result", "call_id": "c", "name": "f", "content": [{"type": "text"}]},
        {"type": "result", "call_id": "c", "name": "f", "content": [{"type": "thinking", "text": "x"}]},
        {"type": ["text"], "text": "x"},
        [],
        "text",
        None,
        5,
    ],
)
def test_damaged_parts_are_refused(value: Any) -> None:
    with pytest.raises(StoreError):
        decode_part(value)
    with pytest.raises(StoreError):
        decode({"role": "user", "parts": [value]})


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "x",
        {"role": "user"},
        {"parts": []},
        {"role": "boss", "parts": []},
        {"role": ["user"], "parts": []},
        {"role": "user", "parts": 5},
        {"role": "user", "parts": [], "usage": {"in": 1}},
        {"role": "user", "parts": [], "usage": 5},
    ],
)
def test_damaged_messages_are_refused(value: Any) -> None:
    with pytest.raises(StoreError, match="damaged message"):
        decode(value)


def test_a_part_of_a_newer_mainspring_says_so() -> None:
    with pytest.raises(StoreError, match="'hologram'; it may come from a newer Mainspring"):
        decode_part({"type": "hologram"})


def test_texts_and_calls_of_a_message() -> None:
    call = ToolCallPart("c", "f", {})
    message = assistant("hello", call)
    assert (message.text, message.tool_calls, message.finish) == ("hello", (call,), "tool_calls")
    assert assistant("hello").finish == "stop"
    assert assistant().parts == ()
    assert system("s").role == "system"
    mixed = user(["look: ", ImagePart(b"x"), TextPart("nice")])
    assert (mixed.text, len(mixed.parts)) == ("look: nice", 3)
    assert user(ImagePart(b"x")).parts == (ImagePart(b"x"),)
    result = ToolResultPart("c", "f", (TextPart("a"), ImagePart(b"x"), TextPart("b")))
    assert result.text == "ab"
    assert encode_part(result)["content"][1]["type"] == "image"
