"""The gate before one provider's model: how much may go through it, shared by all runs of the process."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mainspring.config.sections import RateSettings
from mainspring.models.rates.line import Caller, Line, Place

#: How far a bucket fills up, in seconds of its rate. Providers count requests by the second, tokens by the minute; what
#: is missing to a second makes up for requests that overtake each other on their way.
REQUESTS_BURST_S = 0.8
TOKENS_BURST_S = 15.0
#: What a call is taken to write until some have been seen, in tokens.
FIRST_GUESS = 500.0
#: Share of the calls at once that is left when a provider that nothing was said of refuses one.
DECREASE = 0.7
#: Pauses after a refusal that names none: the first, and the longest, in seconds.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
#: Longest pause that one provider's word imposes on all other calls, in seconds.
MOST_ASKED_S = 3_600.0

_UNLIMITED = RateSettings()
_NOBODY = Caller()


class Bucket:
    """Fills at a rate, holds a burst. What is larger than the burst is let through when it is full, and owed."""

    def __init__(self, per_minute: float, burst_s: float, now: float) -> None:
        self.rate = per_minute / 60.0
        self.most = max(1.0, self.rate * burst_s)
        self._level = self.most
        self._at = now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken."""
        self._fill(now)
        missing = min(amount, self.most) - self._level
        return missing / self.rate if missing > 1e-9 else 0.0

    def take(self, amount: float, now: float) -> None:
        """Take it, whether it is there or not; a negative amount is given back."""
        self._fill(now)
        self._level = min(self.most, self._level - amount)

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self.most, self._level + (now - self._at) * self.rate)
            self._at = now


@dataclass(slots=True)
class Ticket:
    """One call that was let through. `ended` is set when it has been told how the call ended."""

    begun: float
    tokens: float
    guessed: float
    ended: bool = False


@dataclass(slots=True, eq=False)
class _Waiter:
    tokens: float
    loop: asyncio.AbstractEventLoop
    turn: asyncio.Event = field(default_factory=asyncio.Event)


