"""What a repair has done so far, told from the conversation alone.

Everything that the planner knows is folded from the tool calls and their answers, so that a run goes on after a
crash, in another process, exactly where it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mainspring.code.source import FunctionSource, one_function
from mainspring.messages import Message, ToolCallPart, ToolResultPart

_HEADLINE = re.compile(r"\A(PASSED|FAILED|TIMED OUT|ENDED)[^:\n]*(?::? ?)(.*)")
_COUNT = re.compile(r"(\d+) (passed|failed|errors)")
_SECONDS = re.compile(r" in ([\d.]+) s")
_FAILURE = re.compile(r"^(?:FAILED|ERROR) (?!\(exit code )(\S.*)$", re.MULTILINE)
_MORE = re.compile(r"^\.\.\. and (\d+) more: (.*)$", re.MULTILINE)
_ASKED = re.compile(r"\(question (\d+)\)")
_NUMBERED = re.compile(r"^ *\d+\| ?(.*)$")


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """One answer of `execute_tests`.

    Args:
        ok: the runner ended by itself and reported success.
        counted: it said how many tests passed and failed.
        passed, failed: how many.
        seconds: how long it took.
        failing: ids of failed tests, as far as they were listed.
        text: the answer itself.
    """

    __test__ = False

    ok: bool
    counted: bool
    passed: int
    failed: int
    seconds: float
    failing: tuple[str, ...]
    text: str

    @classmethod
    def read(cls, text: str) -> TestOutcome:
        """Read the answer of the tool; what it does not say counts as not passed."""
        match = _HEADLINE.match(text)
        head = text.split("\n", 1)[0]
        counts = {name: int(number) for number, name in _COUNT.findall(head)}
        took = _SECONDS.search(head)
        failing = _FAILURE.findall(text)
        if more := _MORE.search(text):
            failing += more.group(2).split(", ")
        return cls(
            ok=match is not None and match.group(1) == "PASSED",
            counted=bool(counts),
            passed=counts.get("passed", 0),
            failed=counts.get("failed", 0) + counts.get("errors", 0),
            seconds=float(took.group(1)) if took else 0.0,
            failing=tuple(dict.fromkeys(failing)),
            text=text,
        )


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit that was tried: a function's text before and after."""

    path: str
    old: str
    new: str


@dataclass(slots=True)
class Progress:
    """Where a repair stands.

    Attributes:
        tests: the newest whole test run of the code as it stood without an edit on trial.
        located: what `locate_fault` said of that code, or None when it was not asked yet.
        functions: sources that were read since then, by path and first line; None for one that cannot be used.
        on_trial: the edit that is in the file and not yet judged, or None.
        quick, whole: what the tests said of the edit on trial: the formerly failing ones, and all of them.
        tried: every edit of this round, in order.
        kept: edits that helped and stay.
        question: number of the last question put to the model in this round, or -1.
        tries: edits tried in all rounds.
        problem: why the repair cannot go on, or "".
    """

    tests: TestOutcome | None = None
    located: Mapping[str, Any] | None = None
    functions: dict[tuple[str, int], FunctionSource | None] = field(default_factory=dict)
    on_trial: Edit | None = None
    quick: TestOutcome | None = None
    whole: TestOutcome | None = None
    tried: list[Edit] = field(default_factory=list)
    kept: list[Edit] = field(default_factory=list)
    question: int = -1
    tries: int = 0
    problem: str = ""

    @property
    def verdict(self) -> str:
        """Of the edit on trial: ``"untested"``, ``"promising"``, or ``"worse"`` (it does not help)."""
        assert self.tests is not None
        outcome = self.whole or self.quick
        if outcome is None:
            return "untested"
        if outcome.ok:
            return "promising"
        if not outcome.counted:
            return "worse"
        if self.whole is None:
            return "promising" if outcome.failed < len(self.quick_tests) else "worse"
        return "worse"

    @property
    def quick_tests(self) -> tuple[str, ...]:
        """The failing tests that an edit has to face first: a few, each from another test function if possible."""
        assert self.tests is not None
        first: dict[str, str] = {}
        for name in self.tests.failing:
            first.setdefault(name.split("[")[0], name)
        return tuple(list(first.values())[:4])


def read_progress(messages: Sequence[Message]) -> Progress:
    """Fold a conversation."""
    progress = Progress()
    calls: dict[str, ToolCallPart] = {}
    for message in messages:
        if message.role == "assistant":
            calls.update({call.id: call for call in message.tool_calls})
            if asked := _ASKED.search(message.text):
                progress.question = int(asked.group(1))
        elif message.role == "tool":
            for part in message.parts:
                if isinstance(part, ToolResultPart) and part.call_id in calls:
                    _take(progress, calls.pop(part.call_id), part)
    return progress


def _take(progress: Progress, call: ToolCallPart, result: ToolResultPart) -> None:
    if call.name == "edit_file":
        _take_edit(progress, call.arguments, result.is_error)
    elif call.name == "execute_tests":
        _take_tests(progress, bool(call.arguments.get("target")), result)
    elif call.name == "locate_fault":
        if result.is_error:
            progress.problem = f"the fault cannot be located: {result.text}"
        else:
            progress.located = json.loads(result.text)
    elif call.name == "read_file":
        key = str(call.arguments["path"]), int(call.arguments["start_line"])
        progress.functions[key] = None if result.is_error else _read(progress, *key, result.text)


def _take_edit(progress: Progress, arguments: Mapping[str, Any], failed: bool) -> None:
    edit = Edit(str(arguments["path"]), str(arguments["old"]), str(arguments["new"]))
    if progress.on_trial == Edit(edit.path, edit.new, edit.old):
        if failed:
            progress.problem = f"an edit of {edit.path} could not be undone"
        progress.on_trial = progress.quick = progress.whole = None
        return
    progress.tried.append(edit)
    progress.tries += 1
    if not failed:
        progress.on_trial = edit


def _take_tests(progress: Progress, chosen: bool, result: ToolResultPart) -> None:
    outcome = TestOutcome.read("" if result.is_error else result.text)
    if progress.on_trial is None:
        progress.tests = outcome
        if result.is_error or not (outcome.ok or outcome.failed):
            progress.problem = f"the tests cannot be judged: {result.text[:1000]}"
        return
    if chosen:
        progress.quick = outcome
        return
    progress.whole = outcome
    before = progress.tests.failed if progress.tests is not None else 0
    if outcome.ok or (outcome.counted and 0 < outcome.failed < before and outcome.passed):
        progress.kept.append(progress.on_trial)
        progress.tests = outcome
        progress.on_trial = progress.quick = progress.whole = progress.located = None
        progress.functions, progress.tried, progress.question = {}, [], -1


def _read(progress: Progress, path: str, first: int, text: str) -> FunctionSource | None:
    name = next(
        (s["function"] for s in (progress.located or {})["suspects"] if s["path"] == path and s["first"] == first),
        None,
    )
    lines = [match.group(1) for match in map(_NUMBERED.match, text.split("\n")[1:]) if match]
    if name is None or any("[... line cut]" in line for line in lines):
        return None
    return one_function(path, name, first, "\n".join(lines))
