"""Turns a task's ground truth into what a real planner can write: each argument by the most honest means there is.

The order of means: the user's own words; an enumeration or a switch; arithmetic over words and visible numbers; a value
that the service made or vouches for, found by visible or attested fields; the same, found by a reader of outsiders'
text; a value that an outsider wrote (whole, a link, or told by a reader). The planner's own words are good for text
that decides nothing. What none of these gives is a problem, and a person is asked for it.
"""

from __future__ import annotations

import itertools
from typing import Any

from benchmarks.agentdojo.choosing import choose
from benchmarks.agentdojo.compose import compose, cover
from benchmarks.agentdojo.hand import Found, Hand, fits
from benchmarks.agentdojo.known import Answer, Field, fields, holds, same
from benchmarks.agentdojo.means import (
    CLOCK,
    COMPOSED,
    EACH,
    ENUM,
    JOINED,
    LINK,
    OWN,
    PROMPT,
    STEERED,
    SUM,
    TOLD,
    UNKNOWN,
    VOUCHED,
    weakest,
)
from benchmarks.agentdojo.plan import Plan, Ref, Step, Text
from benchmarks.agentdojo.words import when
from mainspring.tool import Tool

#: Arguments that hold prose. What the ground truth only hints at ("<summary>") a planner has to have written by a
#: reader once outsiders' text was read, unless most of its words are the user's.
_PROSE = ("body", "content")
#: Most items over which a planner repeats a read.
_LOOP = 12


