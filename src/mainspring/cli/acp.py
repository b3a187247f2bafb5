"""`mainspring acp`: an editor's agent, over standard input and output."""

from __future__ import annotations

import os

import click


@click.command()
@click.option("--model", "-m", metavar="MODEL", help="Such as local, openai:NAME, a URL. [env: MAINSPRING_MODEL]")
@click.option(
    "--harness", type=click.Choice(["auto", "full", "light"]), default="auto", show_default=True, help="As in `code`."
)
@click.option("--tests", metavar="COMMAND", help="How the project's tests are run (default: detected).")
@click.option("--in-place", is_flag=True, help="Edit the editor's files, instead of offering a patch at the end.")
@click.option("--by", metavar="NAME", help="On whose behalf it acts (default: the user's name).")
def acp(model: str | None, harness: str, tests: str | None, in_place: bool, by: str | None) -> int:
    """Be an agent for an editor that speaks the Agent Client Protocol.

    The editor starts this command itself and talks to it over standard input and output; see docs/acp.md for the
    settings of common editors. A session is a run: `mainspring runs list` shows it, and it survives a crash.

    \b
    Examples:
      mainspring acp --model openai:NAME
      mainspring acp --in-place
    """
    import asyncio

    from mainspring.acp.server import Server, serve
    from mainspring.agent import Agent
    from mainspring.cli import origin
    from mainspring.cli.run import acting_for
    from mainspring.store import default_home

    chosen = {"model": model or os.environ.get("MAINSPRING_MODEL") or "local", "harness": harness, "tests": tests or ""}
    options = {name: value for name, value in chosen.items() if value}

    def declare() -> Agent:
        return origin.load(origin.Origin("code", builtin=True, options=options))

    declare()  # a wrong setting is told now, and not at the first prompt
    asyncio.run(serve(Server(declare, default_home(), by=acting_for(by), in_place=in_place)))
    return 0
