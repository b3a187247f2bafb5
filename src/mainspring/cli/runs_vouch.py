"""`mainspring runs vouch` and `doubt`: a person says that a value may be trusted, and takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mainspring.cli.approvals import by_option, json_option
from mainspring.cli.find import load, whoami
from mainspring.cli.output import Output
from mainspring.cli.render import cut, indent, safe
from mainspring.errors import ApprovalError

if TYPE_CHECKING:
    from mainspring.runtime.run import Run

_SHOWN = 2000  # characters of a value

reason_option = click.option("--reason", required=True, metavar="TEXT", help="Why; the journal keeps it.")


@click.command()
@click.argument("id_", metavar="ID")
@click.argument("target")
@by_option
@reason_option
@json_option
def vouch(id_: str, target: str, by: str | None, reason: str, json_: bool) -> None:
    """Vouch for a value: from the run's next step on it counts as your own word, and may carry authority.

    TARGET is a value of a clean run (v3), a field of one (v3[0].body), or else the id of a call; `runs show --values`
    lists them. A clean planner is shown what you vouch for. `runs doubt` takes it back; what was done meanwhile stays.

    \b
    Examples:
      mainspring runs show last --values
      mainspring runs vouch last 'v3[0].body' --reason "I know this page; it is our own"
    """
    run = load(id_)
    person = _person(run, by)
    target = _bare(target)
    run.vouch(target, by=person, reason=reason)
    _said(run, target, person, reason, json_, vouched=True)


@click.command()
@click.argument("id_", metavar="ID")
@click.argument("target")
@by_option
@reason_option
@json_option
def doubt(id_: str, target: str, by: str | None, reason: str, json_: bool) -> None:
    """Take back what somebody vouched for, from the run's next step on.

    \b
    Example:
      mainspring runs doubt last 'v3[0].body' --reason "it was changed since"
    """
    run = load(id_)
    person = _person(run, by)
    target = _bare(target)
    run.doubt(target, by=person, reason=reason)
    _said(run, target, person, reason, json_, vouched=False)


def _bare(target: str) -> str:
    """The target as the journal names it; a person may write it as a planner does, ``$v3`` or ``${v3[0].body}``."""
    if target.startswith("${") and target.endswith("}"):
        return target[2:-1]
    return target.removeprefix("$")


def _person(run: Run, by: str | None) -> str:
    """Who vouches; raises ApprovalError for somebody who is not known here, or whose rights were taken back."""
    from mainspring.guard.people import Needs
    from mainspring.names import person_key
    from mainspring.runtime.pending import people_of, this_channel
    from mainspring.store import open_store

    person = people_of(run.home).check(by or whoami(), Needs(), this_channel("cli"))
    if person_key(person) in open_store(run.home).revoked():
        raise ApprovalError(f"the rights of {person!r} were taken back; somebody else has to decide")
    if person_key(person) == person_key(run.agent_name):
        raise ApprovalError(f"{person!r} is the agent of this run; no agent vouches for what it reads")
    return person


def _value(run: Run, target: str) -> str:
    """What stands there, so that nobody vouches for something else than they believe; "" for a call's answer."""
    from mainspring.guard.handles import as_text
    from mainspring.runtime.guarded import split_target
    from mainspring.value import read_path

    name, path = split_target(target)
    value = run.state.guard.value(name)
    return as_text(value.at(read_path(path))) if value is not None else ""


def _said(run: Run, target: str, by: str, reason: str, json_: bool, *, vouched: bool) -> None:
    output = Output.plain()
    if json_:
        output.json({"run_id": run.id, "target": target, "by": by, "reason": reason, "vouched": vouched})
        return
    verb = "vouches" if vouched else "no longer vouches"
    output.text(f"{safe(by, exact=True)} {verb} for {safe(target, exact=True)} of run {run.id}")
    if vouched and (text := _value(run, target)):
        output.text(indent(cut(safe(text, exact=True), _SHOWN), "  │ "))
    if run.status not in ("done", "failed", "cancelled"):
        output.text(f"it holds from the run's next step on: mainspring runs resume {run.id}")
