"""Asks the person at the terminal what a run is waiting for."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mainspring.cli.find import whoami
from mainspring.cli.output import note
from mainspring.cli.render import argument_lines, clock, indent, safe
from mainspring.errors import ApprovalError

if TYPE_CHECKING:
    from mainspring.runtime.run import Pending, Run

_POLL_S = 1.0


class Later(Exception):
    """The person does not want to answer now, or cannot."""


class Elsewhere(Exception):
    """Somebody else answered while we asked."""


def can_ask() -> bool:
    """True when a person sits at both ends: standard input and standard error are terminals."""
    try:
        return os.isatty(0) and os.isatty(2)
    except OSError:
        return False


def answer_all(run: Run) -> bool:
    """Ask about everything that the run waits for.

    Returns:
        True when something was answered, here or elsewhere, so that the run can go on.
    """
    answered = False
    for pending in run.pending():
        try:
            _answer(run, pending)
            answered = True
        except Elsewhere:
            note("  answered elsewhere")
            answered = True
        except (Later, KeyboardInterrupt):
            note("")
            return answered
        except ApprovalError as error:
            note(f"  {safe(str(error))}")
    return answered


def describe(pending: Pending, limit: int | None = 2000) -> list[str]:
    """What is asked, for a person who has to decide: tool, every argument as it is, reason, expiry."""
    tool = safe(pending.tool, exact=True)
    head = f"{tool} needs your yes" if pending.kind == "approval" else f"{tool}: in doubt whether it happened"
    lines = [head, *indent("\n".join(argument_lines(pending.arguments, limit))).split("\n")]
    lines.append(f"  because: {safe(pending.reason, exact=True)}")
    if pending.expires_at is not None:
        lines.append(f"  expires: {clock(pending.expires_at)}")
    return [line for line in lines if line.strip()]


def _answer(run: Run, pending: Pending) -> None:
    _forget_typed()
    note("\n" + "\n".join("▌ " + line for line in describe(pending)))
    approval = pending.kind == "approval"
    question = (
        "▌ approve? [y]es, [n]o, [w]hy, [l]ater: "
        if approval
        else "▌ did it happen? [h]appened, [d]id not, [a]bort the run, [w]hy, [l]ater: "
    )
    while True:
        word = _ask(question, lambda: _open(run, pending)).strip().lower()
        if word in ("w", "why", "?"):
            note("\n".join("▌ " + line for line in _why(run, pending)))
        elif word in ("l", "later"):
            raise Later
        elif approval and word in ("y", "yes"):
            pending.approve(by=whoami())
            return
        elif approval and word in ("n", "no"):
            reason = _ask("▌ why not? (the agent is told; may be empty): ", lambda: True).strip()
            pending.deny(by=whoami(), reason=reason)
            return
        elif not approval and word in ("h", "happened"):
            value = _ask("▌ what did it return? (may be empty): ", lambda: True).strip()
            pending.settle("happened", by=whoami(), value=value or None)
            return
        elif not approval and word in ("d", "did not", "did-not"):
            pending.settle("did_not", by=whoami())
            return
        elif not approval and word in ("a", "abort"):
            pending.settle("abort", by=whoami())
            return
        # Anything else, an empty line too, decides nothing.


def _why(run: Run, pending: Pending) -> list[str]:
    lines = describe(pending, limit=None)[1:]
    lines.append(f"  run: {run.id} ({safe(run.agent_name)}), call digest {pending.digest}")
    lines.append(f"  asked: {clock(pending.requested_at)}")
    said = next((m.text for m in reversed(run.model_messages()) if m.role == "assistant" and m.text.strip()), "")
    if said:
        lines.append("  the agent said:")
        lines.extend("    " + line for line in safe(said.strip(), exact=True).split("\n"))
    return lines


def _open(run: Run, pending: Pending) -> bool:
    from mainspring.runtime.run import Run

    return any(p.id == pending.id for p in Run.load(run.id).pending())


def _forget_typed() -> None:
    """Drop keys typed before the question was on the screen: they cannot have been its answer."""
    try:
        import termios

        termios.tcflush(0, termios.TCIFLUSH)
    except (ImportError, OSError, ValueError):
        return


def _ask(question: str, still_open: Callable[[], bool]) -> str:
    """One line from the terminal. Raises Later at its end, and Elsewhere when the question was withdrawn."""
    sys.stderr.write(question)
    sys.stderr.flush()
    checked = time.monotonic()
    while True:
        ready, _, _ = select.select([0], [], [], _POLL_S)
        if ready:
            data = os.read(0, 65536)
            if not data:
                raise Later
            return data.decode("utf-8", "replace").split("\n", 1)[0]
        if time.monotonic() - checked >= _POLL_S:
            checked = time.monotonic()
            if not still_open():
                note("")
                raise Elsewhere
