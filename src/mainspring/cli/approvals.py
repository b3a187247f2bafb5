"""`mainspring approvals`: answer what runs are waiting for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import click

from mainspring.cli.find import pending, run_id, whoami
from mainspring.cli.group import LazyGroup
from mainspring.cli.output import Output
from mainspring.cli.render import ago, arguments_text, columns, cut, safe
from mainspring.errors import ApprovalError

if TYPE_CHECKING:
    from mainspring.runtime.run import Pending

_HERE = "mainspring.cli.approvals"
_ANSWERS: dict[str, Literal["happened", "did_not", "abort"]] = {
    "happened": "happened",
    "did-not": "did_not",
    "abort": "abort",
}


@click.group(
    cls=LazyGroup,
    default="list",
    invoke_without_command=False,
    lazy={
        "list": (f"{_HERE}:list_", "What waits for a person, oldest first (the default)."),
        "show": (f"{_HERE}:show", "One question with every argument in full."),
        "approve": (f"{_HERE}:approve", "Let exactly this call through, once; or grant more of its kind."),
        "deny": (f"{_HERE}:deny", "Refuse it; the agent is told why."),
        "settle": (f"{_HERE}:settle", "Say whether a call in doubt happened."),
    },
)
def approvals() -> None:
    """Answer what runs are waiting for.

    ID is an approval's id or a run's id, or the beginning of one.

    \b
    Examples:
      mainspring approvals
      mainspring approvals show 3f2
      mainspring approvals approve 3f2
      mainspring approvals approve 3f2 --grant --times 5
      mainspring approvals deny 3f2 --reason "wrong address"
      mainspring approvals settle 9ab --answer happened --value "receipt 17"
    """


def as_json(item: Pending) -> dict[str, Any]:
    """An open question as a JSON object; of a call for approval with all that a person is shown."""
    from mainspring.cli.question import question_json

    more: dict[str, Any] = {}
    if item.kind == "approval":
        try:
            more = dict(question_json(item.asked()))
        except ApprovalError as error:
            more = {"problem": str(error)}
    return {
        "id": item.id,
        "kind": item.kind,
        "run_id": item.run_id,
        "tool": item.tool,
        "arguments": item.arguments,
        "reason": item.reason,
        "digest": item.digest,
        "requested_at": item.requested_at,
        "expires_at": item.expires_at,
    } | more


json_option = click.option("--json", "json_", is_flag=True, help="One JSON object per line.")
by_option = click.option("--by", metavar="NAME", help="Who answers (default: the user's name).")


@click.command("list")
@click.option("--run", "run", metavar="ID", help="Only this run's.")
@json_option
def list_(run: str | None, json_: bool) -> None:
    """What waits for a person, oldest first."""
    from mainspring.runtime.run import Pending

    output = Output.plain()
    wanted = run_id(run) if run else None
    items = [p for p in Pending.list() if wanted is None or p.run_id == wanted]
    if json_:
        for item in items:
            output.json(as_json(item))
        return
    if not items:
        output.text("nothing waits for a person")
        return
    rows = []
    for p in items:
        tool = safe(p.tool, exact=True)
        try:
            asked = p.asked()
        except ApprovalError as error:  # one that was tampered with must not hide the others
            rows.append((p.id, p.kind, p.run_id, ago(p.requested_at), "?", tool, cut(safe(str(error)), 100)))
            continue
        yes = f"{len(asked.approved_by)} of {asked.people}" if p.kind == "approval" else "-"
        arguments = arguments_text(asked.arguments, 70)
        rows.append((p.id, p.kind, p.run_id, ago(p.requested_at), yes, tool, arguments))
    output.text("\n".join(columns(rows, ("ID", "KIND", "RUN", "AGE", "YES", "TOOL", "ARGUMENTS"))))


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--full", is_flag=True, help="Every value whole, however long.")
@json_option
def show(id_: str, full: bool, json_: bool) -> None:
    """One question: every value with its role and origin, why it is asked, and who may answer."""
    from mainspring.cli.question import SHOWN, question_lines

    item = pending(id_)
    output = Output.plain()
    if json_:
        output.json(as_json(item))
        return
    output.text("\n".join(question_lines(item, item.asked(), None if full else SHOWN)))


@click.command()
@click.argument("id_", metavar="ID")
@by_option
@click.option("--reason", default="", metavar="TEXT", help="Why; it is journaled.")
@click.option("--grant", is_flag=True, help="Give the run the smallest grant for such calls as well.")
@click.option("--times", type=click.IntRange(1), metavar="N", help="Further calls that the grant covers (default: 1).")
@json_option
def approve(id_: str, by: str | None, reason: str, grant: bool, times: int | None, json_: bool) -> None:
    """Let exactly this call through, once.

    Where several people must say yes, the call waits for the others. The run goes on when it is resumed: mainspring
    runs resume ID.
    """
    from mainspring.runtime.pending import this_channel

    if times is not None and not grant:
        raise click.UsageError("--times says how often the grant holds, so it goes with --grant")
    item = _of_kind(pending(id_), "approval")
    channel = this_channel("cli")
    row = item.approve(by=by or whoami(), reason=reason, channel=channel, grant=grant, times=times or 1)
    missing = row.people - len(row.approved_by) if row.state == "pending" else 0
    _said(item, "approved", by, json_, missing)


@click.command()
@click.argument("id_", metavar="ID")
@by_option
@click.option("--reason", default="", metavar="TEXT", help="Why; the agent is told.")
@json_option
def deny(id_: str, by: str | None, reason: str, json_: bool) -> None:
    """Refuse it; the agent is told why and goes on without it. One no is enough."""
    from mainspring.runtime.pending import this_channel

    item = _of_kind(pending(id_), "approval")
    item.deny(by=by or whoami(), reason=reason, channel=this_channel("cli"))
    _said(item, "denied", by, json_)


@click.command()
@click.argument("id_", metavar="ID")
@click.option(
    "--answer",
    required=True,
    type=click.Choice(list(_ANSWERS)),
    help="What is true of the call; `abort` ends the run.",
)
@click.option("--value", metavar="TEXT", help="With `happened`: what the call returned.")
@by_option
@json_option
def settle(id_: str, answer: str, value: str | None, by: str | None, json_: bool) -> None:
    """Say whether a call in doubt happened.

    A call is in doubt when its process died while it ran and nothing but a person can find out. `did-not` runs it
    again, `happened` goes on without.
    """
    if value is not None and answer != "happened":
        raise click.UsageError("--value says what the call returned, so it goes with --answer happened")
    item = _of_kind(pending(id_), "doubt")
    item.settle(_ANSWERS[answer], by=by or whoami(), value=value)
    _said(item, answer, by, json_)


def _of_kind(item: Pending, kind: str) -> Pending:
    if item.kind == kind:
        return item
    if kind == "doubt":
        raise ApprovalError(f"{item.id} waits for a yes or no: mainspring approvals approve|deny {item.id}")
    raise ApprovalError(
        f"{item.id} is in doubt, not waiting for a yes: mainspring approvals settle {item.id} "
        "--answer happened|did-not|abort"
    )


def _said(item: Pending, answer: str, by: str | None, json_: bool, missing: int = 0) -> None:
    output = Output.plain()
    if json_:
        more = {"missing": missing} if missing else {}
        output.json({"id": item.id, "run_id": item.run_id, "answer": answer, "by": by or whoami()} | more)
        return
    output.text(f"{answer}: {safe(item.tool, exact=True)} of run {item.run_id}")
    if missing:
        output.text(f"{missing} more {'person has' if missing == 1 else 'people have'} to say yes before it is made")
    else:
        output.text(f"go on with: mainspring runs resume {item.run_id}")
