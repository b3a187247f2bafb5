"""Journals of earlier versions import, verify, and mean for ever what they meant when they were written."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, Run, ScriptedModel, tool
from mainspring.messages import encode, user
from mainspring.runtime.events import KINDS
from mainspring.store import NewEvent, open_store

HERE = Path(__file__).parent
JOURNALS = sorted(HERE.glob("v*/*.jsonl"))

_spec = importlib.util.spec_from_file_location("golden_make", HERE / "make.py")
assert _spec is not None
assert _spec.loader is not None
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)


def lines(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_golden_journal_means_what_it_meant(journal: Path, tmp_path: Path) -> None:
    run = Run.import_(journal, tmp_path)
    count = sum("event" in line for line in lines(journal))
    assert run.verify() == len(run.events()) == count
    wanted = json.loads(journal.with_suffix(".json").read_text(encoding="utf-8"))
    found = json.loads(json.dumps(make.view(run)))
    for part, meaning in wanted.items():  # one at a time, for a difference that can be read
        assert found[part] == meaning, part
    assert set(found) - {"guard"} == set(wanted) - {"guard"}  # the first version knew no guard
    report = run.replay()
    assert report.identical, report.differences
    assert report.steps == sum(line.get("event", {}).get("kind") == "model.called" for line in lines(journal))
    out = tmp_path / "again.jsonl"
    run.export(out)
    # A yes that no call has used is void after an import: a person of this home has to say it.
    voided = [
        text.replace('"void":false', '"void":true') for text in (out.read_text("utf-8"), journal.read_text("utf-8"))
    ]
    assert voided[0] == voided[1]


def test_every_kind_and_version_occurs() -> None:
    found = {
        (line["event"]["kind"], line["event"]["version"]) for j in JOURNALS for line in lines(j) if "event" in line
    }
    assert {(kind, version) for kind, newest in KINDS.items() for version in range(1, newest + 1)} <= found


def test_every_journal_has_its_meaning_beside_it() -> None:
    assert len(JOURNALS) >= 17
    assert {p.with_suffix("") for p in JOURNALS} == {p.with_suffix("") for p in HERE.glob("v*/*.json")}


@pytest.mark.parametrize("field", ["system", "messages"])
def test_other_bytes_are_no_identical_replay(tmp_path: Path, field: str) -> None:
    """The comparison above can fail."""
    run = Run.import_(HERE / "v1" / "reread.jsonl", tmp_path)
    events = run.events()
    started = dict(events[0].payload)
    started[field] = "Other orders." if field == "system" else [encode(user("other words"))]
    store = open_store(tmp_path)
    told = [NewEvent(e.kind, started if e.seq == 1 else e.payload, e.label, e.version) for e in events]
    lease, appended = store.create("changed", told, agent="doubts", task="other")
    appended.done.result()
    store.release(lease)
    assert not Run.load("changed", tmp_path).replay().identical


def test_a_golden_run_that_waits_can_go_on(tmp_path: Path) -> None:
    paid: list[str] = []

    @tool(effect="irreversible")
    def pay(to: str, cents: int) -> str:
        paid.append(f"{to} {cents}")
        return "paid"

    run = Run.import_(HERE / "v1" / "waiting.jsonl", tmp_path)
    (pending,) = run.pending()
    assert pending.arguments == {"to": "dan", "cents": 4}
    agent = Agent("approvals", model=ScriptedModel(["-", "went on"]), tools=[pay])
    assert pending.expires_at is not None
    if time.time() >= pending.expires_at:  # the question has run out since; it is asked again
        run.resume_sync(agent)
        (pending,) = run.pending()
    pending.approve(by="ann")
    run.resume_sync(agent)
    assert (run.status, run.output, paid) == ("done", "went on", ["dan 4"])
    assert run.verify() == len(run.events())


def test_a_golden_doubt_can_be_settled(tmp_path: Path) -> None:
    run = Run.import_(HERE / "v1" / "in-doubt.jsonl", tmp_path)
    (doubt,) = run.pending()
    doubt.settle("happened", by="ann", value="paid 8")
    run.resume_sync(Agent("doubts", model=ScriptedModel(["-", "settled"]), tools=[make.pay]))
    assert (run.status, run.output) == ("done", "settled")
    assert run.replay().identical


@pytest.mark.parametrize("name", ["tools", "long", "people"])
def test_a_golden_run_can_be_forked(tmp_path: Path, name: str) -> None:
    run = Run.import_(HERE / "v1" / f"{name}.jsonl", tmp_path)
    fork = run.fork(1)
    assert fork.steps == 1
    assert fork.replay().identical
    assert fork.verify() == len(fork.events())


def documented_check() -> str:
    """The program in the documentation that checks a chain without Mainspring."""
    text = (HERE.parent.parent / "docs" / "journal.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(import hashlib.*?)```", text, re.DOTALL)
    return str(program)


def check(journal: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-c", documented_check(), str(journal)], capture_output=True, text=True
    )


def test_the_documented_check_passes_what_is_sound(tmp_path: Path) -> None:
    for journal in JOURNALS:
        done = check(journal)
        head = [line["event"]["hash"] for line in lines(journal) if "event" in line][-1]
        assert done.returncode == 0, (journal, done.stderr)
        assert done.stdout.endswith(f"events, head {head}\n")


def test_the_documented_check_finds_a_change(tmp_path: Path) -> None:
    sound = (HERE / "v1" / "tools.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    last = max(number for number, line in enumerate(sound) if line.startswith('{"event"'))
    for damaged in (
        [line.replace("Be brief.", "Be evil.") for line in sound],
        sound[:5] + sound[6:],
        sound[:last] + sound[last + 1 :],
    ):
        journal = tmp_path / "damaged.jsonl"
        journal.write_text("".join(damaged), encoding="utf-8")
        assert check(journal).returncode == 1


def test_every_kind_is_documented() -> None:
    text = (HERE.parent.parent / "docs" / "journal.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| (.*) \|$", text, re.MULTILINE))
    assert set(documented) == set(KINDS)
    events = [line["event"] for journal in JOURNALS for line in lines(journal) if "event" in line]
    missing = {(e["kind"], name) for e in events for name in e["payload"] if f"`{name}`" not in documented[e["kind"]]}
    assert missing == set()
