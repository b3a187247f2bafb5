"""A run of a program: requests out, answers in, the same again after a crash."""

from __future__ import annotations

import pytest

from mainspring.guard.program import (
    Failed,
    Finished,
    Program,
    ProgramError,
    ProgramLimits,
    ToolFailure,
    ToolRequest,
)
from mainspring.label import MODEL, Label, tool_label
from mainspring.value import Value, wrap

TOOLS = {"search": ("query", "limit"), "send": ("to", "body", "from"), "get-file": ("path",), "len": ("x",)}
ANYONE = tool_label("search")
FOUND = wrap([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}], {"": ANYONE, "[].id": Label(frozenset({"made:search"}))})


def test_requests_and_answers_take_turns() -> None:
    source = """
found = search("mail", limit=3)
for item in found:
    send(to=item.name, body=f"Dear {item.name}", from_="me")
{"sent": len(found)}
"""
    run = Program.parse(source, TOOLS).start()
    first = run.next(None)
    assert isinstance(first, ToolRequest)
    assert (first.name, first.line) == ("search", 2)
    assert {k: v.data for k, v in first.arguments.items()} == {"query": "mail", "limit": 3}
    assert first.origins == {"query": "written in the program", "limit": "written in the program"}
    second = run.next(FOUND)
    assert isinstance(second, ToolRequest)
    assert {k: v.data for k, v in second.arguments.items()} == {"to": "a", "body": "Dear a", "from": "me"}
    assert second.origins["to"] == "search#1[0].name"
    assert second.origins["body"] == "joined from search#1[0].name and the program"
    assert second.whole == {"to": True, "body": False, "from": True}
    third = run.next(Value("ok"))
    assert isinstance(third, ToolRequest)
    assert third.arguments["to"].data == "b"
    end = run.next(Value("ok"))
    assert isinstance(end, Finished)
    assert end.value.plain() == {"sent": 2}
    with pytest.raises(ProgramError, match="is over"):
        run.next(Value("more"))


def test_tool_calls_stand_anywhere_in_an_expression() -> None:
    source = """
def one(n):
    return search(str(n), 1)[0].id
[one(n) + search("x", n)[0].id if n else 0 for n in range(3) if n or search("y", 0)]
"""
    run = Program.parse(source, TOOLS).start()
    event = run.next()
    asked = []
    while isinstance(event, ToolRequest):
        asked.append((event.arguments["query"].data, event.arguments["limit"].data))
        event = run.next(FOUND)
    assert asked == [("y", 0), ("1", 1), ("x", 1), ("2", 1), ("x", 2)]
    assert isinstance(event, Finished)
    assert event.value.plain() == [0, 2, 2]


def test_names_of_tools_in_a_program() -> None:
    assert Program.tool_names(TOOLS) == {
        "search": "search",
        "send": "send",
        "get_file": "get-file",
        "tool_len": "len",
    }
    run = Program.parse("tool_len(x=len('abc'))\nget_file('p')", TOOLS).start()
    first = run.next()
    assert isinstance(first, ToolRequest)
    assert (first.name, first.arguments["x"].data) == ("len", 3)
    second = run.next(Value(1))
    assert isinstance(second, ToolRequest)
    assert second.name == "get-file"
    with pytest.raises(ProgramError, match="would both be called 'a_b'"):
        Program.parse("1", {"a-b": (), "a_b": ()})


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("search(1, 2, 3)", r"too many arguments for search\(query, limit\)"),
        ("search(q=1)", "has no argument 'q'"),
        ("search(1, query=2)", "given 'query' twice"),
        ("f = search", "can only be called"),
        ("search = 1", "'search' is a tool and cannot be set"),
        ("def send():\n    pass", "'send' is a tool and cannot be set"),
        ("len = 1", "'len' is a built-in and cannot be set"),
        ("[v1 for v1 in [1]]", "'v1' is a handle and cannot be set"),
        ("lambda search: 1", "'search' is a tool and cannot be set"),
        ("try:\n    pass\nexcept ValueError as print:\n    pass", "'print' is a built-in"),
    ],
)
def test_a_call_that_cannot_be_right_is_refused_before_anything_runs(source: str, says: str) -> None:
    with pytest.raises(ProgramError, match=says):
        Program.parse(source, TOOLS)


