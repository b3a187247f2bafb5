"""Schedules as lines for people, and as JSON objects."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from mainspring.cli.render import ago, clock, cut, one_line, safe, seconds, usd

if TYPE_CHECKING:
    from mainspring.schedules import Entry, Firing, Schedule
    from mainspring.store import Store

#: Seconds behind its time from which on a schedule is said to be served by nobody.
OVERDUE_S = 90.0
_ENDED = ("done", "failed", "cancelled")


def next_times(schedule: Schedule, now: float, count: int) -> list[float]:
    """Its next times, at most `count`; none for a source, which fires when something comes in."""
    found: list[float] = []
    after = now
    while len(found) < count and (when := schedule.next_after(after)) is not None:
        found.append(when)
        after = when
    return found


def in_zone(schedule: Schedule, when: float) -> str:
    """A Unix time on the clock that the schedule means, with weekday and offset."""
    from mainspring.schedules.when import zone_of

    zone = zone_of(schedule.trigger) if schedule.kind == "cron" else None
    return f"{datetime.datetime.fromtimestamp(when, datetime.UTC).astimezone(zone):%a %Y-%m-%d %H:%M:%S %z}"


def said_lines(schedule: Schedule, times: Sequence[float], done: str) -> list[str]:
    """What `add` says."""
    lines = [f"{done} {safe(schedule.name, exact=True)}: {safe(schedule.shown())}"]
    if schedule.kind == "source":
        lines.append("  fires when something comes in")
    lines += [f"  next  {in_zone(schedule, when)}" for when in times]
    lines += [f"  {name:<6}{value}" for name, value in _terms(schedule) if name in ("tools", "grant", "caps", "by")]
    lines.append(f"  serve it with: mainspring serve --agent {safe(schedule.origin)}")
    return lines


def said_json(schedule: Schedule, times: Sequence[float]) -> dict[str, Any]:
    """The same as an object."""
    return {**schedule.encode(), "next": [{"at": t, "text": in_zone(schedule, t)} for t in times]}


def live(entry: Entry, store: Store) -> Entry:
    """The entry with what its newest runs are at now; the scheduler itself looks only now and then."""
    from mainspring.errors import RunNotFoundError

    history = list(entry.history)
    for number, firing in enumerate(history):
        if firing.run_id and firing.status not in _ENDED:
            try:
                history[number] = replace(firing, status=store.row(firing.run_id).status)
            except RunNotFoundError:
                continue
    return replace(entry, history=history)


def wants(entry: Entry, now: float) -> str:
    """What a person should look at, in a few words; "" for nothing."""
    if entry.paused:
        return "paused"
    found = [a.kind for a in entry.attention]
    counted = [f"{kind} x{found.count(kind)}" if found.count(kind) > 1 else kind for kind in dict.fromkeys(found)]
    if entry.due_at is not None and now - entry.due_at > OVERDUE_S:
        counted.insert(0, f"not served for {seconds(now - entry.due_at)}")
    return ", ".join(counted)


def row(entry: Entry, now: float) -> tuple[str, ...]:
    """A line of the list."""
    last = entry.history[-1] if entry.history else None
    result = "never fired" if last is None else f"{last.status} {ago(last.at, now)} ago"
    nothing = entry.state.nothing_at
    if nothing and (last is None or nothing > last.at):
        result = f"nothing to do {ago(nothing, now)} ago"
    return (
        safe(entry.schedule.name, exact=True),
        cut(safe(entry.schedule.shown()), 44),
        _next(entry, now),
        result,
        _spent(entry, now),
        wants(entry, now) or "-",
    )


def _next(entry: Entry, now: float) -> str:
    if entry.paused:
        return "-"
    if entry.schedule.kind == "source":
        return "on arrival"
    when = entry.schedule.next_after(now) if entry.state.queued == [] else entry.due_at
    if when is None:
        when = entry.due_at
    return "-" if when is None else "now" if when <= now else f"in {_until(when - now)}"


def _until(s: float) -> str:
    return f"{s / 86400:.1f}d" if s >= 2 * 86400 else seconds(s)


def _spent(entry: Entry, now: float) -> str:
    day = entry.spent
    if day.get("date") != f"{datetime.datetime.fromtimestamp(now, datetime.UTC):%Y-%m-%d}":
        return "-"
    cap = (entry.schedule.caps or {}).get("usd")
    return usd(day["usd"]) + (f"/{usd(cap)}" if cap else "")


def as_json(entry: Entry, now: float) -> dict[str, Any]:
    """An entry as an object: the schedule's words, and beside them how it stands."""
    last = entry.history[-1] if entry.history else None
    return {
        **entry.schedule.encode(),
        "version": entry.version,
        "next": entry.schedule.next_after(now) if not entry.paused else None,
        "due_at": entry.due_at,
        "paused": entry.paused or None,
        "last": None if last is None else asdict(last),
        "nothing": {"times": entry.state.nothing, "at": entry.state.nothing_at or None},
        "attention": [asdict(a) for a in entry.attention],
        "wants": wants(entry, now),
        "spent": entry.spent,
        "open": list(entry.state.open),
    }


