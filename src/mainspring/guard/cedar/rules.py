"""Cedar rules: loaded, checked, and asked.

Everything that is wrong with a rule is found when it is loaded. A rule that fails while it is asked (an overflow, say)
denies: Cedar itself would leave it out, and a `forbid` that is left out forbids nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from mainspring.errors import ApprovalError, DeclarationError
from mainspring.guard.cedar.facts import EFFECTS, Facts
from mainspring.guard.cedar.source import Piece, parse, pieces, read_policy, validate
from mainspring.guard.decision import Outcome
from mainspring.names import person_key

_HERE = Path(__file__).parent
_CACHED, _CACHED_TEXT = 1024, 65_536  # answers kept for one set of rules; characters of arguments in each
_MOST_PEOPLE = 20
_ID, _REASON = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z"), 300
_ALLOWED = {"permit": ("id", "reason", "outcome", "people", "approvers"), "forbid": ("id", "reason")}

#: The arguments that are text and those that are numbers, by name; None for rules that look at neither.
Values = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, int], ...]] | None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy.

    Args:
        name: file (without its ending) and `@id`, or its line: ``"mail:newsletter"``, ``"mail:12"``.
        outcome: what it says of a call that it matches.
        people, approvers, reason: from its annotations.
        needs_grant: it asks whether a grant covers the call, so what it allows uses the grant up.
        reads_values: it looks at arguments, not only at labels.
        piece: its text and place.
        body: the rule as Cedar's JSON.
    """

    name: str
    outcome: Outcome
    people: int
    approvers: tuple[str, ...]
    reason: str
    needs_grant: bool
    reads_values: bool
    piece: Piece
    body: Mapping[str, Any]

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.piece.file}:{self.piece.line}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a set of rules says of a call.

    Args:
        outcome: the strictest of what its matching rules say, or None when none matches.
        rules: those that said it.
        failed: names of rules that could not be asked; the outcome is deny then.
    """

    outcome: Outcome | None
    rules: tuple[Rule, ...] = ()
    failed: tuple[str, ...] = ()


class Rules:
    """A checked set of rules.

    Args:
        sources: files, or Cedar text.
        limits: they are an organisation's limits, which may only forbid.
        people: everybody's roles by name, when it is known who there is; rules may name nobody else then.

    Raises:
        DeclarationError: a file cannot be read, or a rule is wrong; it says where.
    """

    def __init__(
        self,
        sources: Iterable[str | Path],
        *,
        limits: bool = False,
        people: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        known = None if people is None else {_key(k): tuple(map(str, v)) for k, v in people.items()}
        self._take([rule for source in sources for rule in _load(source, limits, known)], known)

    def joined(self, other: Rules) -> Rules:
        """Both sets as one."""
        both = Rules(())
        both._take([*self.rules, *other.rules], {**(self.people or {}), **(other.people or {})} or None)
        return both

    def _take(self, rules: list[Rule], people: Mapping[str, tuple[str, ...]] | None) -> None:
        self.people = people
        names: dict[str, int] = {}
        for number, rule in enumerate(rules):
            names[rule.name] = names.get(rule.name, 0) + 1
            if names[rule.name] > 1:  # two files of one name, two rules on one line
                rules[number] = replace(rule, name=f"{rule.name}#{names[rule.name]}")
        self.rules = tuple(rules)
        self.reads_values = any(r.reads_values for r in rules)
        self.needs_grant = any(r.needs_grant for r in rules)
        self._by_name = {r.name: r for r in rules}
        self._cached = lru_cache(maxsize=_CACHED)(self._ask)

    def ask(self, facts: Facts, values: Values = None) -> Verdict:
        """What the rules say. Raises nothing that comes from the facts: what cannot be asked is denied."""
        if not self.reads_values:
            values = None
        elif values is not None and sum(len(text) for _, text in values[0]) > _CACHED_TEXT:
            return self._ask(facts, values)
        return self._cached(facts, values)

    @cached_property
    def _compiled(self) -> Any:
        return compiled({rule.name: rule.body for rule in self.rules})

    def _ask(self, facts: Facts, values: Values) -> Verdict:
        decision, matched, failed = authorize(self._compiled, facts, values, self.people)
        if failed or decision not in ("Allow", "Deny"):
            return Verdict("deny", (), tuple(n for n in self._by_name if f"`{n}`" in failed) or ("all rules",))
        found = [self._by_name[name] for name in matched]
        if decision == "Deny":
            return Verdict("deny" if found else None, tuple(found))
        asking = tuple(r for r in found if r.outcome == "ask")
        return Verdict("ask", asking) if asking else Verdict("allow", tuple(found))


def compiled(bodies: Mapping[str, Mapping[str, Any]]) -> Any:
    """Rules in Cedar's JSON as a policy set that keeps their names."""
    import cedarpy

    return cedarpy.PolicySet.from_json_str(
        json.dumps({"templates": {}, "templateLinks": [], "staticPolicies": dict(bodies)})
    )


