"""Words about a run's guard, for the narration and for `runs show`: mode, grants, questions, values.

Every text here is made harmless: values, tools' names and reasons may be strangers' words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mainspring.cli.question import who, writers
from mainspring.cli.render import arguments_text, clock, cut, indent, safe
from mainspring.errors import DeclarationError
from mainspring.label import Label

if TYPE_CHECKING:
    from mainspring.guard import Grant
    from mainspring.runtime.run import Run
    from mainspring.store import Event

_VALUE = 2000  # characters of a value that are shown


def mode_text(guard: Mapping[str, Any]) -> str:
    """How a run is guarded, and why, from the field of its first event."""
    why = _flat(str(guard.get("why") or ""), 400)
    return f"guard {_flat(str(guard.get('mode', 'plain')), 40)}" + (f": {why}" if why else "")


def behalf_text(principals: Iterable[str]) -> str:
    """On whose behalf a run acts, such as ``for ann, by agent:clerk``."""
    names = [_flat(name, 100) for name in principals]
    if not names:
        return "for nobody in particular"
    return f"for {names[0]}" + (f", by {' and '.join(names[1:])}" if names[1:] else "")


def may_text(grant: Any) -> str:
    """A journaled grant in a line: ``may: send_mail once with to "bob@corp.example"``."""
    from mainspring.guard import Grant

    try:
        held = Grant.decode(grant)
    except DeclarationError as error:
        return f"a grant that cannot be read: {_flat(str(error), 200)}"
    ends = f", until {clock(held.expires_at)}" if held.expires_at is not None else ""
    return f"may: {_flat(held.shown(), 300)}{ends}"


def compiled_lines(p: Mapping[str, Any]) -> Iterator[str]:
    """The rights that were made of the user's words."""
    for grant in p.get("grants") or ():
        yield may_text(grant)
    if not p.get("grants"):
        yield "may: no more than the policy allows; the task's words grant nothing"


def asked_lines(p: Mapping[str, Any]) -> Iterator[str]:
    """Below a question: where the values of strangers came from, the smallest grant, and how many people decide."""
    from mainspring.guard import Grant
    from mainspring.runtime.calls import ASK_PERSON
    from mainspring.runtime.pending import Asked

    labels, origins, roles = (p.get(k) or {} for k in ("labels", "origins", "roles"))
    for name, text in labels.items():
        if not Label.decode(text).strangers and not Label.decode(text).steered:
            continue
        about = [_flat(str(roles.get(name, "authority")), 20)]
        if origin := _flat(str(origins.get(name) or ""), 100):
            about.append(origin if origin.startswith("written") else f"from {origin}")
        yield f"{_flat(str(name), 60)}: {'; '.join([*about, writers(text)])}"
    if isinstance(p.get("grant"), Mapping) and p.get("tool") != ASK_PERSON:
        yield f"smallest grant: {_flat(Grant.decode(p['grant']).shown(), 300)}"
    people, approvers = int(p.get("people") or 1), tuple(map(str, p.get("approvers") or ()))
    if people > 1 or approvers:
        yield f"who: {who(Asked({}, people=people, approvers=approvers))}"


def refusal_text(reason: str) -> str:
    """Why a call was refused, without what the model is told besides."""
    try:
        said = json.loads(reason)
    except (ValueError, RecursionError):
        return reason
    return str(said["reason"]) if isinstance(said, dict) and "denied" in said and "reason" in said else reason


def gist(kind: str, p: Mapping[str, Any]) -> str:
    """What an event of the guard says, in a line; "" for other kinds, whose fields speak for themselves."""
    try:
        if kind == "grants.compiled":
            return f"by {_flat(str(p.get('how', '')), 20)}; " + "; ".join(compiled_lines(p))
        if kind == "grant.given":
            return f"by {_flat(str(p['by']), 60)}; {may_text(p['grant'])}"
        if kind in ("label.lowered", "label.restored"):
            verb = "vouches" if kind == "label.lowered" else "no longer vouches"
            return _flat(f"{p['by']} {verb} for {p['target']}: {p['reason']}", 200)
        if kind == "call.nested":
            return f"{_flat(str(p['tool']), 64)} {arguments_text(p['arguments'])} (line {int(p['line'])} of a program)"
        if kind == "program.ended":
            return ("failed: " if p.get("is_error") else "") + _flat(str(p["shown"]), 200)
        if kind == "effect.intended" and p.get("why"):
            return f"{_flat(str(p['tool']), 64)}: allowed, {_flat(str(p['why']), 200)}"
    except (KeyError, TypeError, ValueError, AttributeError):  # a journal from elsewhere may hold anything
        return ""
    return ""


def grants_json(run: Run, journal: Iterable[Event]) -> list[dict[str, Any]]:
    """The grants that a run holds, how often each was used, and how each was made."""
    how = _made(journal)
    gone = _revoked(run)
    return [
        grant.encode()
        | {
            "id": grant.id,
            "shown": grant.shown(),
            "used": run.state.guard.used.get(grant.id, 0),
            "revoked": grant.id in gone,
            "made": how.get(grant.id, ""),
        }
        for grant in run.grants
    ]


