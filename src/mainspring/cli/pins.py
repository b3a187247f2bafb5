"""`mainspring pins`: what a person approved byte for byte, and what has changed since."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.find import whoami
from mainspring.cli.group import LazyGroup
from mainspring.cli.output import Output, note
from mainspring.cli.render import clock, columns, safe

if TYPE_CHECKING:
    from mainspring.guard.pins import Checked, Pins
    from mainspring.guard.snapshot import Snapshot

_HERE = "mainspring.cli.pins"


@click.group(
    cls=LazyGroup,
    default="list",
    invoke_without_command=False,
    lazy={
        "list": (f"{_HERE}:list_", "What is pinned, by whom, and whether it has changed (the default)."),
        "diff": (f"{_HERE}:diff", "What has changed in a file since it was approved."),
        "approve": (f"{_HERE}:approve", "Look at a file and pin it as it is now."),
        "remove": (f"{_HERE}:remove", "Take an approval back."),
    },
)
def pins() -> None:
    """Files that instruct agents are used only as a person approved them.

    NAME is the path of an instruction file, or the name of a skill.

    \b
    Examples:
      mainspring pins
      mainspring pins diff AGENTS.md
      mainspring pins approve AGENTS.md
      mainspring pins approve AGENTS.md --digest 3f2a9c01      what `diff` showed, without a question
    """


kind_option = click.option("--kind", default="instructions", show_default=True, help="What it is.")


def held() -> Pins:
    """The home's pins."""
    from mainspring.guard.pins import Pins
    from mainspring.store import default_home

    return Pins(default_home())


def content_of(kind: str, name: str) -> tuple[str, Snapshot]:
    """The name that a pin has, and what is there now."""
    from mainspring.guard.snapshot import Snapshot
    from mainspring.store import default_home

    path = default_home() / "skills" / name if kind == "skill" else Path(os.path.realpath(name))
    return (name if kind == "skill" else str(path)), Snapshot.take(path)


def describe(checked: Checked, content: Snapshot) -> tuple[str, list[str]]:
    """The state of a content in a word, and lines that show a person all of it."""
    from mainspring.guard.pins import Changed, Same

    if isinstance(checked, Same):
        return "approved", [f"as {checked.pin.by} approved it {clock(checked.pin.at)}", f"digest: {content.digest}"]
    state = "changed" if isinstance(checked, Changed) else "new"
    lines = [*safe(checked.diff, exact=True).split("\n"), f"digest: {content.digest}"]
    hidden = [f"cannot be seen: {where}" for where in content.hidden()]
    return state, lines + hidden


@click.command("list")
@json_option
def list_(json_: bool) -> None:
    """What is pinned, by whom, and whether it has changed."""
    from mainspring.errors import DeclarationError

    output = Output.plain()
    rows = []
    for pin in held().all():
        try:
            same = content_of(pin.kind, pin.name)[1].digest == pin.digest
            state = "approved" if same else "changed"
        except DeclarationError:
            state = "missing"
        if json_:
            output.json(
                {"kind": pin.kind, "name": pin.name, "digest": pin.digest, "by": pin.by, "at": pin.at}
                | {"state": state}
            )
        rows.append((pin.kind, state, pin.by, clock(pin.at), pin.digest[:12], safe(pin.name, exact=True)))
    if not json_:
        output.text(
            "\n".join(columns(rows, ("KIND", "STATE", "BY", "AT", "DIGEST", "NAME"))) if rows else "nothing is pinned"
        )


@click.command()
@click.argument("name")
@kind_option
@json_option
def diff(name: str, kind: str, json_: bool) -> int:
    """What has changed in a file since it was approved.

    Exit status: 0 when nothing has, 1 otherwise.
    """
    name, content = content_of(kind, name)
    checked = held().check(kind, name, content)
    state, lines = describe(checked, content)
    output = Output.plain()
    if json_:
        output.json({"kind": kind, "name": name, "state": state, "digest": content.digest, "hidden": content.hidden()})
    else:
        output.text("\n".join([f"{kind} {safe(name, exact=True)}: {state}", *lines]))
    return 0 if state == "approved" else 1


@click.command()
@click.argument("name")
@kind_option
@click.option(
    "--digest", metavar="HEX", help="Of what you looked at; without it the content is shown, and you are asked."
)
@click.option("--by", metavar="NAME", help="Who approves it (default: the user's name).")
def approve(name: str, kind: str, digest: str | None, by: str | None) -> None:
    """Look at a file and pin it as it is now. What is pinned is what was shown, whatever happens meanwhile."""
    name, content = content_of(kind, name)
    confirm(kind, name, held().check(kind, name, content), content, digest)
    pin = held().approve(kind, name, content, by=by or whoami(), digest=digest)
    Output.plain().text(f"approved: {kind} {safe(name, exact=True)} as {pin.digest[:12]} by {pin.by}")


def confirm(kind: str, name: str, checked: Checked, content: Snapshot, digest: str | None) -> None:
    """Show a content and ask, unless its digest was given. Raises DeclarationError for a no."""
    from mainspring.errors import DeclarationError

    if digest is not None:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"nobody is there to be asked; see `mainspring pins diff {name} --kind {kind}`, and pass --digest"
        )
    state, lines = describe(checked, content)
    note("\n".join([f"{kind} {safe(name, exact=True)}: {state}", *lines]))
    if not click.confirm("Approve exactly this?", err=True):
        raise DeclarationError(f"{kind} {name} was not approved")


@click.command()
@click.argument("name")
@kind_option
def remove(name: str, kind: str) -> None:
    """Take an approval back: the file is not used any more."""
    pinned = name if kind == "skill" else os.path.realpath(name)
    pin = held().remove(kind, pinned)
    Output.plain().text(f"removed: {kind} {safe(pin.name, exact=True)}")
