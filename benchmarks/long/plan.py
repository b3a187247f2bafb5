"""The world of the simulated task: what each part of the work says, plants and asks. Seeded; the same everywhere.

A question names a thing planted at least `GAP` parts before, so that the steps which said it are folded by then.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Parts between planting a thing and asking for it, at least.
GAP = 60
#: Kinds of planted things, by how they come into the run.
KINDS = ("task", "order", "said", "decision", "work", "told")
#: The runtime keeps all but the last word for word: in the context as far as there is room, else a page away. What a
#: tool only ``told``, and nobody noted, leaves the context with its step; it can be looked up for as long as a line
#: of `read_notes(of="steps")` holds it.
_FILLER = "The belt ran quietly and the drum was warm. "


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the work.

    Args:
        text: what the tool answers.
        note: what the model is to note: ``(kind, text)``, or None.
        said: what a person says before the part is answered, or None.
        ask: ``(id, kind, name)`` of a question, or None.
        kill: how the process dies at this part: ``"inside"`` the tool or ``"after"`` it, or None.
    """

    text: str
    note: tuple[str, str] | None = None
    said: str | None = None
    ask: tuple[str, str, str] | None = None
    kill: str | None = None


@dataclass(slots=True)
class Plan:
    """The whole task: parts by number from 1, the task's text, the orders, and what is true at each question."""

    parts: dict[int, Part] = field(default_factory=dict)
    task: str = ""
    orders: str = ""
    truth: dict[str, tuple[str, str]] = field(default_factory=dict)  # question -> kind and answer
    open_work: set[str] = field(default_factory=set)  # what is open at the end
    planted: dict[str, int] = field(default_factory=dict)
    steps: int = 0  # model calls that the plan needs, without any looking up
    steering: int = 0
    crashes: int = 0


def make_plan(steps: int, seed: int) -> Plan:
    """A task of at least `steps` model calls."""
    chance = random.Random(seed)
    plan = Plan(planted=dict.fromkeys(KINDS, 0))
    values: dict[str, dict[str, tuple[str, int]]] = {kind: {} for kind in KINDS}

    def plant(kind: str, name: str, part: int) -> str:
        values[kind][name] = (f"{chance.randrange(10_000, 99_999)}", part)
        plan.planted[kind] += 1
        return values[kind][name][0]

    for kind, count in (("task", 6), ("order", 6)):
        lines = [f"Fixed {kind} gauge {_name(kind, n)} reads {plant(kind, _name(kind, n), 0)}." for n in range(count)]
        text = " ".join(lines)
        if kind == "task":
            plan.task = f"Go through the plant part by part, from part 1, until the tool says that it is over. {text}"
        else:
            plan.orders = f"Note what you are told to note. Answer questions from what you know. {text}"
    number, questions = 0, 0
    while plan.steps < steps - 2:
        number += 1
        plan.steps += 1
        told = plant("told", _name("told", number), number) if number % 10 == 5 else None
        note, said, ask = None, None, None
        if number % 8 == 0:
            name = _name("decision", number)
            note = ("decision", f"Setting {name} reads {plant('decision', name, number)}.")
        elif number % 12 == 1:
            name = _name("work", number)
            values["work"][name] = ("open", number)
            plan.planted["work"] += 1
            note = ("todo", f"Open work {name}: look at valve {number}.")
        elif number % 12 == 7:
            old = [n for n, (state, at) in values["work"].items() if state == "open" and at < number - GAP]
            if old and chance.random() < 0.7:
                name = chance.choice(old)
                values["work"][name] = ("done", values["work"][name][1])
                note = ("done", f"Open work {name}: look at valve {values['work'][name][1]}.")
        if number % 40 == 20:
            earlier = list(values["said"])
            # Every third time a person changes a rule instead of giving one.
            name = chance.choice(earlier) if earlier and number % 120 == 100 else _name("said", number)
            said = f"Rule {name} is from now on {plant('said', name, number)}."
            plan.steering += 1
        if number % 5 == 0:
            kind = chance.choice(KINDS)
            known = [n for n, (_, at) in values[kind].items() if at < number - GAP]
            if known:
                questions += 1
                name = chance.choice(known)
                ask = (f"q{questions}", kind, name)
                plan.truth[ask[0]] = (kind, values[kind][name][0])
                plan.steps += 1
        plan.steps += note is not None
        kill = None
        if number > GAP and number % 97 == 0:
            kill = "inside" if number % 2 else "after"
            plan.crashes += 1
        text = f"Part {number}. {_FILLER * chance.randrange(8, 30)}"
        if told is not None:
            text = f"Meter {_name('told', number)} reads {told}. {text}"
        plan.parts[number] = Part(text, note, said, ask, kill)
    plan.parts[number + 1] = Part(f"Part {number + 1}. Nothing is left.")
    plan.steps += 2
    plan.open_work = {name for name, (state, _) in values["work"].items() if state == "open"}
    return plan


def _name(kind: str, number: int) -> str:
    return f"{kind[0].upper()}{kind[1]}-{number:04d}"


def answer(part: Part, number: int, last: int) -> str:
    """What the tool says of a part: its text, what is to be done, and what comes next."""
    lines = [part.text]
    if part.note is not None:
        lines.append(f"NOTE {part.note[0]}: {part.note[1]}")
    if part.ask is not None:
        lines.append(f"ASK {part.ask[0]} {part.ask[1]} {part.ask[2]}")
    lines.append(f"NEXT {number + 1}" if number < last else "OVER")
    return "\n".join(lines)


def score(plan: Plan, answers: Mapping[str, str], work: set[str]) -> dict[str, dict[str, int]]:
    """By kind: planted, asked and lost. Work counts what is missing at the end, and what is wrongly said to be open."""
    found = {kind: {"planted": plan.planted[kind], "asked": 0, "lost": 0} for kind in KINDS}
    for question, (kind, true) in plan.truth.items():
        found[kind]["asked"] += 1
        found[kind]["lost"] += answers.get(question) != true
    found["work"]["asked"] += len(plan.open_work)
    found["work"]["lost"] += len(plan.open_work ^ work)
    return found
