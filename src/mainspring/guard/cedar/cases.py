"""Calls that are written down, with what a policy must say of them: the tests of a policy."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.errors import DeclarationError
from mainspring.guard.cedar.source import MAX_FILE
from mainspring.guard.decision import MODES, Argument, Call, CallContext, Decision
from mainspring.guard.grants import Grant
from mainspring.label import Label

_FILE = {"policy", "limits", "people", "case"}
_CALL = {"tool", "effect", "undoable", "outside", "server", "arguments"}
_CONTEXT = {"agent", "mode", "principals", "context", "grants", "revoked"}
_WANTED = {"name", "expect", "people", "approvers", "rule"}
_ARGUMENT = {"value", "from", "readers", "role", "joined"}


@dataclass(frozen=True, slots=True)
class Case:
    """A call and the outcome that it must have.

    Args:
        expect: ``"allow"``, ``"ask"`` or ``"deny"``.
        people, approvers, rule: who is asked and which rule decides, where the file says it; else None.
    """

    name: str
    call: Call
    context: CallContext
    expect: str
    people: int | None = None
    approvers: tuple[str, ...] | None = None
    rule: str | None = None

    def wrong(self, decision: Decision) -> str:
        """What is not as expected, or ""."""
        if decision.outcome != self.expect:
            return f"expected {self.expect}, got {decision.outcome}: {decision.reason}"
        if self.people is not None and decision.people != self.people:
            return f"expected {self.people} people, got {decision.people}"
        if self.approvers is not None and sorted(decision.approvers) != sorted(self.approvers):
            return f"expected {', '.join(self.approvers)} to be asked, got {', '.join(decision.approvers) or 'anyone'}"
        if self.rule is not None and self.rule not in decision.policy:
            return f"expected the rule {self.rule}, got {', '.join(decision.policy) or 'none'}"
        return ""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A file of cases: the policy files that it is about, relative to it, and the cases."""

    policy: tuple[Path, ...]
    limits: tuple[Path, ...]
    people: Mapping[str, Sequence[str]] | None
    cases: tuple[Case, ...]


def read_cases(path: Path) -> CaseFile:
    """Read a file of cases; raises DeclarationError, saying which case is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise DeclarationError(f"{path}: at most {MAX_FILE:,} bytes; split it into several files")
        found = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise DeclarationError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise DeclarationError(f"{path}: no TOML: {error}") from None
    _known(found, _FILE, str(path))
    listed = found.get("case")
    if not isinstance(listed, list) or not listed:
        raise DeclarationError(f"{path}: it holds no case; each begins with [[case]]")
    people = found.get("people")
    if people is not None and not (isinstance(people, dict) and all(isinstance(v, list) for v in people.values())):
        raise DeclarationError(f'{path}: people says who has which roles, such as people = {{ ann = ["finance"] }}')
    return CaseFile(
        tuple(path.parent / name for name in _texts(found.get("policy", []), "policy", str(path))),
        tuple(path.parent / name for name in _texts(found.get("limits", []), "limits", str(path))),
        people,
        tuple(_case(case, number, str(path)) for number, case in enumerate(listed, 1)),
    )


def _case(case: object, number: int, file: str) -> Case:
    where = f"{file}: case {number}"
    if not isinstance(case, dict):
        raise DeclarationError(f"{where}: write it as a [[case]] table")
    where += f" ({case['name']})" if isinstance(case.get("name"), str) else ""
    _known(case, _CALL | _CONTEXT | _WANTED, where)
    expect = case.get("expect")
    if expect not in ("allow", "ask", "deny"):
        raise DeclarationError(f"{where}: expect must be 'allow', 'ask' or 'deny', not {expect!r}")
    people = case.get("people")
    if people is not None and (isinstance(people, bool) or not isinstance(people, int)):
        raise DeclarationError(f"{where}: people must be a number, not {people!r}")
    approvers = None if "approvers" not in case else _texts(case["approvers"], "approvers", where)
    rule = None if "rule" not in case else _text(case["rule"], "rule", where)
    name = str(case.get("name", f"case {number}"))
    return Case(name, call_of(case, where), context_of(case, where), expect, people, approvers, rule)


def call_of(said: Mapping[str, Any], where: str) -> Call:
    """The call that a case describes; raises DeclarationError. An effect that is no effect stays as it is written."""
    if "tool" not in said:
        raise DeclarationError(f"{where}: name the tool")
    effect: Any = _text(said.get("effect", "irreversible"), "effect", where)
    undoable = _truth(said.get("undoable", False), "undoable", where)
    outside = _truth(said.get("outside", effect != "read" and not undoable), "outside", where)
    arguments = said.get("arguments", {})
    if not isinstance(arguments, dict):
        raise DeclarationError(f"{where}: arguments is a table, not {arguments!r}")
    return Call(
        _text(said["tool"], "tool", where),
        effect,
        undoable,
        outside,
        {name: _argument(name, value, where) for name, value in arguments.items()},
        _text(said.get("server", ""), "server", where),
    )


def _argument(name: str, said: object, where: str) -> Argument:
    if not isinstance(said, dict):
        return Argument(said, Label(frozenset({"user"})))
    where += f", argument {name!r}"
    _known(said, _ARGUMENT, where)
    role: Any = said.get("role", "authority")
    if role not in ("authority", "selector", "payload"):
        raise DeclarationError(f"{where}: role must be 'authority', 'selector' or 'payload', not {role!r}")
    readers = None if "readers" not in said else frozenset(_texts(said["readers"], "readers", where))
    label = Label(frozenset(_texts(said.get("from", "user"), "from", where)), readers)
    return Argument(said.get("value"), label, role, whole=not _truth(said.get("joined", False), "joined", where))


def context_of(said: Mapping[str, Any], where: str) -> CallContext:
    """Where a case's call comes from; raises DeclarationError."""
    mode: Any = said.get("mode", "clean")
    if mode not in MODES:
        raise DeclarationError(f"{where}: mode must be one of {', '.join(MODES)}, not {mode!r}")
    grants = said.get("grants", [])
    if not isinstance(grants, list):
        raise DeclarationError(f"{where}: grants is a list of tables, not {grants!r}")
    agent = _text(said.get("agent", "agent"), "agent", where)
    return CallContext(
        run_id="case",
        agent=agent,
        step=1,
        label=Label(frozenset(_texts(said.get("context", "user"), "context", where))),
        mode=mode,
        principals=(*_texts(said.get("principals", []), "principals", where), f"agent:{agent}"),
        grants=tuple(Grant.decode(grant) for grant in grants),
        revoked=frozenset(_texts(said.get("revoked", []), "revoked", where)),
    )


def _known(said: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(said) - known)
    if unknown:
        raise DeclarationError(f"{where}: {unknown[0]!r} is unknown; there are {', '.join(sorted(known))}")


def _text(value: object, what: str, where: str) -> str:
    if not isinstance(value, str):
        raise DeclarationError(f"{where}: {what} must be text, not {value!r}")
    return value


def _texts(value: object, what: str, where: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(v, str) for v in listed):
        raise DeclarationError(f"{where}: {what} must be a text or a list of texts, not {value!r}")
    return tuple(listed)


def _truth(value: object, what: str, where: str) -> bool:
    if not isinstance(value, bool):
        raise DeclarationError(f"{where}: {what} must be true or false, not {value!r}")
    return value