def test_a_failure_of_a_tool_can_be_caught() -> None:
    source = """
try:
    found = search("x", 1)
except ToolError as error:
    found = []
    print("failed:", error)
send(to="ann", body=f"{len(found)} found")
"""
    run = Program.parse(source, TOOLS).start()
    run.next()
    event = run.next(ToolFailure(Value("no such index: IGNORE ALL", ANYONE)))
    assert isinstance(event, ToolRequest)
    assert event.arguments["body"].data == "0 found"
    assert event.arguments["body"].label.trusted
    assert event.arguments["body"].label.steered == {"tool:search"}
    end = run.next(Value("ok"))
    assert isinstance(end, Finished)
    assert end.printed[0].plain() == ["failed:", "no such index: IGNORE ALL"]
    assert end.printed[0].data[1].label.strangers == {"tool:search"}


def test_a_failure_that_nothing_catches_ends_the_program_and_says_nothing_of_its_text() -> None:
    run = Program.parse("print('before')\nsearch('x', 1)", TOOLS).start()
    run.next()
    event = run.next(ToolFailure(Value("IGNORE ALL", ANYONE)))
    assert isinstance(event, Failed)
    assert event.message == "line 2: the tool search failed"
    assert event.details == Value("line 2: ToolError: IGNORE ALL", ANYONE)
    assert [v.data for v in event.printed] == ["before"]


def test_the_programs_own_words_are_shown() -> None:
    event = Program.parse("if 1:\n    raise ToolError('no mail from ' + 'ann')", {}).start().next()
    assert isinstance(event, Failed)
    assert event.message == "line 2: the program raised ToolError: no mail from ann"


SOURCE = """
seen = {}
for page in range(3):
    for item in search(f"page {page}", limit=10):
        if item.name not in seen:
            seen[item.name] = item.id
            try:
                send(to=item.name, body=f"{page}: {sorted(seen)}", from_="me")
            except ToolError as error:
                print(error)
                seen[item.name] = -1
seen
"""


def answers() -> list[Value | ToolFailure]:
    pages = [
        wrap([{"id": n * 10 + k, "name": f"p{n % 2}{k}"} for k in range(3)], {"": ANYONE, "[].id": MODEL})
        for n in range(3)
    ]
    ok, failed = Value("ok", tool_label("send")), ToolFailure(Value("full", tool_label("send")))
    return [pages[0], ok, failed, ok, pages[1], failed, ok, ok, pages[2]]


def test_a_replay_with_the_same_answers_makes_the_same_requests() -> None:
    program = Program.parse(SOURCE, TOOLS)
    given = answers()
    run = program.start()
    events = [run.next()]
    for answer in given:
        events.append(run.next(answer))
    assert isinstance(events[-1], Finished)
    for killed_after in range(len(given) + 1):
        again = Program.parse(SOURCE, TOOLS).start()
        assert again.next() == events[0]
        for number in range(killed_after):
            assert again.next(given[number]) == events[number + 1]
        rest = [again.next(a) for a in given[killed_after:]]
        assert rest == events[killed_after + 1 :]
        assert again.steps == run.steps
        assert again.steering_bits == run.steering_bits


def test_answers_may_be_changed_by_the_program_and_handles_may_not() -> None:
    source = "found = search('x', 1)\nfound.append({'id': 3})\nfound[0]['id'] = 9\n[f.id for f in found]"
    run = Program.parse(source, TOOLS).start()
    run.next()
    event = run.next(FOUND)
    assert isinstance(event, Finished)
    assert event.value.plain() == [9, 2, 3]
    assert FOUND.data[0].data["id"].data == 1
    for change in ("v1.append(1)", "v1[0]['id'] = 5", "del v1[0]", "v1.sort()", "v1 += [1]", "v1[0].update({'a': 1})"):
        failed = Program.parse(f"x = v1\n{change.replace('v1', 'x')}", {}).start({"v1": FOUND}).next()
        assert isinstance(failed, Failed), change
        assert "copy it first" in failed.message
    copied = Program.parse("x = list(v1)\nx.append(dict(x[0]))\nx[2]['id'] = 7\nlen(x), len(v1), v1[0].id", {})
    event = copied.start({"v1": FOUND}).next()
    assert isinstance(event, Finished)
    assert event.value.plain() == [3, 2, 1]


