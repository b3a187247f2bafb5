"""What a repair has done so far, told from the conversation alone.

Everything that the planner knows is folded from the tool calls and their answers, so that a run goes on after a
crash, in another process, exactly where it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mainspring.code.repair.source import FunctionSource, one_function
from mainspring.messages import Message, ToolCallPart, ToolResultPart

_HEADLINE = re.compile(r"\A(PASSED|FAILED|TIMED OUT|ENDED)[^:\n]*(?::? ?)(.*)")
_COUNT = re.compile(r"(\d+) (passed|failed|errors)")
_SECONDS = re.compile(r" in ([\d.]+) s")
_FAILURE = re.compile(r"^(?:FAILED|ERROR) (?!\(exit code )(\S.*)$", re.MULTILINE)
_MORE = re.compile(r"^\.\.\. and (\d+) more: (.*)$", re.MULTILINE)
_ASKED = re.compile(r"\((closer )?question (\d+)\)")
_NUMBERED = re.compile(r"^ *\d+\| ?(.*)$")


Verdict = Literal["quick", "whole", "trace", "back"]


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

    def better_than(self, other: TestOutcome) -> bool:
        """True when it ran to its end with fewer failures, though still some, and with more tests that pass."""
        return not self.ok and self.counted and self.failed < other.failed and self.passed > other.passed

    def mends(self, before: TestOutcome) -> bool:
        """True when it reports success with as many tests as passed or failed `before`: one that is gone or skipped
        now has not been mended."""
        return self.ok and not (self.counted and self.passed < before.passed + before.failed)

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
        quick, whole, traced: what was found out with the edit on trial: by the formerly failing tests, by all tests,
            and by `locate_fault`.
        tried: every edit of this round, in order.
        hot: edits of this round that made some tests pass and not all: the right place, perhaps, but the wrong words.
        kept: edits that helped and stay.
        question, closer: numbers of the last questions put to the model in this round: of the usual ones, and of
            those about the lines of `hot`; -1 before the first.
        tries: edits tried in all rounds.
        problem: why the repair cannot go on, or "".
    """

    tests: TestOutcome | None = None
    located: Mapping[str, Any] | None = None
    functions: dict[tuple[str, int], FunctionSource | None] = field(default_factory=dict)
    on_trial: Edit | None = None
    quick: TestOutcome | None = None
    whole: TestOutcome | None = None
    traced: Mapping[str, Any] | None = None
    tried: list[Edit] = field(default_factory=list)
    hot: list[Edit] = field(default_factory=list)
    kept: list[Edit] = field(default_factory=list)
    question: int = -1
    closer: int = -1
    tries: int = 0
    problem: str = ""

    @property
    def verdict(self) -> Verdict:
        """What to do with the edit on trial."""
        assert self.tests is not None
        if self.whole is not None:
            # Fewer failures: was one fault of several mended, or this one by half?
            return "trace" if self.whole.better_than(self.tests) and self.traced is None else "back"
        if self.quick is None:
            return "quick" if self.quick_tests and self.tests.seconds > 0 else "whole"
        return "whole" if self.quick.ok or self.quick.passed or "not found:" in self.quick.text else "back"

    @property
    def quick_tests(self) -> tuple[str, ...]:
        """The failing tests that an edit has to face first: a few, each from another test function if possible."""
        assert self.tests is not None
        first: dict[str, str] = {}
        for name in self.tests.failing:
            first.setdefault(name.split("[")[0], name)
        return tuple(list(first.values())[:4])

    def take_off(self) -> None:
        """No edit is on trial any more."""
        self.on_trial = self.quick = self.whole = self.traced = None

    def keep(self, tests: TestOutcome, located: Mapping[str, Any] | None) -> None:
        """The edit on trial stays, and a new round begins."""
        assert self.on_trial is not None
        self.kept.append(self.on_trial)
        self.take_off()
        self.tests, self.located = tests, located
        self.functions, self.tried, self.hot, self.question, self.closer = {}, [], [], -1, -1


def read_progress(messages: Sequence[Message]) -> Progress:
    """Fold a conversation."""
    progress = Progress()
    calls: dict[str, ToolCallPart] = {}
    for message in messages:
        if message.role == "assistant":
            calls.update({call.id: call for call in message.tool_calls})
            if asked := _ASKED.search(message.text):
                if asked.group(1):
                    progress.closer = int(asked.group(2))
                else:
                    progress.question = int(asked.group(2))
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
        _take_fault(progress, result)
    elif call.name == "read_file":
        key = str(call.arguments["path"]), int(call.arguments["start_line"])
        progress.functions[key] = None if result.is_error else _read(progress, *key, result.text)


def _take_edit(progress: Progress, arguments: Mapping[str, Any], failed: bool) -> None:
    edit = Edit(str(arguments["path"]), str(arguments["old"]), str(arguments["new"]))
    if progress.on_trial == Edit(edit.path, edit.new, edit.old):
        if failed:
            progress.problem = f"an edit of {edit.path} could not be undone"
        if progress.traced is not None:
            progress.hot.append(Edit(edit.path, edit.new, edit.old))
        progress.take_off()
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
    elif chosen:
        progress.quick = outcome
    elif progress.tests is not None and outcome.mends(progress.tests):
        progress.keep(outcome, None)
    else:
        progress.whole = outcome


def _take_fault(progress: Progress, result: ToolResultPart) -> None:
    if progress.on_trial is None:
        if result.is_error:
            progress.problem = f"the fault cannot be located: {result.text}"
        else:
            progress.located = json.loads(result.text)
        return
    progress.traced = {"suspects": [], "tests": []} if result.is_error else json.loads(result.text)
    if not result.is_error and progress.whole is not None and not _still_blamed(progress):
        progress.keep(progress.whole, progress.traced)


def _still_blamed(progress: Progress) -> bool:
    """Whether tests that still fail run through the line on trial: then it is not mended, or not wholly."""
    edit = progress.on_trial
    assert edit is not None
    assert progress.traced is not None
    changed = next(
        (i for i, (a, b) in enumerate(zip(edit.old.split("\n"), edit.new.split("\n"), strict=False)) if a != b), 0
    )
    first = next((key[1] for key, f in progress.functions.items() if f is not None and f.text == edit.old), None)
    if first is None:
        return True
    lines = {n for s in progress.traced["suspects"] if s["path"] == edit.path for n, _ in s["lines"]}
    return first + changed in lines


def _read(progress: Progress, path: str, first: int, text: str) -> FunctionSource | None:
    name = next(
        (s["function"] for s in (progress.located or {})["suspects"] if s["path"] == path and s["first"] == first),
        None,
    )
    lines = [match.group(1) for match in map(_NUMBERED.match, text.split("\n")[1:]) if match]
    if name is None or any("[... line cut]" in line for line in lines):
        return None
    return one_function(path, name, first, "\n".join(lines))
