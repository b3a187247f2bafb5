"""What a planner has in hand while its plan is made: the answers so far, and the reads that it could still think of."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.agentdojo.choosing import Choice, choose
from benchmarks.agentdojo.known import Answer, Field, fields, holds, same
from benchmarks.agentdojo.means import ATTESTED, HANDLE, ONLY, SYSTEM
from benchmarks.agentdojo.plan import ASK_READER, Pick, Plan, Ref, Step
from benchmarks.agentdojo.words import Words
from benchmarks.agentdojo.world import World
from mainspring.errors import ToolError
from mainspring.tool import Tool
from mainspring.value import wrap


class Hand:
    """A plan in the making, with a world of its own in which its calls are executed."""

    def __init__(self, task: Any, world: World) -> None:
        self.task = task
        self.world = world
        self.words = Words(task.PROMPT)
        self.plan = Plan()
        self.answers: list[Answer] = []
        self._done: set[str] = set()

    @property
    def today(self) -> datetime.date | None:
        """The calendar's day; a planner has it from a tool, if there is one."""
        calendar = getattr(self.world.environment, "calendar", None)
        return calendar.current_day if calendar is not None and "get_current_day" in self.world.tools else None

    def done(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether this very call was made."""
        return self._digest(name, arguments) in self._done

    def _digest(self, name: str, arguments: Mapping[str, Any]) -> str:
        return f"{name} {sorted(self.world.resolved(arguments).items(), key=str)!r}"

    def execute(self, step: Step, arguments: Mapping[str, Any]) -> None:
        """Add a step and make its call, so that later steps can use the answer."""
        self.plan.steps.append(step)
        self._done.add(self._digest(step.tool, arguments))
        try:
            answer = self.world.call(step.tool, copy.deepcopy(dict(arguments)))
        except ToolError as error:
            self.plan.problems.append(f"{step.tool}: {error}")
            return
        value = wrap(answer, self.world.tools[step.tool].result_labels)
        self.answers.append(Answer(len(self.plan.steps) - 1, step.tool, dict(arguments), value))

    def try_read(self, tool: Tool, arguments: dict[str, Any]) -> list[Answer]:
        """What a read would answer, or nothing when it fails."""
        try:
            data = self.world.call(tool.name, arguments)
        except (ToolError, ValueError):
            return []
        return [Answer(-1, tool.name, arguments, wrap(data, tool.result_labels))]

    def tries(self, tool: Tool) -> list[dict[str, Any]]:
        """The arguments that a planner would try a read with: none, or one phrase of the prompt."""
        needed = list(tool.schema.get("required", []))
        if not needed:
            tries: list[dict[str, Any]] = [{}]
        elif len(needed) == 1 and tool.schema["properties"][needed[0]].get("type") == "string":
            phrases = self.words.links() if tool.outside else self.words.phrases()
            tries = [{needed[0]: p} for p in phrases]
        else:
            tries = []
        return [t for t in tries if not self.done(tool.name, t)]

    def holding(self, wanted: Any) -> list[Field]:
        """Longer texts that hold a value."""
        return [f for a in self.answers for f in fields(a) if holds(f.data, wanted)]

    def found(self, name: str, wanted: Any) -> Found | None:
        """A field of an earlier answer that is exactly what is wanted; the cleanest one."""
        best: Found | None = None
        for field in (f for a in self.answers for f in fields(a) if same(f.data, wanted) and fits(name, f)):
            found = Found.of(self, name, field)
            if best is None or found.rank < best.rank:
                best = found
        return best

    def name(self, found: Found) -> tuple[Any, str]:
        """How the planner writes it: a handle, or the item that a reader names."""
        if not found.choice.views:
            return found.field.ref, found.means
        choice = found.choice
        asked = self.ask("Which one?", list(choice.views), "index", choice.number, choice.means)
        return Pick(asked.step, choice.options), found.means

    def ask(self, order: str, source: Any, answer: str, honest: Any, means: str) -> Ref:
        """Add a question to a reader; its number makes it one of its kind."""
        question = f"[{len(self.plan.steps)}] {order} {self.task.PROMPT}"
        arguments = {"source": source, "question": question, "answer": answer}
        self.plan.steps.append(Step(ASK_READER, arguments, {"source": means}, honest))
        return Ref(len(self.plan.steps) - 1)


@dataclass(frozen=True, slots=True)
class Found:
    """A field that holds what is wanted, and how it is told from its like."""

    field: Field
    choice: Choice
    means: str

    @classmethod
    def of(cls, hand: Hand, name: str, field: Field, more: Sequence[Answer] = ()) -> Found:
        """How argument `name` would be found in `field`, with more answers than there are so far."""
        made = field
        if name == "channel" and field.answer.tool == "get_channels":
            made = next(f for f in fields(field.answer) if f.path == (*field.item, "id"))
        choice = choose(made, [*hand.answers, *more], hand.words, hand.today)
        if made.kind == "anyone":
            return cls(made, choice, HANDLE)
        kind = SYSTEM if made.kind == "system" else ATTESTED
        return cls(made, choice, kind if choice.means == ONLY else f"{kind}, {choice.means}")

    @property
    def rank(self) -> int:
        """Lower is cleaner: what nobody outside wrote and nobody outside chose comes first."""
        kind = ("system", "attested", "anyone").index(self.field.kind)
        return 10 * (kind == 2) + 4 * (not self.choice.clean) + kind


def fits(argument: str, field: Field) -> bool:
    """An id is only found among ids, and nothing else is: that two numbers are alike tells nothing."""
    keys = [k for k in field.path if isinstance(k, str)]
    return (bool(keys) and keys[-1] in ("id", "id_")) == (argument == "id" or argument.endswith(("_id", "attachments")))
