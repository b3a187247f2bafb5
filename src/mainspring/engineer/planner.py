"""`WorkPlanner`: what the harness does around a model that cannot yet work by itself.

Around a weak model it reproduces first, hands a failing suite to the repair planner, and has every patch verified
before the model may say that it is done. What it decides it reads from the conversation alone, so that a killed run
goes on at the step where it was.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from mainspring.code.repair.planner import RepairPlanner
from mainspring.code.repair.transcript import TestOutcome
from mainspring.engineer import reproduce
from mainspring.engineer.gate import UNVERIFIED
from mainspring.engineer.journal import VERIFY
from mainspring.errors import ModelError
from mainspring.messages import Message, ToolCallPart, ToolResultPart, Usage, assistant
from mainspring.model import Model, ModelSettings, ToolSpec, model_name

_WRITES = frozenset({"edit_file", "replace_symbol", "apply_patch", "run_terminal_command", "execute_tests"})
#: Verifications that may fail before the run is given up.
_MAX_FAILED = 4
#: The same call in a row, and calls in all, that a model on its own may make: a weak one goes in circles.
_MAX_AGAIN, _MAX_OWN = 3, 60


#: The harness's own messages that it reads again later. They count only beside a call that it made itself, since a
#: model may say the same words.
_TEST = "Test {} that fails as long as it is not done."
_TOLD = re.compile(r"Test (\d{1,3}) that fails as long as it is not done\.")
_OWN = "work-"
_NONE = "No test that fails was found; on without one."


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
        call_id = f"{_OWN}{sum(1 for m in messages if m.role == 'assistant') + 1}"
        if story.first_tests is None:
            return assistant("First, the tests.", ToolCallPart(call_id, "execute_tests", {}))
        if story.said and (story.verdict == "passed" or story.mending is not None):
            answer = assistant(story.said)  # what it said before its patch was verified
        elif story.mending is not None:
            answer = await self.repair.respond(messages[story.mending :], tools, settings)
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
        """Nothing is broken: a failing test is written first; without one the model works by itself."""
        if story.map is None and any(spec.name == "repo_map" for spec in tools):
            return assistant("Where is what?", ToolCallPart(call_id, "repo_map", {"about": story.task[:2000]}))
        if (reproducing := await self._reproduce(story, settings, call_id)) is not None:
            return reproducing
        if story.again >= _MAX_AGAIN:
            raise ModelError(f"gave up: the model makes the same call again and again: {story.last}")
        if story.own > _MAX_OWN:
            raise ModelError(f"gave up after {story.own} calls that the model chose by itself")
        shown = [spec for spec in tools if spec.name not in ("locate_fault", VERIFY)]
        return await self.inner.respond(messages, shown, settings)

    async def _reproduce(self, story: _Story, settings: ModelSettings, call_id: str) -> Message | None:
        """The next step towards a test that fails; None when there is none, or it was given up."""
        if not story.map or story.gave_up:
            return None
        path = story.place or reproduce.place(story.task, story.map)
        if story.written is not None and not story.judged:
            return assistant("Does it fail?", ToolCallPart(call_id, "execute_tests", {"target": path}))
        spent = Usage()
        for number in range(story.asked, reproduce.MAX_TESTS):
            extra = {"prefill": reproduce.BEGIN, "stop": list(reproduce.STOP)}
            asked = replace(
                settings,
                max_output_tokens=reproduce.TOKENS,
                temperature=0.0 if number == 0 else 0.7,
                seed=self.repair.seed + number,
                output_schema=None,
                extra=extra if hasattr(self.inner, "engine_pid") else {},
            )
            answer = await self.inner.respond(reproduce.question(story.task, story.map), (), asked)
            spent = spent + (answer.usage or Usage(calls=1))
            code = reproduce.usable(answer.text)
            if code is not None and code != story.written:
                edit = {"path": path, "old": story.written or "", "new": code}
                text = _TEST.format(number + 1)
                return replace(assistant(text, ToolCallPart(call_id, "edit_file", edit)), usage=spent)
        if story.written is not None:
            remove = ToolCallPart(call_id, "run_terminal_command", {"command": f"rm -f -- {shlex.quote(path)}"})
            return replace(assistant(_NONE, remove), usage=spent)
        return None


class _Story:
    """What the conversation says of the work so far."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.task = next((m.text for m in messages if m.role == "user"), "")
        self.first_tests: TestOutcome | None = None
        self.map: str | None = None
        self.asked = 0  # tests that were written to reproduce
        self.written: str | None = None  # the newest of them
        self.place = ""  # and the file that was made for it
        self.tests: set[str] = set()  # ids of the calls that write them
        self.judged = False  # it was run
        self.gave_up = False
        self.mending: int | None = None  # from which message on the repair planner has its say
        self.said = ""  # the answer whose patch is being verified
        self.changed = False
        self.failed = 0
        self.last, self.again, self.own = "", 0, 0  # the model's own calls: the newest, how often in a row, how many
        self.verdict = ""  # of the newest verification of what is there now
        calls: dict[str, ToolCallPart] = {}
        began = 0
        for index, message in enumerate(messages):
            if message.role == "assistant":
                self._hear(message)
                if message.tool_calls and message.tool_calls[0].name == "execute_tests" and self.mending is None:
                    began = index
                calls.update({call.id: call for call in message.tool_calls})
                if any(call.name == VERIFY for call in message.tool_calls):
                    self.said = message.text
            elif message.role == "user" and UNVERIFIED in message.text:
                self.changed, self.verdict, self.said = True, "", ""  # by a command, say
            elif message.role == "tool":
                for part in message.parts:
                    if isinstance(part, ToolResultPart) and part.call_id in calls:
                        self._take(calls.pop(part.call_id), part, began)

    def _hear(self, message: Message) -> None:
        own = [call for call in message.tool_calls if call.id.startswith(_OWN)]
        if (told := _TOLD.fullmatch(message.text)) and own and own[0].name == "edit_file":
            self.asked = int(told[1])
            self.tests.add(own[0].id)
        elif message.text == _NONE and own and own[0].name == "run_terminal_command":
            self.gave_up, self.written = True, None

    def _take(self, call: ToolCallPart, result: ToolResultPart, began: int) -> None:
        if not call.id.startswith(("work-", "repair-")):
            said = f"{call.name} {json.dumps(dict(call.arguments), sort_keys=True)[:300]}"
            self.again = self.again + 1 if said == self.last else 1
            self.last, self.own = said, self.own + 1
        if call.name == "execute_tests" and self.first_tests is None:
            self.first_tests = TestOutcome.read("" if result.is_error else result.text)
            if self.first_tests.failed:
                self.mending = began
        elif call.name == "execute_tests" and self.written is not None and not self.judged:
            self.judged = True
            if not result.is_error and reproduce.reproduces(result.text):
                self.mending = began
        elif call.name == "repo_map":
            self.map = "" if result.is_error else result.text
        elif call.id in self.tests:
            if result.is_error:  # say, there is such a file already: it is somebody's
                self.gave_up = True
            else:
                self.written, self.judged = str(call.arguments["new"]), False
                self.place = str(call.arguments["path"])
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
    if story.verdict == "failed" and story.mending is not None:
        raise ModelError("the tests pass, but the patch failed its verification; see the report")
    return replace(answer, parts=(*answer.parts, ToolCallPart(call_id, VERIFY, {})), finish="tool_calls")
