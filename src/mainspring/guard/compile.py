"""Grants from the user's own turn, made before anything else is read.

A model that is able to does it best: one call that sees nothing but the user's own words and the list of tools, so no
stranger can have a say in it. Without one, rules do: a grant needs the tool's name or verb *and* each authority value,
word for word, in the user's own words. Either way the grants are journaled and shown, and only a person widens one.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mainspring.errors import DeclarationError
from mainspring.guard.grants import TRUSTED, Grant
from mainspring.messages import Message, system, user
from mainspring.tool import Tool

#: Most grants that one turn may give, and most calls that one of them may cover.
MAX_GRANTS = 32
MAX_COUNT = 100

ORDERS = """\
You decide which rights a task needs, before anybody works on it. You see the user's own words and the tools that have
consequences. List each tool call that the user asks for, and nothing that the user did not ask for. For each give the
tool, how many calls at most, and for each argument under "decides" either the exact values that the user named, or
"trusted" when the user said where the value comes from (a contact, a sender, a record) without naming it. A task that
only asks a question needs no rights: answer with an empty list."""

_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "grants": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "tool": {"type": "string"},
                    "count": {"type": "integer", "minimum": 1},
                    "arguments": {
                        "type": "object",
                        "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "array"}]},
                    },
                    "why": {"type": "string"},
                },
                "required": ["tool", "count", "arguments", "why"],
            },
        }
    },
    "required": ["grants"],
}


def question(words: str, tools: Iterable[Tool]) -> tuple[list[Message], Mapping[str, Any]]:
    """The messages of the compiling call, and the schema of its answer."""
    lines = []
    for tool in tools:
        names = list(tool.schema.get("properties", {}))
        decides = [n for n in names if tool.role(n) != "payload"]
        # A server's description of its tool is the server's word; nobody but the user has a say here.
        about = "" if tool.server else " ".join(tool.description.split())[:300]
        lines.append(f"- {tool.name}({', '.join(names)}); decides: {', '.join(decides) or 'nothing'}. {about}")
    asked = (
        "Tools:\n" + "\n".join(lines) + f"\n\nThe user's words:\n{words}\n\nAnswer with JSON: " + json.dumps(_SCHEMA)
    )
    return [system(ORDERS), user(asked)], _SCHEMA


def parse(answer: str, words: str, tools: Iterable[Tool]) -> list[Grant]:
    """The grants of a compiling model's answer.

    A value that the user did not write is not believed: it becomes ``"trusted"``, which only a value that no outsider
    wrote satisfies. Raises DeclarationError when the answer is no such list.
    """
    held = {t.name: t for t in tools}
    fence = re.search(r"```(?:json)?\s*\n(.*?)```", answer, re.DOTALL)
    try:
        listed = json.loads(fence.group(1) if fence else answer)
        items = listed["grants"] if isinstance(listed, dict) else listed
        if not isinstance(items, list):
            raise TypeError("no list")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DeclarationError(f"no list of grants: {answer[:200]!r}") from None
    grants = []
    for item in items[:MAX_GRANTS]:
        tool = held.get(str(item.get("tool"))) if isinstance(item, dict) else None
        if tool is None or not tool.consequential:
            continue
        count = item.get("count", 1)
        count = min(count, MAX_COUNT) if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 1
        asked = item.get("arguments")
        named = asked if isinstance(asked, dict) else {}
        arguments = {
            n: _believed(named.get(n, TRUSTED), words)
            for n in tool.schema.get("properties", {})
            if tool.role(n) != "payload"
        }
        grants.append(Grant(tool.name, arguments, count, None, "user", str(item.get("why", ""))[:500]))
    return grants


def from_rules(words: str, tools: Iterable[Tool]) -> list[Grant]:
    """Grants by rules, for a run whose model cannot be asked.

    A tool is granted once when the user's own words name it (its name, or its verb) and hold at least one value that
    can only be meant as itself: an address, a URL, a path, an account number or a quoted name. The grant covers exactly
    these values, wherever the tool's authority and selector arguments take them.
    """
    values = _one_group(words)
    if not values:
        return []
    said = set(re.findall(r"[a-z]+", words.lower()))
    grants = []
    for tool in tools:
        decides = [n for n in tool.schema.get("properties", {}) if tool.role(n) != "payload"]
        if not tool.consequential or not decides or not tool.declares_roles:
            continue
        verb = re.split(r"[_-]", tool.name.lower())
        if tool.name.lower() in words.lower() or (verb[0] in said and set(verb[1:2]) <= said | _singular(said)):
            grants.append(Grant(tool.name, dict.fromkeys(decides, values), 1, None, "user", words.strip()[:500]))
    return grants


def _believed(allowed: Any, words: str) -> tuple[Any, ...] | str:
    if isinstance(allowed, str) and allowed != TRUSTED:
        allowed = [allowed]
    if not isinstance(allowed, list) or not allowed:
        return TRUSTED
    lowered = words.lower()
    return tuple(allowed) if all(_written(v, lowered) for v in allowed) else TRUSTED


def _written(value: Any, lowered: str) -> bool:
    text = (value if isinstance(value, str) else json.dumps(value)).lower()
    return bool(text) and re.search(rf"(?<![\w@.-]){re.escape(text)}(?![\w@-])", lowered) is not None


_SPECIFIC = (
    re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),  # a mail address
    re.compile(r"https?://[^\s<>\"')\]]+[^\s<>\"')\].,;:!?]"),
    re.compile(r"\b[A-Z]{2}\d{2}[A-Z0-9]{10,30}\b"),  # an IBAN
    re.compile(r"(?<![\w/])(?:~|\.{1,2})?/[\w./-]*\w"),  # a path
    re.compile(r"(?<!\w)[#@][A-Za-z][\w-]{2,}"),
    re.compile(r"[\"“]([^\"”\n]{3,200})[\"”]"),
    re.compile(r"'([^'\n]{3,200})'(?!\w)"),
)

#: What stands between the items of one list.
_LISTED = re.compile(r"[\s,;&]*(?:and)?[\s,;&]*")


def _one_group(words: str) -> tuple[str, ...]:
    """The specific values of a turn, if they are one value or one list ("a, b and c").

    With two in different places nobody can say by rules which is meant for what: then there is no grant, and the call
    asks. A quoted text counts only where nothing more specific is said.
    """
    for patterns in (_SPECIFIC[:-2], _SPECIFIC[-2:]):
        found: list[tuple[int, int, str]] = []
        for start, end, value in sorted(
            (m.start(), m.end(), m.group(m.lastindex or 0)) for p in patterns for m in p.finditer(words)
        ):
            if not found or start >= found[-1][1]:  # not the path within a URL
                found.append((start, end, value))
        gaps = [words[a[1] : b[0]] for a, b in itertools.pairwise(found)]
        if found:
            return (
                tuple(dict.fromkeys(v for _, _, v in found))
                if all(len(g) < 20 and _LISTED.fullmatch(g) for g in gaps)
                else ()
            )
    return ()


def _singular(words: set[str]) -> set[str]:
    stems = words | {w.removesuffix("s") for w in words} | {w + "s" for w in words}
    return stems | {f"e{w}" for w in stems} | {w.removeprefix("e") for w in stems}
