"""What a service does for schedules besides ticking: doors for webhooks, and looks as soon as something comes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.errors import MainspringError, StoreError, ToolError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from mainspring.schedules import Entry, Schedule, Scheduler
    from mainspring.schedules.sources import Hook
    from mainspring.schedules.sources.letters import LetterSource
    from mainspring.schedules.sources.mailbox import MailboxSource
    from mainspring.store import Store

#: Seconds for which the list of schedules is believed.
_FRESH_S = 1.0
#: Seconds between two looks for sources to listen to, and of one wait at a mail server.
_LOOK_S, _WAIT_S = 15.0, 600.0
#: Seconds until a mail server that could not be asked is asked again, and after which a wait was no wait.
_AGAIN_S, _SHORT_S = 60.0, 5.0


def resolver(home: Path) -> Callable[[str], str]:
    """What gives the value of a reference, as the configuration has it now."""

    def resolve(reference: str) -> str:
        from mainspring.runtime.settings import settings_of

        secrets = settings_of(home).secrets
        if secrets is None:
            raise ToolError(f"{reference} is not declared: there is no [secrets] in the configuration")
        return secrets.resolve(reference)

    return resolve


def open_mailbox(schedule: Schedule, store: Store) -> None:
    """Let agents write to its mailbox from now on, if it listens to one."""
    source = _mailbox(schedule, store)
    if source is not None:
        source.open()


def close_mailbox(schedule: Schedule, store: Store) -> None:
    """Nobody listens to its mailbox any more: agents are told so."""
    source = _mailbox(schedule, store)
    if source is not None:
        source.close()


def _mailbox(schedule: Schedule, store: Store) -> LetterSource | None:
    from mainspring.schedules.sources.letters import LetterSource
    from mainspring.schedules.sources.spec import source_of

    spec = schedule.trigger.get("source", {})
    if spec.get("kind") != "message":
        return None
    source = source_of(spec, store, resolver(store.home), name=schedule.name)
    return source if isinstance(source, LetterSource) else None


def wake(store: Store, name: str, now: float) -> None:
    """Have a schedule looked at now. It changes nothing else, and nothing when the schedule is paused."""
    from mainspring.schedules.kept import KIND

    for _ in range(20):
        kept = store.kept(KIND, name)
        if kept is None or kept.due_at is None or kept.due_at <= now:
            return
        try:
            store.keep(KIND, name, kept.body, version=kept.version, due_at=now)
            return
        except StoreError:  # a scheduler was faster, and may have looked before what we know had come
            continue


def live(store: Store, now: float) -> list[Entry]:
    """Schedules with a source that have not expired. A paused one's deliveries wait for it."""
    from mainspring.schedules import Schedules

    found = [e for e in Schedules(store).list() if e.schedule.kind == "source"]
    return [e for e in found if not e.schedule.over(now)]


