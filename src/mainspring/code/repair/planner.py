"""`RepairPlanner`: a harness that lets a weak model mend code, itself a model to the loop.

It decides each next tool call from the conversation: run the tests, locate the fault, ask the inner model for one
line or one function, try the answer, keep what helps, undo what does not. The inner model proposes every change;
the planner knows no bug and makes no change of its own. Because it reads its state from the conversation alone,
a run that was killed goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mainspring.code.repair.proposals import (
    INFILLS,
    Infill,
    Question,
    ask_function,
    ask_line,
    changed_line,
    closer_questions,
    function_edit,
    is_comment,
    line_edit,
    questions,
    spans,
    too_long,
)
from mainspring.code.repair.source import FunctionSource
from mainspring.code.repair.steps import call, gave_up, judge, report, where
from mainspring.code.repair.transcript import Edit, Progress, read_progress
from mainspring.errors import ModelError
from mainspring.messages import Message, ToolCallPart, Usage, assistant
from mainspring.model import Delta, Model, ModelSettings, ToolSpec, model_name

_NEEDED = ("execute_tests", "locate_fault", "read_file", "edit_file")
_LINE_TOKENS, _SPAN_TOKENS, _FUNCTION_TOKENS = 48, 24, 700
# A suspect whose questions bring nothing new for this long is given up together with the others.
_BARREN_QUESTIONS = 200


@dataclass(slots=True)
class _Memory:
    """What one process knows of one run; losing it costs time, never correctness."""

    started: float = field(default_factory=time.monotonic)
    usage: Usage = field(default_factory=Usage)
    infill: Infill | None = None
    asked_infill: bool = False


class RepairPlanner:
    """A model that mends code until its tests pass, by asking an inner model small questions.

    Args:
        inner: the model that proposes the changes.
        tries: edits to try before it gives up.
        seconds: time to spend in one process before it gives up, or None.
        tokens: tokens that the inner model may read anew and write before it gives up, or None.
        seed: start of the seeds of the inner model's answers.

    Attributes:
        usage: what the inner model spent in this process, by run id.

    It needs the tools of :func:`mainspring.code.repair_agent`. Giving up raises ModelError, so that the run ends as
    failed: it answers only when the whole test suite has passed.
    """

    takes: frozenset[str] = frozenset()
    context_window = 1 << 30  # the conversation is its memory, and costs it nothing

    def __init__(
        self,
        inner: Model,
        *,
        tries: int = 80,
        seconds: float | None = 900.0,
        tokens: int | None = None,
        seed: int = 0,
    ) -> None:
        self.inner = inner
        self.tries = tries
        self.seconds = seconds
        self.tokens = tokens
        self.seed = seed
        self.name = f"repair({model_name(inner)})"
        self._memory: dict[str, _Memory] = {}

    @property
    def usage(self) -> dict[str, Usage]:
        """What the inner model spent in this process, by run id."""
        return {run: memory.usage for run, memory in self._memory.items()}

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """The next tool call, or the final answer once every test passes.

        Raises:
            ModelError: a tool is missing, the tests cannot be judged, or nothing helped within the limits.
        """
        missing = [name for name in _NEEDED if name not in {spec.name for spec in tools}]
        if missing:
            raise ModelError(f"the repair planner needs the tools {missing}; make the agent with repair_agent()")
        memory = self._memory.setdefault(settings.run_id, _Memory())
        progress = read_progress(messages)
        before = memory.usage
        try:
            answer = await self._next(progress, memory, settings)
        except ModelError as error:
            if not error.retryable and progress.tries and "gave up" not in str(error):
                raise ModelError(f"{error} (after {progress.tries} tried edits)", status=error.status) from error
            raise
        call_id = f"repair-{sum(1 for m in messages if m.role == 'assistant') + 1}"
        parts = tuple(replace(p, id=call_id) if isinstance(p, ToolCallPart) else p for p in answer.parts)
        spent = _minus(memory.usage, before)
        return Message("assistant", parts, usage=spent, model=self.name, finish=answer.finish)

    async def _next(self, progress: Progress, memory: _Memory, settings: ModelSettings) -> Message:
        if progress.problem:
            raise ModelError(progress.problem)
        tests = progress.tests
        if tests is None:
            return call("First, the tests.", "execute_tests")
        if tests.ok and progress.on_trial is None:
            return assistant(report(progress))
        if progress.on_trial is not None:
            return judge(progress, progress.on_trial)
        if why := self._spent(progress, memory):
            raise gave_up(why, progress)
        if progress.located is None:
            return call("Which code do they run?", "locate_fault", tests=list(tests.failing[:12]))
        return await self._propose(progress, progress.located, memory, settings)

    async def _propose(self, progress: Progress, located: Any, memory: _Memory, settings: ModelSettings) -> Message:
        suspects = located["suspects"]
        if not suspects:
            raise ModelError("no function of the project is executed by the failing tests; nothing to mend there")
        infill = await self._infill(memory)
        tried = {edit.new for edit in progress.tried}
        asked = 0
        for closer, question in _agenda(progress, suspects, infill is not None):
            if asked > _BARREN_QUESTIONS:
                break
            suspect = suspects[question.suspect]
            key = suspect["path"], suspect["first"]
            if key not in progress.functions:
                lines = suspect["last"] - suspect["first"] + 1
                return call(
                    f"Suspect: `{suspect['function']}` in {suspect['path']}.",
                    "read_file",
                    path=suspect["path"],
                    start_line=suspect["first"],
                    lines=lines,
                )
            function = progress.functions[key]
            if function is None or not _sensible(question, function, infill):
                continue
            asked += 1
            if why := self._spent(progress, memory):
                raise gave_up(why, progress)
            new = await self._ask(question, function, located, progress.tried, infill, memory, settings)
            if new is None or new in tried:
                continue
            edit = Edit(function.path, function.text, new)
            index, old_line, new_line = changed_line(edit.old, edit.new)
            text = (
                f"Try {progress.tries + 1} ({'closer ' if closer else ''}question {question.number}), "
                f"{function.name}, line {function.first + index}:\n- {old_line}\n+ {new_line}"
            )
            return call(text, "edit_file", path=edit.path, old=edit.old, new=edit.new)
        raise gave_up("as the model has no further ideas", progress)

    async def _ask(
        self,
        question: Question,
        function: FunctionSource,
        located: Any,
        tried: Sequence[Edit],
        infill: Infill | None,
        memory: _Memory,
        settings: ModelSettings,
    ) -> str | None:
        """Put one question to the inner model; the function's new text, or None when the answer is of no use."""
        tests = located["tests"]
        span = spans(function.line(question.line))[question.span] if question.kind == "span" else None
        if question.kind != "function":
            messages, begin = ask_line(tests, function, question.line, infill, span)
            stop = ["\n"]
            most = _LINE_TOKENS if span is None else _SPAN_TOKENS
        else:
            suspect = located["suspects"][question.suspect]
            lines = [changed_line(e.old, e.new)[2] for e in tried if e.old == function.text]
            messages, begin = ask_function(tests, function, suspect["call"], lines)
            stop = ["```"]
            most = _FUNCTION_TOKENS
        if settings.on_delta is not None:
            settings.on_delta(Delta("thinking", f"\n{where(question, function, span)}: "))
        extra = {"prefill": begin, "stop": stop} if self._takes_prefill() else {}
        asked = replace(
            settings,
            effort="none" if extra else settings.effort,
            max_output_tokens=most if extra else settings.max_output_tokens,
            temperature=question.temperature,
            seed=self.seed + question.number,
            output_schema=None,
            extra=extra,
        )
        answer = await self._inner(messages, asked, memory)
        if question.kind == "line" and infill is not None and is_comment(answer.text):
            # It began with a remark of its own; the code comes after it.
            extra = {**extra, "prefill": f"{begin}{answer.text.rstrip()}\n{_indent(function, question.line)}"}
            answer = await self._inner(messages, replace(asked, extra=extra), memory)
        if question.kind != "function":
            text = answer.text if extra else _fenced(answer.text)
            return line_edit(function, question.line, text, span)
        return function_edit(function, begin if extra else "", answer.text)

    async def _inner(self, messages: Sequence[Message], settings: ModelSettings, memory: _Memory) -> Message:
        answer = await self.inner.respond(messages, (), settings)
        memory.usage = memory.usage + (answer.usage or Usage(calls=1))
        return answer

    def _takes_prefill(self) -> bool:
        return getattr(self.inner, "takes_prefill", hasattr(self.inner, "engine_pid"))

    async def _infill(self, memory: _Memory) -> Infill | None:
        """How the inner model fills gaps, told from its own vocabulary; None when it does not."""
        if not memory.asked_infill:
            prepare = getattr(self.inner, "prepare", None)
            words: Sequence[str] = ()
            if prepare is not None:
                _, header = await prepare()
                words = header.control_tokens
            memory.infill = next((i for i in INFILLS if {i.prefix, i.suffix, i.middle} <= set(words)), None)
            memory.asked_infill = True
        return memory.infill

    def _spent(self, progress: Progress, memory: _Memory) -> str:
        """Why it is time to give up, or ""."""
        used = memory.usage
        fresh = used.input_tokens - used.cache_read_tokens + used.output_tokens
        if progress.tries >= self.tries:
            return f"after {progress.tries} tries"
        if self.tokens is not None and fresh >= self.tokens:
            return f"after {progress.tries} tries and {fresh:,} tokens"
        if self.seconds is not None and time.monotonic() - memory.started >= self.seconds:
            return f"after {progress.tries} tries and {time.monotonic() - memory.started:.0f} s"
        return ""