class Deriver(Hand):
    """Derives the plan of one task."""

    def derive(self) -> Plan:
        """The whole plan, with the final answer."""
        for call in self.task.ground_truth(self.world.environment.model_copy(deep=True)):
            self._call(call.function, dict(call.args))
        self._output()
        return self.plan

    # --- calls ---

    def _call(self, name: str, arguments: dict[str, Any]) -> None:
        if self.done(name, arguments):
            return
        tool = self.world.tools[name]
        step = Step(name, {})
        for argument, wanted in arguments.items():
            step.arguments[argument], step.means[argument] = self._argument(tool, argument, wanted)
        self.execute(step, arguments)
        if not tool.consequential:
            self._repeat(step, tool, arguments)

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
            if other.pattern == chosen.pattern and not self.done(tool.name, {name: other.data}):
                more = Step(tool.name, {name: other.ref}, {name: EACH}, added=True)
                self.execute(more, {name: other.data})

    # --- arguments ---

    def _argument(self, tool: Tool, name: str, wanted: Any) -> tuple[Any, str]:
        role = tool.role(name)
        if isinstance(wanted, dict):
            made = {k: self._argument(tool, name, v) if k != "type" else (v, ENUM) for k, v in wanted.items()}
            return {k: e for k, (e, _) in made.items()}, weakest(m for _, m in made.values())
        if isinstance(wanted, list):
            whole = self.found(name, wanted) if wanted else None
            if whole is not None and whole.field.kind != "anyone" and whole.choice.clean:
                return self.name(whole)
            made_list = [self._argument(tool, name, v) for v in wanted]
            return [e for e, _ in made_list], weakest([m for _, m in made_list] or [ENUM])
        said = self.said(name, wanted)
        if said is not None:
            return said
        found = self.found(name, wanted)
        if not tool.consequential:
            if found is not None and not found.choice.clean and len(found.choice.options) <= _LOOP:
                return found.field.ref, EACH
            if found is not None:
                return self.name(found)
            return (wanted, OWN) if self._may_search(wanted) else self._told(tool, name, wanted)
        if role == "payload":
            return self._payload(name, wanted)
        if found is None or found.field.kind == "anyone" or not found.choice.clean:
            if self._search(name, wanted, found):
                found = self.found(name, wanted)
            if found is not None and not found.choice.clean and self.words.extreme and self._survey(name, found):
                found = self.found(name, wanted)
        return self.name(found) if found is not None else self._told(tool, name, wanted)

    def said(self, name: str, wanted: Any) -> tuple[Any, str] | None:
        """A literal that the planner can write from the user's own words."""
        if wanted is None or isinstance(wanted, bool) or wanted == "" or wanted in ("r", "rw"):
            return wanted, ENUM
        if (name == "id" or name.endswith("_id")) and not self.words.says(f"id {wanted}"):
            return None
        if self.words.says(wanted):
            return wanted, PROMPT
        moment = when(wanted)
        if moment is not None and self.words.reaches(*moment, self.today):
            return wanted, CLOCK
        if isinstance(wanted, int | float) and self._sums(wanted):
            return wanted, SUM
        return None

    def _sums(self, wanted: float) -> bool:
        """Whether a number follows by one reckoning from two that the user named, or from a visible and a named one.

        Two visible numbers are only reckoned with when the user's words ask for it (a difference, a share, a total).
        """
        known = self.words.numbers()
        columns: dict[Any, list[float]] = {}
        for field in (f for a in self.answers for f in fields(a) if f.kind == "system" and not fits("id", f)):
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

    def _told(self, tool: Tool, name: str, wanted: Any) -> tuple[Any, str]:
        """A value that stands in an outsider's text: as a link, as it is, or as a reader tells it."""
        found = self.found(name, wanted)
        if found is not None:
            return self.name(found)
        if not self.holding(wanted):
            self._search_text(wanted)
        holding = self.holding(wanted)
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
        return self.ask("For the task:", source, answer, honest, STEERED)

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
        return self.ask(f"{order}:", sources, "text", honest, VOUCHED if clean else STEERED)

    # --- reads that the ground truth lacks ---

    def _search(self, name: str, wanted: Any, found: Found | None) -> bool:
        """Looks for a value, or a cleaner one, by a read that a planner would think of; adds the read."""
        best, call = found.rank if found is not None else 99, None
        for tool in self.world.tools.values():
            if tool.effect != "read" or tool.consequential:
                continue
            for arguments in self.tries(tool):
                rank = self._try(tool, name, arguments, wanted)
                if rank is not None and rank < best:
                    best, call = rank, (tool.name, arguments)
        if call is None:
            return False
        made = {k: self._argument(self.world.tools[call[0]], k, v) for k, v in call[1].items()}
        step = Step(call[0], {k: e for k, (e, _) in made.items()}, {k: m for k, (_, m) in made.items()}, added=True)
        self.execute(step, call[1])
        return True

    def _survey(self, name: str, found: Found) -> bool:
        """Reads something about every item, when that lets the planner tell them apart by what it sees."""
        for tool in self.world.tools.values():
            needed = list(tool.schema.get("required", []))
            if tool.effect != "read" or tool.consequential or needed != [name]:
                continue
            items = [f for a in self.answers for f in fields(a) if f.ref in found.choice.options]
            trial: list[Answer] = []
            for item in items:
                trial += self.try_read(tool, {name: item.data})
            if len(trial) == len(items) and choose(found.field, [*self.answers, *trial], self.words, self.today).clean:
                for item in items:
                    if not self.done(tool.name, {name: item.data}):
                        step = Step(tool.name, {name: item.ref}, {name: EACH}, added=True)
                        self.execute(step, {name: item.data})
                return True
        return False

    def _search_text(self, wanted: Any) -> None:
        """Looks for a text that holds a value, by reads that a planner would think of; adds the first that does."""
        for tool in self.world.tools.values():
            if tool.effect != "read":
                continue
            for arguments in self.tries(tool):
                found = self.try_read(tool, arguments)
                if found and any(holds(f.data, wanted) for f in fields(found[0])):
                    self.execute(
                        Step(tool.name, dict(arguments), dict.fromkeys(arguments, PROMPT), added=True), arguments
                    )
                    return

    def _try(self, tool: Tool, name: str, arguments: dict[str, Any], wanted: Any) -> int | None:
        found = self.try_read(tool, arguments)
        hits = [f for a in found for f in fields(a) if same(f.data, wanted) and fits(name, f)]
        return min((Found.of(self, name, f, found).rank for f in hits), default=None)

    # --- the end ---

    def _output(self) -> None:
        """The final answer: what the planner sees in its own words, handles, and what only a reader can tell."""
        text = self.task.GROUND_TRUTH_OUTPUT
        if text:
            joined = compose(text, self.answers, self.words, self.today)
            self.plan.output = joined if joined is not None else self._composed("Answer the user", text)


def _near(wanted: float, *results: float) -> bool:
    return any(abs(r - wanted) < 0.005 for r in results)
