"""Checks a home: every chain, every signature, and that they speak of the same runs.

What is wrong is a problem; what is not signed (yet), came from elsewhere, or was signed late is reported beside it and
is none. Reading needs no key but the public one, and goes on while runs write: the signatures are read first, so that
the journal holds at least what they speak of.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mainspring.errors import RunNotFoundError, StoreError
from mainspring.store import Imported, Seal, Store
from mainspring.store.chain import GENESIS
from mainspring.store.keys import PublicKey, known_keys, own_public, signer
from mainspring.store.seals import IMPORTED, REVOCATIONS, read_seals, seal_path

#: Called with seals and events checked so far, and in all.
Progress = Callable[[int, int], None]
_TOLD_EVERY = 500  # seals and events between two reports of progress


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was changed, or cannot be checked. `where` is the first bad place."""

    where: str
    what: str


@dataclass(slots=True)
class RunReport:
    """What was found of a run.

    Args:
        events: how many it has.
        signed: up to which of them signatures of this home reach.
        foreign: up to which of them it was imported; 0 for a run that began here.
        vouched: id of the known key whose signature came with the import and fits, or "".
        late: ranges of events that were signed only with what came after a crash, or by whoever resumed the run.
        problem: the first thing that is wrong, or None.
    """

    run_id: str
    events: int = 0
    signed: int = 0
    foreign: int = 0
    vouched: str = ""
    late: list[tuple[int, int]] = field(default_factory=list)
    problem: Problem | None = None

    @property
    def unsigned(self) -> int:
        """Events at the end that no signature covers."""
        return max(self.events - self.signed, 0)

    @property
    def state(self) -> str:
        """In one word or two: ``wrong``, ``foreign``, ``vouched``, ``unsigned``, ``signed`` or ``signed, open end``."""
        if self.problem is not None:
            return "wrong"
        if self.foreign and not self.vouched:
            return "foreign"
        if not self.signed:
            return "vouched" if self.vouched else "unsigned"
        return "signed" if not self.unsigned else "signed, open end"


@dataclass(slots=True)
class Report:
    """What was found of a home. `head` is the hash of its newest seal: keep it elsewhere, and compare."""

    runs: list[RunReport] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seals: int = 0
    head: str = ""

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return not self.problems

    def encode(self) -> dict[str, Any]:
        """As JSON-ready dict."""
        return {
            "ok": self.ok,
            "problems": [{"where": p.where, "what": p.what} for p in self.problems],
            "notes": self.notes,
            "seals": self.seals,
            "head": self.head,
            "runs": [
                {
                    "run_id": r.run_id,
                    "state": r.state,
                    "events": r.events,
                    "signed": r.signed,
                    "unsigned": r.unsigned,
                    "foreign": r.foreign,
                    "vouched": r.vouched,
                    "late": [list(pair) for pair in r.late],
                }
                for r in self.runs
            ],
        }


def sign(store: Store, run_id: str) -> Seal:
    """Sign where a run's journal ends now: when it waits, ends, or is let go. Raises StoreError; see `Store.seal`."""
    return store.seal(run_id)


def verify(
    store: Store,
    run_id: str | None = None,
    *,
    home: Path,
    key: PublicKey | None = None,
    head: str = "",
    progress: Progress | None = None,
) -> Report:
    """Check all runs of a home, or one.

    Args:
        key: believe this public key alone, and not those in the home.
        head: hash of a seal that somebody kept elsewhere: it must still be there.
        progress: told how far the check is.

    Raises:
        RunNotFoundError: there is no run `run_id`, and none was ever signed.
    """
    report = Report()
    keys = {key.id: key} if key is not None else _keys(home, report)
    meter = _Meter(progress, sum(1 for _ in read_seals(home)) if progress is not None else 0)
    seals = _check_seals(home, keys, head, report, meter)
    by_run: dict[str, list[Seal]] = {}
    for seal in seals:
        by_run.setdefault(seal.run, []).append(seal)
    _add_shared(store, by_run, keys)
    rows = {row.id: row.head_seq for row in store.rows(limit=1_000_000_000)}
    if run_id is not None:
        if run_id not in rows and run_id not in by_run:
            raise RunNotFoundError(f"there is no run {run_id!r}, and none of this name was ever signed")
        wanted = [run_id] if run_id in rows else []
        missing = [] if wanted else [run_id]
    else:
        wanted = list(reversed(rows))
        missing = [r for r in by_run if r not in rows and not r.startswith(":")]
    for gone in missing:
        last = max(by_run[gone], key=lambda s: s.seq)
        report.problems.append(
            Problem(f"run {gone}", f"{last.seq} events were signed (seal {last.n}), and the journal does not hold it")
        )
    meter.more(sum(rows[r] for r in wanted))
    for each in wanted:
        found = _check_run(store, each, by_run.get(each, []), keys, meter)
        report.runs.append(found)
        if found.problem is not None:
            report.problems.append(found.problem)
    meter.done()
    for each, said in by_run.items():
        name = each.removeprefix(IMPORTED)
        if each != name and name in wanted:
            _check_import(store, name, said[-1], report)
    if run_id is None:
        _check_revocations(store, by_run.get(REVOCATIONS, []), report)
    return report


