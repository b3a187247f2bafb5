"""`mainspring tools`: what every tool may do, where that was said, and what servers' tools say of themselves."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.find import whoami
from mainspring.cli.group import LazyGroup
from mainspring.cli.output import Output, note
from mainspring.cli.render import columns, cut, indent, safe
from mainspring.errors import DeclarationError, MainspringError

if TYPE_CHECKING:
    from mainspring.config import Config
    from mainspring.tool import Tool
    from mainspring.tools.mcp.server import McpServer

_HERE = "mainspring.cli.tools"

agent_option = click.option(
    "--agent", "agent", metavar="FILE[:NAME]", help="The tools of this agent (default: the coding tools)."
)
config_option = click.option(
    "--config", "config", type=click.Path(path_type=Path), metavar="FILE", help="Instead of the home's mainspring.toml."
)
mcp_option = click.option(
    "--mcp", "servers", multiple=True, metavar="NAME", help="Only these MCP servers (default: all configured)."
)
json_option = click.option("--json", "json_", is_flag=True, help="One JSON object per line.")


@click.group(
    cls=LazyGroup,
    default="list",
    invoke_without_command=False,
    lazy={
        "list": (f"{_HERE}:list_", "Every tool in one line (the default)."),
        "audit": (f"{_HERE}:audit", "What every tool may do, who said so, and what is missing."),
        "approve": (f"{_HERE}:approve", "Accept what an MCP server says of its tools, after looking at it."),
    },
)
def tools() -> None:
    """List, audit and approve tools.

    \b
    Examples:
      mainspring tools audit
      mainspring tools audit --agent clerk.py --mcp mail
      mainspring tools approve mail            show what changed
      mainspring tools approve mail --by ann   show it, ask, and accept it
    """


@click.command("list")
@agent_option
@config_option
@mcp_option
@json_option
def list_(agent: str | None, config: Path | None, servers: tuple[str, ...], json_: bool) -> None:
    """Every tool in one line."""
    output = _output(agent, json_)
    found, sources = _gather(agent, config, servers)
    rows: list[tuple[str, str, str, str]] = []
    for tool in found:
        about = describe(tool)
        if json_:
            output.json({k: about[k] for k in ("name", "effect", "consequential", "outside", "server", "description")})
        else:
            what = "asks" if about["consequential"] else "free"
            rows.append((tool.name, tool.effect, what, cut(safe(tool.description.split("\n")[0]), 70)))
    for source in sources:
        for name, why in sorted(source.withheld.items()):
            if json_:
                output.json({"server": source.settings.name, "tool": name, "withheld": why})
            else:
                rows.append((f"{source.settings.name}: {name}", "-", "withheld", f"it {why}"))
    if not json_:
        output.text("\n".join(columns(rows, ("TOOL", "EFFECT", "CALLS", "DESCRIPTION"))) if rows else "no tools")


@click.command()
@agent_option
@config_option
@mcp_option
@json_option
def audit(agent: str | None, config: Path | None, servers: tuple[str, ...], json_: bool) -> None:
    """What every tool may do, who said so, and what is missing.

    Each statement is `declared` in code, `configured` by a person, or `assumed` because nobody said anything. What an
    MCP server says about its own tools is shown as its claim, and not believed.
    """
    from mainspring.guard.modes import choose

    output = _output(agent, json_)
    found, sources = _gather(agent, config, servers)
    for tool in found:
        about = describe(tool)
        output.json(about) if json_ else output.text("\n".join(_lines(about)) + "\n")
    for source in sources:
        _about_server(output, source, json_)
    mode, why = choose(found, True)
    weak, _ = choose(found, False)
    if json_:
        output.json({"mode": mode, "weak": weak, "why": why, "tools": len(found)})
    else:
        also = "" if weak == mode else f" (a weak model: {weak})"
        output.text(f"{len(found)} tools; a run with all of them is guarded in mode {mode}{also}: {why}")


@click.command()
@click.argument("server", metavar="SERVER")
@click.option("--by", metavar="NAME", help="Who accepts it; without it, the difference is only shown.")
@click.option("--digest", metavar="HEX", help="What was looked at, as shown without --by; else it is asked.")
@click.option("--agent", "agent", metavar="FILE[:NAME]", help="Where the server is declared in an agent's file.")
@config_option
@json_option
def approve(
    server: str, by: str | None, digest: str | None, agent: str | None, config: Path | None, json_: bool
) -> None:
    """Accept what an MCP server says of its tools, after looking at it.

    Shows every tool that is new, changed or gone since it was accepted. Descriptions are an outsider's text: read them
    for orders to the model. Invisible characters are shown as escapes.
    """
    output = _output(agent, json_)
    found = _server(server, agent, config)
    try:
        changes = found.review()
    finally:
        found.close()
    for change in changes:
        if json_:
            output.json({"server": server, "tool": change.name, "change": change.kind, "diff": change.diff})
        else:
            output.text(f"{change.kind}: {safe(change.name, exact=True)}")
            output.text(indent(safe(change.diff, exact=True), "  │ ") + "\n")
    short = found.digest[:16]
    accepted = bool(changes) and by is not None and _agreed(short, digest)
    if accepted and by is not None:
        found.approve(by)
    if json_:
        output.json({"server": server, "changes": len(changes), "digest": short, "approved": accepted, "by": by or ""})
    elif not changes:
        output.text(f"{server}: nothing changed since its tools were accepted")
    elif accepted:
        output.text(f"accepted by {by}: {len(changes)} changes")
    else:
        who = by or whoami()
        output.text(f"not accepted; accept with: mainspring tools approve {server} --by {who} --digest {short}")


def _agreed(short: str, digest: str | None) -> bool:
    """Whether a person has seen what is being accepted: it may have changed since they looked."""
    if digest is not None:
        if digest != short:
            raise DeclarationError(f"the tools are not (any more) those of digest {digest}, but of {short}; look again")
        return True
    if not sys.stdin.isatty():
        raise DeclarationError(f"say which tools you looked at: --digest {short}")
    return click.confirm("Accept this?", default=False, err=True)


def describe(tool: Tool) -> dict[str, Any]:
    """Everything that is known of a tool, as a JSON object."""
    from mainspring.config import said

    result = tool.result_labels
    return {
        "name": tool.name,
        "description": tool.description,
        "effect": tool.effect,
        "roles": {name: tool.role(name) for name in tool.argument_names},
        "result": {path: sorted(label.sources) for path, label in result.items()},
        "readers": None if tool.label.readers is None else sorted(tool.label.readers),
        "outside": tool.outside,
        "consequential": tool.consequential,
        "undoable": tool.undoable,
        "settlement": tool.settlement,
        "timeout_s": tool.timeout_s,
        "said": said(tool),
        "server": tool.server,
        "claims": getattr(tool, "claims", {}),
        "warnings": warnings(tool),
    }


def warnings(tool: Tool) -> list[str]:
    """What a person should look at, a sentence each."""
    from mainspring.config import said

    about = said(tool)
    found: list[str] = []
    if about["effect"] == "assumed":
        found.append("nobody says what it does: it is taken for irreversible, so every call needs authority")
    elif tool.effect == "read" and tool.outside and about["outside"] == "assumed":
        found.append("it only reads, but takes an address: what it is passed leaves, so its calls need authority")
    elif tool.effect == "read" and tool.server and about["outside"] == "assumed":
        found.append("its server learns what it is passed; say outside = true if that needs authority, else false")
    if tool.consequential and about["authority"] == "assumed" and not tool.selector and len(tool.argument_names) > 1:
        found.append("every argument carries authority, because nobody says which ones do")
    if tool.settlement == "opaque" and not (tool.effect == "write" and tool.undoable):
        found.append("after a crash in the middle of a call a person is asked: it has neither a key nor a reconcile")
    if not tool.fields and not tool.result_labels[""].trusted and tool.effect == "read":
        found.append("all of its result counts as written by anyone; fields say what the service made or vouches for")
    claims: Mapping[str, bool] = getattr(tool, "claims", {})
    if tool.effect == "read" and claims.get("reads only") is False:
        found.append("a person says that it only reads, and its own server says that it does not")
    if getattr(tool, "hidden", 0):
        found.append("the server hid invisible characters in what it says of it; they were taken out")
    return found


def _lines(about: Mapping[str, Any]) -> list[str]:
    said = about["said"]
    server = f"  [server {about['server']}]" if about["server"] else ""
    needs = "needs authority" if about["consequential"] else "free"
    lines = [
        f"{about['name']}{server}: {about['effect']} ({said['effect']}), {needs}",
        f"  does: {cut(safe(about['description'].split(chr(10))[0]), 110)}",
    ]
    roles: dict[str, list[str]] = {}
    for name, role in about["roles"].items():
        roles.setdefault(role, []).append(safe(name, exact=True))
    texts = [f"{role} {', '.join(names)}" for role, names in roles.items()]
    lines.append(f"  arguments: {'; '.join(texts) or 'none'} ({said['authority']})")
    lines.append(f"  tells outside: {'yes' if about['outside'] else 'no'} ({said['outside']})")
    for path, sources in about["result"].items():
        lines.append(f"  result {safe(path, exact=True) or '(all)'}: {', '.join(sources) or 'Mainspring'}")
    if about["readers"] is not None:
        lines.append(f"  readers: {', '.join(about['readers']) or 'nobody'} ({said['readers']})")
    lines.append(f"  after a crash: {about['settlement']}")
    if about["claims"]:
        claimed = ", ".join(f"{name}: {'yes' if value else 'no'}" for name, value in about["claims"].items())
        lines.append(f"  its server claims (not believed): {claimed}")
    return lines + [f"  ! {warning}" for warning in about["warnings"]]


def _about_server(output: Output, source: McpServer, json_: bool) -> None:
    settings = source.settings
    if json_:
        output.json(
            {
                "server": settings.name,
                "address": settings.address,
                "tools": [t.name for t in source.tools],
                "withheld": source.withheld,
                "notes": source.notes,
                "instructions": len(source.instructions),
            }
        )
        return
    lines = [f"server {settings.name} ({settings.address}): {len(source.tools)} tools"]
    lines += [f"  withheld {name}: it {why}" for name, why in sorted(source.withheld.items())]
    lines += [f"  note: {text}" for text in source.notes]
    if source.instructions:
        lines.append(f"  it sent {len(source.instructions):,} characters of instructions, which no model is given")
    output.text("\n".join(lines) + "\n")


def _output(agent: str | None, json_: bool) -> Output:
    """An agent file may print; with JSON, standard output is ours alone."""
    return Output.claim() if agent is not None and json_ else Output.plain()


def _gather(agent: str | None, config: Path | None, servers: tuple[str, ...]) -> tuple[list[Tool], list[McpServer]]:
    """Every tool as it would run, and the servers that were asked for; a server that is away is only a note."""
    from mainspring.store import default_home
    from mainspring.tools.mcp.opened import open_servers, resolver
    from mainspring.tools.mcp.server import McpServer

    settings = _load(config)
    found = [settings.apply_to(tool) for tool in _own(agent, settings)]
    names = {tool.name for tool in found}
    sources: list[McpServer] = open_servers()  # those that the agent's file opened
    wanted = servers or (() if agent is not None else tuple(settings.mcp))
    for one in _configured(settings, wanted):
        source = McpServer(one, default_home().absolute(), resolver(settings))
        try:
            source.open(pin=False)
        except MainspringError as error:
            if servers:
                raise
            note(f"mainspring: {safe(str(error))}")
            continue
        finally:
            source.close()
        sources.append(source)
        found += [settings.apply_to(tool) for tool in source.tools if tool.name not in names]
    return found, sources


def _server(name: str, agent: str | None, config: Path | None) -> McpServer:
    """The server of this name: configured, or opened by an agent's file."""
    from mainspring.store import default_home
    from mainspring.tools.mcp.opened import open_servers, resolver
    from mainspring.tools.mcp.server import McpServer

    loaded = _load(config)
    if agent is not None:
        _own(agent, loaded)
        found = [server for server in open_servers() if server.settings.name == name]
        if found:
            return found[0]
    return McpServer(_configured(loaded, (name,))[0], default_home().absolute(), resolver(loaded))


def _own(agent: str | None, config: Config) -> list[Tool]:
    if agent is None:
        from dataclasses import asdict

        from mainspring.tools import coding_tools

        return coding_tools(sandbox=asdict(config.sandbox))
    from mainspring.cli.origin import load, split

    return list(load(split(agent)).tools.values())


def _load(config: Path | None) -> Config:
    from mainspring.config import load_config

    return load_config(path=config)


def _configured(config: Config, names: tuple[str, ...]) -> list[Any]:
    missing = [name for name in names if name not in config.mcp]
    if missing:
        known = ", ".join(sorted(config.mcp)) or "none"
        where = config.path or "there is no mainspring.toml"
        raise DeclarationError(
            f"no MCP server {missing[0]!r} is configured ({where}); configured: {known}. "
            "Where an agent's file declares it, say --agent FILE"
        )
    return [config.mcp[name] for name in names]