class Gate:
    """Lets calls through as fast as its settings and the provider's own words allow. Safe from any thread and loop.

    Args:
        name: what it stands before, for people.
        settings: what a person has said; all None means that nothing is limited until the provider refuses.
        clock: seconds that only go on.
    """

    def __init__(
        self, name: str, settings: RateSettings = _UNLIMITED, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._line: Line[_Waiter] = Line()
        self._in_flight = 0
        self._paused_until = -math.inf
        self._refused_in_a_row = 0
        self._window: float | None = None  # calls at once, once the provider has refused one
        self._decreased_at = -math.inf
        self._writes = FIRST_GUESS
        self.settings = settings
        self._requests: Bucket | None = None
        self._tokens: Bucket | None = None
        self._at_once: int | None = None
        self._apply(settings)

    def configure(self, settings: RateSettings) -> None:
        """Hold to other settings from now on."""
        if settings != self.settings:
            with self._lock:
                self.settings = settings
                self._apply(settings)
                self._wake()

    def _apply(self, settings: RateSettings) -> None:
        now, share = self._clock(), settings.processes

        def bucket(per_minute: float | None, burst_s: float) -> Bucket | None:
            return None if per_minute is None else Bucket(per_minute / share, burst_s, now)

        self._requests = bucket(settings.requests_per_minute, REQUESTS_BURST_S)
        self._tokens = bucket(settings.tokens_per_minute, TOKENS_BURST_S)
        self._at_once = None if settings.at_once is None else max(1, settings.at_once // share)
        if self._requests or self._tokens or self._at_once or not settings.adapt:
            self._window = None

    # --- going through ---

    def try_enter(self, reads: float, most_written: int | None = None) -> Ticket | None:
        """Go through at once, if nobody waits and there is room. Costs next to nothing.

        Args:
            reads: tokens of the prompt, estimated.
            most_written: the call's own upper bound of output tokens.
        """
        with self._lock:
            now = self._clock()
            tokens = self._guess(reads, most_written)
            if len(self._line) or self._wait(tokens, now) > 0:
                return None
            return self._admit(tokens, now)

    async def enter(
        self, reads: float, most_written: int | None = None, caller: Caller = _NOBODY, longest_s: float = math.inf
    ) -> Ticket | None:
        """Wait for a turn and go through. Being cancelled gives the place up.

        Returns:
            None when the provider asked for a pause of which more than `longest_s` seconds are left.
        """
        waiter = _Waiter(0.0, asyncio.get_running_loop())
        with self._lock:
            waiter.tokens = self._guess(reads, most_written)
            place = self._line.push(waiter, caller, self._clock())
        try:
            while True:
                waiter.turn.clear()
                with self._lock:
                    now = self._clock()
                    if self._paused_until - now > longest_s:
                        return None
                    wait = math.inf
                    if self._line.first() is place:
                        wait = self._wait(waiter.tokens, now)
                        if wait <= 0:
                            self._line.pop()
                            return self._admit(waiter.tokens, now)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(waiter.turn.wait(), None if math.isinf(wait) else wait)
        finally:
            with self._lock:
                self._leave(place)

    def _leave(self, place: Place[_Waiter]) -> None:
        self._line.leave(place)
        self._wake()

    def _guess(self, reads: float, most_written: int | None) -> float:
        return reads + (self._writes if most_written is None else min(self._writes, most_written))

    def _wait(self, tokens: float, now: float) -> float:
        """Seconds until a call may go through; infinite while one has to end first."""
        if now < self._paused_until:
            return self._paused_until - now
        if self._at_once is not None and self._in_flight >= self._at_once:
            return math.inf
        if self._window is not None and self._in_flight >= int(self._window):
            return math.inf
        wait = 0.0
        if self._requests is not None:
            wait = self._requests.wait(1.0, now)
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait(tokens, now))
        return wait

    def _admit(self, tokens: float, now: float) -> Ticket:
        self._in_flight += 1
        if self._requests is not None:
            self._requests.take(1.0, now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)
        return Ticket(now, tokens, self._writes)

    def _wake(self) -> None:
        """Let whoever is first look again; called with the lock held."""
        while (place := self._line.first()) is not None:
            try:
                place.item.loop.call_soon_threadsafe(place.item.turn.set)
                return
            except RuntimeError:  # its loop was closed while it waited: nobody comes for this place
                self._line.leave(place)

    # --- coming back ---

    def answered(self, ticket: Ticket, read: int = 0, written: int = 0) -> None:
        """The call was answered, with so many tokens; 0 where the provider did not say."""
        with self._lock:
            if self._end(ticket):
                self._refused_in_a_row = 0
                if self._window is not None:
                    # One more at a time for each round of answers.
                    self._window += 1.0 / self._window
                if read + written > 0:
                    self._writes += 0.1 * (written - self._writes)
                    if self._tokens is not None:
                        self._tokens.take(read + written - ticket.tokens, self._clock())
                self._wake()

    def refused(self, ticket: Ticket, retry_after_s: float | None = None) -> None:
        """The provider said that there are too many calls: all wait as long as it asked for."""
        with self._lock:
            if not self._end(ticket):
                return
            now = self._clock()
            if ticket.begun > self._decreased_at:  # the first since the last decrease; others began before it
                self._refused_in_a_row += 1
                if self._adapts:
                    before = self._in_flight + 1 if self._window is None else min(self._window, self._in_flight + 1)
                    self._window = max(1.0, before * DECREASE)
                self._decreased_at = now
            if self._window is not None:
                self._window = max(1.0, min(self._window, self._in_flight))
            if retry_after_s is not None and retry_after_s >= 0:
                pause = min(retry_after_s, MOST_ASKED_S)
            else:
                pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (self._refused_in_a_row - 1))
            self._paused_until = max(self._paused_until, now + pause)
            if self._tokens is not None:
                self._tokens.take(-ticket.tokens, now)
            self._wake()

    def left(self, ticket: Ticket) -> None:
        """The call ended in another way, or was given up. Does nothing when it was said how it ended."""
        if not ticket.ended:
            with self._lock:
                self._end(ticket)
                self._wake()

    def _end(self, ticket: Ticket) -> bool:
        if ticket.ended:
            return False
        ticket.ended = True
        self._in_flight -= 1
        return True

    @property
    def _adapts(self) -> bool:
        return self.settings.adapt and not (self._requests or self._tokens or self._at_once)

    # --- for people ---

    def pause_left(self) -> float:
        """Seconds of the provider's pause that are left; 0 without one."""
        return max(0.0, self._paused_until - self._clock())

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return len(self._line)

    @property
    def in_flight(self) -> int:
        """Calls that were let through and have not ended."""
        return self._in_flight

    @property
    def window(self) -> int | None:
        """Calls at once that the provider was found to take; None where it never refused one."""
        return None if self._window is None else int(self._window)

    def why(self) -> str:
        """Why somebody waits here, in words."""
        if self.pause_left() > 0:
            return f"it asked for a pause, {self.pause_left():.0f} s are left"
        if self._at_once is not None and self._in_flight >= self._at_once:
            return f"{self._in_flight} calls at once is what [rates] allows"
        if self._window is not None and self._in_flight >= int(self._window):
            return f"{self._in_flight} calls at once is what it took so far"
        return f"[rates] allows no more now, {self.waiting} waiting"
