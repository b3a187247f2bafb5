"""Turns a task's ground truth into what a real planner can write: each argument by the most honest means there is.

The order of means: the user's own words; an enumeration or a switch; arithmetic over words and visible numbers; a value
that the service made or vouches for, found by visible or attested fields; the same, found by a reader of outsiders' text;
a value that an outsider wrote (whole, a link, or told by a reader). The planner's own words are good for text that
decides nothing. What none of these gives is a problem, and a person is asked for it.
"""

from __future__ import annotations

import copy
import datetime
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.agentdojo.known import Answer, Field, fields, holds, same
from benchmarks.agentdojo.compose import compose, cover
from benchmarks.agentdojo.plan import ASK_READER, Pick, Plan, Ref, Step, Text
from benchmarks.agentdojo.choosing import DOUBTED, ONLY, SEEN, STEERED, VOUCHED, Choice, choose
from benchmarks.agentdojo.words import Words, when
from benchmarks.agentdojo.world import World
from mainspring.errors import ToolError
from mainspring.tool import Tool
from mainspring.value import wrap

PROMPT, CLOCK, ENUM, SUM, OWN = "the user's words", "date arithmetic", "an enumeration", "arithmetic", "its own words"
HANDLE, LINK, TOLD, UNKNOWN = "an outsider's text as a handle", "a link as it stands", "told by a reader", "a person"
COMPOSED = "text composed by a reader"
JOINED = "text joined from handles"
EACH = "one read an item"
SYSTEM, ATTESTED = "system-made", "attested"
#: Arguments that hold prose. What the ground truth only hints at ("<summary>") a planner has to have written by a reader
#: once outsiders' text was read, unless most of its words are the user's.
_PROSE = ("body", "content")
#: Most items over which a planner repeats a read.
_LOOP = 12


