"""`mainspring serve`: be a service that executes runs, fires schedules and answers health checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.worker import Lines, agent_option, concurrency_option, execute, load_agents, queue_option

if TYPE_CHECKING:
    from mainspring.fleet import Report


@click.command()
@agent_option
@queue_option
@concurrency_option
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where HTTP is answered.")
@click.option("--port", default=8787, show_default=True, type=click.IntRange(0, 65535), metavar="N", help="0: any.")
@click.option("--public", is_flag=True, help="HTTP may be reached from other machines.")
@json_option
def serve(
    files: tuple[str, ...],
    queues: tuple[str, ...],
    concurrency: int | None,
    host: str,
    port: int,
    public: bool,
    json_: bool,
) -> int:
    """Be a service: a worker as `mainspring worker`, and HTTP with /healthz, /readyz and /metrics (Prometheus).

    SIGTERM or Ctrl-C stops it as it stops a worker. For systemd, containers and Kubernetes see deploy/.

    \b
    Examples:
      mainspring serve --agent clerk.py
      mainspring serve -a clerk.py --host 0.0.0.0 --public --json
    """
    from mainspring.fleet import Worker
    from mainspring.fleet.service import Service, listen
    from mainspring.store import open_store
    from mainspring.telemetry.metrics import Metrics

    listening = listen(host, port, public=public)
    lines = Lines(json_)
    agents, declare = load_agents(files)
    metrics = Metrics()

    def report(said: Report) -> None:
        if said.kind == "taken":
            metrics.know(said.run_id, said.agent)
        lines.report(said)

    working = Worker(
        open_store(),
        agents,
        concurrency=concurrency,
        queues=queues or None,
        watch=metrics.watch,
        report=report,
        declare=declare,
    )
    service = Service(working, metrics, report=lines.report)
    address, bound = listening.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    lines.say("started", text=f"runs of {', '.join(a.name for a in agents)}; http://{shown}:{bound}")
    return execute(working, lambda: service.run(listening), lines)