def show_lines(entry: Entry, now: float) -> list[str]:
    """One schedule in full."""
    schedule = entry.schedule
    lines = [f"{safe(schedule.name, exact=True)}: {safe(schedule.shown())}"]
    if entry.paused:
        lines.append(f"paused: {safe(entry.paused)}; go on with: mainspring schedule resume {_typed(schedule.name)}")
    elif entry.due_at is not None and now - entry.due_at > OVERDUE_S:
        lines.append(
            f"nothing serves it: it was to be looked at {ago(entry.due_at, now)} ago. Run: mainspring serve --agent "
            f"{safe(schedule.origin)}"
        )
    rows = _terms(schedule)
    rows += [("next", in_zone(schedule, t)) for t in (next_times(schedule, now, 3) if not entry.paused else ())]
    day = entry.spent
    if day:
        rows.append(
            (
                "spent",
                f"{usd(day['usd'])}, {day['tokens']:,} tokens, {_times(day['firings'], 'firing')} on {day['date']}",
            )
        )
    if entry.state.nothing:
        rows.append(("nothing", f"to do {_times(entry.state.nothing, 'time')}, last {clock(entry.state.nothing_at)}"))
    lines += [f"  {name:<10}{value}" for name, value in rows]
    if entry.attention:
        lines.append("attention:")
        lines += [f"  {clock(a.at)}  {a.kind}: {one_line(a.text, 300)}" for a in entry.attention]
    if entry.history:
        lines.append("newest firings:")
        lines += ["  " + "  ".join(cells).rstrip() for cells in map(firing_row, entry.history[-5:])]
    if entry.changes:
        lines.append("changes:")
        lines += [
            f"  {clock(c['at'])}  {safe(str(c['what']))} by {safe(str(c['by']), exact=True)}"
            for c in entry.changes[-5:]
        ]
    return lines


def firing_row(firing: Firing) -> tuple[str, ...]:
    """A line of the history."""
    spent = usd(firing.usd) if firing.usd else "-"
    return (clock(firing.due), firing.status, firing.run_id or "-", spent, one_line(firing.note, 200))


def _times(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _typed(name: str) -> str:
    import shlex

    return shlex.quote(safe(name, exact=True))


def _terms(schedule: Schedule) -> list[tuple[str, str]]:
    found = [("task", one_line(schedule.task, 200)), ("agent", f"{schedule.agent} of {safe(schedule.origin) or '?'}")]
    found.append(("by", safe(schedule.by, exact=True)))
    if schedule.check is not None:
        ((kind, value),) = schedule.check.items()
        found.append(("check", f"{kind} {safe(value if isinstance(value, str) else ' '.join(value))}"))
    if schedule.kind == "source":
        spec = schedule.trigger["source"]
        found += [("source", safe(f"{key} = {value}", exact=True)) for key, value in spec.items() if key != "kind"]
    else:
        late = "" if schedule.late_s is None else f", missed after {seconds(schedule.late_s)}"
        found.append(("catch up", schedule.catch_up + late))
    found.append(("overlap", schedule.overlap))
    found.append(("tools", "all of the agent's" if schedule.tools is None else ", ".join(schedule.tools)))
    found += [("grant", safe(g.shown(), exact=True)) for g in schedule.grants]
    found.append(("rights", f"{_until(schedule.rights_s)} for each run"))
    if schedule.expires_at is not None:
        found.append(("expires", time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(schedule.expires_at))))
    if schedule.limits is not None:
        limits = {k: v for k, v in schedule.limits.items() if v is not None}
        found.append(("limits", ", ".join(f"{k} {v:g}" for k, v in limits.items())))
    if schedule.caps:
        found.append(("caps", ", ".join(f"{k} {v:g}" for k, v in schedule.caps.items()) + " a day"))
    if schedule.workspace is not None:
        found.append(("workspace", safe(schedule.workspace)))
    found.append(("failures", f"{schedule.failures} in a row pause it"))
    return found