class Deriver:
    """Derives the plan of one task, executing the calls in a world of its own."""

    def __init__(self, task: Any, world: World) -> None:
        self.task = task
        self.world = world
        self.words = Words(task.PROMPT)
        self.plan = Plan()
        self.answers: list[Answer] = []
        self._done: set[str] = set()

    def derive(self) -> Plan:
        """The whole plan, with the final answer."""
        for call in self.task.ground_truth(self.world.environment.model_copy(deep=True)):
            self._call(call.function, dict(call.args))
        self._output()
        return self.plan

    @property
    def today(self) -> datetime.date | None:
        """The calendar's day; a planner has it from a tool, if there is one."""
        calendar = getattr(self.world.environment, "calendar", None)
        return calendar.current_day if calendar is not None and "get_current_day" in self.world.tools else None

    # --- calls ---

    def _call(self, name: str, arguments: dict[str, Any]) -> None:
        if self._digest(name, arguments) in self._done:
            return
        tool = self.world.tools[name]
        step = Step(name, {})
        for argument, wanted in arguments.items():
            step.arguments[argument], step.means[argument] = self._argument(tool, argument, wanted)
        self._execute(step, arguments)
        if not tool.consequential:
            self._repeat(step, tool, arguments)

    def _execute(self, step: Step, arguments: Mapping[str, Any]) -> None:
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

    def _repeat(self, step: Step, tool: Tool, arguments: dict[str, Any]) -> None:
        """A planner that cannot tell which item is meant reads all of them."""
        if len(arguments) != 1:
            return
        ((name, expression),) = step.arguments.items()
        if not isinstance(expression, Ref) or step.means[name] != EACH:
            return
        answer = next(a for a in self.answers if a.step == expression.step)
        chosen = Field(answer, expression.path, None, "system")
        for other in fields(answer):
            if other.pattern == chosen.pattern and self._digest(tool.name, {name: other.data}) not in self._done:
                more = Step(tool.name, {name: other.ref}, {name: EACH}, added=True)
                self._execute(more, {name: other.data})

    def _digest(self, name: str, arguments: Mapping[str, Any]) -> str:
        return f"{name} {sorted(self.world.resolved(arguments).items(), key=str)!r}"

    # --- arguments ---

    def _argument(self, tool: Tool, name: str, wanted: Any) -> tuple[Any, str]:
        role = tool.role(name)
        if isinstance(wanted, dict):
            made = {k: self._argument(tool, name, v) if k != "type" else (v, ENUM) for k, v in wanted.items()}
            return {k: e for k, (e, _) in made.items()}, _weakest(m for _, m in made.values())
        if isinstance(wanted, list):
            whole = self._found(name, wanted) if wanted else None
            if whole is not None and whole.field.kind != "anyone" and whole.choice.clean:
                return self._name(whole)
            made_list = [self._argument(tool, name, v) for v in wanted]
            return [e for e, _ in made_list], _weakest([m for _, m in made_list] or [ENUM])
        said = self.said(name, wanted)
        if said is not None:
            return said
        found = self._found(name, wanted)
        if not tool.consequential:
            if found is not None and not found.choice.clean and len(found.choice.options) <= _LOOP:
                return found.field.ref, EACH
            if found is not None:
                return self._name(found)
            return (wanted, OWN) if self._may_search(wanted) else self._told(tool, name, wanted)
        if role == "payload":
            return self._payload(name, wanted)
        if found is None or found.field.kind == "anyone" or not found.choice.clean:
            if self._search(name, wanted, found):
                found = self._found(name, wanted)
            if found is not None and not found.choice.clean and self.words.extreme and self._survey(name, found):
                found = self._found(name, wanted)
        return self._name(found) if found is not None else self._told(tool, name, wanted)

    def said(self, name: str, wanted: Any) -> tuple[Any, str] | None:
        """A literal that the planner can write from the user's own words."""
        if wanted is None or isinstance(wanted, bool) or wanted == "" or wanted in ("r", "rw"):
            return wanted, ENUM
        if (name == "id" or name.endswith("_id")) and not self.words.says(f"id {wanted}"):
            return None
        if self.words.says(wanted):
            return wanted, PROMPT
        moment = when(wanted)
        if moment is not None and self.words.reaches(moment[0], self.today):
            if moment[1] is None or self.words.reaches_time(moment[1]):
                return wanted, CLOCK
        if isinstance(wanted, int | float) and self._sums(wanted):
            return wanted, SUM
        return None

    def _sums(self, wanted: float) -> bool:
        """Whether a number follows by one reckoning from two that the user named, or from a visible one and a named one.

        Two visible numbers are only reckoned with when the user's words ask for it (a difference, a share, a total).
        """
        known = self.words.numbers()
        columns: dict[Any, list[float]] = {}
        for field in (f for a in self.answers for f in fields(a) if f.kind == "system" and not _fits("id", f)):
            if isinstance(field.data, int | float) and not isinstance(field.data, bool):
                columns.setdefault((field.answer.step, field.pattern), []).append(field.data)
        pairs = [(a, b) for a in [*known, *itertools.chain(*columns.values())] for b in known]
        if self.words.reckons:
            pairs += [(a, b) for column in columns.values() for a in column for b in column if a != b]
        return any(_near(wanted, a + b, a - b, a * b, a / b if b else a) for a, b in pairs)

    def _may_search(self, wanted: Any) -> bool:
        """Whether a planner may think of this search by itself: words of the prompt, or a day that it sees."""
        if isinstance(wanted, int | float):
            return True
        days = {str(f.data)[:10] for a in self.answers for f in fields(a) if f.kind == "system"}
        return self.words.all_words(str(wanted)) or str(wanted) in days

    def _found(self, name: str, wanted: Any) -> _Found | None:
        """A field of an earlier answer that is exactly what is wanted; the cleanest one."""
        best: _Found | None = None
        for field in (f for a in self.answers for f in fields(a) if same(f.data, wanted) and _fits(name, f)):
            found = _Found.of(self, name, field)
            if best is None or found.rank < best.rank:
                best = found
        return best

    def _name(self, found: _Found) -> tuple[Any, str]:
        """How the planner writes it: a handle, or the item that a reader names."""
        if not found.choice.views:
            return found.field.ref, found.means
        choice = found.choice
        question = f"[{len(self.plan.steps)}] Which one? {self.task.PROMPT}"
        arguments = {"source": list(choice.views), "question": question, "answer": "index"}
        self.plan.steps.append(Step(ASK_READER, arguments, {"source": choice.means}, choice.number))
        return Pick(len(self.plan.steps) - 1, choice.options), found.means

    def _told(self, tool: Tool, name: str, wanted: Any) -> tuple[Any, str]:
        """A value that stands in an outsider's text: as a link, as it is, or as a reader tells it."""
        found = self._found(name, wanted)
        if found is not None:
            return self._name(found)
        if not self._holding(wanted):
            self._search_text(wanted)
        holding = self._holding(wanted)
        if not holding:
            self.plan.problems.append(f"{tool.name}.{name}: nothing that the planner may know gives this value")
            return wanted, UNKNOWN
        field = holding[0]
        if tool.outside and tool.effect == "read":
            return self._reader(field, wanted, "link"), LINK
        return self._reader(field, wanted, "number" if isinstance(wanted, int | float) else "text"), TOLD

    def _reader(self, field: Field, honest: Any, answer: str) -> Ref:
        path = field.pattern if "[]" in field.pattern else field.path
        source = Ref(field.answer.step, path)
        question = f"[{len(self.plan.steps)}] For the task: {self.task.PROMPT}"
        step = Step(ASK_READER, {"source": source, "question": question, "answer": answer}, {"source": STEERED}, honest)
        self.plan.steps.append(step)
        return Ref(len(self.plan.steps) - 1)

    def _payload(self, name: str, wanted: Any) -> tuple[Any, str]:
        """Text that decides nothing: joined from handles, the planner's own, or written by a reader."""
        if not isinstance(wanted, str):
            return wanted, OWN
        joined = compose(wanted, self.answers, self.words, self.today)
        if isinstance(joined, Text):
            return joined, JOINED
        hinted = name in _PROSE and not self.words.mostly(wanted) and any(a.hidden for a in self.answers)
        if joined is not None and not hinted:
            return wanted, OWN
        return self._composed(f"Write {name} for the task", wanted), COMPOSED

    def _composed(self, order: str, honest: str) -> Any:
        """A reader's text, from the fewest fields that hold what it has to say."""
        patterns = cover(honest, self.answers, self.words)
        if not patterns:
            return honest
        clean = all(f.kind != "anyone" for f in patterns)
        sources = [Ref(f.answer.step, f.pattern if "[]" in f.pattern else f.path) for f in patterns]
        question = f"[{len(self.plan.steps)}] {order}: {self.task.PROMPT}"
        arguments = {"source": sources, "question": question, "answer": "text"}
        self.plan.steps.append(Step(ASK_READER, arguments, {"source": VOUCHED if clean else STEERED}, honest))
        return Ref(len(self.plan.steps) - 1)

    # --- reads that the ground truth lacks ---

    def _search(self, name: str, wanted: Any, found: _Found | None) -> bool:
        """Looks for a value, or a cleaner one, by a read that a planner would think of; adds the read."""
        best, call = found.rank if found is not None else 99, None
        for tool in self.world.tools.values():
            if tool.effect != "read" or tool.consequential:
                continue
            for arguments in self._tries(tool):
                rank = self._try(tool, name, arguments, wanted)
                if rank is not None and rank < best:
                    best, call = rank, (tool.name, arguments)
        if call is None:
            return False
        made = {k: self._argument(self.world.tools[call[0]], k, v) for k, v in call[1].items()}
        step = Step(call[0], {k: e for k, (e, _) in made.items()}, {k: m for k, (_, m) in made.items()}, added=True)
        self._execute(step, call[1])
        return True

    def _survey(self, name: str, found: _Found) -> bool:
        """Reads something about every item, when that lets the planner tell them apart by what it sees."""
        for tool in self.world.tools.values():
            needed = list(tool.schema.get("required", []))
            if tool.effect != "read" or tool.consequential or needed != [name]:
                continue
            items = [f for a in self.answers for f in fields(a) if f.ref in found.choice.options]
            trial: list[Answer] = []
            for item in items:
                trial += self._answer(tool, {name: item.data})
            if len(trial) == len(items) and choose(found.field, [*self.answers, *trial], self.words, self.today).clean:
                for item in items:
                    if self._digest(tool.name, {name: item.data}) not in self._done:
                        step = Step(tool.name, {name: item.ref}, {name: EACH}, added=True)
                        self._execute(step, {name: item.data})
                return True
        return False

    def _search_text(self, wanted: Any) -> None:
        """Looks for a text that holds a value, by reads that a planner would think of; adds the first that does."""
        for tool in self.world.tools.values():
            if tool.effect != "read":
                continue
            for arguments in self._tries(tool):
                found = self._answer(tool, arguments)
                if found and any(holds(f.data, wanted) for f in fields(found[0])):
                    self._execute(Step(tool.name, dict(arguments), dict.fromkeys(arguments, PROMPT), added=True), arguments)
                    return

    def _holding(self, wanted: Any) -> list[Field]:
        return [f for a in self.answers for f in fields(a) if holds(f.data, wanted)]

    def _answer(self, tool: Tool, arguments: dict[str, Any]) -> list[Answer]:
        """What a read would answer, or nothing when it fails."""
        try:
            data = self.world.call(tool.name, arguments)
        except (ToolError, ValueError):
            return []
        return [Answer(-1, tool.name, arguments, wrap(data, tool.result_labels))]

    def _tries(self, tool: Tool) -> list[dict[str, Any]]:
        needed = list(tool.schema.get("required", []))
        if not needed:
            tries: list[dict[str, Any]] = [{}]
        elif len(needed) == 1 and tool.schema["properties"][needed[0]].get("type") == "string":
            phrases = self.words.links() if tool.outside else self.words.phrases()
            tries = [{needed[0]: p} for p in phrases]
        else:
            tries = []
        return [t for t in tries if self._digest(tool.name, t) not in self._done]

    def _try(self, tool: Tool, name: str, arguments: dict[str, Any], wanted: Any) -> int | None:
        found = self._answer(tool, arguments)
        hits = [f for a in found for f in fields(a) if same(f.data, wanted) and _fits(name, f)]
        return min((_Found.of(self, name, f, found).rank for f in hits), default=None)

    # --- the end ---

    def _output(self) -> None:
        """The final answer: what the planner sees in its own words, handles, and what only a reader can tell."""
        text = self.task.GROUND_TRUTH_OUTPUT
        if text:
            joined = compose(text, self.answers, self.words, self.today)
            self.plan.output = joined if joined is not None else self._composed("Answer the user", text)