def authorize(
    policies: Any, facts: Facts, values: Values, people: Mapping[str, tuple[str, ...]] | None
) -> tuple[str, list[str], str]:
    """Ask Cedar: its decision, the names of the rules that made it, and what went wrong."""
    import cedarpy

    answer = cedarpy.is_authorized(*_request(facts, values, policies, people or {}))
    return answer.decision.name, list(answer.diagnostics.reasons), "\n".join(answer.diagnostics.errors)


def _uid(type_: str, id_: str) -> dict[str, str]:
    return {"type": type_, "id": id_}


def _request(facts: Facts, values: Values, policies: Any, roles: Mapping[str, tuple[str, ...]]) -> tuple[Any, ...]:
    # Names go in as data, never as Cedar text, so that no quote in a name can end it.
    actors = [_uid(*_principal(name)) for name in facts.people]
    principal = _uid("Agent", facts.agent) if facts.agent or not actors else actors[-1]
    groups = [_uid("Effect", facts.effect), *([_uid("Server", facts.server)] if facts.server else [])]
    tool = _uid("Tool", facts.tool)
    entities: dict[tuple[str, str], dict[str, Any]] = {}
    for uid in actors:
        held = roles.get(uid["id"], ()) if uid["type"] == "Person" else ()
        entities[(uid["type"], uid["id"])] = {"uid": uid, "attrs": {}, "parents": [_uid("Role", r) for r in held]}
    if facts.agent or not actors:
        parents = [uid for uid in actors if uid != principal]
        entities[("Agent", facts.agent)] = {"uid": principal, "attrs": {}, "parents": parents}
    listed = [*entities.values(), {"uid": tool, "attrs": {}, "parents": groups}]
    context = facts.context()
    if values is not None:
        for name, kind, tags in (("text", "Texts", dict(values[0])), ("number", "Numbers", dict(values[1]))):
            listed.append({"uid": _uid(kind, ""), "attrs": {}, "parents": [], "tags": tags})
            context[name] = {"__entity": _uid(kind, "")}
    request = {"principal": principal, "action": _uid("Action", "call"), "resource": tool, "context": context}
    return request, policies, listed


def _principal(name: str) -> tuple[str, str]:
    return ("Agent", name.removeprefix("agent:")) if name.startswith("agent:") else ("Person", name)


