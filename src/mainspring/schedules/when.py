"""When a schedule fires: cron lines in a time zone, intervals, single moments. Times are Unix times in seconds.

Cron follows Debian's rules for daylight saving (`cronsim`): a fixed time that a night does not have fires at the first
moment after the gap, one that it has twice fires once, and lines with ``*`` in hours or minutes go by real time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from mainspring.errors import DeclarationError

KINDS = ("cron", "every", "at", "source")
_FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")
#: Shortest interval in seconds.
SHORTEST_S = 1.0
#: Times beyond the year 9000 are none.
_LATEST = 221_845_392_000.0


def check_trigger(trigger: Any) -> None:
    """Raises DeclarationError, saying which part of a trigger is wrong and what to write."""
    if not isinstance(trigger, Mapping) or sum(kind in trigger for kind in KINDS) != 1:
        raise DeclarationError(f"a trigger says one of {KINDS}, such as {{'cron': '0 9 * * *'}}, not {trigger!r}")
    known = {"cron": {"cron", "zone"}, "every": {"every", "start"}, "at": {"at"}, "source": {"source"}}
    kind = kind_of(trigger)
    unknown = sorted(set(trigger) - known[kind])
    if unknown:
        raise DeclarationError(f"a trigger of kind {kind!r} says {unknown}; it knows {sorted(known[kind])}")
    if kind == "cron":
        _simulated(trigger["cron"], datetime.now(zone_of(trigger)))
    elif kind == "every":
        for name in known["every"] & set(trigger):
            _number(trigger[name], name)
        if trigger["every"] < SHORTEST_S:
            raise DeclarationError(f"every must be {SHORTEST_S:g} seconds or more, not {trigger['every']!r}")
    elif kind == "at":
        _number(trigger["at"], "at")
    elif not isinstance(trigger["source"], Mapping):
        raise DeclarationError(
            f"a source is described by words, such as {{'kind': 'inbox'}}, not {trigger['source']!r}"
        )


def kind_of(trigger: Mapping[str, Any]) -> str:
    """Which of `KINDS` a trigger is."""
    return next(kind for kind in KINDS if kind in trigger)


def next_after(trigger: Mapping[str, Any], when: float) -> float | None:
    """The first time strictly after `when`; None when there is none. A source has no times of its own."""
    return next(_times(trigger, when), None)


def times_between(trigger: Mapping[str, Any], after: float, until: float, most: int) -> list[float]:
    """The last `most` times after `after`, up to and with `until`, in order; looks at no more than it has to."""
    if kind_of(trigger) == "every":
        # Years of missed seconds are not counted one by one.
        after = max(after, until - (most + 1) * float(trigger["every"]))
    found: list[float] = []
    for number, time in enumerate(_times(trigger, after)):
        if time > until or number > 100_000:
            break
        found.append(time)
        del found[:-most]
    return found


def zone_of(trigger: Mapping[str, Any]) -> tzinfo:
    """The time zone of a cron line, UTC without one; raises DeclarationError for a name that nobody knows."""
    name = trigger.get("zone") or "UTC"
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except Exception:  # a missing zone, a path, a folder: many kinds of errors
        raise DeclarationError(
            f"the time zone {str(name)[:100]!r} is unknown; write one such as 'Europe/Berlin'"
        ) from None


def shown(trigger: Mapping[str, Any]) -> str:
    """In words, for a person."""
    kind = kind_of(trigger)
    if kind == "cron":
        return f"cron {trigger['cron']} ({trigger.get('zone') or 'UTC'})"
    if kind == "every":
        return f"every {trigger['every']:g} s"
    if kind == "at":
        return f"once, at {datetime.fromtimestamp(trigger['at'], UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"source {trigger['source'].get('kind', '?')}"


def _times(trigger: Mapping[str, Any], after: float) -> Iterator[float]:
    kind = kind_of(trigger)
    if kind == "cron":
        yield from _cron(trigger, after)
    elif kind == "every":
        step, start = float(trigger["every"]), float(trigger.get("start", 0.0))
        number = math.floor((after - start) / step) + 1
        while start + number * step <= _LATEST:
            if start + number * step > after:
                yield start + number * step
            number += 1
    elif kind == "at" and trigger["at"] > after:
        yield float(trigger["at"])


def _cron(trigger: Mapping[str, Any], after: float) -> Iterator[float]:
    try:
        begin = datetime.fromtimestamp(after, zone_of(trigger))
    except (OverflowError, ValueError, OSError):
        return
    try:
        for found in _simulated(trigger["cron"], begin):
            time = found.timestamp()
            if time > after:
                yield time
    except (OverflowError, ValueError):  # beyond the last year that a date can say
        return


def _simulated(line: Any, begin: datetime) -> Any:
    from cronsim import CronSim, CronSimError

    if not isinstance(line, str):
        raise DeclarationError(f"a cron line is a text such as '0 9 * * 1-5', not {line!r}")
    try:
        return CronSim(line, begin)
    except CronSimError as error:
        said = str(error)
        about = f"its field for the {said.removeprefix('Bad ')} is wrong" if said.startswith("Bad ") else said.lower()
        raise DeclarationError(
            f"the cron line {line[:200]!r} cannot be read: {about}; it has five fields: {', '.join(_FIELDS)}"
        ) from None


def _number(value: Any, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise DeclarationError(f"{name} must be a number of seconds from 0, not {value!r}")
