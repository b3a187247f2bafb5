"""One lane: scenario after scenario, each a few runs that are started, killed, recovered and audited."""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.crash import jobs
from benchmarks.crash.audit import audit
from benchmarks.crash.plans import Plan, make_plan
from benchmarks.crash.process import Ended, Kill, Trace, Worker
from benchmarks.crash.witness import Witness
from benchmarks.crash.world import WITNESS_POINTS, declare
from mainspring import points

NAMES = points.POINTS + WITNESS_POINTS
ROUNDS = 60
LIMIT_S = 60.0
ENDED = ("done", "failed", "cancelled")
#: Points at which an effect is open, so that recovery has something to settle; and where it settles.
OPEN = ("intent.committed", "effect.before_act", "effect.acted", "outcome.before_commit", *WITNESS_POINTS[:3])
SETTLING = ("recovery.begun", "recovery.before_settle", "reconcile.asked", "recovery.settled", *OPEN)


@dataclass
class Chooser:
    """Picks how the next worker dies: at the point with the fewest kills so far, or at a random time."""

    rng: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    counts: defaultdict[str, defaultdict[str, deque[int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(lambda: deque(maxlen=20)))
    )
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(lambda: 0.1))

    def choose(self, role: str, effect_open: bool) -> Kill:
        """A kill for a worker in this role (``"start"``, ``"recovery"`` or ``"person"``)."""
        if self.rng.random() < 0.3:
            return Kill(after_s=self.rng.uniform(0.001, 1.1 * self.seconds[role]))
        known = self.counts[role]
        names = list(known) if known and self.rng.random() < 0.9 else list(NAMES)
        if role != "person" and self.rng.random() < 0.5:
            wanted = SETTLING if effect_open else OPEN
            names = [name for name in names if name in wanted] or list(wanted)
        fewest = min(self.kills[f"{role}:{name}"] for name in names)
        name = self.rng.choice([n for n in names if self.kills[f"{role}:{n}"] <= fewest + 1])
        most = self.rng.choice(known[name]) if name in known else 1
        return Kill(point=name, occurrence=self.rng.randint(1, most))

    def learn(self, role: str, ended: Ended) -> None:
        """Remember which points a worker in this role passes, and how long it lives."""
        if ended.point is not None:
            self.kills[f"{role}:{ended.point}"] += 1
        for name, count in ended.reached.items():
            self.counts[role][name].append(count)
        if ended.how == "ok":
            self.seconds[role] = 0.9 * self.seconds[role] + 0.1 * ended.seconds


@dataclass
class Scenario:
    """A few runs in one home, with a witness of their own."""

    plans: dict[str, Plan]
    home: Path
    witness: Witness
    acks: Path
    kills_left: int
    killed_before: bool = False
    effect_open: bool = False
    tally: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


