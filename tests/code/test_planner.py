"""The repair harness: what it does with good, bad, half and no answers, and across a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from small_project import COMMAND, SHAPES, TESTS, Told, break_line

from mainspring import ModelError, Run
from mainspring.code import RepairPlanner, repair_agent
from mainspring.messages import Message, ToolCallPart, ToolResultPart, user
from mainspring.model import ModelSettings

BROKEN, SOUND = "    if value > high:", "    if value < high:"


def right(prompt: str, begin: str) -> str:
    """Writes the sound line into the gap that it was cut from, and nonsense elsewhere."""
    after = begin.partition("<|fim_suffix|>")[2]
    if after.startswith("\n    return high\n") or after.startswith("\n        return high\n"):
        return BROKEN.strip()
    return "value = value = value"


def repair(project: Path, home: Path, model: Any, **options: Any) -> Run:
    return repair_agent(model, project, COMMAND, **options).run_sync("Mend it.", home=home)


def tool_names(run: Run) -> list[str]:
    return [e.payload["tool"] for e in run.events() if e.kind == "effect.done"]


def test_it_mends_one_line(project: Path, tmp_path: Path) -> None:
    break_line(project, BROKEN, SOUND)
    model = Told(right)
    run = repair(project, tmp_path / "home", model)
    assert run.status == "done", run.reason
    assert (project / "shapes.py").read_text() == SHAPES
    assert (project / "tests" / "test_shapes.py").read_text() == TESTS
    assert "all 3 tests pass" in str(run.output)
    assert "+ if value > high:" in str(run.output)
    assert tool_names(run)[:3] == ["execute_tests", "locate_fault", "read_file"]
    assert tool_names(run)[-1] == "execute_tests"
    assert run.usage.input_tokens == 10 * len(model.asked)


def test_nothing_is_wrong(project: Path, tmp_path: Path) -> None:
    model = Told(right)
    run = repair(project, tmp_path / "home", model)
    assert run.status == "done"
    assert "Nothing to mend" in str(run.output)
    assert model.asked == []


@pytest.mark.parametrize("answer", ["", "I do not know", "return 0", "```", "\x00\ud800", "return ((((", "# hm"])
def test_useless_answers_end_in_failure_and_leave_no_trace(project: Path, tmp_path: Path, answer: str) -> None:
    break_line(project, BROKEN, SOUND)
    broken = (project / "shapes.py").read_text()
    run = repair(project, tmp_path / "home", Told(lambda prompt, begin: answer), tries=4)
    assert run.status == "failed"
    assert "gave up" in run.reason
    assert (project / "shapes.py").read_text() == broken


def test_tokens_and_tries_are_limits(project: Path, tmp_path: Path) -> None:
    break_line(project, BROKEN, SOUND)
    model = Told(lambda prompt, begin: "")
    run = repair(project, tmp_path / "home", model, tokens=50)
    assert run.status == "failed"
    assert "tokens" in run.reason
    assert len(model.asked) == 5  # 12 tokens each
    count = iter(range(1000))
    run = repair(project, tmp_path / "home", Told(lambda prompt, begin: f"return {next(count)}"), tries=2)
    assert "after 2 tries" in run.reason


def test_a_whole_function_from_a_model_that_fills_no_gaps(project: Path, tmp_path: Path) -> None:
    break_line(project, "    return width * height", "    return width + height")

    def say(prompt: str, begin: str) -> str:
        if "def area" not in begin:
            return "nothing"
        return "(width, height):\n    width = clamp(width, 0, 1000)\n    return width * clamp(height, 0, 1000)\n```"

    run = repair(project, tmp_path / "home", Told(say, infill=False))
    assert run.status == "done", run.reason
    text = (project / "shapes.py").read_text()
    assert "return width * clamp(height, 0, 1000)" in text
    assert '"""Area of a rectangle, 0 for an impossible one."""' in text


def test_a_plain_model_without_prefill_answers_in_a_fence(project: Path, tmp_path: Path) -> None:
    break_line(project, "    return width * height", "    return width + height")

    class Plain(Told):
        takes_prefill = False

    def say(prompt: str, begin: str) -> str:
        assert begin == ""
        return "Here:\n```python\ndef area(width, height):\n    return max(width, 0) * max(height, 0)\n```\nDone."

    run = repair(project, tmp_path / "home", Plain(say, infill=False))
    assert run.status == "done", run.reason


def test_two_faults_are_mended_one_after_the_other(project: Path, tmp_path: Path) -> None:
    break_line(project, "    return width * height", "    return width + height")
    break_line(project, "self.seen.get(word, 0) + 1", "self.seen.get(word, 0) + 2")

    def say(prompt: str, begin: str) -> str:
        before = begin.partition("<|fim_suffix|>")[0]
        if before.endswith("height = clamp(height, 0, 1000)\n    "):
            return "return width * height"
        if before.endswith('how many there are now."""\n    '):
            return "self.seen[word] = self.seen.get(word, 0) + 1"
        return ""

    run = repair(project, tmp_path / "home", Told(say))
    assert run.status == "done", run.reason
    assert (project / "shapes.py").read_text() == SHAPES
    assert tool_names(run).count("locate_fault") == 2


