"""`mainspring serve`: be a service that executes runs, fires schedules and answers health checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.worker import (
    Lines,
    agent_option,
    concurrency_option,
    execute,
    load_agents,
    queue_option,
    traces_of,
)

if TYPE_CHECKING:
    from mainspring.fleet import Report
    from mainspring.runtime import RunEvent


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
    """Be a service: a worker as `mainspring worker`, what fires schedules, and HTTP.

    HTTP answers /healthz, /readyz, /metrics (Prometheus) and POST /hooks/NAME, where webhooks of schedules deliver.
    With OTEL_EXPORTER_OTLP_ENDPOINT set, traces of runs go to that collector.

    SIGTERM or Ctrl-C stops it as it stops a worker. For systemd, containers and Kubernetes see deploy/.

    \b
    Examples:
      mainspring serve --agent clerk.py
      mainspring serve -a clerk.py --host 0.0.0.0 --public --json
    """
    from mainspring.cli.schedule_serving import Doors, listening, resolver
    from mainspring.fleet import Worker
    from mainspring.fleet.service import Service, listen
    from mainspring.schedules import Scheduler
    from mainspring.store import open_store
    from mainspring.telemetry.metrics import Metrics

    bound = listen(host, port, public=public)
    lines = Lines(json_)
    agents, declare = load_agents(files)
    metrics = Metrics()

    def report(said: Report) -> None:
        if said.kind == "taken":
            metrics.know(said.run_id, said.agent)
        lines.report(said)

    store = open_store()
    traces = traces_of(store)

    def watch(event: RunEvent) -> None:
        metrics.watch(event)
        if traces is not None:
            traces.watch(event)

    working = Worker(
        store,
        agents,
        concurrency=concurrency,
        queues=queues or None,
        watch=watch,
        report=report,
        declare=declare,
    )
    resolve = resolver(store.home)
    scheduler = Scheduler(
        store,
        {agent.name: agent for agent in agents},
        resolve=resolve,
        report=lambda line: lines.say("schedule", text=line),
    )
    service = Service(working, metrics, ticker=scheduler, routes=[Doors(store, resolve).route()], report=lines.report)

    async def run() -> None:
        async with listening(store, scheduler):
            await service.run(bound)

    address, number = bound.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    lines.say("started", text=f"runs of {', '.join(a.name for a in agents)}; http://{shown}:{number}")
    try:
        return execute(working, run, lines)
    finally:
        if traces is not None:
            traces.close()
