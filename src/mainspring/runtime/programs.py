"""Runs a planner's program: each of its tool calls is a call of the step like any other, decided, durable, settled.

The program itself is a pure function of its text, its handles and the answers to its calls. So nothing of it is kept:
after a crash it runs again from its beginning and is told the answers that the journal holds.
"""

from __future__ import annotations

from typing import Any

from mainspring.errors import ToolError
from mainspring.guard.program import Failed, Finished, Program, ProgramError, ProgramRun, ToolFailure, ToolRequest
from mainspring.guard.view import show, shown_label
from mainspring.label import JOINED, SYSTEM, Label, join_all, tool_label
from mainspring.runtime.builtin import NOTE, READ_NOTES
from mainspring.runtime.clean import RUN_PROGRAM
from mainspring.runtime.journal import Journal
from mainspring.runtime.state import CallState
from mainspring.tool import Tool
from mainspring.value import Value, labels_of, wrap

#: Most tool calls of one program.
MAX_CALLS = 500


class Programs:
    """The programs of one run's current step."""

    def __init__(self, journal: Journal, tools: dict[str, Tool]) -> None:
        self._journal = journal
        self._tools = {
            n: tuple(t.schema.get("properties", {}))
            for n, t in tools.items()
            if n not in (RUN_PROGRAM, NOTE, READ_NOTES)
        }
        self._runs: dict[str, ProgramRun] = {}
        self._answered: dict[str, int] = {}

    def advance(self, call: CallState) -> None:
        """Go on with a program as far as the answers to its calls allow; records what it asks for, or its end."""
        state = self._journal.state
        children = [c for c in state.calls.values() if c.parent == call.part.id]
        run = self._runs.get(call.part.id)
        event: ToolRequest | Finished | Failed | None = None
        try:
            if run is None:
                run, event = self._begin(call)
            while self._answered[call.part.id] < len(children):
                child = children[self._answered[call.part.id]]
                if child.stage != "finished":
                    return
                event = run.next(self._answer(child))
                self._answered[call.part.id] += 1
        except ProgramError as error:
            bits = 0 if run is None else run.steering_bits
            self._end(call, Value(str(error)), f"The program was not run: {error}", SYSTEM, True, bits)
            return
        if isinstance(event, ToolRequest):
            self._ask(call, event, len(children) + 1)
        elif isinstance(event, Finished):
            # What a program puts together is no longer one value as somebody wrote it.
            value = event.value.joined(JOINED)
            if event.printed:
                told = join_all(p.whole_label for p in event.printed)  # how many there are tells something too
                value = Value({"result": value, "printed": Value(list(event.printed), told)})
            try:
                value = wrap(value.plain(), labels_of(value))  # as it will be read back from the journal
            except ToolError as error:
                self._end(call, Value(str(error)), f"The program failed: {error}", SYSTEM, True, run.steering_bits)
                return
            view = show(value, state.guard.next_handle(), outer=False)
            self._end(call, value, view, shown_label(value, outer=False), False, run.steering_bits)
        elif isinstance(event, Failed):
            name = state.guard.next_handle()
            view = f"The program failed: {event.message}. The whole of it is kept as ${name}."
            value = Value({"details": event.details, "printed": Value(list(event.printed))})
            self._end(call, value, view, SYSTEM, True, run.steering_bits)

    def _begin(self, call: CallState) -> tuple[ProgramRun, ToolRequest | Finished | Failed]:
        guard = self._journal.state.guard
        source = call.part.arguments.get("source")
        if not isinstance(source, str):
            raise ProgramError("run_program takes the program's text as source")
        program = Program.parse(source, self._tools)
        handles = {name: value for name in program.handles if (value := guard.value(name)) is not None}
        run = program.start(handles, label=call.label, steering_bits_used=guard.steering_bits)
        if call.stage == "new":
            self._journal.record(
                "program.begun", {"call_id": call.part.id, "step": self._journal.state.step}, call.label
            )
        self._runs[call.part.id], self._answered[call.part.id] = run, 0
        return run, run.next(None)

    def _ask(self, call: CallState, asked: ToolRequest, number: int) -> None:
        if number > MAX_CALLS:
            text = f"The program made {MAX_CALLS} calls, which is the limit; go on with another program."
            self._end(call, Value(text), text, SYSTEM, True, self._runs[call.part.id].steering_bits)
            return
        call_id = f"{call.part.id}/{number}"
        while call_id in self._journal.state.call_ids:
            call_id += "x"
        labels = {n: {p: label.encode() for p, label in labels_of(v).items()} for n, v in asked.arguments.items()}
        payload = {
            "parent": call.part.id,
            "call_id": call_id,
            "step": self._journal.state.step,
            "tool": asked.name,
            "arguments": {n: v.plain() for n, v in asked.arguments.items()},
            "labels": labels,
            "origins": asked.origins,
            "whole": asked.whole,
            "line": asked.line,
            "decided": asked.label.encode(),
        }
        label = call.label.join(asked.label)
        for value in asked.arguments.values():
            label = label.join(value.whole_label)
        self._journal.record("call.nested", payload, label)

    def _answer(self, child: CallState) -> Value | ToolFailure:
        guard = self._journal.state.guard
        value = guard.value(child.handle) if child.handle is not None else None
        assert child.result is not None
        if value is None:
            # A refusal is ours; what a person says that a call returned is the tool's word all the same.
            ours = child.result.is_error
            value = Value(child.result.text, child.label if ours else child.label.join(tool_label(child.part.name)))
        return ToolFailure(value) if child.result.is_error else value

    def _end(self, call: CallState, value: Value, view: str, seen: Label, is_error: bool, bits: int) -> None:
        guard = self._journal.state.guard
        held: dict[str, Any] = {
            guard.next_handle(): {
                "data": value.plain(),
                "labels": {p: label.encode() for p, label in labels_of(value).items()},
            }
        }
        payload = {
            "call_id": call.part.id,
            "step": self._journal.state.step,
            "values": held,
            "shown": view,
            "shown_label": seen.encode(),
            "is_error": is_error,
            "steering_bits": max(bits, guard.steering_bits),
        }
        self._journal.record("program.ended", payload, value.whole_label)
        self._runs.pop(call.part.id, None)