@lru_cache(maxsize=1)
def schema() -> Any:
    """The facts' schema, parsed."""
    import cedarpy

    return cedarpy.Schema.from_str((_HERE / "facts.cedarschema").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def default_rules() -> Rules:
    """The default policy, which is a file to be read: `default.cedar`."""
    return Rules([_HERE / "default.cedar"])


def _load(source: str | Path, limits: bool, people: Mapping[str, tuple[str, ...]] | None) -> Iterator[Rule]:
    text, file = read_policy(source)
    if not text.strip():
        raise DeclarationError(f"{file}: the policy is empty; delete it, or write a rule")
    stem = Path(file).name.removesuffix(".cedar")
    names: set[str] = set()
    for piece in pieces(text, file):
        rule = _rule(piece, stem, people)
        if limits and rule.outcome != "deny":
            raise piece.error("limits may only forbid; what is allowed belongs in the agent's policy", "permit")
        if rule.name in names and "id" in rule.body.get("annotations", {}):
            raise piece.error(f"the name {rule.name!r} is used twice in this file", "id")
        names.add(rule.name)
        yield rule


def _rule(piece: Piece, stem: str, people: Mapping[str, tuple[str, ...]] | None) -> Rule:
    body = parse(piece)
    said: dict[str, str] = {k: v or "" for k, v in body.get("annotations", {}).items()}
    for word in said:
        if word not in _ALLOWED[body["effect"]]:
            known = ", ".join(f"@{w}" for w in _ALLOWED[body["effect"]])
            raise piece.error(f"@{word} is unknown; a {body['effect']} takes {known}", word)
    if "id" in said and not _ID.match(said["id"]):
        raise piece.error(f"@id({said['id'][:80]!r}) must be 1 to 64 letters, digits, '_', '-' or '.'", "id")
    if len(said.get("reason", "")) > _REASON or not said.get("reason", "").isprintable():
        raise piece.error(f"@reason takes one line of at most {_REASON} characters", "reason")
    validate(piece, schema())
    outcome: Outcome = "deny" if body["effect"] == "forbid" else "allow"
    if "outcome" in said:
        if said["outcome"] not in ("ask", "allow"):
            raise piece.error(f'@outcome("{said["outcome"]}") is unknown; write "ask" or "allow"', "outcome")
        outcome = "ask" if said["outcome"] == "ask" else "allow"
    approvers = tuple(name.strip() for name in said["approvers"].split(",")) if "approvers" in said else ()
    _check_asking(piece, said, outcome, approvers)
    for entity in _named(body):
        _check_name(piece, entity["type"], entity["id"], people)
        if entity["type"] == "Person":
            entity["id"] = _key(entity["id"], piece)
    for name in approvers:
        _check_name(piece, "Person", name, people)
    words = json.dumps(body.get("conditions", []))
    return Rule(
        f"{stem}:{said.get('id') or piece.line}",
        outcome,
        int(said.get("people", 1)),
        approvers,
        said.get("reason", ""),
        'granted"' in words,
        '"text"' in words or '"number"' in words,
        piece,
        body,
    )


def _check_asking(piece: Piece, said: Mapping[str, str], outcome: Outcome, approvers: tuple[str, ...]) -> None:
    for word in ("people", "approvers"):
        if word in said and outcome != "ask":
            raise piece.error(f'@{word} says who is asked, so it goes with @outcome("ask")', word)
    if not all(approvers) or len({_key(name, piece) for name in approvers}) != len(approvers):
        raise piece.error('@approvers takes different names, such as @approvers("ann,bob")', "approvers")
    count = said.get("people", "1")
    if not (count.isascii() and count.isdigit() and 1 <= int(count[:3]) <= _MOST_PEOPLE and len(count) < 3):
        raise piece.error(f'@people("{count}") must be a number from 1 to {_MOST_PEOPLE}', "people")
    if approvers and len(approvers) < int(count):
        raise piece.error(f"{count} people must say yes, and only {len(approvers)} may", "approvers")


def _check_name(piece: Piece, kind: str, name: str, people: Mapping[str, tuple[str, ...]] | None) -> None:
    if kind == "Effect" and name not in (*EFFECTS, "unknown"):
        raise piece.error(f"there is no effect {name!r}; it is one of {', '.join(EFFECTS)}, unknown", name)
    if people is None:
        return
    if kind == "Person" and _key(name, piece) not in people:
        raise piece.error(f"nobody is called {name!r}; the configuration names {_some(people)}", name)
    roles = {role for held in people.values() for role in held}
    if kind == "Role" and name not in roles:
        raise piece.error(f"nobody has the role {name!r}; there are {_some(roles)}", name)


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "") or "none"


def _key(name: str, piece: Piece | None = None) -> str:
    """A person's name as names are compared; raises DeclarationError for what can be nobody's."""
    try:
        return person_key(name)
    except ApprovalError as error:
        raise piece.error(str(error)) if piece is not None else DeclarationError(str(error)) from None


def _named(body: Any) -> Iterator[dict[str, str]]:
    """Every entity that a rule names."""
    if isinstance(body, dict):
        if isinstance(body.get("type"), str) and isinstance(body.get("id"), str):
            yield body
        for value in body.values():
            yield from _named(value)
    elif isinstance(body, list):
        for value in body:
            yield from _named(value)
