"""The sections of `mainspring.toml` and what each may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mainspring.config import checks as check
from mainspring.config.checks import At, known
from mainspring.config.servers import ServerSettings, read_server, read_tool
from mainspring.errors import DeclarationError


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """``[policy]``: the Cedar files that hold; relative to the configuration's folder.

    Args:
        file: the person's own policy, or "".
        limits: an organisation's files, which nothing else can widen.
    """

    file: str = ""
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """``[people.NAME]``: somebody who may answer approvals.

    Args:
        roles: such as ``"finance"``; rules name people or roles.
        limits: what this person may approve at most, by argument, such as ``{amount = 1000}``.
        may_approve: patterns of tools whose calls this person may answer.
        user: the account of the operating system that this person answers from; "" means any.
    """

    name: str
    roles: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    may_approve: tuple[str, ...] = ("*",)
    user: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """``[[approvals.rules]]``: who has to say yes.

    Args:
        tools: names of tools that it is about; ``"*"`` at the end of one matches any ending.
        people: how many different people must say yes.
        approvers: people or roles who may; empty means anybody.
        argument, above: the rule holds only where this argument is above that number.
    """

    tools: tuple[str, ...] = ("*",)
    people: int = 1
    approvers: tuple[str, ...] = ()
    argument: str = ""
    above: float | None = None


@dataclass(frozen=True, slots=True)
class Approvals:
    """``[approvals]``: how long a question stays open, in seconds (None: for ever), and the rules."""

    ttl: float | None = None
    rules: tuple[ApprovalRule, ...] = ()


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """``[sandbox]``: hosts that commands may reach, their limits (None: the sandbox's own), and caches for tests."""

    hosts: tuple[str, ...] = ()
    cpu_s: int | None = None
    memory_mb: int | None = None
    processes: int | None = None
    disk_mb: int | None = None
    caches: bool = False


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """``[memory]``: what agents may keep for later runs.

    Args:
        enabled: whether `remember` and `recall` work at all; people's own commands always do.
        ttl: longest time that a note is kept, in seconds; None for ever.
        max_records: most notes that one run may keep; None means memory's own default.
        meaning: whether `recall` finds notes by meaning, too, where the embedded encoder is there.
        half_life: seconds after which half of what age can take from a note's place in an answer is gone; None: age
            takes nothing.
    """

    enabled: bool = True
    ttl: float | None = None
    max_records: int | None = None
    meaning: bool = False
    half_life: float | None = 180 * 86_400.0


@dataclass(frozen=True, slots=True)
class LibrarySettings:
    """``[library]``: engines that ``mainspring index`` and ``mainspring search`` use unless they are told others.

    Args:
        embedder: of libraries that are new; "" for the embedded one.
        reranker: reads the best pages of each search again; "" for none.
        transcriber: writes down what is said in recordings, such as ``http://host/v1#MODEL``; "" for none.
    """

    embedder: str = ""
    reranker: str = ""
    transcriber: str = ""


@dataclass(frozen=True, slots=True)
class SwarmSettings:
    """``[swarm]``: the most that any run of this home may start; a declaration can only ask for less.

    Args:
        children: most sub-agents below one run, at all depths together.
        depth: most runs that may stand above a sub-agent.
        concurrency: most sub-agents of one call that work at the same time in one process.
    """

    children: int = 1_000
    depth: int = 3
    concurrency: int = 1_000


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """``[schedules]``: what all schedules of a journal may cost, and who is told when one wants attention.

    Args:
        usd_per_day, firings_per_day: the most that all of them together may bring on a day (UTC).
        notify: a command that gets a line of JSON on its standard input for each thing that wants attention.
    """

    usd_per_day: float | None = None
    firings_per_day: int | None = None
    notify: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """``[fleet]``: how much workers take on.

    Args:
        concurrency: most runs that one worker executes at the same time.
        memory_mb: a worker whose memory has grown beyond this takes up nothing new; None: 80% of its control group's
            limit, where there is one.
        queued: most runs that may wait in one queue to be taken up; the next one is refused. None: any number.
        usd_per_day: once the runs of this journal have cost this much on a day (UTC), workers take up nothing new.
        grace: seconds that a worker which is told to stop gives its runs to come to a step's end.
        deaths: a run during which its worker has died this often in a row, without a step forward, is parked.
    """

    concurrency: int = 64
    memory_mb: int | None = None
    queued: int | None = 10_000
    usd_per_day: float | None = None
    grace: float = 30.0
    deaths: int = 6


@dataclass(frozen=True, slots=True)
class RateSettings:
    """``[rates."PATTERN"]``: how fast the models whose names fit the pattern may be asked, all of them together.

    Args:
        requests_per_minute, tokens_per_minute, at_once: the most of each; None means no limit. Tokens are input and
            output together.
        processes: among how many processes the limits are shared; each takes an equal part.
        adapt: whether, with no limit named, a provider that refuses calls is asked fewer at a time.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    at_once: int | None = None
    processes: int = 1
    adapt: bool = True


_PERSON: dict[str, check.Check] = {
    "roles": check.texts,
    "limits": check.mapping(check.number),
    "may_approve": check.texts,
    "user": check.text,
}


def _person(value: Any, at: At) -> Person:
    return Person(at.path[-1], **known(value, at, _PERSON))


def _rule(value: Any, at: At) -> ApprovalRule:
    found = ApprovalRule(
        **known(
            value,
            at,
            {
                "tools": check.texts,
                "people": check.whole,
                "approvers": check.texts,
                "argument": check.text,
                "above": check.number,
            },
        )
    )
    if (found.above is None) != (not found.argument):
        raise DeclarationError(f"{at}: argument and above belong together, such as argument = 'amount', above = 1000")
    return found


def _rate(value: Any, at: At) -> RateSettings:
    return RateSettings(
        **known(
            value,
            at,
            {
                "requests_per_minute": check.positive,
                "tokens_per_minute": check.positive,
                "at_once": check.whole,
                "processes": check.whole,
                "adapt": check.boolean,
            },
        )
    )


def _servers(value: Any, at: At) -> dict[str, ServerSettings]:
    return {name: read_server(name, one, at / name) for name, one in check.table(value, at).items()}


#: Section -> how its value is read.
SECTIONS: dict[str, check.Check] = {
    "policy": lambda v, at: PolicyFiles(**known(v, at, {"file": check.text, "limits": check.texts})),
    "people": check.mapping(_person),
    "approvals": lambda v, at: Approvals(**known(v, at, {"ttl": check.seconds, "rules": check.each(_rule)})),
    "tools": check.mapping(read_tool),
    "mcp": _servers,
    "secrets": check.mapping(check.secret),
    "sandbox": lambda v, at: SandboxSettings(
        **known(
            v,
            at,
            {
                "hosts": check.hosts,
                "cpu_s": check.whole,
                "memory_mb": check.whole,
                "processes": check.whole,
                "disk_mb": check.whole,
                "caches": check.boolean,
            },
        )
    ),
    "memory": lambda v, at: MemorySettings(
        **known(
            v,
            at,
            {
                "enabled": check.boolean,
                "ttl": check.seconds,
                "max_records": check.whole,
                "meaning": check.boolean,
                "half_life": check.seconds,
            },
        )
    ),
    "library": lambda v, at: LibrarySettings(
        **known(v, at, {"embedder": check.text, "reranker": check.text, "transcriber": check.text})
    ),
    "rates": check.mapping(_rate),
    "swarm": lambda v, at: SwarmSettings(
        **known(v, at, {"children": check.whole, "depth": check.whole, "concurrency": check.whole})
    ),
    "schedules": lambda v, at: ScheduleSettings(
        **known(v, at, {"usd_per_day": check.number, "firings_per_day": check.whole, "notify": check.texts})
    ),
    "fleet": lambda v, at: FleetSettings(
        **known(
            v,
            at,
            {
                "concurrency": check.whole,
                "memory_mb": check.whole,
                "queued": check.whole,
                "usd_per_day": check.number,
                "grace": check.seconds,
                "deaths": check.whole,
            },
        )
    ),
}