class _Meter:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._count = progress, total, 0

    def more(self, steps: int) -> None:
        self._total += steps

    def step(self) -> None:
        self._count += 1
        if self._progress is not None and self._count % _TOLD_EVERY == 0:
            self._progress(self._count, max(self._total, self._count))

    def done(self) -> None:
        if self._progress is not None:
            self._progress(self._count, max(self._count, 1))


def _keys(home: Path, report: Report) -> Mapping[str, PublicKey]:
    try:
        own = own_public(home)
        if own is None and not (home / "keys" / "audit.key").exists():
            report.notes.append("this home has no signing key: nothing was signed here")
        elif (home / "keys" / "audit.key").exists():
            signer(home)  # says when others can read it, or when it is not the public key's
        else:
            report.notes.append(
                "the private signing key is gone: what was signed can be checked, and nothing more be signed"
            )
        return known_keys(home)
    except StoreError as error:
        report.problems.append(Problem("the signing key", str(error)))
        try:
            return known_keys(home)
        except StoreError:
            return {}


def _check_seals(home: Path, keys: Mapping[str, PublicKey], head: str, report: Report, meter: _Meter) -> list[Seal]:
    """The seals whose signature is good; the first thing that is wrong with the file is told."""
    good: list[Seal] = []
    problem: Problem | None = None
    previous, count, kept, clock = GENESIS, 0, False, 0.0
    for number, line in read_seals(home):
        meter.step()
        digest = hashlib.sha256(line).hexdigest()
        kept = kept or digest == head
        count = number
        try:
            seal = Seal.decode(json.loads(line))
            if seal.line() != line:
                raise StoreError("it is not written as Mainspring writes it")
        except (ValueError, RecursionError, StoreError) as error:
            problem = problem or Problem(f"seal {number}", f"the line cannot be read: {error}")
            previous = digest
            continue
        wrong = _seal_problem(seal, number, previous, keys)
        problem = problem or wrong
        if seal.key in keys and seal.signed_by(keys[seal.key]):
            good.append(seal)
            if seal.at < clock - 1:
                report.notes.append(f"seal {number}: the clock went back by {clock - seal.at:,.0f} s")
            clock = seal.at
        previous = digest
    if problem is not None:
        report.problems.append(problem)
    if not count and (home / "keys" / "audit.pub").exists():
        report.problems.append(Problem("the seals", f"{seal_path(home)} is gone, but this home has signed before"))
    if head and not kept:
        report.problems.append(
            Problem("the seals", f"none has the hash {head[:16]}... that was kept: the file was set back or swapped")
        )
    report.seals, report.head = count, previous if count else ""
    return good


def _add_shared(store: Store, by_run: dict[str, list[Seal]], keys: Mapping[str, PublicKey]) -> None:
    """Good seals over runs that other machines put beside a journal that they share with this one."""
    shared: Callable[[], Iterable[Seal]] | None = getattr(store, "shared_seals", None)
    theirs: dict[str, list[Seal]] = {}
    for seal in shared() if shared is not None else ():
        known = seal.run.startswith(":") or seal in by_run.get(seal.run, ())
        if not known and seal.key in keys and seal.signed_by(keys[seal.key]):
            theirs.setdefault(seal.run, []).append(seal)
    for run, found in theirs.items():
        by_run[run] = list(heapq.merge(by_run.get(run, []), found, key=lambda s: s.seq))


