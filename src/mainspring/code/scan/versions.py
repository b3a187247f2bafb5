"""Order of versions: PEP 440 for PyPI, semantic versions for the others, Maven's with its common qualifiers."""

from __future__ import annotations

import re
from functools import total_ordering

from mainspring.errors import ToolError

__all__ = ["Version", "affected"]

_PART = re.compile(r"\d{1,40}|[a-zA-Z]{1,40}")
#: Maven's qualifiers in their order; a release is the empty one. Unknown ones come after it.
_QUALIFIERS = {
    "alpha": -5,
    "a": -5,
    "beta": -4,
    "b": -4,
    "milestone": -3,
    "m": -3,
    "rc": -2,
    "cr": -2,
    "snapshot": -1,
    "": 0,
    "ga": 0,
    "final": 0,
    "release": 0,
    "sp": 1,
}


@total_ordering
class Version:
    """A version of an ecosystem, comparable with others of it.

    Raises:
        ToolError: it is no version there.
    """

    def __init__(self, text: str, ecosystem: str) -> None:
        self.text = text.strip()[:200]
        self.ecosystem = ecosystem
        self.key = self._key()

    def _key(self) -> object:
        if self.ecosystem == "PyPI":
            from packaging.version import InvalidVersion
            from packaging.version import Version as Pep440

            try:
                return Pep440(self.text)
            except InvalidVersion:
                raise ToolError(f"{self.text!r} is no version of a Python package") from None
        if self.ecosystem == "Maven":
            return _maven(self.text)
        return _semantic(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.key == other.key

    def __lt__(self, other: Version) -> bool:
        return bool(self.key < other.key)  # type: ignore[operator]

    def __hash__(self) -> int:
        return hash(self.text)


def _semantic(text: str) -> object:
    match = re.fullmatch(
        r"[vV=]?(\d{1,40})(?:\.(\d{1,40}))?(?:\.(\d{1,40}))?((?:\.\d{1,40})*)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?", text
    )
    if match is None:
        raise ToolError(f"{text!r} is no semantic version")
    numbers = tuple(int(part or 0) for part in match.groups()[:3])
    more = tuple(int(part) for part in match[4].split(".") if part)
    before = match[5]
    if before is None:
        return numbers, more, 1, ()
    # Numbers come before words (semver 2.0.0, item 11).
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split("."))
    return numbers, more, 0, parts


def _maven(text: str) -> object:
    parts: list[tuple[int, int, str]] = []
    for part in _PART.findall(text):
        if part.isdigit():
            parts.append((2, int(part), ""))
        else:
            while parts and parts[-1] == (2, 0, ""):
                parts.pop()  # 1.0-rc is as early as 1-rc
            rank = _QUALIFIERS.get(part.lower())
            parts.append((1, rank, "") if rank is not None else (1, 2, part.lower()))
    while parts and parts[-1] in ((2, 0, ""), (1, 0, "")):
        parts.pop()
    return (*parts, (1, 0, ""))


def affected(version: str, ecosystem: str, ranges: object, versions: object) -> bool:
    """Whether a version is affected, by an OSV entry's `ranges` and `versions` (schema 1.6, "evaluation").

    A version that cannot be compared counts as affected when the entry has ranges: better a question than silence.
    """
    if isinstance(versions, list) and version in versions:
        return True
    try:
        own = Version(version, ecosystem)
    except ToolError:
        return isinstance(ranges, list) and bool(ranges)
    for one in ranges if isinstance(ranges, list) else ():
        if isinstance(one, dict) and one.get("type") in ("ECOSYSTEM", "SEMVER") and _within(own, one.get("events")):
            return True
    return False


def _within(own: Version, events: object) -> bool:
    points: list[tuple[Version | None, str]] = []
    for event in events if isinstance(events, list) else ():
        for kind, text in event.items() if isinstance(event, dict) else ():
            if kind not in ("introduced", "fixed", "last_affected") or not isinstance(text, str):
                continue
            try:
                points.append((None if text == "0" else Version(text, own.ecosystem), kind))
            except ToolError:
                continue
    inside = False
    lowest = [point for point in points if point[0] is None]
    known = [(version, kind) for version, kind in points if version is not None]
    ordered: list[tuple[Version | None, str]] = [*lowest, *sorted(known, key=lambda point: point[0])]
    for version, kind in ordered:
        if kind == "introduced" and (version is None or own >= version):
            inside = True
        elif (kind == "fixed" and (version is None or own >= version)) or (
            kind == "last_affected" and version is not None and own > version
        ):
            inside = False
    return inside
