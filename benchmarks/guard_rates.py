"""How many calls the guard decides in a second, and how fast programs in code mode run; see `benchmarks.guard`."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from benchmarks.output import note
from mainspring.guard import Argument, Call, CallContext, Grant, Policy, decide
from mainspring.guard.program import Finished, Program, ProgramLimits
from mainspring.label import MODEL, USER, Label, tool_label
from mainspring.value import Value, wrap

BOB = "bob@corp.example"
RULES = """
@id("colleagues")
permit (principal, action, resource == Tool::"send")
when { context.strangers.isEmpty() && context.text.hasTag("to") && context.text.getTag("to") like "*@corp.example" };
@id("not-much")
forbid (principal, action, resource == Tool::"pay")
unless { context.number.hasTag("amount") && context.number.getTag("amount") <= 1000 };
"""


def decisions(seconds: float) -> dict[str, float]:
    """Calls decided a second, by one thread's CPU."""
    reading = Call("page", "read", False, False, {"n": Argument(1, USER)})
    grants = tuple(Grant("send", {"to": (f"{n}@corp.example",)}, 10**9) for n in range(31))
    grants += (Grant("send", {"to": (BOB,)}, 10**9),)
    policy = Policy.cedar(RULES)

    def sending(label: Label, to: str = BOB) -> Call:
        arguments = {"to": Argument(to, USER), "body": Argument("hi", label, "payload", "v1.body")}
        return Call("send", "irreversible", False, True, arguments)

    def context(label: Label = USER, held: tuple[Grant, ...] = ()) -> CallContext:
        return CallContext("r", "bench", 1, label, "clean", ("ann", "agent:bench"), held, {}, frozenset(), 1.0)

    known, clean = sending(tool_label("page")), context()
    holding, wide = context(held=grants[-1:]), context(held=grants)
    fresh = (tool_label(f"page{n}") for n in itertools.count())
    named = (f"ann{n}@corp.example" for n in itertools.count())
    kinds: dict[str, Callable[[], Any]] = {
        "a plain read": lambda: decide(reading, clean),
        "repeated facts": lambda: decide(known, clean),
        "repeated facts, a grant": lambda: decide(known, holding),
        "repeated facts, the last of 32 grants": lambda: decide(known, wide),
        "fresh facts": lambda: decide(sending(next(fresh)), clean),
        "fresh facts, a grant": lambda: decide(sending(next(fresh)), holding),
        "rules over values, repeated": lambda: decide(known, clean, policy),
        "rules over values, fresh": lambda: decide(sending(MODEL, next(named)), clean, policy),
    }
    found: dict[str, float] = {}
    for name, ask in kinds.items():
        note(f"decisions: {name}")
        if ask().reason.startswith("the guard could not decide"):
            raise SystemExit(f"{name}: {ask().reason}")
        for _ in range(50):
            ask()
        count, began = 0, time.thread_time()
        while (spent := time.thread_time() - began) < seconds:
            for _ in range(20):
                ask()
            count += 20
        found[name] = float(f"{count / spent:.4g}")
    return found


PROGRAMS = {
    "arithmetic": "\n".join(
        [
            "x = 0",
            "for i in range(20000):",
            "    if i % 3 == 0:",
            "        x = x + i * 2",
            "    else:",
            "        x -= 1",
            "x",
        ]
    ),
    "choosing among a stranger's items": "\n".join(
        [
            "best = max(v1, key=lambda f: f.size)",
            "taken = [f.id for f in v1 if f.size > 500]",
            "for f in v1:",
            "    if f.size > best.size // 2:",
            "        taken.append(f.id)",
            "len(taken)",
        ]
    ),
    "texts of strangers": "\n".join(
        [
            "counts = {}",
            "for f in v1:",
            "    for word in f.name.split(' '):",
            "        counts[word.lower()] = counts.get(word.lower(), 0) + 1",
            "sorted(counts)",
        ]
    ),
}


def programs(seconds: float) -> dict[str, float]:
    """Steps a second of three programs, as the interpreter counts them, by one thread's CPU."""
    items = [{"id": n, "size": n * 37 % 1000, "name": f"Report {n % 17} of {n % 29}"} for n in range(400)]
    made = Label(frozenset({"made:files"}))
    files = wrap(items, {"": made, "[].name": tool_label("files")})
    found: dict[str, float] = {}
    for name, source in PROGRAMS.items():
        note(f"program: {name}")
        program = Program.parse(source, {}, ProgramLimits(steps=10**8))
        steps, began = 0, time.thread_time()
        while (spent := time.thread_time() - began) < seconds:
            handles: dict[str, Value] = {"v1": files} if "v1" in program.handles else {}
            run = program.start(handles)
            event = run.next()
            if not isinstance(event, Finished):
                raise SystemExit(f"{name}: {event}")
            steps += run.steps
        found[name] = float(f"{steps / spent:.4g}")
    return found
