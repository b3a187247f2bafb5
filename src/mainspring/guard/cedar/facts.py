"""What rules may know of a call: facts worked out from labels and roles, the same way for every rule.

Whatever is missing, malformed or new here makes `known` False, and nothing is allowed then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mainspring.guard.decision import MODES, Argument, Call, CallContext
from mainspring.guard.grants import ANY, TRUSTED, Grant
from mainspring.label import Label
from mainspring.names import person_key

EFFECTS = ("read", "write", "irreversible")
#: The source of what has no label: a name that no label trusts.
UNLABELLED = Label(frozenset({"unlabelled"}))
_OUTSPOKEN = frozenset({"user", "system", "model"})
_MANY = 10_000  # parts of an argument that are looked at one by one; a larger one counts as told to everybody
_key = lru_cache(maxsize=1024)(person_key)


@dataclass(frozen=True, slots=True)
class Facts:
    """See `facts.cedarschema`, which says the same to the writers of rules."""

    tool: str
    server: str
    agent: str
    people: tuple[str, ...]  # and agents, as agent:NAME
    effect: str
    mode: str
    known: bool
    undoable: bool
    outside: bool
    granted: bool
    recipients_granted: bool
    strangers: frozenset[str]
    payload_strangers: frozenset[str]
    context_strangers: frozenset[str]
    steered: frozenset[str]
    private: bool
    joined_address: bool
    verbatim: bool

    @property
    def consequential(self) -> bool:
        """It tells somebody outside, or cannot be undone here."""
        return self.outside or not (self.effect == "read" or (self.effect == "write" and self.undoable))

    def context(self) -> dict[str, Any]:
        """As Cedar's context, without the arguments themselves."""
        return {
            "effect": self.effect,
            "server": self.server,
            "mode": self.mode,
            "known": self.known,
            "undoable": self.undoable,
            "outside": self.outside,
            "consequential": self.consequential,
            "granted": self.granted,
            "recipients_granted": self.recipients_granted,
            "strangers": sorted(self.strangers),
            "payload_strangers": sorted(self.payload_strangers),
            "context_strangers": sorted(self.context_strangers),
            "steered": sorted(self.steered),
            "private": self.private,
            "joined_address": self.joined_address,
            "verbatim": self.verbatim,
        }


def understood(call: Call, context: CallContext) -> bool:
    """True when everything that is said of the call is there and of a kind that this version knows."""
    return (
        call.effect in EFFECTS
        and isinstance(call.undoable, bool)
        and isinstance(call.outside, bool)
        and isinstance(call.server, str)
        and isinstance(call.arguments, Mapping)
        and context.mode in MODES
        and isinstance(context.label, Label)
        and all(
            isinstance(a, Argument)
            and isinstance(a.label, Label)
            and isinstance(a.whole, bool)
            and a.role in ("authority", "selector", "payload")
            for a in call.arguments.values()
        )
    )


def arguments_of(call: Call) -> dict[str, Argument]:
    """The call's arguments by name; what is none counts as an authority argument that a stranger wrote."""
    found = call.arguments if isinstance(call.arguments, Mapping) else {"": call.arguments}
    return {str(name): _argument(value) for name, value in found.items()}


def _argument(value: object) -> Argument:
    if not isinstance(value, Argument):
        return Argument(value, UNLABELLED, "authority", whole=False)
    label = value.label if isinstance(value.label, Label) else UNLABELLED
    role = value.role if value.role in ("selector", "payload") else "authority"
    return Argument(value.value, label, role, value.origin, value.whole is True)


def people_of(context: CallContext) -> tuple[str, ...]:
    """For whom the run acts: every principal but the agent itself, which comes last.

    Agents among them are written ``agent:NAME``; every other name is a person's, in the form in which names are
    compared.
    """
    names = tuple(str(p) for p in context.principals)
    if names and names[-1] in (context.agent, f"agent:{context.agent}"):
        names = names[:-1]
    return tuple(n if n.startswith("agent:") else _key(n.removeprefix("person:")) for n in names if n)


