"""`mainspring people`: who may answer, and taking a person's rights back."""

from __future__ import annotations

import click

from mainspring.cli.approvals import by_option, json_option
from mainspring.cli.grants import take
from mainspring.cli.group import LazyGroup
from mainspring.cli.output import Output
from mainspring.cli.render import columns, safe

_HERE = "mainspring.cli.people"


@click.group(
    cls=LazyGroup,
    default="list",
    lazy={
        "list": (f"{_HERE}:list_", "Who is configured, and what each may do (the default)."),
        "revoke": (f"{_HERE}:revoke", "Take all rights of a person back, from now on."),
        "restore": (f"{_HERE}:restore", "Give them back."),
    },
)
def people() -> None:
    """Who may approve what, as [people.NAME] in the configuration says.

    \b
    Examples:
      mainspring people
      mainspring people revoke ann --reason "left the company"
    """


@click.command("list")
@json_option
def list_(json_: bool) -> None:
    """Who is configured, with roles and limits, and whose rights were taken back."""
    from mainspring.names import person_key
    from mainspring.runtime.pending import people_of
    from mainspring.store import open_store

    store = open_store()
    known, gone = people_of(store.home), store.revoked()
    output = Output.plain()
    if json_:
        for p in known:
            output.json(
                {
                    "name": p.name,
                    "roles": list(p.roles),
                    "limits": dict(p.limits),
                    "may_approve": list(p.may_approve),
                    "user": p.user or None,
                    "revoked": person_key(p.name) in gone,
                }
            )
        return
    if not known:
        output.text(
            "nobody is configured: any person's name is accepted. Name people in mainspring.toml: [people.NAME]"
        )
        return
    rows = [
        (
            safe(p.name, exact=True),
            "revoked" if person_key(p.name) in gone else "yes",
            ", ".join(p.roles) or "-",
            ", ".join(f"{k} <= {v:g}" for k, v in p.limits.items()) or "-",
            p.user or "any",
            ", ".join(p.may_approve) or "nothing",
        )
        for p in known
    ]
    output.text("\n".join(columns(rows, ("NAME", "MAY", "ROLES", "LIMITS", "ACCOUNT", "TOOLS"))))


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept.")
@by_option
@json_option
def revoke(name: str, reason: str, by: str | None, json_: bool) -> None:
    """Take all rights of a person back. What they approved and no call has used yet is asked again."""
    take(name, by, reason, restore=False, json_=json_)


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept.")
@by_option
@json_option
def restore(name: str, reason: str, by: str | None, json_: bool) -> None:
    """Give a person's rights back. Somebody else has to do it."""
    take(name, by, reason, restore=True, json_=json_)
