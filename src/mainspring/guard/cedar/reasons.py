"""Why a call asks or is refused, in words that name arguments and sources and never quote a value."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from mainspring.guard.cedar.facts import Facts
from mainspring.guard.decision import Argument, Call, CallContext

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")
_SHOWN = 4  # names in one list
_LONGEST = 80  # characters of one source's name


def name_of(argument: str) -> str:
    """An argument's name, unless a model could have written a message into it."""
    return argument if _PLAIN.match(argument) else "an argument with an odd name"


def source_of(source: str, longest: int = _LONGEST) -> str:
    """A source's name, short and printable."""
    shown = "".join(c if c.isprintable() else "?" for c in source[:longest])
    return shown + ("..." if len(source) > longest else "")


def listed(names: Collection[str]) -> str:
    """A few names in order, and how many more there are."""
    few = sorted(names)[:_SHOWN]
    more = len(names) - len(few)
    return ", ".join(source_of(n) for n in few) + (f" and {more:,} more" if more else "")


def why_failed(rules: Collection[str]) -> str:
    """Rules that could not be asked."""
    return f"the policy rule {listed(rules)} failed on this call, so the call is refused; mainspring policy check"


def why_ask(call: Call, context: CallContext, facts: Facts, arguments: Mapping[str, Argument]) -> str:
    """Why the default policy does not allow the call by itself."""
    parts = [_what(facts)]
    parts += faults(facts, arguments)
    if facts.context_strangers and facts.outside and facts.effect == "read":
        parts.append(f"the model that asks has read text of {listed(facts.context_strangers)}")
    parts.append(_grants(call, context, facts, arguments, parts))
    return "; ".join(p for p in parts if p)


def faults(facts: Facts, arguments: Mapping[str, Argument]) -> list[str]:
    """What is wrong with the arguments: who may have written them, who may not read them."""
    found = []
    for name, argument in arguments.items():
        if argument.role != "payload" and argument.label.strangers:
            found.append(f"{name_of(name)} may have been written by {listed(argument.label.strangers)}")
    if facts.private:
        kept = [name_of(n) for n, a in arguments.items() if a.label.readers is not None]
        found.append(f"{listed(dict.fromkeys(kept))} may be read by few, and not all who would be told are among them")
    if facts.joined_address:
        found.append("its address was put together from several values")
    return [*found[:_SHOWN], f"{len(found) - _SHOWN} more such arguments"] if len(found) > _SHOWN else found


def _what(facts: Facts) -> str:
    if not facts.known:
        return "it is not known what it does (its effect, mode, roles or labels are missing or new)"
    if facts.effect == "read":
        return "it tells somebody outside what it asks"
    if facts.effect == "irreversible":
        return "it cannot be undone"
    return "it tells somebody outside what it is passed" if facts.undoable else "it writes outside the workspace"


def _grants(
    call: Call, context: CallContext, facts: Facts, arguments: Mapping[str, Argument], said: Collection[str]
) -> str:
    if not facts.known:
        return ""
    if facts.granted:
        return "the grant that covers it does not name who would be told"
    for grant in context.grants:
        if grant.tool == call.tool:
            missed = grant.misses(call, context)
            plain = all(_PLAIN.match(n) for n in arguments)
            return f"the grant {grant.id} does not cover it" + (
                f": {source_of(missed, 300)}" if missed and plain else ""
            )
    return "no grant is for this tool"