class Doors:
    """``POST /hooks/NAME`` for the webhooks of all schedules, also of those that are added while it serves.

    Args:
        resolve: gives the value of a reference to a secret.
    """

    def __init__(self, store: Store, resolve: Callable[[str], str], clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._resolve = resolve
        self._clock = clock
        self._known: dict[str, tuple[str, Hook]] = {}  # webhook -> schedule, door
        self._app: Any = None
        self._until = 0.0

    def route(self) -> BaseRoute:
        """For `Service(routes=[...])`."""
        from starlette.routing import Route

        return Route("/hooks/{name}", self, methods=["POST"])

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Let the doors of now answer."""
        from starlette.responses import Response

        try:
            app = await asyncio.to_thread(self._current)
        except MainspringError:  # the journal cannot be read, so nothing can be kept: come again
            app = Response(status_code=503, headers={"Retry-After": "30"})
        await app(scope, receive, send)

    def _current(self) -> Any:
        now = time.monotonic()
        if self._app is None or now >= self._until:
            found = self._doors()
            if self._app is None or found != self._known:
                from mainspring.schedules.sources import webhook_app

                hooks = [hook for _, hook in found.values()]
                self._app = webhook_app(self._store, hooks, self._resolve, clock=self._clock, wake=self._wake)
                self._known = found
            self._until = now + _FRESH_S
        return self._app

    def _doors(self) -> dict[str, tuple[str, Hook]]:
        from mainspring.schedules.sources.spec import hook_of

        found: dict[str, tuple[str, Hook]] = {}
        for entry in live(self._store, self._clock()):
            spec = entry.schedule.trigger["source"]
            if spec.get("kind") == "webhook":
                with contextlib.suppress(MainspringError):  # `schedule add` refuses it; the scheduler says so
                    hook = hook_of(spec)
                    found.setdefault(hook.name, (entry.schedule.name, hook))
        return found

    def _wake(self, hook: str) -> None:
        known = self._known.get(hook)
        if known is not None:
            with contextlib.suppress(MainspringError):  # on disk all the same: the next look finds it
                wake(self._store, known[0], self._clock())


@contextlib.asynccontextmanager
async def listening(store: Store, scheduler: Scheduler, clock: Callable[[], float] = time.time) -> AsyncIterator[None]:
    """Meanwhile, files that change and mails that come have their schedules looked at at once."""
    stop = asyncio.Event()
    task = asyncio.create_task(_listen(store, scheduler, clock, stop))
    try:
        yield
    finally:
        stop.set()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _listen(store: Store, scheduler: Scheduler, clock: Callable[[], float], stop: asyncio.Event) -> None:
    """One listener for each watched folder and mailbox, begun and ended as schedules come and go."""
    at_work: dict[str, tuple[Any, asyncio.Task[None]]] = {}
    try:
        while True:
            with contextlib.suppress(MainspringError):
                entries = {e.schedule.name: e for e in await asyncio.to_thread(live, store, clock()) if not e.paused}
                for name, (trigger, task) in list(at_work.items()):
                    gone = name not in entries or entries[name].schedule.trigger != trigger
                    if gone or task.done():
                        task.cancel()
                        del at_work[name]
                for name, entry in entries.items():
                    if name not in at_work and entry.schedule.trigger["source"].get("kind") in ("watch", "mail"):
                        task = asyncio.create_task(_hear(store, scheduler, entry, clock, stop))
                        at_work[name] = (entry.schedule.trigger, task)
            await asyncio.sleep(_LOOK_S)
    finally:
        for _, task in at_work.values():
            task.cancel()
        await asyncio.gather(*(task for _, task in at_work.values()), return_exceptions=True)


async def _hear(
    store: Store, scheduler: Scheduler, entry: Entry, clock: Callable[[], float], stop: asyncio.Event
) -> None:
    from mainspring.schedules.sources.mailbox import MailboxSource
    from mainspring.schedules.sources.watch import WatchSource

    name = entry.schedule.name
    with contextlib.suppress(MainspringError):  # a look that is due anyway says what is wrong
        source = scheduler.source(entry)
        if isinstance(source, WatchSource):
            async for _ in source.wakes(stop):
                await asyncio.to_thread(wake, store, name, clock())
        while isinstance(source, MailboxSource):
            if not await _mail(source, clock):
                continue
            await asyncio.to_thread(wake, store, name, clock())
    await asyncio.sleep(_AGAIN_S)


async def _mail(source: MailboxSource, clock: Callable[[], float]) -> bool:
    from mainspring.threads import in_thread

    begun = clock()
    wait = max(min(_WAIT_S, source.account.deadline_s - 10.0), 1.0)  # a connection ends at its deadline
    try:
        if await in_thread(lambda: bool(source.wait(wait))):
            return True
    except MainspringError:
        await asyncio.sleep(_AGAIN_S)
    if clock() - begun < _SHORT_S:  # a server without IDLE is looked at when it is due
        await asyncio.sleep(_WAIT_S)
    return False