@pytest.mark.parametrize(
    ("argument", "origin", "whole"),
    [
        ("'x'", "written in the program", True),
        ("'x' + 'y'", "written in the program", True),
        ("v1[1].name", "v1[1].name", True),
        ("v1", "v1", True),
        ("v1[0]", "v1[0]", True),
        ("v1[0].name[:1]", "made from v1[0].name", False),
        ("v1[0].name + v1[1].name", "joined from v1[0].name and v1[1].name", False),
        ("f'{v1[0].name} {v1[1].name}'", "joined from v1[0].name, v1[1].name and the program", False),
        ("[v1[0].name]", "made from v1[0].name", False),
        ("{'a': v1[0].name}", "joined from v1[0].name and the program", False),
        ("['a', 'b']", "written in the program", True),
        ("max(v1, key=lambda i: i.id).name", "v1[1].name", True),
        ("[i for i in v1 if i.id == 2][0].name", "v1[1].name", True),
        ("v2['odd key']", 'v2["odd key"]', True),
        (
            "''.join(v1[n % 2].name + str(n) for n in range(50))",
            "joined from v1[0].name, v1[1].name and the program",
            False,
        ),
    ],
)
def test_where_an_argument_came_from(argument: str, origin: str, whole: bool) -> None:
    handles = {"v1": FOUND, "v2": Value({"odd key": Value(1)})}
    event = Program.parse(f"search(query={argument})", TOOLS).start(handles).next()
    assert isinstance(event, ToolRequest)
    assert (event.origins["query"], event.whole["query"]) == (origin, whole)


def test_an_argument_that_no_tool_can_be_passed_is_an_error_of_the_program() -> None:
    source = "try:\n    search(lambda: 1)\nexcept TypeError as e:\n    x = e\nx"
    event = Program.parse(source, TOOLS).start().next()
    assert isinstance(event, Finished)
    assert "function cannot leave" in event.value.data


def test_what_the_runtime_does_wrongly_is_said() -> None:
    program = Program.parse("search(v7)", TOOLS)
    assert program.handles == {"v7"}
    with pytest.raises(ProgramError, match="no value 'v7'"):
        program.start({})
    deep = Value("x")
    for _ in range(100):
        deep = Value([deep])
    with pytest.raises(ProgramError, match="nested deeper"):
        program.start({"v7": deep})
    with pytest.raises(ProgramError, match="no JSON value"):
        program.start({"v7": Value(b"bytes")})
    run = program.start({"v7": Value(1)})
    with pytest.raises(ProgramError, match="has asked nothing"):
        run.next(Value(1))
    run.next()
    with pytest.raises(ProgramError, match="waits for an answer"):
        run.next()


def test_names_that_are_given_beforehand() -> None:
    program = Program.parse("notes + '!'", {}, handles=["notes"])
    event = program.start({"notes": Value("hi", ANYONE)}).next()
    assert isinstance(event, Finished)
    assert event.value.data == "hi!"
    with pytest.raises(ProgramError, match="nothing is called 'notes'"):
        Program.parse("notes", {})


def test_a_huge_answer_ends_the_program() -> None:
    run = Program.parse("x = search('x')\nlen(x)", TOOLS, ProgramLimits(memory=100_000)).start()
    run.next()
    event = run.next(Value([Value("x" * 100) for _ in range(5000)], ANYONE))
    assert isinstance(event, Failed)
    assert "100,000 bytes" in event.message


def test_no_tool_is_called_from_within_a_key_function() -> None:
    event = Program.parse("sorted([2, 1], key=lambda n: search(n))", TOOLS).start().next()
    assert isinstance(event, Failed)
    assert "use a loop" in event.message
