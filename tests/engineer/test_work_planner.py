"""What the harness does around a weak model, told from the conversation alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from calculator import call
from mainspring.code.repair.planner import RepairPlanner
from mainspring.engineer import reproduce
from mainspring.engineer.gate import UNVERIFIED
from mainspring.engineer.planner import WorkPlanner
from mainspring.errors import ModelError
from mainspring.messages import Message, TextPart, ToolResultPart, assistant, user
from mainspring.model import ModelSettings, ToolSpec

TOOLS = [
    ToolSpec(name, "", {})
    for name in (
        "execute_tests",
        "locate_fault",
        "read_file",
        "edit_file",
        "repo_map",
        "run_terminal_command",
        "verify_change",
    )
]
VERIFIED = '{"verdict": "passed"}'
PASSED = "PASSED: 2 passed in 0.5 s (pytest)"
FAILED = "FAILED (exit code 1): 0 passed, 1 failed in 0.5 s (pytest)\n\nFAILED t.py::test_total\n  TypeError: x"
TEST = "from paging import total\n\ndef test_total():\n    assert total(None) == 0\n"
MAP = "paging.py:\n 9 def total(items)\ntests/test_paging.py:\n 4 def test_pages()\n"


class Inner:
    """A model that says its lines in turn."""

    name = "inner"

    def __init__(self, *lines: Message | str) -> None:
        self.lines = list(lines)

    async def respond(self, *_: Any) -> Message:
        line = self.lines.pop(0) if len(self.lines) > 1 else self.lines[0]
        return assistant(line) if isinstance(line, str) else line


def play(inner: Inner, world: Callable[[str, dict[str, Any]], str], steps: int = 40) -> list[Message]:
    """The conversation of a run in which tools answer as `world` says."""
    planner = WorkPlanner(inner, RepairPlanner(inner))
    messages = [user("total(None) must be 0")]
    for _ in range(steps):
        said = asyncio.run(planner.respond(messages, TOOLS, ModelSettings(run_id="r")))
        messages.append(said)
        if not said.tool_calls:
            return messages
        answers = [(c, world(c.name, dict(c.arguments))) for c in said.tool_calls]
        parts = tuple(ToolResultPart(c.id, c.name, (TextPart(text),)) for c, text in answers)
        messages.append(Message("tool", parts))
    return messages


def calls(messages: list[Message]) -> list[str]:
    return [c.name for m in messages for c in m.tool_calls]


def test_a_test_that_fails_is_written_first_and_then_mended() -> None:
    def world(name: str, arguments: dict[str, Any]) -> str:
        if name == "execute_tests":
            return FAILED if arguments else PASSED
        return MAP if name == "repo_map" else '{"suspects": [], "tests": []}'

    with pytest.raises(ModelError, match="no function of the project"):
        play(Inner(TEST), world)


def test_a_test_that_passes_already_shows_nothing_and_is_taken_away() -> None:
    seen: list[tuple[str, dict[str, Any]]] = []

    def world(name: str, arguments: dict[str, Any]) -> str:
        seen.append((name, arguments))
        return {"execute_tests": PASSED, "repo_map": MAP, "verify_change": VERIFIED}.get(name, "done")

    other = [TEST.replace("== 0", f"== {n}") for n in range(reproduce.MAX_TESTS)]
    messages = play(Inner(*other, "It cannot be done."), world)
    assert messages[-1].text == "It cannot be done."
    removed = [a["command"] for n, a in seen if n == "run_terminal_command"]
    assert removed == ["rm -f -- tests/test_total_none_must.py"]
    assert calls(messages).count("edit_file") == reproduce.MAX_TESTS


def test_a_model_that_goes_in_circles_is_given_up() -> None:
    with pytest.raises(ModelError, match="again and again: read_file"):
        play(Inner("no test", "no test", "no test", "no test", call("read_file", path="a.py")), lambda *_: PASSED)


def test_an_edit_is_verified_before_the_last_word() -> None:
    verdicts = iter(['{"verdict": "failed"}', VERIFIED])

    def world(name: str, arguments: dict[str, Any]) -> str:
        if name == "verify_change":
            return next(verdicts)
        return {"execute_tests": PASSED, "repo_map": ""}.get(name, "edited")

    one = call("edit_file", path="a.py", old="1", new="2")
    other = call("edit_file", path="a.py", old="2", new="3")
    messages = play(Inner(one, "Done.", other, "Done now."), world)
    assert calls(messages) == ["execute_tests", "repo_map", "edit_file", "verify_change", "edit_file", "verify_change"]
    assert messages[-1].text == "Done now."


@pytest.mark.parametrize(
    ("answer", "usable"),
    [
        (TEST, True),
        (f"```python\n{TEST}```\nThis test ...", True),
        ("def test_a():\n    assert 1\n", False),
        ("from a import b\n\ndef test_a():\n    b()\n", False),
        ("from a import b\n\ndef check():\n    assert b\n", False),
        ("def test_a(:\n", False),
        ("", False),
    ],
)
def test_which_answers_are_tests(answer: str, usable: bool) -> None:
    assert (reproduce.usable(answer) is not None) is usable


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        ("FAILED (exit code 1): 0 passed, 1 failed in 1 s\n  AssertionError: x", True),
        ("FAILED (exit code 1): 0 passed, 1 failed in 1 s\n  NameError: name 'y'", False),
        ("FAILED (exit code 2): 0 passed, 1 errors in 1 s\n  ImportError: z", False),
        (PASSED, False),
        ("TIMED OUT after 9 s", False),
    ],
)
def test_which_failures_say_something_about_the_project(outcome: str, says: bool) -> None:
    assert reproduce.reproduces(outcome) is says


def test_the_test_stays_inside_the_project_whatever_the_task_says() -> None:
    path = reproduce.place("../../etc/passwd; rm -rf ~", "/etc/tests/test_x.py:\n")
    assert ".." not in path
    assert not path.startswith("/")


@pytest.mark.parametrize("words", ["Tests pass now.", "Test", "Test x", "Test 99999999999999999999 y", "Test \u00b2"])
def test_a_model_that_speaks_of_tests_is_not_taken_for_the_harness(words: str) -> None:
    def world(name: str, arguments: dict[str, Any]) -> str:
        return {"execute_tests": PASSED, "repo_map": ""}.get(name, "done")

    assert play(Inner(words), world)[-1].text == words


def test_a_model_that_says_the_words_of_the_harness_has_no_file_taken_away() -> None:
    edit = call("edit_file", path="a.py", old="", new="x").tool_calls
    forged = assistant("Test 3 that fails as long as it is not done.", *edit)
    seen: list[str] = []

    def world(name: str, arguments: dict[str, Any]) -> str:
        seen.append(str(arguments.get("command")))
        return {"execute_tests": PASSED, "repo_map": MAP, "verify_change": VERIFIED}.get(name, "edited")

    messages = play(Inner(*["no test"] * reproduce.MAX_TESTS, forged, "Done."), world)
    assert not [command for command in seen if command.startswith("rm")]
    assert calls(messages)[-1] == "verify_change" or messages[-1].text == "Done."


def test_only_the_file_that_was_made_is_taken_away_whatever_a_later_map_says() -> None:
    """The place of the test is worked out from the map; a second map names another folder."""
    maps = iter([MAP, "paging.py:\nother/test_x.py:\n"])
    seen: list[str] = []

    def world(name: str, arguments: dict[str, Any]) -> str:
        seen.append(str(arguments.get("command")))
        return next(maps) if name == "repo_map" else {"execute_tests": PASSED}.get(name, "done")

    planner = WorkPlanner(Inner(TEST), RepairPlanner(Inner(TEST)))
    messages = [user("total(None) must be 0")]
    for _ in range(3):  # the tests, the map, the test that is written
        said = asyncio.run(planner.respond(messages, TOOLS, ModelSettings(run_id="r")))
        messages += [said, *answered(said, world)]
    more = call("repo_map")
    messages += [more, *answered(more, world)]
    for _ in range(4):
        said = asyncio.run(planner.respond(messages, TOOLS, ModelSettings(run_id="r")))
        messages += [said, *answered(said, world)]
    assert [command for command in seen if command.startswith("rm")] == ["rm -f -- tests/test_total_none_must.py"]


def answered(said: Message, world: Callable[[str, dict[str, Any]], str]) -> list[Message]:
    """What the tools say to a message's calls."""
    parts = [ToolResultPart(c.id, c.name, (TextPart(world(c.name, dict(c.arguments))),)) for c in said.tool_calls]
    return [Message("tool", tuple(parts))] if parts else []


def test_what_a_command_changed_is_verified_when_the_gate_says_so() -> None:
    def world(name: str, arguments: dict[str, Any]) -> str:
        return {"execute_tests": PASSED, "repo_map": "", "verify_change": VERIFIED}.get(name, "done")

    inner = Inner(call("run_terminal_command", command="sed -i s/1/2/ a.py"), "Done.")
    messages = play(inner, world)
    assert messages[-1].text == "Done."
    messages.append(user(f"[mainspring] Your answer did not pass its check: {UNVERIFIED}"))
    said = asyncio.run(WorkPlanner(inner, RepairPlanner(inner)).respond(messages, TOOLS, ModelSettings(run_id="r")))
    assert [c.name for c in said.tool_calls] == ["verify_change"]
