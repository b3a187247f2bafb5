"""A schedule: what is to be done when, by whom, with which part of a person's rights, and what happens otherwise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from mainspring.agent import Limits
from mainspring.errors import DeclarationError
from mainspring.guard import Grant
from mainspring.schedules.checks import check_check
from mainspring.schedules.when import check_trigger, kind_of, next_after, shown, times_between

CATCH_UP = ("once", "skip", "all")
OVERLAP = ("skip", "queue", "cancel")
CAPS = ("usd", "tokens", "firings")


@dataclass(frozen=True, slots=True)
class Schedule:
    """One job.

    Args:
        name: 1 to 100 characters; also the beginning of its runs' ids.
        agent: the name of the agent that does it.
        task: what it is told, each time; the person's own words.
        trigger: ``{"cron": line, "zone": name}``, ``{"every": seconds}``, ``{"at": Unix time}`` or
            ``{"source": words for mainspring.schedules.sources.source_of}``.
        origin: where the agent is declared (``FILE[:ATTR]``).
        check: what must hold for there to be anything to do, see `mainspring.schedules.checks`; None: always.
        catch_up: of times that passed while nobody looked, ``"once"`` makes one firing (the newest), ``"all"`` up to
            `most`, ``"skip"`` none.
        late_s: a time that passed longer ago than this is missed, whatever `catch_up` says; None: never.
        overlap: when the run before still works: ``"skip"`` this firing, ``"queue"`` it, or ``"cancel"`` that run.
        tools: names of the agent's tools that its runs hold; None for all.
        grants: the rights that each run gets; nothing is made of the task's words.
        expires_at: Unix time at which the schedule ends; None for never.
        rights_s: seconds for which a firing's rights last.
        limits: of each run, instead of the agent's.
        caps: the most that a day (UTC) may bring: ``{"usd": 5, "tokens": 1e6, "firings": 20}``.
        by: the person for whom it acts.
        workspace: the folder that its runs may touch.
        failures: failed firings in a row after which it pauses and asks for a person.
        batch: items of a source that one run gets at most.
        priority, queue: of its runs.

    Raises:
        DeclarationError: something does not fit; with what to write.
    """

    name: str
    agent: str
    task: str
    trigger: Mapping[str, Any]
    origin: str = ""
    check: Mapping[str, Any] | None = None
    catch_up: str = "once"
    late_s: float | None = None
    most: int = 10
    overlap: str = "skip"
    tools: tuple[str, ...] | None = None
    grants: tuple[Grant, ...] = ()
    expires_at: float | None = None
    rights_s: float = 86_400.0
    limits: Mapping[str, float | None] | None = None
    caps: Mapping[str, float] | None = None
    by: str = "user"
    workspace: str | None = None
    failures: int = 3
    batch: int = 1
    priority: int = 0
    queue: str = ""

    def __post_init__(self) -> None:
        for name, most in (("name", 100), ("agent", 100), ("task", 1_000_000), ("by", 200)):
            value = getattr(self, name)
            if not isinstance(value, str) or not 0 < len(value.strip()) <= most:
                raise DeclarationError(f"a schedule's {name} is a text of 1 to {most:,} characters, not {value!r:.200}")
        try:
            f"{self.name}{self.task}".encode()
        except UnicodeEncodeError:
            raise DeclarationError(f"the schedule {self.name!a} holds half characters; write valid Unicode") from None
        check_trigger(self.trigger)
        check_check(self.check)
        for name, known in (("catch_up", CATCH_UP), ("overlap", OVERLAP)):
            if getattr(self, name) not in known:
                raise DeclarationError(f"schedule {self.name!r}: {name} is one of {known}, not {getattr(self, name)!r}")
        for name, least in (("most", 1), ("failures", 1), ("batch", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise DeclarationError(f"schedule {self.name!r}: {name} is a whole number from {least}, not {value!r}")
        for name in ("late_s", "rights_s", "expires_at"):
            value = getattr(self, name)
            fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
            if not fits and not (value is None and name != "rights_s"):
                raise DeclarationError(f"schedule {self.name!r}: {name} is a positive number of seconds, not {value!r}")
        if self.tools is not None:
            if isinstance(self.tools, str) or not all(isinstance(t, str) for t in self.tools):
                raise DeclarationError(f"schedule {self.name!r}: tools is a list of names, not {self.tools!r}")
            object.__setattr__(self, "tools", tuple(self.tools))
        object.__setattr__(self, "grants", tuple(self.grants))
        if not all(isinstance(g, Grant) for g in self.grants):
            raise DeclarationError(f"schedule {self.name!r}: grants takes Grant objects, not {self.grants!r:.200}")
        Limits.of(self.limits)
        _check_caps(self.name, self.caps)

    def next_after(self, when: float) -> float | None:
        """The first time strictly after `when`, Unix time in seconds; None when it has none, or has expired by then."""
        found = next_after(self.trigger, when)
        return None if found is None or self.over(found) else found

    def times_between(self, after: float, until: float, most: int) -> list[float]:
        """The last `most` times after `after`, up to and with `until`, that come before it expires."""
        return [t for t in times_between(self.trigger, after, until, most) if not self.over(t)]

    def over(self, now: float) -> bool:
        """True when it has expired."""
        return self.expires_at is not None and now >= self.expires_at

    @property
    def kind(self) -> str:
        """``"cron"``, ``"every"``, ``"at"`` or ``"source"``."""
        return kind_of(self.trigger)

    def shown(self) -> str:
        """When it fires, in words."""
        return shown(self.trigger)

    def encode(self) -> dict[str, Any]:
        """As JSON-ready dict."""
        value = asdict(self)
        value["tools"] = None if self.tools is None else list(self.tools)
        value["grants"] = [g.encode() for g in self.grants]
        return value

    @classmethod
    def decode(cls, value: Mapping[str, Any]) -> Schedule:
        """Inverse of :meth:`encode`; raises DeclarationError for anything that is no schedule of this version."""
        unknown = sorted(set(value) - {f.name for f in fields(cls)})
        if unknown:  # it may narrow what its runs may do
            raise DeclarationError(f"the schedule says {unknown}, which this Mainspring does not know; update it")
        given = dict(value)
        given["tools"] = None if given.get("tools") is None else tuple(given["tools"])
        given["grants"] = tuple(Grant.decode(g) for g in given.get("grants") or ())
        try:
            return cls(**given)
        except TypeError as error:
            raise DeclarationError(f"the schedule is damaged: {error}") from None


def _check_caps(name: str, caps: Mapping[str, float] | None) -> None:
    for key, value in (caps or {}).items():
        if key not in CAPS:
            raise DeclarationError(f"schedule {name!r}: a cap on {key!r} is unknown; known are {CAPS}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise DeclarationError(f"schedule {name!r}: the cap on {key} must be a positive number, not {value!r}")


def within(schedule: Schedule, held: Sequence[str]) -> None:
    """Raises DeclarationError when a schedule names a tool that its agent does not hold."""
    for what, names in (("tools", schedule.tools or ()), ("grants", [g.tool for g in schedule.grants])):
        for tool in names:
            if tool not in held:
                has = ", ".join(held) or "none"
                raise DeclarationError(f"schedule {schedule.name!r}: {what} names {tool!r}; its agent holds {has}")
    if schedule.tools is not None:
        for grant in schedule.grants:
            if grant.tool not in schedule.tools:
                raise DeclarationError(
                    f"schedule {schedule.name!r}: a grant for {grant.tool!r} is of no use without that tool in tools"
                )
