"""`mainspring serve`: a worker, a scheduler and a small HTTP server in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.errors import DeclarationError, MainspringError
from mainspring.fleet.worker import Report, Worker

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from mainspring.telemetry.metrics import Metrics

#: Longest time between two looks at the schedules, in seconds: another process may add one.
TICK_S = 1.0
#: Seconds that requests under way get when the service stops.
_DRAIN_S = 5
#: Seconds between two ticks of the HTTP server, beside its own tenth: so old is the date in its answers at most.
_LOOK_S = 1.9


class Ticker(Protocol):
    """What fires schedules. `mainspring.schedules.Scheduler` is one."""

    def tick(self, now: float) -> float | None:
        """Fire what is due; returns when it should be asked again, or None when there is nothing to wait for."""
        ...


class Service:
    """Everything that one process does for runs that nobody sits in front of.

    Args:
        worker: executes runs.
        metrics: what Prometheus is shown; it must be the worker's `watch`.
        ticker: fires schedules; None for none.
        routes: further routes, such as those of webhooks.
        report: called with what the service says of itself.
    """

    def __init__(
        self,
        worker: Worker,
        metrics: Metrics,
        *,
        ticker: Ticker | None = None,
        routes: Sequence[BaseRoute] = (),
        report: Callable[[Report], None] = lambda said: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.worker = worker
        self._metrics = metrics
        self._ticker = ticker
        self._routes = routes
        self._report = report
        self._clock = clock
        metrics.gauge("worker_runs", "Runs that this process executes now.", lambda: worker.at_work)
        metrics.gauge("worker_places", "Most runs that this process executes at a time.", lambda: worker.places)
        metrics.gauge("worker_held", "1 while nothing new is taken up.", lambda: worker.refusal is not None)

    def app(self) -> Starlette:
        """The HTTP side: ``/healthz`` (it lives), ``/readyz`` (it takes up runs), ``/metrics``, and further routes."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        own = [
            Route("/healthz", self._health),
            Route("/readyz", self._ready),
            Route("/metrics", self._show_metrics),
        ]
        return Starlette(routes=[*own, *self._routes])

    async def run(self, listening: socket.socket) -> None:
        """Serve until the worker is told to stop, and its runs have let go.

        Args:
            listening: a bound socket, see :func:`listen`.
        """
        import uvicorn

        ended = asyncio.Event()

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield  # signals are the service's own: they stop the worker first

            async def on_tick(self, counter: int) -> bool:
                # Ten looks a second at whether it should stop are most of what an idle service costs.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await ended.wait()
                return await super().on_tick(0)

        config = uvicorn.Config(
            self.app(),
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
        server = Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        ticking = asyncio.create_task(self._tick())
        try:
            await self.worker.run()
        finally:
            ticking.cancel()
            server.should_exit = True  # last, so that probes are answered while runs let go
            ended.set()
            await asyncio.wait({serving, ticking})

    async def _tick(self) -> None:
        said = ""
        planned: float | None = 0.0
        seen: int | None = None
        while self._ticker is not None and not self.worker.stopping:
            now = self._clock()
            due: float | None = None
            try:
                stamp = self.worker.store.stamp()
                if stamp is not None and stamp == seen and (planned is None or planned > now):
                    await asyncio.sleep(TICK_S if planned is None else min(max(planned - now, 0.01), TICK_S))
                    continue
                seen = None if said else stamp  # taken before the look: what is written meanwhile is seen next time
                due = await asyncio.to_thread(self._ticker.tick, now)
                if planned is not None and planned <= now:  # else there is hardly anything for the worker to find
                    self.worker.knock()
                planned, said = due, ""
            except Exception as error:  # a service that says nothing, and fires nothing any more, is worse
                what = str(error) if isinstance(error, MainspringError) else f"{type(error).__name__}: {error}"
                if what != said:
                    said = what
                    self._report(Report("failed", text=f"schedules: {what}"))
            delay = TICK_S if due is None else min(max(due - self._clock(), 0.01), TICK_S)
            await asyncio.sleep(delay)

    async def _health(self, request: Request) -> Response:
        from starlette.responses import PlainTextResponse

        return PlainTextResponse("ok\n")

    async def _ready(self, request: Request) -> Response:
        """503 while it stops or the journal cannot be read; a worker that is full or held is ready all the same."""
        from starlette.responses import JSONResponse

        why = "it is stopping" if self.worker.stopping else await asyncio.to_thread(self._unreadable)
        body: dict[str, Any] = {"ready": why is None, "runs": self.worker.at_work, "held": self.worker.refusal}
        if why is not None:
            body["why"] = why
        return JSONResponse(body, status_code=200 if why is None else 503)

    def _unreadable(self) -> str | None:
        try:
            self.worker.store.next_wake()
        except MainspringError as error:
            return str(error)
        return None

    async def _show_metrics(self, request: Request) -> Response:
        from starlette.responses import Response

        body, kind = await asyncio.to_thread(self._metrics.render)
        return Response(body, headers={"content-type": kind})


def listen(host: str, port: int, *, public: bool = False) -> socket.socket:
    """A socket to serve on. Only this machine may reach it, unless `public`.

    Raises:
        DeclarationError: the address is not this machine's own and `public` was not said, or it cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise DeclarationError(f"the host {host!r} has no address: {error}") from None
    family, _, _, _, address = found[0]
    if not public and not all(ipaddress.ip_address(str(f[4][0]).partition("%")[0]).is_loopback for f in found):
        raise DeclarationError(
            f"{host} can be reached from other machines: whoever reaches it sees the names of agents, tools and "
            "models in /metrics. Put a proxy with TLS in front of 127.0.0.1, or say --public"
        )
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(512)
    except OSError as error:
        listening.close()
        raise DeclarationError(
            f"nothing can listen on {host} port {port}: {error.strerror or error}; choose another with --port"
        ) from None
    return listening
