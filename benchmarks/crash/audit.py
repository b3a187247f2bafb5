"""Hold the journal against the witness, run by run."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.crash.jobs import payload_digest
from benchmarks.crash.plans import MAY_PARK, TOOLS, Plan
from benchmarks.crash.witness import Facts, Witness
from mainspring import Run
from mainspring.errors import RunNotFoundError, StoreError
from mainspring.store import Event, open_store

#: Counters of one settlement class.
CLASS_FIELDS = ("calls", "acts", "repeated", "adopted", "duplicates", "lost", "parked")


@dataclass
class Report:
    """Counters of one scenario, by class and in all, and every finding in words."""

    total: Counter[str] = field(default_factory=Counter)
    per_class: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    findings: list[str] = field(default_factory=list)

    def find(self, counter: str, run_id: str, text: str, settlement: str | None = None) -> None:
        """Count something that must not be, and say what."""
        self.total[counter] += 1
        if settlement is not None:
            self.per_class[settlement][counter] += 1
        self.findings.append(f"{counter}: run {run_id}: {text}")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "total": dict(self.total),
            "per_class": {k: dict(v) for k, v in self.per_class.items()},
            "findings": self.findings,
        }


def audit(plans: dict[str, Plan], home: Path, witness: Witness, acks: Path) -> dict[str, Any]:
    """Check all runs of a scenario."""
    report = Report()
    facts = witness.facts()
    told = acks.read_text().splitlines() if acks.exists() else []
    for run_id, plan in plans.items():
        lines = [line.split(" ") for line in told if line.split(" ")[1] == run_id]
        try:
            status = str(Run.load(run_id, home=home).status)
            events = list(open_store(home).events(run_id))
        except RunNotFoundError:
            report.find("lost", run_id, "the run itself is gone")
            continue
        try:
            open_store(home).verify(run_id)
        except StoreError as error:
            report.find("broken_chains", run_id, str(error))
        report.total["runs"] += 1
        report.total[f"ended_{status}"] += 1
        RunAudit(run_id, plan, status, events, facts, report).check(lines)
    return report.as_dict()


class RunAudit:
    """The checks of one run; what it finds goes to `report`."""

    def __init__(self, run_id: str, plan: Plan, status: str, events: list[Event], facts: Facts, report: Report) -> None:
        self.run_id, self.plan, self.status = run_id, plan, status
        self.facts, self.report, self.events = facts, report, events
        self.kinds: defaultdict[str, list[Event]] = defaultdict(list)
        for event in events:
            self.kinds[event.kind].append(event)
        self.intents = {e.seq: e for e in self.kinds["effect.intended"]}
        self.by_call: defaultdict[int, list[Event]] = defaultdict(list)
        for event in self.intents.values():
            self.by_call[int(event.payload["arguments"]["n"])].append(event)
        # An intent ends by its outcome or by a person's word; "did_not" sends it back to work.
        self.ends: defaultdict[int, list[Event]] = defaultdict(list)
        for event in self.kinds["effect.done"] + self.kinds["doubt.answered"]:
            if event.payload.get("answer") != "did_not":
                self.ends[event.payload["intent"]].append(event)
        self.aborted = {
            n
            for n, intents in self.by_call.items()
            if any(e.payload.get("answer") == "abort" for i in intents for e in self.ends[i.seq])
        }

    def check(self, told: list[list[str]]) -> None:
        """Compare everything; `told` holds what watchers and models were told, split into words."""
        self._acknowledged(told)
        for n, tool in self.plan.calls.items():
            self._call(n, tool, TOOLS[tool][0])
        self._approvals()
        self._doubts()
        if self.status not in ("done", "cancelled", "failed") or (self.status != "done" and not self.aborted):
            reason = self.events[-1].payload
            self._find("unsettled", f"ended as {self.status!r}: {reason}")

    def _find(self, counter: str, text: str, settlement: str | None = None) -> None:
        self.report.find(counter, self.run_id, text, settlement)

    def _acknowledged(self, told: list[list[str]]) -> None:
        """Everything that a watcher or a model was told is in the journal."""
        there = {(e.seq, e.kind, payload_digest(e.payload)) for e in self.events}
        answered = {e.payload["call_id"] for kind in ("effect.done", "call.refused") for e in self.kinds[kind]} | {
            self.intents[i].payload["call_id"] for i, ends in self.ends.items() if ends
        }
        answered |= {
            a.payload["call_id"]
            for a in self.kinds["approval.requested"]
            if any(
                e.payload["id"] == a.payload["id"] and e.payload["answer"] == "denied"
                for e in self.kinds["approval.answered"]
            )
        }
        for line in told:
            if line[0] == "event":
                self.report.total["acknowledged_events"] += 1
                if (int(line[2]), line[3], line[4]) not in there:
                    self._find("lost", f"event {line[2]} {line[3]} was announced and is not in the journal")
            elif line[0] == "seen" and line[2] not in answered:
                self._find("lost", f"the model saw an answer to {line[2]} that is not in the journal")

    def _call(self, n: int, tool: str, settlement: str) -> None:
        key = (self.run_id, n)
        seen = self.facts.reads[key] if settlement == "read" else self.facts.acts[key]
        intents = self.by_call[n]
        ends = [end for intent in intents for end in self.ends[intent.seq]]
        counts = self.report.per_class[settlement]
        counts["calls"] += 1
        counts["acts"] += seen
        tried = self.facts.attempts[key] if settlement == "keyed" else seen
        counts["repeated"] += max(0, tried - 1) if settlement in ("read", "keyed") else 0
        counts["adopted"] += sum(1 for e in ends if e.payload.get("settled") == "adopted")
        where = f"{tool} {n}"
        if settlement != "read" and seen > 1:
            self._find("duplicates", f"{where} acted {seen} times, keys {self.facts.keys[key]}", settlement)
        if seen and not intents:
            self._find("lost", f"{where} acted without an intent in the journal", settlement)
        if len(intents) > 1 or len(ends) > 1:
            text = f"{where} has {len(intents)} intents and {len(ends)} outcomes"
            self._find("duplicates", text, settlement)
        for event in ends:
            error = event.payload.get("is_error", False)
            if not seen and not error and n not in self.aborted:
                self._find("lost", f"{where} has an outcome, and the witness saw nothing", settlement)
            if error:
                self._find("errors", f"{where} answered {event.payload['content']}", settlement)
        owed = not self.plan.denied(n) or settlement == "read"
        if self.status == "done" and owed and n not in self.aborted and not (seen and ends):
            text = f"the run is done without {where}: {seen} acts, {len(ends)} outcomes"
            self._find("lost", text, settlement)

    def _approvals(self) -> None:
        asked = {e.payload["id"]: e.payload for e in self.kinds["approval.requested"]}
        answers = {e.payload["id"]: e.payload["answer"] for e in self.kinds["approval.answered"]}
        self.report.total["approvals"] += sum(1 for a in answers.values() if a == "approved")
        users: defaultdict[str, set[int]] = defaultdict(set)
        for n, intents in self.by_call.items():
            for event in intents:
                if event.payload["approval"] is not None:
                    users[event.payload["approval"]].add(n)
        for approval, numbers in users.items():
            acts = sum(self.facts.acts[self.run_id, n] for n in numbers)
            if len(numbers) > 1 or acts > 1:
                self._find("approvals_used_twice", f"{approval} let {acts} acts of calls {numbers} through")
        if self.plan.agent == "crash-asks":
            for n, tool in self.plan.calls.items():
                approved = any(answers.get(i) == "approved" and int(a["arguments"]["n"]) == n for i, a in asked.items())
                if self.facts.acts[self.run_id, n] and not approved:
                    self._find("acted_without_approval", f"{tool} {n}", TOOLS[tool][0])

    def _doubts(self) -> None:
        parked_at: dict[int, int] = {}
        for event in self.kinds["effect.parked"]:
            intent = self.intents.get(event.payload["intent"])
            if intent is None or intent.seq > event.seq:
                self._find("parked_without_intent", f"event {event.seq}: {event.payload}")
                continue
            settlement = intent.payload["settlement"]
            where = f"{intent.payload['tool']}, intent {intent.seq}"
            self.report.total["parked"] += 1
            self.report.per_class[settlement]["parked"] += 1
            if intent.payload["tool"] not in MAY_PARK:
                self._find("parked_needlessly", f"{where}: {event.payload['reason']}", settlement)
            if any(end.seq < event.seq for end in self.ends[intent.seq]):
                self._find("parked_needlessly", f"{where}: its outcome was known", settlement)
            before = parked_at.get(intent.seq)
            retried = [e for e in self.kinds["effect.retried"] if e.payload["intent"] == intent.seq]
            if before is not None and not any(before < e.seq < event.seq for e in retried):
                self._find("parked_needlessly", f"{where}: asked again, nothing having been tried", settlement)
            parked_at[intent.seq] = event.seq
