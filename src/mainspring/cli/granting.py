"""Grants as a person types them: ``send_mail to=bob@corp.example x2``."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mainspring.errors import DeclarationError

if TYPE_CHECKING:
    from mainspring.guard import Grant
    from mainspring.tool import Tool

_TIMES = re.compile(r"[x×](\d{1,7})\Z")
_MOST_TIMES = 1_000_000
_HOW = "write it as 'TOOL arg=value ... [xN]', such as 'send_mail to=bob@corp.example x2'"


def parse_grant(text: str, tools: Mapping[str, Tool]) -> Grant:
    """A grant from ``TOOL arg=value ... [xN]``. A name may be repeated for more values; ``arg=trusted`` is any value
    that no outsider wrote. Values are text where the tool takes text, else JSON.

    Raises:
        DeclarationError: it is not written so, or names a tool or an argument that is not there.
    """
    from mainspring.guard import TRUSTED, Grant

    try:
        name, *words = shlex.split(text)
    except ValueError as error:
        raise DeclarationError(f"grant {text!r}: {error if text.strip() else 'it is empty'}; {_HOW}") from None
    tool = tools.get(name)
    if tool is None:
        raise DeclarationError(
            f"grant {text!r}: there is no tool {name!r}; there is {', '.join(sorted(tools)) or 'none'}"
        )
    count = 1
    if words and (times := _TIMES.match(words[-1])) is not None:
        count = int(times[1])
        words.pop()
        if not 1 <= count <= _MOST_TIMES:
            raise DeclarationError(f"grant {text!r}: a grant is for 1 to {_MOST_TIMES:,} calls, not {count}")
    known: Mapping[str, Any] = tool.schema.get("properties", {})
    found: dict[str, tuple[Any, ...] | str] = {}
    for word in words:
        argument, equals, value = word.partition("=")
        if not equals:
            raise DeclarationError(f"grant {text!r}: {word!r} is no arg=value; {_HOW}")
        if argument not in known:
            raise DeclarationError(f"grant {text!r}: {name} has no argument {argument!r}; it has {', '.join(known)}")
        before = found.get(argument, ())
        if value == TRUSTED and not before:
            found[argument] = TRUSTED
        elif isinstance(before, str) or value == TRUSTED:
            raise DeclarationError(f"grant {text!r}: {argument} is either trusted or a list of values")
        else:
            found[argument] = (*before, _value(value, known[argument]))
    return Grant(name, found, count, by="user", why="given on the command line")


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    if _takes_text(schema):
        return text
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def _takes_text(schema: Any) -> bool:
    """Whether a value, or an item of it, may be text; then it is not read as a number."""
    if not isinstance(schema, Mapping):
        return False
    inside = [schema.get("items"), *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    listed = any(isinstance(value, str) for value in (*schema.get("enum", ()), schema.get("const")))
    return schema.get("type") == "string" or listed or any(map(_takes_text, inside))


def _no_constant(name: str) -> None:
    raise DeclarationError(f"{name} is no value that can be compared")