def facts_of(call: Call, context: CallContext) -> tuple[Facts, Grant | None]:
    """The facts of a call, and the grant that covers it."""
    known = understood(call, context)
    arguments = arguments_of(call)
    outside = call.outside is not False
    effect = call.effect if call.effect in EFFECTS else "unknown"
    consequential = outside or not (effect == "read" or (effect == "write" and call.undoable is True))
    private = consequential and _private(arguments.values())
    grant = covering(call, context) if known and consequential else None
    label = context.label if isinstance(context.label, Label) else UNLABELLED
    empty: frozenset[str] = frozenset()
    decisive = [a.label for a in arguments.values() if a.role != "payload"]
    facts = Facts(
        tool=str(call.tool),
        server=str(call.server),
        agent=str(context.agent),
        people=people_of(context),
        effect=effect,
        mode=context.mode if context.mode in MODES else "unknown",
        known=known,
        undoable=call.undoable is True,
        outside=outside,
        granted=grant is not None,
        recipients_granted=grant is not None and names_recipients(grant, arguments),
        strangers=empty.union(*(a.strangers for a in decisive)),
        payload_strangers=empty.union(*(a.label.strangers for a in arguments.values() if a.role == "payload")),
        context_strangers=label.strangers,
        steered=empty.union(*(a.steered for a in decisive)),
        private=private,
        joined_address=outside
        and effect == "read"
        and any(not a.whole for a in arguments.values() if a.role != "payload"),
        verbatim=label.trusted and _verbatim(arguments.values()),
    )
    return facts, grant


def covering(call: Call, context: CallContext) -> Grant | None:
    """A grant that covers the call, if there is one; rather one that names its recipients."""
    arguments = arguments_of(call)
    found: Grant | None = None
    for grant in context.grants:
        if grant.tool == call.tool and grant.misses(call, context) is None:
            if names_recipients(grant, arguments):
                return grant
            found = found or grant
    return found


def names_recipients(grant: Grant, arguments: Mapping[str, Argument]) -> bool:
    """True when the grant lists the values of every argument that decides who is told."""
    told = [name for name, argument in arguments.items() if argument.role == "authority"]
    return bool(told) and all(grant.arguments.get(name, TRUSTED) not in (TRUSTED, ANY) for name in told)


def _private(arguments: Iterable[Argument]) -> bool:
    listed = list(arguments)
    restricted = [a.label.readers for a in listed if a.label.readers is not None]
    if not restricted:
        return False
    told = _parts(a.value for a in listed if a.role == "authority")
    if not told:  # nobody is named: it may reach anybody
        return True
    return not all(told <= readers for readers in restricted)


def _parts(values: Iterable[Any]) -> set[str]:
    """Every text in the values; what is no text stands for somebody unknown."""
    found: set[str] = set()
    waiting = list(values)
    seen = 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if seen > _MANY:
            return found | {"\0too many"}
        if value is None:  # an argument left empty names nobody
            continue
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
        else:
            found.add("\0no name")
    return found


def _verbatim(arguments: Iterable[Argument]) -> bool:
    """One untrusted argument, whole; the others say nothing but what the user or a clean model wrote."""
    untrusted = 0
    for argument in arguments:
        if not argument.whole:
            return False
        if not argument.label.trusted:
            untrusted += 1
            if argument.role == "payload":
                return False
        elif any(s not in _OUTSPOKEN and not s.startswith("person:") for s in argument.label.sources):
            return False
    return untrusted == 1


def amount(value: object) -> int | None:
    """A number as Cedar can hold it (64 bits), a fraction rounded up; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    top = (1 << 63) - 1
    if value != value or value > top:  # no number at all counts as the largest
        return top
    return max(-int(-value // 1), -top) if value > -top else -top


def values_of(call: Call) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, int], ...]]:
    """The arguments that are text, and those that are numbers, by name."""
    texts: list[tuple[str, str]] = []
    numbers: list[tuple[str, int]] = []
    for name, argument in sorted(arguments_of(call).items()):
        if isinstance(argument.value, str):
            texts.append((name, argument.value))
        elif (number := amount(argument.value)) is not None:
            numbers.append((name, number))
    return tuple(texts), tuple(numbers)