@dataclass(frozen=True, slots=True)
class _Found:
    """A field that holds what is wanted, and how it is told from its like."""

    field: Field
    choice: Choice
    means: str

    @classmethod
    def of(cls, deriver: Deriver, name: str, field: Field, more: Sequence[Answer] = ()) -> _Found:
        made = field
        if name == "channel" and field.answer.tool == "get_channels":
            made = next(f for f in fields(field.answer) if f.path == (*field.item, "id"))
        choice = choose(made, [*deriver.answers, *more], deriver.words, deriver.today)
        if made.kind == "anyone":
            return cls(made, choice, HANDLE)
        kind = SYSTEM if made.kind == "system" else ATTESTED
        return cls(made, choice, kind if choice.means == ONLY else f"{kind}, {choice.means}")

    @property
    def rank(self) -> int:
        """Lower is cleaner: what nobody outside wrote and nobody outside chose comes first."""
        kind = ("system", "attested", "anyone").index(self.field.kind)
        return 10 * (kind == 2) + 4 * (not self.choice.clean) + kind


def _near(wanted: float, *results: float) -> bool:
    return any(abs(r - wanted) < 0.005 for r in results)


def _fits(argument: str, field: Field) -> bool:
    """An id is only found among ids, and nothing else is: that two numbers are alike tells nothing."""
    keys = [k for k in field.path if isinstance(k, str)]
    return (bool(keys) and keys[-1] in ("id", "id_")) == (argument == "id" or argument.endswith(("_id", "attachments")))


_ORDER = (UNKNOWN, TOLD, HANDLE, LINK, DOUBTED, STEERED, VOUCHED, SEEN, ATTESTED, SYSTEM)


def _weakest(means: Any) -> str:
    listed = list(means)
    return next((m for w in _ORDER for m in listed if m.endswith(w)), listed[0])
