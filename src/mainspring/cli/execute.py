"""Drives a run from the terminal: shows it, pauses it on Ctrl-C, asks the person, and picks the exit status."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mainspring.cli.answer import answer_text
from mainspring.cli.find import whoami
from mainspring.cli.output import Output, OutputGoneError, note
from mainspring.cli.render import count, safe, usd
from mainspring.cli.status import FAILED, INTERRUPTED, WAITING, answer_hint
from mainspring.cli.view import View, choose

if TYPE_CHECKING:
    from mainspring.agent import Agent
    from mainspring.runtime.journal import RunEvent
    from mainspring.runtime.run import Run

Begin = Callable[..., Coroutine[Any, Any, "Run"]]

_GRACE_S = 2.0  # after a second Ctrl-C; the journal is whole at any instant, so nothing needs longer
_THREADS = "mainspring-tool"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def execute(
    agent: Agent,
    begin: Begin,
    *,
    run_id: str,
    output: Output,
    json: bool,
    quiet: bool,
    ask: bool,
    old: Run | None = None,
    answer: bool = True,
) -> int:
    """Execute a run until it ends or has to wait, and return the exit status.

    Args:
        agent: the declaration, for going on after the person at the terminal answered.
        begin: starts or resumes the run; called with `on_event`.
        run_id: which run it is, or will be.
        old: the run as it was before, when it is resumed.
        answer: print the run's answer; False when the caller prints a report that holds it.
        ask: the person at the terminal may be asked.
    """
    from mainspring.cli.prompt import answer_all, can_ask

    asking = ask and not json and can_ask()
    view = choose(quiet=quiet, json=json, output=output, will_ask=asking)
    session = Session(run_id, view, output, json=json)
    if old is not None:
        session.view.adopt(old)
    try:
        run = session.watch(begin)
        while asking and run.status in ("waiting", "in_doubt") and run.pending():
            session.view.close()
            if not answer_all(run):
                break
            run = session.watch(lambda now=run, **watching: now.resume(agent=agent, **watching))
    except asyncio.CancelledError:
        note(f"\nstopped; go on with: mainspring runs resume {run_id}")
        return session.leave(INTERRUPTED)
    finally:
        session.view.close()
    return session.leave(_report(run, session, quiet=quiet, answer=answer))


class Session:
    """One event loop for all stretches of a run that one command executes."""

    def __init__(self, run_id: str, view: View, output: Output, *, json: bool) -> None:
        self.run_id = run_id
        self.view = view
        self.output = output
        self.json = json
        self.gone: OutputGoneError | None = None
        self._pressed = 0
        self._lock = threading.Lock()  # tools report their progress from threads of their own
        self._loop = asyncio.new_event_loop()
        # Our own pool, so that a tool's thread that never ends cannot keep the finished command from exiting.
        self._pool = ThreadPoolExecutor(thread_name_prefix=_THREADS)
        self._loop.set_default_executor(self._pool)

    def watch(self, begin: Begin) -> Run:
        """Execute one stretch. Raises asyncio.CancelledError when the person pressed Ctrl-C twice."""
        return self._loop.run_until_complete(self._watch(begin))

    async def _watch(self, begin: Begin) -> Run:
        task = asyncio.ensure_future(begin(on_event=self._seen))
        for number in _SIGNALS:
            self._loop.add_signal_handler(number, self._stop, number, task)
        try:
            return await task
        finally:
            for number in _SIGNALS:
                self._loop.remove_signal_handler(number)

    def _seen(self, event: RunEvent) -> None:
        with self._lock:
            self.view.show(event)
        if self.json and event.seq is not None and self.gone is None:
            line = {"kind": event.kind, "run_id": self.run_id, "seq": event.seq, "at": event.at}
            try:
                self.output.json({**line, "payload": event.payload})
            except OutputGoneError as error:
                # Whoever read our lines is gone: pause as for Ctrl-C, nobody would see the rest.
                self.gone = error
                self._pause("nobody reads the output any more")

    def _stop(self, number: int, task: asyncio.Task[Run]) -> None:
        self._pressed += 1
        if self._pressed == 1:
            self.view.pause()
            name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
            again = " (Ctrl-C again: at once)" if number == signal.SIGINT else ""
            note(f"\npausing after the effect under way{again}")
            self._pause(f"{name} by {whoami()}")
        elif self._pressed == 2:
            self.view.pause()
            task.cancel()
            threading.Thread(target=self._exit_soon, daemon=True).start()
        else:
            self._exit()

    def _pause(self, reason: str) -> None:
        from mainspring.errors import MainspringError
        from mainspring.runtime.run import Run

        try:
            Run.load(self.run_id).pause(reason)
        except MainspringError as error:  # the run has not begun, or the journal is broken
            note(f"cannot pause: {safe(str(error))}")

    def _exit_soon(self) -> None:
        time.sleep(_GRACE_S)
        self._exit()

    def _exit(self) -> None:
        self.view.close()
        note(f"stopped at once; go on with: mainspring runs resume {self.run_id}")
        os._exit(INTERRUPTED)

    def leave(self, status: int) -> int:
        """Close the loop; a tool's thread that still hangs is left behind with the process."""
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._loop.close()
        until = time.monotonic() + 1.0
        for thread in threading.enumerate():
            if thread.name.startswith(_THREADS):
                thread.join(max(until - time.monotonic(), 0))
        if any(thread.name.startswith(_THREADS) for thread in threading.enumerate()):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        return status


def _report(run: Run, session: Session, *, quiet: bool, answer: bool) -> int:
    """Say how it ended, on both streams, and return the exit status."""
    from mainspring.cli.runs_show import run_json

    waiting = run.status not in ("done", "failed", "cancelled")
    try:
        if session.json:
            if session.gone is None:
                session.output.json({**run_json(run), "kind": "result"})
        elif answer and not waiting and (text := answer_text(run)):
            session.output.text(text)
    except OutputGoneError as error:
        session.gone = error
    if session.gone is not None:
        note(f"mainspring: error: {session.gone}; read the answer with: mainspring runs show {run.id}")
    usage = run.usage
    if waiting:
        for item in run.pending():
            note(f"{safe(item.tool, exact=True)} waits for you: {answer_hint(item.kind, item.id)}")
        why = f"{run.status.replace('_', ' ')} ({safe(run.reason)})" if run.reason else run.status
        note(f"{why}; go on with: mainspring runs resume {run.id}")
    elif run.status != "done":
        note(f"mainspring: error: run {run.id} {run.status}: {safe(run.reason)}")
    elif not quiet and not session.json:
        note(f"run {run.id}: {run.steps} steps, {count(usage.tokens)} tokens, {usd(usage.usd)}")
    if waiting:
        return WAITING
    return FAILED if run.status != "done" or session.gone is not None else 0
