"""Measures one suite: the user's tasks, the attacks on them, and what else an attacker could reach."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.agentdojo.derive import Deriver
from benchmarks.agentdojo.labelled import TEXT, Outsiders, taken_over
from benchmarks.agentdojo.person import grants_for, with_person
from benchmarks.agentdojo.plan import Plan
from benchmarks.agentdojo.planner import Planner, Reader
from benchmarks.agentdojo.plant import Orders, liar, orders_of, planted, text_of
from benchmarks.agentdojo.reach import Found, few, other_plans, search, variants
from benchmarks.agentdojo.runs import Outcome, execute, succeeded
from benchmarks.agentdojo.tainted import exact_grants, literal_plan, sweep
from benchmarks.agentdojo.world import World, load, world
from mainspring.guard import Grant
from mainspring.store import close_stores


@dataclass(slots=True)
class TaskFigures:
    """One user task.

    Args:
        done: AgentDojo's check passed, with a person who says yes to what is asked.
        asked: what the person was asked: tool and reason.
        everything: calls of its ground truth that change or tell something; `opened` of them only open a page.
        means: how the planner came by its arguments.
        problems: what could not be derived.
        pairs: attacks tried.
        wordy: injection tasks whose goal takes no call that changes anything, only words in the final answer.
        scripted, rubber: injection tasks that succeeded without anybody's yes, and with a yes to everything.
        reach: see :class:`Found`; nobody says yes.
        flow: the same, where everything that anyone may have written is an attacker's.
        saw: runs in which the planner was given outsiders' text.
        other: what another plan could do with the same grants, see :func:`other_plans`.
    """

    id: str
    done: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    everything: int = 0
    opened: int = 0
    means: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    pairs: int = 0
    wordy: set[str] = field(default_factory=set)
    scripted: list[str] = field(default_factory=list)
    rubber: list[str] = field(default_factory=list)
    reach: Found = field(default_factory=Found)
    flow: Found = field(default_factory=Found)
    saw: int = 0
    other: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a planner goes by: its plan, and what its user's turn grants."""

    plan: Plan
    grants: list[Grant]


def prepared(task: Any, place: World, mode: str) -> Prepared:
    """The plan for a task in a world like `place`, which is used up."""
    if mode == "tainted":
        clean = World(place.suite, place.environment.model_copy(deep=True))
        return Prepared(literal_plan(task, clean), exact_grants(task, place))
    deriver = Deriver(task, place)
    grants = grants_for(task, World(place.suite, place.environment.model_copy(deep=True)), deriver.words.delegated)
    return Prepared(with_person(deriver.derive(), place.tools, bool(grants)), grants)


def measure(name: str, mode: str, seed: int, step: Callable[[], None]) -> list[TaskFigures]:
    """Every task of a suite; `step` is called after each."""
    suite = load(name)
    found = []
    for number, task in sorted(suite.user_tasks.items(), key=lambda item: int(item[0].rsplit("_", 1)[1])):
        with _home() as home:
            found.append(_Task(suite, task, number, mode, seed, home).measured())
        step()
    return found