def _agenda(progress: Progress, suspects: Sequence[Any], infill: bool) -> Iterator[tuple[bool, Question]]:
    """Questions that were not put yet: first about the lines of half successes, then the usual ones."""
    places = []
    for edit in progress.hot:
        for index, suspect in enumerate(suspects):
            function = progress.functions.get((suspect["path"], suspect["first"]))
            if function is not None and function.path == edit.path and function.text == edit.old:
                places.append((index, function.first + changed_line(edit.old, edit.new)[0]))
    yield from ((True, q) for q in closer_questions(places) if q.number > progress.closer)
    yield from ((False, q) for q in questions(suspects, infill) if q.number > progress.question)


def _sensible(question: Question, function: FunctionSource, infill: Infill | None) -> bool:
    """Whether this question can be put about this function at a fair price."""
    if question.kind == "span":
        return question.span < len(spans(function.line(question.line)))
    return question.kind == "line" or infill is None or not too_long(function)


def _indent(function: FunctionSource, number: int) -> str:
    line = function.line(number)
    return line[: len(line) - len(line.lstrip())]


def _fenced(text: str) -> str:
    return text.split("```")[1].partition("\n")[2] if text.count("```") >= 2 else text


def _minus(one: Usage, other: Usage) -> Usage:
    usd = None if one.usd is None or other.usd is None else one.usd - other.usd
    return Usage(
        one.input_tokens - other.input_tokens,
        one.output_tokens - other.output_tokens,
        one.cache_read_tokens - other.cache_read_tokens,
        one.cache_write_tokens - other.cache_write_tokens,
        one.calls - other.calls,
        usd,
    )