class Lane:
    """Runs scenarios until its share of kills is done, sending a report after each."""

    def __init__(self, number: int, seed: int, folder: Path, home: Path, kills: int) -> None:
        self.number, self.seed, self.folder, self.home, self.kills = number, seed, folder, home, kills
        self.rng = random.Random(seed * 1000 + number)
        self.chooser = Chooser(self.rng)
        self.traces = (Trace(NAMES), Trace(NAMES))
        self.agents = declare()

    def run(self, send: Callable[[dict[str, Any]], None]) -> None:
        """Go through scenarios; the seed decides their plans and kinds of kills."""
        done = count = 0
        while done < self.kills:
            report = self._scenario(f"l{self.number}s{count}")
            done += report["total"].get("kills", 0)
            count += 1
            send(report)

    def _scenario(self, name: str) -> dict[str, Any]:
        witness = Witness(self.folder / name)
        witness.create()
        plans = {f"{name}r{i}": make_plan(self.rng) for i in range(self.rng.choice((1, 1, 1, 3)))}
        quota = self.rng.choice((1, 2, 2, 3, 4))
        it = Scenario(plans, self.home, witness, witness.folder / "acks.log", quota)
        self._play(it)
        checked = self._worker(it, "audit", lambda: audit(plans, it.home, witness, it.acks), None)
        report: dict[str, Any] = {"total": {}, "per_class": {}, "findings": []}
        if checked.how == "ok":
            report = checked.value
        else:
            it.tally["unsettled"] += 1
            it.findings.append(f"the audit of {name} failed: {checked.value}")
        report["findings"] = [f"{name}: {text}" for text in it.findings + report["findings"]]
        report["total"] = dict(Counter(report["total"]) + it.tally)
        return report

    def _play(self, it: Scenario) -> None:
        """Drive, kill, recover and answer until every run has ended, or the rounds are used up."""
        open_runs = dict(it.plans)
        for _ in range(ROUNDS):
            if it.findings:
                break  # a worker failed or hung: that is what the audit shall see
            rival = it.killed_before and self.rng.random() < 0.15
            ended = self._drive(it, open_runs, rival)
            if ended.how != "ok":
                continue
            open_runs = {r: p for r, p in open_runs.items() if ended.value[r] not in ENDED}
            if not open_runs:
                return
            if any(ended.value[r] in ("waiting", "in_doubt") for r in open_runs):
                self._answer(it, open_runs)
        it.findings.append(f"runs that reached no end: {sorted(open_runs)}")

    def _drive(self, it: Scenario, open_runs: dict[str, Plan], rival: bool) -> Ended:
        role = "recovery" if it.killed_before else "start"

        def job() -> dict[str, str]:
            return jobs.drive(open_runs, self.agents, it.home)

        if not rival:
            return self._worker(it, role, job, self._kill(it, role))
        it.tally["rivals"] += 1
        other = Worker(lambda reach: self._enter(it, reach, job), self.traces[1], None)
        ended = self._worker(it, role, job, self._kill(it, role))
        second = other.wait(LIMIT_S)
        if second.how != "ok":
            it.findings.append(f"a rival of {sorted(open_runs)} {second.how}: {second.value}")
        elif ended.how == "ok":
            for run_id, status in second.value.items():
                if ended.value[run_id] == "busy":
                    ended.value[run_id] = status
        return ended

    def _answer(self, it: Scenario, open_runs: dict[str, Plan]) -> None:
        kill = self._kill(it, "person") if self.rng.random() < 0.5 else None
        ended = self._worker(it, "person", lambda: jobs.answer(open_runs, it.home, it.witness), kill)
        if ended.how == "ok":
            it.tally["approvals_used_twice"] += ended.value["answered_twice"]

    def _kill(self, it: Scenario, role: str) -> Kill | None:
        if it.kills_left == 0 or self.rng.random() >= 0.85:
            return None
        return self.chooser.choose(role, it.effect_open)

    def _enter(self, it: Scenario, reach: Callable[[str], None], job: Callable[[], Any]) -> Any:
        jobs.enter(reach, it.witness, it.acks)
        return job()

    def _worker(self, it: Scenario, role: str, job: Callable[[], Any], kill: Kill | None) -> Ended:
        ended = Worker(lambda reach: self._enter(it, reach, job), self.traces[0], kill).wait(LIMIT_S)
        self.chooser.learn(role, ended)
        if ended.how == "killed":
            it.tally["kills"] += 1
            it.tally["point_kills" if ended.point is not None else "random_kills"] += 1
            it.tally[f"point:{ended.point}"] += ended.point is not None
            if role == "recovery":
                it.tally["second_kills"] += 1
            if role == "person":
                it.tally["person_kills"] += 1
            it.kills_left -= 1
            it.killed_before = True
            it.effect_open = ended.point in OPEN + SETTLING
        elif ended.how == "hung":
            it.tally["unsettled"] += 1
            it.findings.append(f"a worker ({role}) of {sorted(it.plans)} hung for {LIMIT_S:.0f} s")
        elif ended.how == "error" and role != "audit":
            it.tally["unsettled"] += 1
            it.findings.append(f"a worker ({role}) of {sorted(it.plans)} failed: {ended.value}")
        return ended
