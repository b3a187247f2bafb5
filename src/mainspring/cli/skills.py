"""`mainspring skills`: folders of instructions that agents may use once a person approved them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.find import whoami
from mainspring.cli.group import LazyGroup
from mainspring.cli.output import Output, note
from mainspring.cli.pins import confirm
from mainspring.cli.render import columns, one_line, safe

if TYPE_CHECKING:
    from mainspring.skills import Installed, Skills

_HERE = "mainspring.cli.skills"


@click.group(
    cls=LazyGroup,
    default="list",
    invoke_without_command=False,
    lazy={
        "list": (f"{_HERE}:list_", "Every skill, and whether it may be used (the default)."),
        "show": (f"{_HERE}:show", "What a skill says, may use, and what changed."),
        "add": (f"{_HERE}:add", "Copy a skill's folder into the home; it still needs approval."),
        "approve": (f"{_HERE}:approve", "Look at a skill and let it be used as it is now."),
        "remove": (f"{_HERE}:remove", "Take a skill's approval back and delete it."),
    },
)
def skills() -> None:
    """Folders of instructions that agents may use, held to what their manifest names.

    \b
    Examples:
      mainspring skills add ./invoices
      mainspring skills show invoices
      mainspring skills approve invoices
    """


def held() -> Skills:
    """The home's skills."""
    from mainspring.skills import Skills
    from mainspring.store import default_home

    return Skills(default_home())


def as_json(item: Installed) -> dict[str, Any]:
    """A skill as a JSON object."""
    found: dict[str, Any] = {"name": item.name, "state": item.state, "why": item.why}
    if item.skill is not None:
        manifest = item.skill.manifest
        found |= {"description": item.skill.description, "digest": item.skill.digest}
        found |= {name: list(getattr(manifest, name)) for name in ("tools", "effects", "hosts", "paths", "secrets")}
        found["hidden"] = item.skill.content.hidden()
    return found | {"by": item.pin.by if item.pin else None}


@click.command("list")
@json_option
def list_(json_: bool) -> None:
    """Every skill, and whether it may be used."""
    output = Output.plain()
    found = held().all()
    if json_:
        for item in found:
            output.json(as_json(item))
        return
    rows = [(safe(i.name, exact=True), i.state, one_line(i.skill.description if i.skill else i.why, 80)) for i in found]
    output.text("\n".join(columns(rows, ("NAME", "STATE", "DESCRIPTION"))) if rows else "there is no skill yet")


@click.command()
@click.argument("name")
@json_option
def show(name: str, json_: bool) -> None:
    """What a skill says, may use, and what changed."""
    item = held().look(name)
    output = Output.plain()
    if json_:
        output.json(as_json(item))
        return
    lines = [f"{item.name}: {item.state}"]
    if item.skill is None:
        lines.append(item.why)
    else:
        manifest = item.skill.manifest
        lines.append(item.skill.description)
        for what in ("tools", "effects", "hosts", "paths", "secrets"):
            lines.append(f"  {what}: {', '.join(getattr(manifest, what)) or 'none'}")
        lines += item.diff.split("\n") if item.diff else ["", *item.skill.instructions.split("\n")]
        lines += [f"cannot be seen: {where}" for where in item.skill.content.hidden()]
        lines.append(f"digest: {item.skill.digest}")
    output.text("\n".join(safe(line, exact=True) for line in lines))


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Replace the skill of this name; it needs approval again.")
@json_option
def add(folder: Path, replace: bool, json_: bool) -> None:
    """Copy a skill's folder into the home. It is used only after approval."""
    skills = held()
    skill = skills.add(folder, replace=replace)
    output = Output.plain()
    if json_:
        output.json(as_json(skills.look(skill.name)))
        return
    output.text(f"added: {skill.name}")
    note(f"look at it and approve it with: mainspring skills approve {skill.name}")


@click.command()
@click.argument("name")
@click.option(
    "--digest", metavar="HEX", help="Of what you looked at; without it the skill is shown, and you are asked."
)
@click.option("--by", metavar="NAME", help="Who approves it (default: the user's name).")
def approve(name: str, digest: str | None, by: str | None) -> None:
    """Look at a skill and let it be used as it is now."""
    from mainspring.errors import DeclarationError

    skills = held()
    item = skills.look(name)
    if item.skill is None:
        raise DeclarationError(item.why)
    content = item.skill.content
    confirm("skill", name, skills.pins.check("skill", name, content), content, digest)
    pin = skills.approve(name, by=by or whoami(), digest=digest or item.skill.digest)
    Output.plain().text(f"approved: {name} as {pin.digest[:12]} by {pin.by}")


@click.command()
@click.argument("name")
def remove(name: str) -> None:
    """Take a skill's approval back and delete it."""
    held().remove(name)
    Output.plain().text(f"removed: {name}")
