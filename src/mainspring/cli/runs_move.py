"""`mainspring runs fork`, `replay`, `export` and `import`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.find import load
from mainspring.cli.output import Output, note
from mainspring.cli.render import cut, safe


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--step", required=True, type=click.IntRange(0), help="The last step that the new run shares.")
@json_option
def fork(id_: str, step: int, json_: bool) -> None:
    """Make a new run that goes on from the end of an earlier step. The old run stays as it is.

    \b
    Example:
      mainspring runs fork 3f2 --step 4
    """
    old = load(id_)
    new = old.fork(step)
    output = Output.plain()
    if json_:
        output.json({"run_id": new.id, "parent": old.id, "step": step})
        return
    output.text(new.id)
    note(f"forked from {old.id} after step {step}; go on with: mainspring runs resume {new.id}")


@click.command()
@click.argument("id_", metavar="ID")
@json_option
def replay(id_: str, json_: bool) -> int:
    """Rebuild every context from the journal, with no model and no effects, and compare it with what was sent.

    Exit status: 0 when all are identical, 1 when one differs.
    """
    run = load(id_)
    report = run.replay()
    output = Output.plain()
    if json_:
        output.json(
            {
                "run_id": run.id,
                "steps": report.steps,
                "identical": report.identical,
                "differences": list(report.differences),
            }
        )
    else:
        output.text(f"identical: {'yes' if report.identical else 'no'} ({report.steps} model calls)")
        for difference in report.differences:
            output.text(f"  {cut(safe(str(difference)), 300)}")
    return 0 if report.identical else 1


@click.command()
@click.argument("id_", metavar="ID")
@click.option(
    "--output",
    "-o",
    "path",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write here instead.",
)
def export(id_: str, path: Path | None) -> None:
    """Write a run as JSON lines: a header, every event with its hash, the approvals.

    \b
    Examples:
      mainspring runs export 3f2 -o run.jsonl
      mainspring runs export 3f2 | gzip > run.jsonl.gz
    """
    run = load(id_)
    if path is not None:
        run.export(path)
        note(f"exported {run.id} to {path}")
        return
    run.export(Output.plain().utf8)


@click.command("import")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=str))
@json_option
def import_(path: str, json_: bool) -> None:
    """Read a run that was exported; `-` is standard input. Its hash chain is checked first.

    \b
    Example:
      mainspring runs import run.jsonl
    """
    from mainspring.errors import StoreError
    from mainspring.runtime.run import Run

    try:
        run = Run.import_(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8") if path == "-" else Path(path))
    except UnicodeDecodeError as error:
        raise StoreError(f"{path} is no export of a run: not valid UTF-8 at byte {error.start}") from None
    output = Output.plain()
    if json_:
        output.json({"run_id": run.id, "status": run.status})
    else:
        output.text(run.id)
