"""`mainspring runs move`: have a run go on in another journal."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.find import load
from mainspring.cli.output import Output, note


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--to", "to", required=True, metavar="DIR|URL", help="Another home, or a PostgreSQL journal.")
@json_option
def move(id_: str, to: str, json_: bool) -> None:
    """Have a run go on in another journal. Here it ends as cancelled; workers take it up there.

    What the run was allowed here does not hold there, nor does its workspace: a person there gives both anew.

    \b
    Examples:
      mainspring runs move 3f2 --to postgresql://mainspring@db.example/mainspring
      mainspring runs move 3f2 --to /srv/mainspring
    """
    from mainspring.fleet.move import move as move_run
    from mainspring.store import SQLiteStore, Store, open_store

    run = load(id_)
    where = to
    target: Store | None = None
    try:
        if to.startswith(("postgresql://", "postgres://")):
            from mainspring.store.postgres import PostgresStore

            where = urlsplit(to).hostname or "a PostgreSQL journal"  # and not its password
            target = PostgresStore(run.home, to)
        else:
            target = SQLiteStore(Path(to).expanduser().absolute())
        move_run(open_store(run.home), run.id, target, where)
    finally:
        if target is not None:
            target.close()
    output = Output.plain()
    if json_:
        output.json({"run_id": run.id, "moved": where})
    else:
        output.text(f"moved {run.id}")
        note(f"it goes on in {where}, by a worker there that knows agent {run.agent_name!r}")