def test_a_half_success_is_taken_back_and_the_line_asked_about_again(project: Path, tmp_path: Path) -> None:
    (project / "tests" / "test_more.py").write_text(
        "from shapes import clamp\n\n\ndef test_low():\n    assert clamp(1, 2, 3) == 2\n"
    )
    break_line(project, "    if value < low:", "    if value > low:")
    said: list[str] = []

    def say(prompt: str, begin: str) -> str:
        after = begin.partition("<|fim_suffix|>")[2]
        if not after.lstrip().startswith("return low"):
            return ""
        said.append("if value == 1:" if not said else "if value < low:")
        return said[-1]

    run = repair(project, tmp_path / "home", Told(say))
    assert run.status == "done", run.reason
    assert (project / "shapes.py").read_text() == SHAPES
    texts = [e.payload["message"]["parts"][0].get("text", "") for e in run.events() if e.kind == "model.answered"]
    assert any("(closer question 0)" in text for text in texts)
    assert said == ["if value == 1:", "if value < low:"]


def test_an_edit_that_makes_the_failing_test_vanish_mends_nothing(project: Path, tmp_path: Path) -> None:
    break_line(project, "    return width * height", "    return width + height")
    (project / "tests" / "test_more.py").write_text(
        "import pytest\nfrom shapes import area\n\n\ndef test_skips():\n    if area(2, 3) is None:\n"
        "        pytest.skip('no areas here')\n    assert area(2, 3) == 6\n\n\n"
        "def test_easy():\n    assert area(2, 3) != 5\n"
    )
    (project / "tests" / "test_shapes.py").write_text(TESTS.partition("def test_area")[0])
    broken = (project / "shapes.py").read_text()
    run = repair(project, tmp_path / "home", Told(lambda prompt, begin: "return None"), tries=6)
    assert run.status == "failed"
    assert (project / "shapes.py").read_text() == broken
    outcomes = [e.payload["content"][0]["text"] for e in run.events() if e.kind == "effect.done"]
    # It was tried, and looked good.
    assert any(text.startswith("PASSED: 2 passed, 1 skipped") for text in outcomes)


def test_a_new_planner_goes_on_where_the_old_one_was(project: Path, tmp_path: Path) -> None:
    """Drives respond() by hand, with a fresh planner for every step: its state is in the conversation alone."""
    break_line(project, BROKEN, SOUND)
    agent = repair_agent(Told(right), project, COMMAND)
    specs = [tool.spec for tool in agent.tools.values()]
    messages: list[Message] = [user("Mend it.")]

    async def drive() -> str:
        from mainspring import ToolContext
        from mainspring.content import to_content
        from mainspring.value import Labelled

        for _ in range(40):
            planner = RepairPlanner(Told(right))
            message = await planner.respond(tuple(messages), specs, ModelSettings(run_id="r"))
            messages.append(message)
            if not message.tool_calls:
                return message.text
            (call,) = message.tool_calls
            assert isinstance(call, ToolCallPart)
            tool = agent.tools[call.name]
            value = await tool.call(tool.validate(call.arguments), ToolContext(workspace=project))
            value = value.value if isinstance(value, Labelled) else value
            messages.append(Message("tool", (ToolResultPart(call.id, call.name, to_content(value)),)))
        raise AssertionError("no end")

    answer = asyncio.run(drive())
    assert "all 3 tests pass" in answer
    assert (project / "shapes.py").read_text() == SHAPES
    calls = [(c.name, str(sorted(c.arguments.items()))) for m in messages for c in m.tool_calls]
    edits = [call for call in calls if call[0] == "edit_file"]
    assert len(edits) == len(set(edits)) >= 1  # nothing was tried twice


def test_it_needs_its_tools() -> None:
    planner = RepairPlanner(Told(right))
    with pytest.raises(ModelError, match="locate_fault"):
        asyncio.run(planner.respond([user("x")], (), ModelSettings()))
