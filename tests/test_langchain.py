"""LangChain's habit: what people coming from there pass in, and what they expect to find."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool as langchain_tool
from pydantic import BaseModel

from mainspring import Policy, ScriptedModel, create_agent, tool
from mainspring.errors import ApprovalError, DeclarationError, MainspringError, ModelError
from mainspring.langchain import ChatMessage, Command
from mainspring.langchain.messages import read_messages
from mainspring.messages import ImagePart, Message, TextPart, ThinkingPart, ToolCallPart, assistant, user
from servers import Answer, ModelServer, Status

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@tool(effect="read")
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def call(name: str, id: str = "c1", **arguments: Any) -> ToolCallPart:
    return ToolCallPart(id, name, arguments)


def thread(id: object, **more: Any) -> dict[str, Any]:
    return {"configurable": {"thread_id": id, **more}}


@pytest.mark.parametrize(
    "messages",
    [
        "hi there",
        ["hi there"],
        ("user", "hi there"),
        [("human", "hi there")],
        [{"role": "user", "content": "hi there"}],
        {"role": "user", "content": "hi there"},
        [{"role": "user", "content": [{"type": "text", "text": "hi "}, {"type": "text", "text": "there"}]}],
        [user("hi there")],
        [ChatMessage("human", "hi there")],
        [HumanMessage("hi there")],
    ],
)
def test_every_way_to_pass_messages(messages: Any) -> None:
    heard: list[str] = []

    def line(seen: Any) -> str:
        heard.append(seen[-1].text)
        return "hello"

    result = create_agent(ScriptedModel([line])).invoke({"messages": messages})
    assert heard == ["hi there"]
    assert [m.type for m in result["messages"]] == ["human", "ai"]
    assert result["messages"][-1].content == "hello"
    assert isinstance(result["messages"][-1], AIMessage) == isinstance(next(iter(messages)), HumanMessage)


def test_a_tool_loop_with_both_kinds_of_messages() -> None:
    for first in (("user", "weather?"), HumanMessage("weather?")):
        model = ScriptedModel([call("weather", city="Oslo"), "It is sunny."])
        agent = create_agent(model, [weather], system_prompt="Be brief.")
        messages = agent.invoke({"messages": [first]})["messages"]
        assert [m.type for m in messages] == ["human", "ai", "tool", "ai"]
        assert messages[1].tool_calls[0]["name"] == "weather"
        assert messages[1].tool_calls[0]["args"] == {"city": "Oslo"}
        assert messages[2].content == "sunny in Oslo"
        assert messages[2].tool_call_id == messages[1].tool_calls[0]["id"]
        assert messages[2].name == "weather"
        assert len({m.id for m in messages}) == 4
    assert isinstance(messages[2], ToolMessage)


def test_history_is_passed_on_with_its_calls() -> None:
    seen: list[Message] = []

    def line(messages: Any) -> str:
        seen.extend(messages)
        return "done"

    history = [
        SystemMessage("from the caller"),
        HumanMessage("weather?"),
        AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Oslo"}, "id": "x"}]),
        ToolMessage("rain", tool_call_id="x", name="weather"),
        AIMessage("Rain."),
        HumanMessage("and now?"),
    ]
    # The script's next line follows from the answers in the conversation: two came before.
    agent = create_agent(ScriptedModel(["-", "-", line]), system_prompt="orders")
    result = agent.invoke({"messages": history})
    assert [m.role for m in seen] == ["system", "system", "user", "assistant", "tool", "assistant", "user"]
    assert seen[3].tool_calls[0].arguments == {"city": "Oslo"}
    assert [m.content for m in result["messages"]] == [
        "from the caller",
        "weather?",
        "",
        "rain",
        "Rain.",
        "and now?",
        "done",
    ]


def test_openai_style_history() -> None:
    said = read_messages(
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                    {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{"}},
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "one"},
        ]
    )
    assert said[0][1].tool_calls == (ToolCallPart("a", "f", {"x": 1}), ToolCallPart("b", "f", {}, "{"))
    assert said[1][1].parts[0].call_id == "a"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(PNG).decode()}},
        {"type": "image", "source_type": "base64", "data": base64.b64encode(PNG).decode(), "mime_type": "image/png"},
        {"type": "image", "base64": base64.b64encode(PNG).decode(), "mime_type": "image/png"},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()},
        },
    ],
)
def test_pictures_in_messages(block: dict[str, Any]) -> None:
    seen: list[Message] = []

    def line(messages: Any) -> str:
        seen.extend(messages)
        return "a dot"

    result = create_agent(ScriptedModel([line])).invoke({"messages": [HumanMessage(["look", block])]})
    assert seen[0].parts == (TextPart("look"), ImagePart(PNG, "image/png"))
    assert result["messages"][0].content[1]["base64"] == base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"messages": [42]}, "is no message"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "'wizard' is unknown"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "'hologram' is unknown"),
        ({"messages": [("user", [{"type": "image_url", "image_url": "https://x/y.png"}])]}, "is not fetched"),
        ({"messages": [("user", [{"type": "image", "base64": "%%%"}])]}, "no base64"),
        ({"question": "x"}, '{"messages": [...]}'),
        ({"messages": []}, "nothing to do"),
        (None, "nothing to do"),
    ],
)
def test_bad_input_says_what_is_expected(value: Any, said: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        create_agent(ScriptedModel(["x"])).invoke(value)
    assert said in str(caught.value)


def test_unknown_options_are_refused_and_checkpointers_are_not_needed() -> None:
    create_agent(ScriptedModel(["x"]), checkpointer=object(), store=None)
    with pytest.raises(DeclarationError, match="middleware"):
        create_agent(ScriptedModel(["x"]), middleware=[object()])
    with pytest.raises(DeclarationError, match="JSON schema"):
        create_agent(ScriptedModel(["x"]), response_format={"type": "object"})


class Weather(BaseModel):
    city: str
    degrees: int


class Wrapped:
    schema = Weather


def test_structured_response() -> None:
    for wanted in (Weather, Wrapped()):
        model = ScriptedModel(["not JSON", '{"city": "Oslo", "degrees": 3}'])
        result = create_agent(model, response_format=wanted).invoke({"messages": "weather?"})
        assert result["structured_response"] == Weather(city="Oslo", degrees=3)
        assert all(not str(m.content).startswith("[mainspring]") for m in result["messages"])


@langchain_tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@langchain_tool
def broken(a: int) -> int:
    """Always fails."""
    raise ValueError("no such number")


def test_langchain_tools_run_when_allowed() -> None:
    model = ScriptedModel([assistant("", call("multiply", "1", a=6, b=7), call("broken", "2", a=1)), "42"])
    agent = create_agent(model, [multiply, broken], policy=Policy(allow=["multiply", "broken"]))
    messages = agent.invoke({"messages": "6 times 7?"})["messages"]
    assert messages[2].content == "42"
    assert messages[2].status == "success"
    assert messages[3].status == "error"
    assert "no such number" in messages[3].content


def test_an_undeclared_tool_asks_a_person_and_goes_on_with_the_answer() -> None:
    model = ScriptedModel([call("multiply", a=6, b=7), "42"])
    agent = create_agent(model, [multiply])
    config = thread("approve", user_id="ann")
    waiting = agent.invoke({"messages": "6 times 7?"}, config)
    [asked] = waiting["__interrupt__"]
    request = asked.value["action_requests"][0]
    assert (request["name"], request["args"]) == ("multiply", {"a": 6, "b": 7})
    assert asked.value["review_configs"][0]["allowed_decisions"] == ["approve", "reject"]
    assert agent.get_state(config).interrupts[0].id == asked.id
    done = agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), config)
    assert "__interrupt__" not in done
    assert [m.content for m in done["messages"][-2:]] == ["42", "42"]
    assert agent.get_state(config).interrupts == ()


def test_a_rejected_call_is_not_made() -> None:
    def line(messages: Any) -> str:
        return "rejected: " + messages[-1].parts[0].text

    agent = create_agent(ScriptedModel([call("multiply", a=6, b=7), line]), [multiply])
    agent.invoke({"messages": "6 times 7?"}, thread("reject"))
    with pytest.raises(ApprovalError, match="answers nothing"):
        agent.invoke(Command(resume="maybe"), thread("reject"))
    with pytest.raises(ApprovalError, match="2 were given"):
        agent.invoke(Command(resume={"decisions": [{"type": "approve"}] * 2}), thread("reject"))
    answer = Command(resume={"decisions": [{"type": "reject", "message": "too big"}]})
    items = list(agent.stream(answer, thread("reject"), stream_mode="values"))
    done = agent.invoke(None, thread("reject"))
    assert items[-1]["messages"] == done["messages"]
    assert "too big" in done["messages"][-1].content
    assert done["messages"][-2].status == "error"


def test_a_thread_is_one_conversation() -> None:
    def line(messages: Any) -> str:
        return " | ".join(m.text for m in messages if m.role == "user")

    agent = create_agent(ScriptedModel([line], loop=True), name="threads")
    first = agent.invoke({"messages": "one"}, thread(7))
    second = agent.invoke({"messages": [*first["messages"], ("user", "two")]}, thread(7))
    other = agent.invoke({"messages": "alone"}, thread(8))
    assert second["messages"][-1].content == "one | two"
    assert second["run_id"] == first["run_id"] != other["run_id"]
    assert other["messages"][-1].content == "alone"
    assert [m.type for m in agent.invoke(None, thread(7))["messages"]] == ["human", "ai", "human", "ai"]
    with pytest.raises(DeclarationError, match="only what is new"):
        agent.invoke({"messages": [("ai", "I said so")]}, thread(7))


def test_a_thread_goes_on_in_another_process(home: Path) -> None:
    code = textwrap.dedent(
        """
        import sys
        from mainspring import create_agent, ScriptedModel
        def line(messages):
            return " | ".join(m.text for m in messages if m.role == "user")
        agent = create_agent(ScriptedModel([line], loop=True), name="far")
        config = {"configurable": {"thread_id": "t"}}
        print(agent.invoke({"messages": sys.argv[1]}, config)["messages"][-1].content)
        """
    )
    said = [
        subprocess.run([sys.executable, "-c", code, word], capture_output=True, text=True, check=True).stdout.strip()
        for word in ("one", "two")
    ]
    assert said == ["one", "one | two"]


def test_limits_count_from_where_the_thread_is() -> None:
    agent = create_agent(ScriptedModel(["ok"], loop=True), limits={"steps": 2})
    for number in range(5):
        result = agent.invoke({"messages": f"number {number}"}, thread("long"))
    assert len(result["messages"]) == 10


def test_recursion_limit_bounds_the_model_calls() -> None:
    model = ScriptedModel([call("weather", city="Oslo")], loop=True)
    agent = create_agent(model, [weather])
    with pytest.raises(MainspringError, match="limit steps"):
        agent.invoke({"messages": "go"}, {"recursion_limit": 3})
    assert model.calls <= 3


def test_a_failed_run_raises_with_its_name() -> None:
    agent = create_agent(ScriptedModel([ModelError("the key is wrong")]))
    with pytest.raises(MainspringError, match=r"run \S+ failed: .*the key is wrong"):
        agent.invoke({"messages": "hi"})


def test_stream_updates_is_the_default() -> None:
    model = ScriptedModel([call("weather", city="Oslo"), "sunny"])
    items = list(create_agent(model, [weather]).stream({"messages": [HumanMessage("weather?")]}))
    assert [next(iter(item)) for item in items] == ["model", "tools", "model"]
    assert items[1]["tools"]["messages"][0].content == "sunny in Oslo"
    assert isinstance(items[2]["model"]["messages"][0], AIMessage)


def test_stream_values_ends_with_what_invoke_returns() -> None:
    model = ScriptedModel([call("weather", city="Oslo"), "sunny"])
    agent = create_agent(model, [weather])
    items = list(agent.stream({"messages": "weather?"}, thread("v"), stream_mode="values"))
    assert [len(item["messages"]) for item in items] == [1, 2, 3, 4]
    assert items[-1]["messages"] == agent.invoke(None, thread("v"))["messages"]


def test_stream_of_a_later_turn_begins_with_the_history() -> None:
    agent = create_agent(ScriptedModel(["one", "two"]))
    agent.invoke({"messages": "first"}, thread("s"))
    items = list(agent.stream({"messages": "second"}, thread("s"), stream_mode="values"))
    assert [len(item["messages"]) for item in items] == [3, 4]
    assert items[-1]["messages"] == agent.invoke(None, thread("s"))["messages"]


def test_stream_messages_and_several_modes() -> None:
    with ModelServer([Answer("one two three four")]) as server:
        agent = create_agent(f"{server.url}#m")
        items = list(agent.stream({"messages": "count"}, stream_mode=["messages", "updates"]))
    pieces = [item for mode, item in items if mode == "messages"]
    assert "".join(piece.content for piece, _ in pieces) == "one two three four"
    assert len(pieces) > 1
    assert pieces[0][1]["langgraph_node"] == "model"
    updates = [item for mode, item in items if mode == "updates"]
    assert updates[-1]["model"]["messages"][0].id == pieces[0][0].id


def test_stream_of_parallel_calls_and_an_interrupt() -> None:
    calls = assistant(
        "", call("weather", "1", city="Oslo"), call("weather", "2", city="Rome"), call("multiply", "3", a=1, b=2)
    )
    agent = create_agent(ScriptedModel([calls, "done"]), [weather, multiply])
    items = list(agent.stream({"messages": "both"}, thread("p")))
    assert [next(iter(item)) for item in items] == ["model", "tools", "tools", "__interrupt__"]
    items = list(agent.stream(Command(resume=True), thread("p")))
    assert [next(iter(item)) for item in items] == ["tools", "model"]


def test_leaving_a_stream_early_leaves_the_thread_whole() -> None:
    model = ScriptedModel([call("weather", city="Oslo"), "sunny"])
    agent = create_agent(model, [weather])
    for _ in agent.stream({"messages": "weather?"}, thread("e")):
        break
    assert agent.invoke(None, thread("e"))["messages"][-1].content == "sunny"


def test_a_stream_raises_what_went_wrong() -> None:
    agent = create_agent(ScriptedModel([ModelError("no luck")]))
    with pytest.raises(MainspringError, match="no luck"):
        list(agent.stream({"messages": "hi"}))
    with pytest.raises(DeclarationError, match="'colour' is unknown"):
        list(agent.stream({"messages": "hi"}, stream_mode="colour"))


def test_async_and_sync_inside_a_loop() -> None:
    async def main() -> None:
        agent = create_agent(ScriptedModel(["a"], loop=True))
        assert (await agent.ainvoke({"messages": "hi"}))["messages"][-1].content == "a"
        assert [item async for item in agent.astream({"messages": "hi"})][-1]["model"]["messages"][0].content == "a"
        assert agent.invoke({"messages": "hi"})["messages"][-1].content == "a"  # as in a notebook
        assert len(list(agent.stream({"messages": "hi"}))) == 1

    asyncio.run(main())


def test_thoughts_survive_a_trip_through_the_caller() -> None:
    thought = Message("assistant", (ThinkingPart("hmm", "sig"), TextPart("yes")), model="m", finish="stop")
    seen: list[Message] = []

    def line(messages: Any) -> str:
        seen.extend(messages)
        return "ok"

    agent = create_agent(ScriptedModel([thought, line]))
    for kind in (str, HumanMessage):
        first = agent.invoke({"messages": [kind("hi")]})
        agent.invoke({"messages": [*first["messages"], kind("more")]})
        assert ThinkingPart("hmm", "sig") in seen[1].parts
        seen.clear()


class FakeChat(GenericFakeChatModel):
    """LangChain's own fake, with the tools it was bound to kept."""

    bound: list[Any] = []  # noqa: RUF012  a pydantic field

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        self.bound.extend(tools)
        return self


def test_a_langchain_chat_model() -> None:
    answers = [
        AIMessage(
            "",
            tool_calls=[{"name": "weather", "args": {"city": "Oslo"}, "id": "q"}],
            usage_metadata={"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
        ),
        AIMessage("sunny, they say"),
    ]
    fake = FakeChat(messages=iter(answers))
    result = create_agent(fake, [weather]).invoke({"messages": [HumanMessage("weather?")]})
    assert [m.content for m in result["messages"]] == ["weather?", "", "sunny in Oslo", "sunny, they say"]
    assert result["messages"][1].usage_metadata["input_tokens"] == 5
    assert "weather" in [t["function"]["name"] for t in fake.bound]
    streamed = create_agent(FakeChat(messages=iter([AIMessage("one two")]))).stream(
        {"messages": "x"}, stream_mode="messages"
    )
    assert "".join(piece.content for piece, _ in streamed) == "one two"


def test_a_provider_that_recovers_is_not_noticed() -> None:
    busy = Status(429, {"error": {"message": "busy"}}, {"retry-after": "0"})
    with ModelServer([busy, Answer("fine")]) as server:
        assert create_agent(f"{server.url}#m").invoke({"messages": "hi"})["messages"][-1].content == "fine"
        assert len(server.seen) == 2
