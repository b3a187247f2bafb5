"""The bare loop: one command per answer, its output back, and an end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from small_project import make_project

from benchmarks.repair import bare
from mainspring.messages import Message, Usage, assistant

COMMAND = "python -m pytest tests"


class Scripted:
    """Answers with the given texts, the last one again and again, and keeps what it was asked."""

    name = "scripted"

    def __init__(self, *answers: str, tokens: int = 10) -> None:
        self.answers = list(answers)
        self.tokens = tokens
        self.asked: list[list[Message]] = []

    async def respond(self, messages: Sequence[Message], tools: Any, settings: Any) -> Message:
        """The next text, cut at the stop word as an engine does."""
        self.asked.append(list(messages))
        text = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        for stop in settings.extra["stop"]:
            text = text.split(stop)[0]
        return assistant(text, usage=Usage(100, self.tokens, cache_read_tokens=100, calls=1))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def work(model: Scripted, folder: Path, **limits: Any) -> bare.Attempt:
    limits = {"tokens": 1000, "seconds": 60.0, **limits}
    return asyncio.run(bare.work(model, folder, COMMAND, "1 test fails", **limits))


def fenced(command: str, word: str = "bash") -> str:
    return f"I do this.\n\n```{word}\n{command}\n```\nAnd then something else:\n```bash\nrm -rf .\n```\n"


def test_commands_run_in_the_folder_and_their_output_comes_back(project: Path) -> None:
    model = Scripted(
        fenced("ls && echo hello > made.txt"), fenced("cat made.txt; exit 3"), fenced("echo " + bare.FINISH)
    )
    done = work(model, project)
    assert done.submitted
    assert (project / "made.txt").read_text() == "hello\n"
    assert done.commands == ["ls && echo hello > made.txt", "cat made.txt; exit 3", "echo " + bare.FINISH]
    assert "shapes.py" in model.asked[1][-1].text
    assert model.asked[2][-1].text == "[exit code 3]\nhello"
    assert COMMAND in model.asked[0][1].text
    assert "1 test fails" in model.asked[0][1].text
    # What it wrote after its first command never reaches the conversation.
    assert all("rm -rf" not in m.text for m in done.messages)


def test_the_word_counts_only_as_the_first_line_of_a_command_that_went_well(project: Path) -> None:
    first = fenced(f"echo {bare.FINISH} && false")
    second = fenced(f"echo so: && echo {bare.FINISH}")
    done = work(Scripted(first, second, fenced("true"), fenced("echo " + bare.FINISH)), project)
    assert done.submitted
    assert len(done.commands) == 4


def test_three_answers_without_a_command_end_it(project: Path) -> None:
    done = work(Scripted("```python\nprint(1)\n```\n"), project)
    assert not done.submitted
    assert done.reason == "three answers in a row without a command"
    assert done.commands == []
    assert [m.text for m in done.messages].count(bare.REMINDER) == 2


def test_an_answer_without_a_command_is_answered_with_what_was_wrong(project: Path) -> None:
    model = Scripted("I look.", fenced("ls"), "Now I think.", "And think.", fenced("echo " + bare.FINISH))
    done = work(model, project)
    assert done.submitted  # never three in a row
    assert done.commands[0] == "ls"
    assert model.asked[1][-1].text == bare.REMINDER


def test_a_block_in_a_numbered_list_is_a_block_too(project: Path) -> None:
    listed = (
        "1. I look:\n   ```bash\n   if true; then\n     echo yes > made.txt\n   fi\n   ```\n"
        "2. I run it:\n   ```bash\n   no\n   ```\n"
    )
    done = work(Scripted(listed, fenced("echo " + bare.FINISH)), project)
    assert done.submitted
    assert done.commands[0] == "if true; then\n  echo yes > made.txt\nfi"
    assert (project / "made.txt").read_text() == "yes\n"
    assert "I run it" not in done.messages[2].text


def test_the_budget_of_tokens_ends_it(project: Path) -> None:
    answers = [fenced(f"echo {i}") for i in range(50)]
    done = work(Scripted(*answers, tokens=40), project, tokens=100)
    assert done.reason == "the tokens are spent"
    assert done.fresh_tokens == 120  # what came from the cache is not counted
    assert len(done.commands) == 3


def test_a_loop_that_repeats_itself_is_ended(project: Path) -> None:
    done = work(Scripted(fenced("date +%N; echo stuck")), project)
    assert "4 times in a row" in done.reason
    assert len(done.commands) == 4


def test_a_command_that_does_something_new_each_time_is_no_repetition(project: Path) -> None:
    done = work(Scripted(fenced("echo x >> log; cat log")), project, steps=6)
    assert done.reason == "after 6 answers"


def test_long_output_is_shortened(project: Path) -> None:
    model = Scripted(fenced("seq 5000"), fenced("echo " + bare.FINISH))
    work(model, project)
    shown = model.asked[1][-1].text
    assert len(shown) < 4000
    assert "characters left out" in shown
    assert shown.endswith("5000")


def test_commands_cannot_write_outside_of_the_folder(project: Path, tmp_path: Path) -> None:
    target = tmp_path / "outside.txt"
    target.write_text("sound")
    work(Scripted(fenced(f"echo broken > {target}"), fenced("echo " + bare.FINISH)), project)
    assert target.read_text() == "sound"