def grant_lines(run: Run, journal: Iterable[Event]) -> Iterator[str]:
    """The same for people, a line each."""
    for held in grants_json(run, journal):
        state = "revoked" if held["revoked"] else f"used {held['used']} of {held['count']}"
        ends = f", until {clock(held['expires_at'])}" if held["expires_at"] is not None else ""
        yield f"grant {held['id']}: {_flat(held['shown'], 300)}{ends}; {state}; {_flat(held['made'], 200)}"


def _made(journal: Iterable[Event]) -> dict[str, str]:
    """Grant id -> who or what made it, in words."""
    from mainspring.guard import Grant

    found: dict[str, str] = {}

    def note(grants: Any, how: str) -> None:
        for one in grants or ():
            grant: Grant = Grant.decode(one)
            found.setdefault(grant.id, how + (f" ({grant.why})" if grant.why else ""))

    for event in journal:
        p = event.payload
        if event.kind == "run.started":
            note((p.get("guard") or {}).get("grants"), "declared")
        elif event.kind == "grants.compiled":
            by = f"the model {p.get('model', '')}".rstrip() if p.get("how") == "model" else "rules"
            note(p.get("grants"), f"made by {by} of the user's words")
        elif event.kind == "grant.given":
            note([p["grant"]], f"given by {p.get('by', 'a person')}")
        elif event.kind == "effect.done" and p.get("grants"):
            note(p["grants"], "a plan that a person let through")
    return found


def _revoked(run: Run) -> frozenset[str]:
    from mainspring.store import open_store

    return open_store(run.home).revoked()


def vouched_json(run: Run, journal: Iterable[Event]) -> list[dict[str, Any]]:
    """What people vouch for in a run, as it stands."""
    said = {e.payload["target"]: e for e in journal if e.kind == "label.lowered"}
    return [
        {"target": target, "by": by, "reason": said[target].payload["reason"], "at": said[target].at}
        for target, (by, _) in run.state.guard.lowered.items()
        if target in said
    ]


def vouched_lines(run: Run, journal: Iterable[Event]) -> Iterator[str]:
    """The same for people, a line each."""
    for one in vouched_json(run, journal):
        yield f"{_flat(one['by'], 100)} vouches for {_flat(one['target'], 200)}: {_flat(one['reason'], 300)}"


def values_json(run: Run) -> list[dict[str, Any]]:
    """Every value that a person can vouch for: a clean run's handles, another run's answers; with labels."""
    guard = run.state.guard
    tools = _tools(run)
    if guard.mode != "clean":
        return [
            {"kind": "answer", "run_id": run.id, "name": id, "tool": tools.get(id, ""), "labels": {"": _plain(label)}}
            for id in run.state.results
            if (label := guard.marked(id)) is not None
        ]
    return [
        {
            "kind": "value",
            "run_id": run.id,
            "name": name,
            "tool": tools.get(handle.call_id, ""),
            "call_id": handle.call_id,
            "data": handle.data,
            "labels": {path: _plain(label) for path, label in handle.labels.items()},
            "vouched": [t for t in guard.lowered if t == name or t.startswith((f"{name}.", f"{name}["))],
        }
        for name, handle in guard.handles.items()
    ]


def value_lines(run: Run) -> Iterator[str]:
    """The same for people."""
    found = values_json(run)
    if not found:
        yield "no values: the run has called nothing and was pasted nothing"
    for one in found:
        source = f"from {_flat(one['tool'], 64)}" if one["tool"] else "of a program, or pasted"
        yield f"{'$' if one['kind'] == 'value' else ''}{_flat(one['name'], 100)}  {source}"
        for path, label in one["labels"].items():
            yield f"    {_flat(path, 100) or '(all)'}: {writers(json.dumps(label))}"
        for target in one.get("vouched", ()):
            by, _ = run.state.guard.lowered[target]
            yield f"    {_flat(target, 100)}: {_flat(by, 100)} vouches for it"
        if "data" in one:
            text = json.dumps(one["data"], ensure_ascii=False, default=str)
            yield indent(cut(safe(text, exact=True), _VALUE), "    │ ")


def _tools(run: Run) -> dict[str, str]:
    """Call id -> the tool that was called."""
    from mainspring.store import open_store

    kinds = ("effect.done", "call.refused")
    return {
        str(e.payload.get("call_id")): str(e.payload.get("tool", ""))
        for e in open_store(run.home).events_of(run.id, kinds)
    }


def _plain(label: Label) -> Any:
    return json.loads(label.encode())


def _flat(text: str, width: int) -> str:
    """On one line, harmless, and cut."""
    return cut(safe(text[: width + 1], exact=True).replace("\n", "\\n").replace("\t", "\\t"), width)
