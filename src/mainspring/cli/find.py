"""Runs and pending questions by the beginning of their id."""

from __future__ import annotations

import contextlib
import getpass
from typing import TYPE_CHECKING

from mainspring.cli.render import ago, cut, one_line, safe
from mainspring.errors import ApprovalError, RunNotFoundError

if TYPE_CHECKING:
    from mainspring.runtime.run import Pending, Run
    from mainspring.store import RunRow


_LISTED = 20
_SEARCHED = 10_000


def whoami() -> str:
    """The person at this terminal, as the journal will name them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no such user, as in some containers
        return "unknown"


def run_id(text: str) -> str:
    """The id of the one run that `text` begins, or whose last part it begins; ``last`` is the newest run.

    Raises:
        RunNotFoundError: no run, or more than one, begins like this; the message lists them.
    """
    from mainspring.store import open_store

    store = open_store()
    if text == "last":
        newest = store.rows(limit=1)
        if not newest:
            raise RunNotFoundError('there is no run yet; start one with: mainspring run "TASK"')
        row = newest[0]
        with contextlib.suppress(RunNotFoundError):  # it was imported without the run above it
            while _below(row, True) and row.parent is not None:  # who says last means what a person started
                row = store.row(row.parent)
        return row.id
    if not text:
        raise RunNotFoundError("no run was named; `mainspring runs` lists them")
    with contextlib.suppress(RunNotFoundError):
        return store.row(text).id
    # A sub-agent's id begins with that of the run that started it: whoever names the beginning means that one.
    rows = [r for r in store.rows(prefix=text, limit=_SEARCHED) if not _below(r, (r.parent or "").startswith(text))]
    if not rows:
        # Ids begin with the date, so the short way to name one is its random last part.
        found = [r for r in store.rows(limit=_SEARCHED) if r.id.rpartition("-")[2].startswith(text)]
        rows = [r for r in found if not _below(r, (r.parent or "").rpartition("-")[2].startswith(text))]
    if len(rows) == 1:
        return rows[0].id
    if not rows:
        raise RunNotFoundError(f"no run begins with {text!r}; `mainspring runs` lists them")
    listed = "\n".join(
        f"  {row.id}  {row.status:<9}  {ago(row.created_at):>6} ago  {one_line(row.task, 50)}" for row in rows[:_LISTED]
    )
    raise RunNotFoundError(f"several runs begin with {text!r}; give more of the id:\n{listed}")


def _below(row: RunRow, parent_matches: bool) -> bool:
    return parent_matches and row.parent is not None and row.id.startswith(row.parent + ".")


def load(text: str) -> Run:
    """The run that `text` names. Raises RunNotFoundError."""
    from mainspring.runtime.run import Run

    return Run.load(run_id(text))


def pending(text: str) -> Pending:
    """The open question whose id `text` begins (with or without ``ap_``), or the only one of the run it names.

    Raises:
        ApprovalError: none, or more than one; the message lists them.
    """
    from mainspring.runtime.run import Pending, Run
    from mainspring.store import open_store

    begins = (text, "ap_" + text)
    owners = {row.run_id for row in open_store().approvals(state="pending") if row.id.startswith(begins)}
    by_run: set[str] = set()
    try:
        by_run = {run_id(text.partition(":")[0])}
    except RunNotFoundError as error:
        if not owners and "several" in str(error):
            raise ApprovalError(str(error)) from None
    found = [p for owner in sorted(owners | by_run) for p in Run.load(owner).pending()]
    named = [p for p in found if p.id == text] or [p for p in found if p.id.startswith(begins)]
    found = named or [p for p in found if p.run_id in by_run]
    if len(found) == 1:
        return found[0]
    if not found:
        try:
            return Pending.load(text)  # says whether it was answered before, or is unknown
        except (ApprovalError, RunNotFoundError) as error:
            raise ApprovalError(f"{error}; `mainspring approvals` lists what is open") from None
    listed = "\n".join(f"  {p.id}  {p.kind}  {cut(safe(p.tool), 30)}  run {p.run_id}" for p in found)
    raise ApprovalError(f"several open questions match {text!r}; give more of the id:\n{listed}")