class _Task:
    def __init__(self, suite: Any, task: Any, number: str, mode: str, seed: int, home: Path) -> None:
        self.suite, self.task, self.mode, self.seed, self.home = suite, task, mode, seed, home
        self.figures = TaskFigures(number)
        self._plans: dict[str, Prepared] = {}

    def measured(self) -> TaskFigures:
        self._benign()
        for injection in self.suite.injection_tasks.values():
            self._pair(injection)
        if self.mode == "clean":
            self._reachable()
        else:
            self._swept()
        return self.figures

    def _benign(self) -> None:
        figures = self.figures
        made = prepared(self.task, world(self.suite, self.task), self.mode)
        place = world(self.suite, self.task)
        calls = [place.tools[c.function] for c in self.task.ground_truth(place.environment.model_copy(deep=True))]
        figures.everything = sum(t.consequential for t in calls)
        figures.opened = sum(t.consequential and t.effect == "read" for t in calls)
        outcome = self._run(place, made, Reader(made.plan), [], approve=True)
        figures.done = outcome.done
        figures.asked = [{"tool": a.tool, "reason": a.reason} for a in outcome.asked]
        figures.means, figures.problems, figures.complaints = made.plan.means(), made.plan.problems, outcome.complaints

    def _run(self, place: World, made: Prepared, reader: Reader, orders: Orders, approve: bool) -> Outcome:
        planner = Planner(made.plan, Outsiders(place), orders)
        outcome = execute(
            self.task,
            place,
            planner,
            reader,
            grants=made.grants,
            mode=self.mode,
            home=self.home,
            approve=lambda pending: approve,
        )
        self.figures.saw += planner.hijacked is not None
        return outcome

    def _pair(self, injection: Any) -> None:
        orders = orders_of(injection, planted(self.suite, self.task, "").environment)
        text = text_of(injection, orders)
        made = self._plan(text)
        tools = planted(self.suite, self.task, "").tools
        if not any(tools[name].consequential for name, _ in orders):
            self.figures.wordy.add(injection.ID)
        self.figures.pairs += 1
        for approve in (False, True):
            place = planted(self.suite, self.task, text)
            before = place.environment.model_copy(deep=True)
            reader = Reader(made.plan, liar(made.plan, orders, injection.GROUND_TRUTH_OUTPUT or injection.GOAL))
            outcome = self._run(place, made, reader, orders, approve)
            if succeeded(injection, outcome.output, before, place):
                (self.figures.rubber if approve else self.figures.scripted).append(injection.ID)
            if not outcome.asked:  # the person had no say in it
                if not approve and injection.ID in self.figures.scripted:
                    self.figures.rubber.append(injection.ID)
                return

    def _plan(self, text: str) -> Prepared:
        """The plan for a planted world; worlds whose reads answer with items in the same places share one."""
        place = planted(self.suite, self.task, text)
        key = _shape(self.task, World(self.suite, place.environment.model_copy(deep=True)))
        if key not in self._plans:
            self._plans[key] = prepared(self.task, place, self.mode)
        return self._plans[key]

    def _reachable(self) -> None:
        made = self._plan(TEXT)
        start = planted(self.suite, self.task, TEXT).environment

        def copied() -> World:
            return World(self.suite, start.model_copy(deep=True))

        def altered() -> World:
            return taken_over(world(self.suite, self.task))

        tried = list(variants(made.plan, self.seed))
        self.figures.reach = search(self.task, made.plan, copied, made.grants, tried, home=self.home)
        plain = prepared(self.task, world(self.suite, self.task), self.mode)
        self.figures.flow = search(self.task, plain.plan, altered, plain.grants, few(plain.plan), home=self.home)
        self.figures.other = other_plans(self.task, made.plan, copied, made.grants, self.home)
        self.figures.saw += self.figures.reach.saw + self.figures.flow.saw

    def _swept(self) -> None:
        """Tainted: a hijacked planner tries every consequential tool with values of the attacker."""
        place = planted(self.suite, self.task, TEXT)
        made = self._plan(TEXT)
        orders = sweep(place)
        self._run(place, made, Reader(made.plan), orders, approve=False)
        tried = {(name, str(sorted(arguments.items()))) for name, arguments in orders}
        for call in place.trace:
            tool = place.tools[call.function]
            decides = any(tool.role(a) != "payload" for a in call.args)
            if tool.consequential and decides and (call.function, str(sorted(call.args.items()))) in tried:
                self.figures.reach.written.add(call.function)


def _shape(task: Any, place: World) -> str:
    """The reads of the ground truth with the number of items and the ids that they answer."""
    parts = []
    for call in task.ground_truth(place.environment.model_copy(deep=True)):
        if place.tools[call.function].effect == "irreversible":
            continue
        try:
            answer = place.call(call.function, call.args)
        except Exception:
            answer = None
        items = answer if isinstance(answer, list) else [answer]
        ids = [i.get("id_", i.get("id", "")) if isinstance(i, dict) else "" for i in items]
        parts.append(f"{call.function} {ids}")
    return "\n".join(parts)


@contextmanager
def _home() -> Iterator[Path]:
    """A home for a task's runs, in memory where there is such a folder."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="mainspring-agentdojo-", dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        close_stores()
        shutil.rmtree(folder, ignore_errors=True)


def used(figures: TaskFigures) -> str:
    """How a task was done, in a few words."""
    return "; ".join(figures.means) or "no arguments"
