"""What a skill may use: its `manifest.toml`. What is not named there is not allowed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mainspring.errors import DeclarationError

EFFECTS = ("read", "write", "irreversible")

_TOOL = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")
_MOST = 200


@dataclass(frozen=True, slots=True)
class Manifest:
    """The most that a skill may use while it is active.

    Args:
        tools: exact names.
        effects: ``read``, ``write``, ``irreversible``; a tool with another effect is not allowed.
        hosts: names such as ``api.example.org``, or ``*.example.org`` for every name below it.
        paths: patterns of paths in the workspace; ``*`` stays in a folder, ``**`` goes through all of them.
        secrets: names of secrets that may be filled in.
    """

    tools: tuple[str, ...] = ()
    effects: tuple[str, ...] = ("read",)
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, shown: str = "manifest.toml") -> Manifest:
        """Read a manifest. Raises DeclarationError: it is no TOML, or says something that is not understood."""
        try:
            value = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise DeclarationError(f"{shown} is no TOML: {error}") from None
        unknown = sorted(set(value) - {"tools", "effects", "hosts", "paths", "secrets"})
        if unknown:  # it might ask for, or forbid, something that is not known here
            raise DeclarationError(f"{shown} says {unknown}; it may say tools, effects, hosts, paths and secrets")
        found: dict[str, tuple[str, ...]] = {}
        for name, items in value.items():
            if not isinstance(items, list) or not all(isinstance(i, str) for i in items) or len(items) > _MOST:
                raise DeclarationError(f"{shown}: {name} must be a list of at most {_MOST} texts, not {items!r:.200}")
            if len(set(items)) < len(items):
                raise DeclarationError(f"{shown}: {name} names something twice: {items!r:.200}")
            for item in items:
                why = _wrong(name, item)
                if why:
                    raise DeclarationError(f"{shown}: {name} has {item!r:.100}: {why}")
            found[name] = tuple(items)
        return cls(**found)

    def allows_host(self, host: str) -> bool:
        """True when the host, without a port, is one that is named."""
        return match_host(host, self.hosts)

    def allows_path(self, path: str) -> bool:
        """True when a path from the workspace fits a pattern; one that leaves the workspace never does."""
        return match_path(path, self.paths)


def match_host(host: str, allowed: Sequence[str]) -> bool:
    """True when `host` is one of the names, or below one that begins with ``*.``."""
    host = host.lower().rstrip(".")
    return any(host == a or (a.startswith("*.") and host.endswith(a[1:]) and len(host) > len(a) - 1) for a in allowed)


def host_inside(host: str, allowed: Sequence[str]) -> bool:
    """True when every host that a name, or a ``*.`` pattern, fits is allowed."""
    if host.startswith("*."):
        return any(a.startswith("*.") and host.endswith(a[1:]) for a in allowed)
    return match_host(host, allowed)


def match_path(path: str, allowed: Sequence[str]) -> bool:
    """True when a relative path fits one of the patterns; ``.`` is the workspace itself."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or "\0" in path:
        return False
    return any(_pattern(a).match("/".join(parts)) for a in allowed)


def inside(pattern: str, allowed: Sequence[str]) -> bool:
    """True when everything that a pattern fits is allowed for certain: it is named itself, or lies below a ``**``."""
    return any(a in (pattern, "**") or (a.endswith("/**") and pattern.startswith(a[:-2])) for a in allowed)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    made = ""
    for piece in re.split(r"(\*\*/|/\*\*\Z|\*\*|\*|\?)", text):
        made += {"**/": "(?:.*/)?", "/**": "(?:/.*)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(
            piece, re.escape(piece)
        )
    return re.compile(made + r"\Z", re.DOTALL)


def _wrong(name: str, item: str) -> str:
    """Why an item of a list cannot be understood, or ""."""
    if name == "tools":
        return "" if _TOOL.match(item) else "it is no name of a tool (patterns are not understood)"
    if name == "effects":
        return "" if item in EFFECTS else f"the effects are {', '.join(EFFECTS)}"
    if name == "hosts":
        return (
            "" if len(item) <= 253 and _HOST.match(item) else "write a host's name in small letters, with no port or /"
        )
    if name == "secrets":
        return "" if _SECRET.match(item) else "it is no name of a secret"
    parts = item.split("/")
    if not item or item.startswith(("/", "~")) or ".." in parts or "\\" in item or not item.isprintable():
        return "paths are relative to the workspace, and stay in it"
    return "" if len(item) <= 500 and item.count("**") <= 3 else "the pattern is too long"
