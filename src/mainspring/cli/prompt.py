"""Asks the person at the terminal what a run is waiting for."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mainspring.cli.find import whoami
from mainspring.cli.output import note
from mainspring.cli.question import SHOWN, question_lines
from mainspring.cli.render import clock, safe
from mainspring.errors import ApprovalError

if TYPE_CHECKING:
    from mainspring.runtime.pending import Asked
    from mainspring.runtime.run import Pending, Run
    from mainspring.store import ApprovalRow

_POLL_S = 1.0
_MOST_TIMES = 1_000_000


class Later(Exception):
    """The person does not want to answer now, or cannot."""


class Elsewhere(Exception):
    """Somebody else answered while we asked."""


class OthersMissing(Exception):
    """This person has said yes, and others have to as well."""


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
        except OthersMissing as error:
            note(f"  {error}")
        except (Later, KeyboardInterrupt):
            note("")
            return answered
        except ApprovalError as error:
            note(f"  {safe(str(error))}")
    return answered


def describe(pending: Pending, limit: int | None = SHOWN) -> list[str]:
    """What is asked, for a person who has to decide: the tool, every value with its origin, the reason, who decides."""
    try:
        asked = pending.asked()
        if not _grantable(pending, asked):
            asked = replace(asked, grant=None)
        return [line for line in question_lines(pending, asked, limit) if line.strip()]
    except ApprovalError as error:
        return [f"{safe(pending.tool, exact=True)} asks, and its question cannot be shown", f"  {safe(str(error))}"]


def _answer(run: Run, pending: Pending) -> None:
    asked = pending.asked()
    approval = pending.kind == "approval"
    if approval and _has_agreed(asked):
        raise OthersMissing(_missing(asked.missing))
    _forget_typed()
    note("\n" + "\n".join("▌ " + line for line in describe(pending)))
    grants = approval and _grantable(pending, asked)
    question = "▌ did it happen? [h]appened, [d]id not, [a]bort the run, [w]hy, [l]ater: "
    if approval:
        question = f"▌ approve? [y]es once,{' [g]rant,' if grants else ''} [n]o, [w]hy, [l]ater: "
    while True:
        word = _ask(question, lambda: _open(run, pending)).strip().lower()
        if word in ("w", "why", "?"):
            note("\n".join("▌ " + line for line in _why(run, pending)))
        elif word in ("l", "later"):
            raise Later
        elif approval and word in ("y", "yes"):
            _agreed(pending.approve(by=whoami(), channel=_channel()))
            return
        elif grants and word in ("g", "grant"):
            times = _times(asked)
            if times is not None:
                _agreed(pending.approve(by=whoami(), channel=_channel(), grant=True, times=times))
                return
        elif approval and word in ("n", "no"):
            reason = _ask("▌ why not? (the agent is told; may be empty): ", lambda: True).strip()
            pending.deny(by=whoami(), reason=reason, channel=_channel())
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


def _channel() -> dict[str, str]:
    from mainspring.runtime.pending import this_channel

    return this_channel("terminal")


def _has_agreed(asked: Asked) -> bool:
    """True when the person at this terminal has said yes before, so that only others can go on."""
    from mainspring.names import person_key

    return person_key(whoami()) in {person_key(name) for name in asked.approved_by}


def _grantable(pending: Pending, asked: Asked) -> bool:
    """A grant is offered for calls of tools; the question that an agent puts to a person is answered once."""
    from mainspring.runtime.calls import ASK_PERSON

    return asked.grant is not None and pending.tool != ASK_PERSON


def _times(asked: Asked) -> int | None:
    """How many further calls the grant is to cover; None when the person thinks better of it."""
    assert asked.grant is not None
    note(f"▌ besides this call the run may: {safe(asked.grant.shown(), exact=True)}")
    word = _ask("▌ for how many further calls? (a number; empty: none after all): ", lambda: True).strip()
    if not word:
        return None
    if not word.isdecimal() or not 1 <= int(word[:9]) <= _MOST_TIMES:
        note(f"▌ {safe(word[:40], exact=True)!r} is no number from 1 to {_MOST_TIMES:,}; nothing was decided")
        return None
    return int(word[:9])


def _agreed(row: ApprovalRow) -> None:
    if row.state == "pending":
        raise OthersMissing(_missing(row.people - len(row.approved_by)))


def _missing(number: int) -> str:
    have = "person has" if number == 1 else "people have"
    return f"you said yes; {number} more {have} to, before the call is made"


def _why(run: Run, pending: Pending) -> list[str]:
    lines = describe(pending, limit=None)[1:]
    lines.append(f"  agent: {safe(run.agent_name)}, call digest {pending.digest}")
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
