"""`WorkPlanner`: what the harness does around a model that cannot yet work by itself.

Around a weak model it reproduces first, hands a failing suite to the repair planner, and has every patch verified
before the model may say that it is done. What it decides it reads from the conversation alone, so that a killed run
goes on at the step where it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from mainspring.code.repair.planner import RepairPlanner
from mainspring.code.repair.transcript import TestOutcome
from mainspring.engineer.journal import VERIFY
from mainspring.errors import ModelError
from mainspring.messages import Message, ToolCallPart, ToolResultPart, assistant
from mainspring.model import Model, ModelSettings, ToolSpec, model_name

_WRITES = frozenset({"edit_file", "replace_symbol", "apply_patch", "run_terminal_command", "execute_tests"})
#: Verifications that may fail before the run is given up.
_MAX_FAILED = 4


class WorkPlanner:
    """A model that works on code with the harness's help.

    Args:
        inner: the model that proposes the changes.
        repair: mends what makes tests fail; made around `inner`.

    Raises nothing itself; giving up raises ModelError, so that the run ends as failed.
    """

    takes: frozenset[str] = frozenset()
    context_window = 1 << 30  # the inner model's own window counts when it is asked

    def __init__(self, inner: Model, repair: RepairPlanner) -> None:
        self.inner = inner
        self.repair = repair
        self.name = f"work({model_name(inner)})"
        window = getattr(inner, "context_window", None)
        if window:
            self.context_window = window

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """The next tool call, or the final answer once the patch was verified.

        Raises:
            ModelError: nothing helped within the limits, or the patch kept failing its verification.
        """
        story = _Story(messages)
        call_id = f"work-{sum(1 for m in messages if m.role == 'assistant') + 1}"
        if story.first_tests is None:
            return assistant("First, the tests.", ToolCallPart(call_id, "execute_tests", {}))
        if story.said and (story.verdict == "passed" or story.first_tests.failed):
            answer = assistant(story.said)  # what it said before its patch was verified
        elif story.first_tests.failed:
            answer = await self.repair.respond(messages, tools, settings)
        else:
            answer = await self._ask(messages, tools, settings, story, call_id)
        if answer.tool_calls:
            return answer
        return _verified(answer, story, call_id)

    async def _ask(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        settings: ModelSettings,
        story: _Story,
        call_id: str,
    ) -> Message:
        """Nothing is broken: the model works with the tools, and is shown first where things are."""
        if not story.mapped and any(spec.name == "repo_map" for spec in tools):
            return assistant("Where is what?", ToolCallPart(call_id, "repo_map", {"task": story.task[:2000]}))
        shown = [spec for spec in tools if spec.name not in ("locate_fault", VERIFY)]
        return await self.inner.respond(messages, shown, settings)


class _Story:
    """What the conversation says of the work so far."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.task = next((m.text for m in messages if m.role == "user"), "")
        self.first_tests: TestOutcome | None = None
        self.mapped = False
        self.said = ""  # the answer whose patch is being verified
        self.changed = False
        self.failed = 0
        self.verdict = ""  # of the newest verification of what is there now
        calls: dict[str, ToolCallPart] = {}
        for message in messages:
            if message.role == "assistant":
                calls.update({call.id: call for call in message.tool_calls})
                if any(call.name == VERIFY for call in message.tool_calls):
                    self.said = message.text
            elif message.role == "tool":
                for part in message.parts:
                    if isinstance(part, ToolResultPart) and part.call_id in calls:
                        self._take(calls.pop(part.call_id), part)

    def _take(self, call: ToolCallPart, result: ToolResultPart) -> None:
        if call.name == "execute_tests" and self.first_tests is None:
            self.first_tests = TestOutcome.read("" if result.is_error else result.text)
        elif call.name == "repo_map":
            self.mapped = True
        elif call.name == VERIFY:
            self.verdict = _verdict(result)
            self.failed += self.verdict != "passed"
        if call.name in _WRITES and not result.is_error:
            self.changed = self.changed or call.name not in ("execute_tests", "run_terminal_command")
            if call.name != "execute_tests":
                self.verdict, self.said = "", ""


def _verdict(result: ToolResultPart) -> str:
    if result.is_error:
        return "failed"
    try:
        return str(json.loads(result.text)["verdict"])
    except (ValueError, KeyError, TypeError):
        return "failed"


def _verified(answer: Message, story: _Story, call_id: str) -> Message:
    """The answer, when what it speaks of was verified; else the call that verifies it."""
    if not story.changed or story.verdict == "passed":
        return answer
    if story.failed >= _MAX_FAILED:
        raise ModelError(f"gave up: the patch failed its verification {story.failed} times")
    if story.verdict == "failed" and story.first_tests is not None and story.first_tests.failed:
        raise ModelError("the tests pass, but the patch failed its verification; see the report")
    return replace(answer, parts=(*answer.parts, ToolCallPart(call_id, VERIFY, {})), finish="tool_calls")
