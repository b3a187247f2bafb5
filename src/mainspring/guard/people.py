"""Who may answer for what: people from the configuration, and on whose behalf an agent acts.

    [people.ann]
    roles = ["finance"]
    limits = {amount = 1000}        # the most that she may approve, by argument
    may_approve = ["pay_*"]         # tools, by shell patterns; default all
    user = "ann"                    # the account that she answers from; default any

Without any person in the configuration, any name is accepted that is not an agent's: then the one account that can
write the home is the person.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from mainspring.errors import ApprovalError, DeclarationError
from mainspring.names import check_person, person_key

_FIELDS = ("roles", "limits", "may_approve", "user")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may decide.

    Args:
        roles: such as ``"finance"``; an approval may name roles instead of people.
        limits: argument -> the largest number that this person may approve it with.
        may_approve: patterns of tools whose calls this person may answer; none means none.
        user: the account of the operating system that this person answers from; "" means any.
    """

    name: str
    roles: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    may_approve: tuple[str, ...] = ("*",)
    user: str = ""


@dataclass(frozen=True, slots=True)
class Needs:
    """What is to be answered.

    Args:
        tool: whose call it is; "" when it is about no call (a revocation).
        arguments: the call's arguments, or each value that a grant allows, as a list.
        approvers: names of those who may; empty means any person.
    """

    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    approvers: tuple[str, ...] = ()


class People:
    """Everybody who is configured; an empty one accepts any name of a person."""

    def __init__(self, people: Iterable[Person] = ()) -> None:
        self._people: dict[str, Person] = {}
        for person in people:
            try:
                key = person_key(check_person(person.name))
            except ApprovalError as error:
                raise DeclarationError(f"[people.{person.name}]: {error}") from None
            if key in self._people:
                raise DeclarationError(f"[people.{person.name}] and [people.{self._people[key].name}] are one name")
            self._people[key] = person

    @classmethod
    def of(cls, people: Mapping[str, Any]) -> People:
        """From the configuration's ``[people.NAME]`` sections: mappings, or objects with the same fields.

        Raises:
            DeclarationError: an unknown field, a wrong type, or two spellings of one name.
        """
        return cls(_person(name, value) for name, value in people.items())

    def __bool__(self) -> bool:
        return bool(self._people)

    def __iter__(self) -> Any:
        return iter(self._people.values())

    @property
    def roles(self) -> dict[str, tuple[str, ...]]:
        """Everybody's roles by name."""
        return {p.name: p.roles for p in self._people.values()}

    def who(self, approvers: Iterable[str]) -> tuple[str, ...]:
        """The names of those who are meant: people as they are, a role (``finance``, ``role:finance``) as its holders.

        Raises:
            DeclarationError: nobody has this name or role.
        """
        found: dict[str, str] = {}
        for entry in approvers:
            role = entry.removeprefix("role:")
            holders = [p for p in self._people.values() if role in p.roles]
            if entry == role and (person := self._people.get(person_key(entry))) is not None:
                holders = [person]
            elif entry == role and not self._people:
                holders = [Person(entry)]  # nobody is configured: any name may be meant
            if not holders:
                raise DeclarationError(
                    f"nobody is called {entry!r} or has this role; the configuration {self._known()}"
                )
            found |= {person_key(p.name): p.name for p in holders}
        return tuple(found.values())

    def check(self, by: str, needs: Needs = Needs(), channel: Mapping[str, str] | None = None) -> str:
        """Whether this person may answer; returns the name as the configuration spells it.

        Raises:
            ApprovalError: `by` is an agent or nobody, is not configured where people are, answers from another
                account, or may not answer this.
        """
        name = check_person(by)
        key = person_key(name)
        if needs.approvers and key not in {person_key(a) for a in needs.approvers}:
            raise ApprovalError(f"{name} may not answer this: it waits for {' or '.join(needs.approvers)}")
        if not self._people:
            return name
        person = self._people.get(key)
        if person is None:
            raise ApprovalError(f"nobody is called {name!r}; the configuration {self._known()}")
        user = (channel or {}).get("user", "")
        if person.user and user != person.user:
            raise ApprovalError(
                f"{person.name} answers from the account {person.user!r}, not from {user or 'nowhere'!r}"
            )
        if needs.tool and not any(fnmatchcase(needs.tool, pattern) for pattern in person.may_approve):
            raise ApprovalError(
                f"{person.name} may not answer for {needs.tool}; [people.{person.name}] may_approve says so"
            )
        for argument, most in person.limits.items():
            if argument in needs.arguments:
                _within(person.name, argument, needs.arguments[argument], most)
        return person.name

    def _known(self) -> str:
        return "names " + ", ".join(p.name for p in self._people.values()) if self._people else "names nobody"


def _within(name: str, argument: str, value: Any, most: float) -> None:
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, bool) or not isinstance(item, int | float) or not math.isfinite(item):
            raise ApprovalError(f"{name} may approve {argument} up to {most:g}, and {str(item)[:80]!r} is no number")
        if item > most:
            raise ApprovalError(f"{name} may approve {argument} up to {most:g}, not {item:g}; somebody else has to")


def _person(name: str, value: Any) -> Person:
    if isinstance(value, Mapping):
        if unknown := set(value) - set(_FIELDS):
            raise DeclarationError(f"[people.{name}]: unknown {sorted(unknown)}; it has {', '.join(_FIELDS)}")
        fields: dict[str, Any] = dict(value)
    else:
        fields = {f: getattr(value, f) for f in _FIELDS if hasattr(value, f)}
    may = fields.get("may_approve", ("*",))
    if isinstance(may, bool):
        may = ("*",) if may else ()
    limits = fields.get("limits") or {}
    if not isinstance(limits, Mapping) or not all(_number(v) for v in limits.values()):
        raise DeclarationError(
            f"[people.{name}] limits are numbers by argument, such as {{amount = 1000}}, not {limits!r}"
        )
    user = fields.get("user", "")
    if not isinstance(user, str):
        raise DeclarationError(f"[people.{name}] user is the name of an account, not {user!r}")
    return Person(
        name, _texts(name, "roles", fields.get("roles") or ()), dict(limits), _texts(name, "may_approve", may), user
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _texts(name: str, which: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise DeclarationError(f"[people.{name}] {which} is a list of names, not {value!r}")
    found = tuple(value)
    if not all(isinstance(item, str) and item for item in found):
        raise DeclarationError(f"[people.{name}] {which} is a list of names, not {list(found)!r}")
    return found


# --- on whose behalf ---


def principals(by: str, agent: str) -> tuple[str, ...]:
    """For whom a run acts and who acts: ``("ann", "agent:clerk")``.

    Raises:
        ApprovalError: `by` is no person.
        DeclarationError: the agent's name could be read as something else.
    """
    return (check_person(by), f"agent:{_agent(agent)}")


def extend(chain: tuple[str, ...], agent: str) -> tuple[str, ...]:
    """The chain of a sub-agent: its creator's with itself behind, such as ``agent:clerk/helper``. Nothing is dropped.

    Raises:
        DeclarationError: the chain holds no agent, or the name could be read as something else.
    """
    if not chain or not chain[-1].startswith("agent:"):
        raise DeclarationError(f"a sub-agent acts for an agent; {chain!r} ends in none")
    return (*chain, f"{chain[-1]}/{_agent(agent)}")


def _agent(name: str) -> str:
    if not isinstance(name, str) or not name.strip() or "/" in name or ":" in name:
        raise DeclarationError(f"an agent's name has neither '/' nor ':', unlike {name!r}")
    return name.strip()
