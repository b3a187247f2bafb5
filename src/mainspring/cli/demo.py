"""`mainspring demo`: break a real package, and have an agent mend it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--model", "-m", default="local", show_default=True, metavar="MODEL", help="Who mends it.")
@click.option("--package", metavar="NAME", help="A package of the registry (default: one that is known to be small).")
@click.option("--seed", default=0, show_default=True, help="Which line is broken, and how.")
@click.option(
    "--workspace", "-w", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Where to work."
)
@click.option("--json", "json_", is_flag=True, help="One JSON object per line.")
def demo(model: str, package: str | None, seed: int, workspace: Path | None, json_: bool) -> int:
    """Break one line of a real package, and have an agent find and mend it.

    The package's source comes from the registry, its own tests say whether it is mended.

    \b
    Examples:
      mainspring demo
      mainspring demo --model local:1.5b --seed 3
    """
    from mainspring.code.breaking.demo import run_demo

    return run_demo(model=model, package=package, seed=seed, workspace=workspace, json_lines=json_)
