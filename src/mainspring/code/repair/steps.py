"""What a repair says and does next, as messages of its model: tool calls, the final report, and why it gave up."""

from __future__ import annotations

import shlex
from typing import Any

from mainspring.code.repair.proposals import Question, changed_line
from mainspring.code.repair.source import FunctionSource
from mainspring.code.repair.transcript import Edit, Progress
from mainspring.errors import ModelError
from mainspring.messages import Message, ToolCallPart, assistant


def call(text: str, name: str, **arguments: Any) -> Message:
    """A step that calls one tool; the planner gives it its id."""
    return assistant(text, ToolCallPart("", name, arguments))


def judge(progress: Progress, edit: Edit) -> Message:
    """The next step for an edit that is in the file: test it, test it wholly, or take it back."""
    tests = progress.tests
    assert tests is not None
    timeout = max(10, int(tests.seconds * 5) + 5)
    match progress.verdict:
        case "back":
            text = "Closer, but not all; back." if progress.traced is not None else "That does not help; back."
            return call(text, "edit_file", path=edit.path, old=edit.new, new=edit.old)
        case "quick":
            return call("", "execute_tests", target=shlex.join(progress.quick_tests), timeout_s=timeout)
        case "trace":
            return call("Fewer fail. Do they still run through this line?", "locate_fault")
        case "whole":
            return call("That helps; now all tests.", "execute_tests", timeout_s=timeout)


def gave_up(why: str, progress: Progress) -> ModelError:
    """Why it ends without having mended everything."""
    failed = progress.tests.failed if progress.tests is not None else 0
    return ModelError(f"gave up {why}: {failed} tests still fail; every edit that did not help is undone")


def where(question: Question, function: FunctionSource, span: tuple[int, int] | None) -> str:
    """What a question is about, for people who watch."""
    if question.kind == "function":
        return function.name
    line = function.line(question.line)
    part = line.strip() if span is None else f"{line[: span[0]].strip()}[{line[span[0] : span[1]]}]{line[span[1] :]}"
    return f"{function.name}:{question.line} {part} ->" if span is not None else f"{function.name}:{question.line}"


def report(progress: Progress) -> str:
    """The final answer, once all tests pass."""
    assert progress.tests is not None
    counted = f"all {progress.tests.passed} tests pass" if progress.tests.counted else "the tests pass"
    if not progress.kept:
        return f"Nothing to mend: {counted}. No file was changed."
    lines = []
    for edit in progress.kept:
        _, old, new = changed_line(edit.old, edit.new)
        lines.append(f"{edit.path}:\n- {old}\n+ {new}")
    changes = "\n".join(lines)
    return f"Mended after {progress.tries} tries: {counted} (the whole suite was run on the final code).\n{changes}"
