"""Shows a working run on standard error: plain lines anywhere, or a live display in a terminal."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.cli.narrate import STYLES, Happening, Line, Narrator
from mainspring.cli.output import Output, mute
from mainspring.cli.render import bytes_text, cut, safe

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from mainspring.runtime.run import Run


class View(Protocol):
    """Somebody who watches a run."""

    def adopt(self, run: Run) -> None:
        """Begin with what a resumed run spent before."""

    def show(self, event: Happening) -> None:
        """Take note of one event. Must not raise for a reader that went away."""

    def pause(self) -> None:
        """Leave the terminal to somebody else (a question) until the next event."""

    def close(self) -> None:
        """Leave the terminal as it was found."""


def choose(*, quiet: bool, json: bool, output: Output, will_ask: bool = False) -> View:
    """The view that fits the person's wishes and their terminal.

    Args:
        will_ask: open questions are put to the person at this terminal, so the view need not spell them out.
    """
    if quiet or json:
        return Silent()
    # The answer goes to standard output; on a shared terminal it must not be read twice.
    narrator = Narrator(hide_answer=True, will_ask=will_ask)
    if sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb"):
        return LiveView(narrator)
    return PlainView(narrator)


class Silent:
    """Shows nothing."""

    def adopt(self, run: Run) -> None:
        """Nothing."""

    def show(self, event: Happening) -> None:
        """Nothing."""

    def pause(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class PlainView:
    """One line of text after another, for pipes, logs and dumb terminals."""

    def __init__(self, narrator: Narrator) -> None:
        self._narrator = narrator

    def adopt(self, run: Run) -> None:
        """Count on from what was spent."""
        self._narrator.adopt(run)

    def show(self, event: Happening) -> None:
        """Print the event's lines."""
        if event.kind == "delta":
            return
        for line in self._narrator.feed(event):
            self._print(line)

    def _print(self, line: Line) -> None:
        try:
            print(line.text, file=sys.stderr, flush=True)
        except (OSError, ValueError):
            mute(sys.stderr)

    def pause(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is held back."""


class LiveView:
    """Finished lines scroll by; under them, what is being said right now and what was spent."""

    _tail = 6  # lines of unfinished text to show

    def __init__(self, narrator: Narrator) -> None:
        from rich.console import Console

        from mainspring.models.local.progress import Progress

        self._downloads = Progress
        self._narrator = narrator
        # Markup, highlighting and emoji codes stay off: this text is not ours to interpret.
        self._console: Console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._live: Live | None = None
        self._said = ""
        self._saying = "say"

    def adopt(self, run: Run) -> None:
        """Count on from what was spent."""
        self._narrator.adopt(run)

    def show(self, event: Happening) -> None:
        """Print the event's lines above the live part and bring that up to date."""
        try:
            self._show(event)
        except (OSError, ValueError):
            self.close()
            mute(sys.stderr)

    def _show(self, event: Happening) -> None:
        if event.kind == "delta":
            self._hear(event.payload)
            self._start()
            return
        lines = self._narrator.feed(event)
        if event.kind in ("model.answered", "model.failed", "model.called"):
            self._said = ""
        for line in lines:
            self._console.print(self._text(line))
        if event.kind in ("run.ended", "run.waiting", "run.paused"):
            self.close()
        else:
            self._start()

    def _hear(self, payload: Any) -> None:
        style = {"thinking": "think", "call": "call"}.get(payload.get("kind", ""), "say")
        if style != self._saying:
            self._said, self._saying = "", style
        self._said = (self._said + str(payload.get("text", "")))[-4000:]

    def _text(self, line: Line) -> RenderableType:
        from rich.padding import Padding
        from rich.text import Text

        text = Text(line.text, style=STYLES[line.style])
        inside = 2 if line.style in ("call", "result", "error", "think", "spent") else 0
        return Padding(text, (0, 0, 0, inside), expand=False) if inside else text

    def _now(self) -> RenderableType:
        from rich.console import Group
        from rich.spinner import Spinner
        from rich.text import Text

        self._spinner: Any = getattr(self, "_spinner", None) or Spinner("dots", style="cyan")
        narrator = self._narrator
        self._spinner.update(
            text=Text.assemble(
                (cut(narrator.doing, 60), "bold"),
                ("  " + narrator.tally.text(time.time()), "dim"),
                overflow="ellipsis",
                no_wrap=True,
            )
        )
        if not self._said.strip():
            return Group(self._spinner)
        width = max(self._console.width - 2, 20)
        tail = [cut(line, width) for line in safe(self._said).rstrip().split("\n")[-self._tail :]]
        return Group(Text("\n".join("  " + line for line in tail), style=STYLES[self._saying]), self._spinner)

    def _start(self) -> None:
        if self._live is None:
            from rich.live import Live

            self._live = Live(console=self._console, get_renderable=self._now, refresh_per_second=8, transient=True)
            self._live.start()
            self._downloads.listener = self._fetching

    def _fetching(self, title: str, done: int, total: int) -> None:
        """A download that would draw its own bar over ours."""
        amount = f": {bytes_text(done)} of {bytes_text(total)}" if total else ""
        self._narrator.doing = safe(title) + amount

    def pause(self) -> None:
        """Take the live part away."""
        self.close()

    def close(self) -> None:
        """Take the live part away and give the cursor back."""
        live, self._live = self._live, None
        if live is not None:
            self._downloads.listener = None
            live.stop()