def _seal_problem(seal: Seal, number: int, previous: str, keys: Mapping[str, PublicKey]) -> Problem | None:
    where = f"seal {number} (run {seal.run}, event {seal.seq})"
    if seal.n != number:
        return Problem(where, f"its number is {seal.n}: a line before it is missing, was added or moved")
    if seal.previous != previous:
        return Problem(where, "it does not follow the line before it: that one was changed, or one is missing")
    key = keys.get(seal.key)
    if key is None:
        return Problem(where, f"it is signed by {seal.key}, which is not known here (mainspring audit trust FILE)")
    if not seal.signed_by(key):
        return Problem(where, "its signature does not fit: the line was changed or made by somebody else")
    return None


def _check_run(store: Store, run_id: str, seals: list[Seal], keys: Mapping[str, PublicKey], meter: _Meter) -> RunReport:
    found = RunReport(run_id)
    came: Imported | None = None
    try:
        came = store.imported(run_id)
        heads = {seal.seq: seal for seal in seals}
        vouch = came.seal if came is not None else None
        found.foreign = came.head_seq if came is not None else 0
        ordered = [seal.seq for seal in seals]
        for before, after in itertools.pairwise(seals):
            if after.seq < before.seq or (after.seq == before.seq and after.head != before.head):
                what = f"seal {after.n} signs event {after.seq} after seal {before.n} signed event {before.seq}"
                found.problem = Problem(f"run {run_id}", f"{what}: the journal was set back")
                return found
        for seq, kind, digest in store.chain(run_id):
            meter.step()
            found.events = seq
            if kind == "run.resumed" and seq - 1 > max(found.signed, found.foreign):
                found.late.append((max(found.signed, found.foreign) + 1, seq - 1))
            if seq in heads:
                if heads[seq].head != digest:
                    found.problem = Problem(
                        f"run {run_id}, events {found.signed + 1} to {seq}",
                        f"seal {heads[seq].n} signed another history: they were rewritten",
                    )
                    return found
                found.signed = seq
            if came is not None and seq == came.head_seq and digest != came.head_hash:
                found.problem = Problem(f"run {run_id}, event {seq}", "it is not what was imported")
                return found
            if vouch is not None and seq == vouch.seq and vouch.run == run_id and vouch.head == digest:
                key = keys.get(vouch.key)
                found.vouched = vouch.key if key is not None and vouch.signed_by(key) else ""
        if ordered and found.events < ordered[-1]:
            found.problem = Problem(
                f"run {run_id}, event {found.events + 1}",
                f"the journal ends at event {found.events}, but {ordered[-1]} were signed: it was set back or cut",
            )
    except StoreError as error:
        found.problem = Problem(_place(run_id, found.events), str(error))
    return found


def _check_import(store: Store, run_id: str, seal: Seal, report: Report) -> None:
    try:
        came = store.imported(run_id)
    except StoreError:
        return  # told of the run itself
    if came is None or (came.head_seq, came.head_hash) != (seal.seq, seal.head):
        what = f"seal {seal.n} says that events 1 to {seal.seq} came from elsewhere, and the journal does not"
        report.problems.append(Problem(f"run {run_id}", what))


def _place(run_id: str, events: int) -> str:
    return f"run {run_id}, event {events + 1}"


def _check_revocations(store: Store, seals: Iterable[Seal], report: Report) -> None:
    try:
        lines = {line.number: line.hash for line in store.revocations()}
    except StoreError as error:
        report.problems.append(Problem("the revocations", str(error)))
        return
    last = 0
    for seal in seals:
        last = max(last, seal.seq)
        if lines.get(seal.seq) != seal.head:
            what = "was rewritten" if seal.seq in lines else "is missing"
            report.problems.append(Problem(f"revocation {seal.seq}", f"it {what}: seal {seal.n} signed another one"))
            return
    if len(lines) > last:
        report.notes.append(f"the newest {len(lines) - last} revocations are not signed")
