"""Facts planted in a long run, one sentence each, that a person would be angry to see forgotten."""

from __future__ import annotations

from collections.abc import Iterable

#: In the agent's instructions.
RULES = (
    "Rule R-4471: never change a file under shop/legacy.",
    "Rule R-4472: every price is kept in cents, as an integer.",
    "Rule R-4473: public functions keep their names.",
    "Rule R-4474: no test may be deleted or skipped.",
)
#: In the task.
TASK = (
    "The customer's order number is T-90217.",
    "The rounding bug was first seen with an amount of 1,049 cents.",
    "Stop when shop/module_31.py adds its taxes in the right order.",
    "The release branch is called autumn-7c.",
)
#: Noted by the model as decisions, by the step at which it does so.
DECISIONS = {
    4: "Decision D-118: totals are rounded once, at the end.",
    9: "Decision D-119: module_12 stays as it is because two callers rely on it.",
    15: "Decision D-120: currencies are compared by their code and not by their name.",
    22: "Decision D-121: discounts are applied before taxes.",
    30: "Decision D-122: the cache of exchange rates is left alone.",
}
#: Noted by the model as open work.
TODOS = {
    6: "Open work W-305: module_27 has a second rounding that must go.",
    18: "Open work W-306: the report still prints amounts as floats.",
    33: "Open work W-307: the tests of module_08 do not cover refunds.",
}
#: Said by a person while the run was going on.
SAID = (
    "From now on, write comments in British English (note P-662).",
    "The auditor asks that shop/module_19.py is finished first (note P-663).",
)
#: Why a person denied a call, and what a person knew of two calls in doubt.
DENIED = "the freeze F-551 lasts until Monday"
HAPPENED = "the carrier's log shows parcel C-7719"
UNKNOWN = "the supplier's line S-8843 was dead, so nobody can tell"


def planted() -> dict[str, tuple[str, ...]]:
    """All facts by where they were planted."""
    return {
        "rules": RULES,
        "task": TASK,
        "decisions": tuple(DECISIONS.values()),
        "open_work": tuple(TODOS.values()),
        "person_said": SAID,
        "person_decided": (DENIED,),
        "doubts": (HAPPENED, UNKNOWN),
    }


def missing(facts: Iterable[str], text: str) -> list[str]:
    """The facts that do not stand in `text` word for word."""
    return [fact for fact in facts if fact not in text]
