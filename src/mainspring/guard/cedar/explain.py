"""Which rules match a call, and what keeps the others from matching; for people, not for the loop."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mainspring.guard.cedar.facts import Facts
from mainspring.guard.cedar.rules import Rule, Rules, Values, authorize, compiled

_ANYONE: Mapping[str, Any] = {"op": "All"}


@dataclass(frozen=True, slots=True)
class Match:
    """One rule, held against a call.

    Args:
        layer: ``"limits"``, ``"policy"`` or ``"default"``.
        why: what keeps it from matching, or "".
    """

    layer: str
    rule: Rule
    matched: bool
    why: str = ""


def matches(layer: str, rules: Rules, facts: Facts, values: Values) -> list[Match]:
    """Every rule of a set, held against a call."""
    found = []
    for rule in rules.rules:
        why = _why_not(rule, facts, values, rules.people)
        found.append(Match(layer, rule, not why, why))
    return found


def in_words(rule: Rule) -> str:
    """A rule as a sentence with its condition in Cedar's words."""
    asked = ""
    if rule.outcome == "ask":
        who = f"of {', '.join(rule.approvers)}" if rule.approvers else "person" if rule.people == 1 else "people"
        asked = f" after {rule.people} {who} {'says' if rule.people == 1 else 'say'} yes"
    verb = "forbid" if rule.outcome == "deny" else "allow"
    who, what = _who(rule.body["principal"]), _what(rule.body["resource"])
    conditions = [f"{c['kind']} {' && '.join(_parts(c['body']))}" for c in rule.body["conditions"]]
    return " ".join([f"{verb} {who} {what}{asked}", *conditions])


def _who(scope: Mapping[str, Any]) -> str:
    op, entity = scope["op"], scope.get("entity")
    if op == "==" and entity:
        return f"{_label(entity)} themself" if entity["type"] == "Person" else _label(entity)
    if op == "in" and entity:
        return f"whoever acts for {_label(entity)}"
    return "anyone" if op == "All" else f"any {scope.get('entity_type', 'principal')}"


def _what(scope: Mapping[str, Any]) -> str:
    op, entity = scope["op"], scope.get("entity")
    if op == "==" and entity:
        return f"the tool {entity['id']}"
    if op == "in" and entity and entity["type"] == "Effect":
        return f"every {entity['id']} tool"
    if op == "in" and entity:
        return f"every tool of the server {entity['id']}" if entity["type"] == "Server" else f"the tool {entity['id']}"
    return "every tool"


def _label(entity: Mapping[str, str]) -> str:
    return entity["id"] if entity["type"] == "Person" else f"{entity['type'].lower()} {entity['id']}"


def _why_not(rule: Rule, facts: Facts, values: Values, people: Mapping[str, tuple[str, ...]] | None) -> str:
    steps = list(_steps(rule.body))
    policies = compiled({str(number): body for number, (body, _) in enumerate(steps)})
    _, met, failed = authorize(policies, facts, values, people)
    for number, (_, words) in enumerate(steps):
        if str(number) not in met:
            if f"`{number}`" in failed:
                return f"it fails on this call: {words}"
            return f"not so: {words}{_actual(words, facts)}"
    return ""


def _steps(body: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """The rule one part after another, each with all parts before it, as permits that can be asked."""
    built: dict[str, Any] = {
        "effect": "permit",
        "principal": _ANYONE,
        "action": _ANYONE,
        "resource": _ANYONE,
        "conditions": [],
    }
    built = built | {"principal": body["principal"]}
    yield built, f"it is {_who(body['principal'])}"
    built = built | {"resource": body["resource"], "action": body["action"]}
    yield built, f"it is {_what(body['resource'])}"
    for condition in body.get("conditions", []):
        before = built["conditions"]
        if condition["kind"] != "when":
            built = built | {"conditions": [*before, condition]}
            yield built, f"unless {_cedar(condition['body'])}"
            continue
        so_far: Any = None
        for part in _conjuncts(condition["body"]):
            so_far = part if so_far is None else {"&&": {"left": so_far, "right": part}}
            built = built | {"conditions": [*before, {"kind": "when", "body": so_far}]}
            yield built, _cedar(part)


def _conjuncts(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if set(body) == {"&&"}:
        yield from _conjuncts(body["&&"]["left"])
        yield from _conjuncts(body["&&"]["right"])
    else:
        yield body


def _parts(body: Mapping[str, Any]) -> list[str]:
    parts = list(_conjuncts(body))
    loose = [len(parts) > 1 and bool({"||", "if-then-else"} & set(part)) for part in parts]
    return [f"({_cedar(part)})" if bare else _cedar(part) for part, bare in zip(parts, loose, strict=True)]


def _cedar(expression: Mapping[str, Any]) -> str:
    """An expression as Cedar text, without the brackets that nobody needs."""
    import json

    import cedarpy

    rule = {
        "effect": "permit",
        "principal": _ANYONE,
        "action": _ANYONE,
        "resource": _ANYONE,
        "conditions": [{"kind": "when", "body": expression}],
    }
    text = cedarpy.policies_from_json_str(
        json.dumps({"templates": {}, "templateLinks": [], "staticPolicies": {"p": rule}})
    )
    text = " ".join(text[text.index("{") + 1 : text.rindex("}")].split())
    plain = r"(?<!\w)\(((?:context|principal|resource|action)(?:\.\w+(?:\((?:\"[^\"()]*\")?\))?)*)\)"
    while (shorter := re.sub(plain, r"\1", text)) != text:
        text = shorter
    while text.startswith("(") and _closes(text) == len(text) - 1:
        text = text[1:-1]
    return text


def _closes(text: str) -> int:
    """Where the bracket that opens the text closes; text in quotes does not count."""
    depth, quoted, skip = 0, False, False
    for at, char in enumerate(text):
        if skip:
            skip = False
        elif quoted:
            quoted, skip = char != '"', char == "\\"
        elif char == '"':
            quoted = True
        else:
            depth += (char == "(") - (char == ")")
            if depth == 0:
                return at
    return -1


def _actual(words: str, facts: Facts) -> str:
    """The facts that the words speak of, as they are."""
    known = facts.context()
    named = [n for n in dict.fromkeys(re.findall(r"\bcontext\.(\w+)", words)) if n in known]
    return f" ({'; '.join(f'{n} is {fact_text(known[n])}' for n in named)})" if named else ""


def fact_text(value: object) -> str:
    """A fact for people: yes and no, names in a list."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        shown = ", ".join(value[:8]) + (f" and {len(value) - 8:,} more" if len(value) > 8 else "")
        return shown or "nobody"
    return str(value) or "none"
