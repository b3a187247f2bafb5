"""Checks of single values in `mainspring.toml`, each with an error that says where, what, and what is allowed."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from mainspring.errors import DeclarationError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)\Z")
_UNIT = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::\d{1,5})?\Z")
_SECRET = re.compile(r"secret:([A-Za-z_][A-Za-z0-9_.-]{0,99})\Z")
_WITHIN = re.compile(r"\{secret:([A-Za-z_][A-Za-z0-9_.-]{0,99})\}")
#: What a secret's value may be read from, see `mainspring.secrets`.
SECRET_SOURCES = ("env:", "file:", "command:")


@dataclass(frozen=True, slots=True)
class At:
    """A place in a configuration: the file (or what stands for it), its text, and the keys that lead there."""

    source: str
    text: str = ""
    path: tuple[str, ...] = ()

    def __truediv__(self, key: str) -> At:
        return At(self.source, self.text, (*self.path, key))

    def __str__(self) -> str:
        line = find_line(self.text, self.path)
        where = f"{self.source}, line {line}" if line else self.source
        return f"{where}: {'.'.join(self.path)}" if self.path else where

    def wrong(self, value: object, allowed: str) -> NoReturn:
        """Raise DeclarationError for a value that is not allowed."""
        shown = repr(value)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        raise DeclarationError(f"{self} is {shown}; allowed: {allowed}")


Check: TypeAlias = Callable[[Any, At], Any]


def find_line(text: str, path: tuple[str, ...]) -> int | None:
    """The line (from 1) on which a TOML file sets the key at `path`, or opens the nearest table above it."""
    best: tuple[int, int] | None = None
    opened: tuple[str, ...] = ()
    depth = len(path)
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        header = re.match(r"\[\[?\s*(.+?)\s*\]\]?\s*(?:#.*)?\Z", stripped)
        if header:
            here = opened = _keys(header.group(1))
        else:
            key = re.match(r"((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=", stripped)
            if key is None:
                continue
            here = opened + _keys(key.group(1))
        shared = min(len(here), depth)
        if here[:shared] == path[:shared] and (best is None or shared > best[0]):
            best = (shared, number)
    return best[1] if best else None


def _keys(text: str) -> tuple[str, ...]:
    return tuple(k.strip().strip("\"'") for k in re.findall(r"\"[^\"]*\"|'[^']*'|[^.\s]+", text))


def table(value: Any, at: At) -> Mapping[str, Any]:
    """A TOML table."""
    if not isinstance(value, Mapping):
        at.wrong(value, f"a table, written [{'.'.join(at.path)}]")
    return value


def known(value: Any, at: At, checks: Mapping[str, Check]) -> dict[str, Any]:
    """A table's values, each checked; a key that is not known is an error, as a typo must not loosen the guard."""
    found: dict[str, Any] = {}
    for key, one in table(value, at).items():
        if key not in checks:
            near = difflib.get_close_matches(key, checks, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            keys = ", ".join(sorted(checks)) or "none yet"
            raise DeclarationError(f"{at / key} is no setting; {hint}known here: {keys}")
        found[key] = checks[key](one, at / key)
    return found


def text(value: Any, at: At) -> str:
    """Text that is not empty and holds no control characters."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        at.wrong(value, "text that is not empty, on one line")
    return value


def boolean(value: Any, at: At) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        at.wrong(value, "true or false")
    return value


def number(value: Any, at: At) -> float:
    """A finite number from 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        at.wrong(value, "a number from 0")
    return float(value)


def positive(value: Any, at: At) -> float:
    """A finite number above 0."""
    if number(value, at) == 0:
        at.wrong(value, "a number above 0")
    return float(value)


def whole(value: Any, at: At) -> int:
    """A whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        at.wrong(value, "a whole number from 1")
    return value


def seconds(value: Any, at: At) -> float:
    """A duration: seconds as a number, or text such as ``"90s"``, ``"15m"``, ``"24h"``, ``"7d"``."""
    if isinstance(value, str) and (match := _DURATION.match(value.strip())):
        value = float(match.group(1)) * _UNIT[match.group(2)]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        at.wrong(value, 'a number of seconds above 0, or a text such as "90s", "15m", "24h", "7d"')
    return float(value)


def texts(value: Any, at: At) -> tuple[str, ...]:
    """A list of texts, none twice; a single text stands for a list of one."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(i, str) and i.strip() and i.isprintable() for i in items):
        at.wrong(value, 'a list of texts, such as ["to", "cc"]')
    if len(set(items)) != len(items):
        at.wrong(value, "each name once")
    return tuple(items)


def one_of(*allowed: str) -> Check:
    """One of these words."""

    def check(value: Any, at: At) -> str:
        if value not in allowed or not isinstance(value, str):
            at.wrong(value, ", ".join(repr(a) for a in allowed))
        return value

    return check


def mapping(item: Check) -> Check:
    """A table of any keys with values of one kind."""

    def check(value: Any, at: At) -> dict[str, Any]:
        return {str(key): item(one, at / str(key)) for key, one in table(value, at).items()}

    return check


def each(item: Callable[[Any, At], Any]) -> Check:
    """A list of tables."""

    def check(value: Any, at: At) -> tuple[Any, ...]:
        if not isinstance(value, list):
            at.wrong(value, f"a list of tables, each written [[{'.'.join(at.path)}]]")
        return tuple(item(one, at) for one in value)

    return check


def hosts(value: Any, at: At) -> tuple[str, ...]:
    """A list of host names, such as ``pypi.org``, ``*.example.org`` or ``example.org:8443``."""
    found = texts(value, at)
    for host in found:
        if not _HOST.match(host):
            at.wrong(host, 'host names such as "pypi.org", "*.example.org" or "example.org:8443", without http://')
    return found


def secret(value: Any, at: At) -> Any:
    """Where a secret is kept, or a table with ``from`` and where it may be filled in; never the secret itself."""
    if isinstance(value, Mapping):
        lists = {"tools": texts, "agents": texts, "hosts": hosts}
        found = known(value, at, {"from": _source, **lists})
        if "from" not in found:
            raise DeclarationError(f'{at} needs from = "env:NAME", "file:PATH" or "command:..."')
        return found
    return _source(value, at)


def _source(value: Any, at: At) -> str:
    if not isinstance(value, str) or not any(value.startswith(s) and value[len(s) :].strip() for s in SECRET_SOURCES):
        # The value is not shown: somebody may have put the secret itself here.
        raise DeclarationError(
            f'{at} does not say where the secret is kept; allowed: "env:NAME", "file:PATH" or "command:...", '
            "never the secret itself"
        )
    return value


def references(value: str) -> set[str]:
    """Names of the secrets in a text: ``secret:NAME`` as a whole, ``{secret:NAME}`` within it."""
    whole = _SECRET.match(value)
    return {whole.group(1)} if whole else set(_WITHIN.findall(value))


def names(items: Iterable[str]) -> str:
    """Names for a message."""
    return ", ".join(items) or "none"
