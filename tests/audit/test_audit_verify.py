"""A home is checked: what was changed, dropped, moved, added or set back is found, and the first bad place is named."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, Run, ScriptedModel, ToolCallPart, tool
from mainspring.audit import Report, sign, verify
from mainspring.errors import RunNotFoundError, StoreError
from mainspring.label import USER
from mainspring.store import NewEvent, Seal, SQLiteStore, close_stores, open_store
from mainspring.store.keys import read_public, signer, trust
from mainspring.store.seals import seal_path


@tool
def pay(to: str, amount: int) -> str:
    """Pay somebody."""
    return f"paid {amount} to {to}"


@contextlib.contextmanager
def nothing_is_signed() -> Iterator[None]:
    """As where the key cannot be used: a run goes on without."""

    def refuse(store: SQLiteStore, run_id: str) -> Seal:
        raise StoreError("no key")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLiteStore, "seal", refuse)
        yield


def begun(home: Path, run_id: str, *, signed: bool = True) -> Run:
    """A run that waits for a person, signed where it stopped."""
    script = [ToolCallPart("", "pay", {"to": "bob", "amount": 5}), "Paid."]
    agent = Agent("clerk", model=ScriptedModel(script), tools=[pay])
    with contextlib.nullcontext() if signed else nothing_is_signed():
        return agent.run_sync("Pay bob", home=home, run_id=run_id)


def finished(home: Path, run_id: str) -> Run:
    run = begun(home, run_id)
    run.pending()[0].approve(by="ann")
    run.resume_sync()
    return run


def check(home: Path, run_id: str | None = None, **more: Any) -> Report:
    """As a process would that has just begun."""
    close_stores()
    return verify(open_store(home), run_id, home=home, **more)


def edit(home: Path, sql: str, *values: object) -> None:
    close_stores()
    with sqlite3.connect(home / "journal.db") as connection:
        assert connection.execute(sql, values).rowcount != 0
    connection.close()


def lines(home: Path) -> list[bytes]:
    return seal_path(home).read_bytes().splitlines(keepends=True)


def test_a_sound_home(home: Path) -> None:
    counts = [len(finished(home, "a").events()), len(begun(home, "b").events())]
    told: list[tuple[int, int]] = []
    report = check(home, progress=lambda done, total: told.append((done, total)))
    assert report.ok, report.problems
    assert [(r.run_id, r.state, r.unsigned) for r in report.runs] == [("a", "signed", 0), ("b", "signed", 0)]
    total = sum(counts) + len(lines(home))
    assert told[-1] == (total, total)
    assert report.seals == len(lines(home))
    assert check(home, "a").runs[0].events == counts[0]
    assert check(home, head=report.head).ok
    json.dumps(report.encode())


def test_an_empty_home(home: Path) -> None:
    report = check(home)
    assert report.ok
    assert report.runs == []
    assert report.notes == ["this home has no signing key: nothing was signed here"]
    with pytest.raises(RunNotFoundError):
        check(home, "x")


def test_an_unsigned_tail_is_reported_and_not_wrong(home: Path) -> None:
    run = begun(home, "a")
    signed = len(run.events())
    run.pending()[0].deny(by="ann")
    with nothing_is_signed():
        run.resume_sync()
    (found,) = check(home).runs
    total = len(Run.load("a", home).events())
    assert (found.state, found.signed, found.unsigned) == ("signed, open end", signed, total - signed)
    begun(home, "b", signed=False)
    report = check(home)
    assert report.ok
    assert [r.state for r in report.runs] == ["signed, open end", "unsigned"]


def test_what_was_not_signed_where_it_stopped_is_named(home: Path) -> None:
    """Somebody who appends to a run at rest is not covered up by the run's next seal."""
    run = begun(home, "a", signed=False)
    stopped = len(run.events())
    run.pending()[0].approve(by="ann")
    run.resume_sync()
    (found,) = check(home).runs
    assert (found.state, found.late) == ("signed", [(1, stopped)])
    assert check(home).ok


REWRITE = """
    import sys
    from pathlib import Path
    from mainspring.store import SQLiteStore
    from mainspring.store.chain import GENESIS, encode_payload, link
    import sqlite3

    home = Path(sys.argv[1])
    connection = sqlite3.connect(home / "journal.db")
    number = connection.execute("SELECT number FROM runs WHERE id='a'").fetchone()[0]
    connection.execute("UPDATE events SET payload=replace(payload, 'bob', 'eve') WHERE run=?", (number,))
    previous, rows = GENESIS, connection.execute(
        "SELECT seq, at, kind, version, label, payload FROM events WHERE run=? ORDER BY seq", (number,)).fetchall()
    from mainspring.store.chain import Stored
    for seq, at, kind, version, label, payload in rows:
        previous = link(previous, "a", seq, at, kind, version, label, Stored(payload, None, None))
        connection.execute("UPDATE events SET hash=? WHERE run=? AND seq=?", (previous, number, seq))
    connection.execute("UPDATE runs SET head_hash=? WHERE id='a'", (previous,))
    connection.commit()
    assert SQLiteStore(home).verify("a") == len(rows)
"""


def test_a_history_with_a_chain_of_its_own_is_found(home: Path) -> None:
    """Whoever can write the file can write a whole new chain; the signature is not theirs."""
    finished(home, "a")
    close_stores()
    subprocess.run([sys.executable, "-c", textwrap.dedent(REWRITE), str(home)], check=True)
    (problem,) = check(home).problems
    assert problem.where.startswith("run a, events 1 to ")
    assert "rewritten" in problem.what


def test_a_changed_line_is_found_with_its_place(home: Path) -> None:
    finished(home, "a")
    finished(home, "b")
    edit(home, "UPDATE events SET payload=replace(payload, 'bob', 'eve') WHERE run=2 AND kind='effect.intended'")
    (problem,) = check(home).problems
    seq = next(e.seq for e in Run.load("b", home).events() if e.kind == "effect.intended")
    assert problem.where == f"run b, event {seq}"
    assert check(home, "a").ok


def test_a_database_that_was_set_back_is_found(home: Path, tmp_path: Path) -> None:
    run = begun(home, "a")
    before = len(run.events())
    close_stores()
    kept = tmp_path / "kept"
    kept.mkdir()
    for path in home.glob("journal.db*"):
        shutil.copy(path, kept / path.name)
    Run.load("a", home).pending()[0].approve(by="ann")
    Run.load("a", home).resume_sync()
    finished(home, "b")
    close_stores()
    for path in home.glob("journal.db*"):
        path.unlink()
    for path in kept.iterdir():
        shutil.copy(path, home / path.name)
    report = check(home)
    assert {p.where for p in report.problems} == {f"run a, event {before + 1}", "run b"}
    assert "set back or cut" in next(p.what for p in report.problems if p.where.startswith("run a"))
    # Going on from the older copy does not cover it up.
    Run.load("a", home).pending()[0].deny(by="eve")
    Run.load("a", home).resume_sync()
    assert any(p.where.startswith("run a") for p in check(home).problems)


def test_a_swapped_database_is_found(home: Path, tmp_path: Path) -> None:
    begun(home, "a")
    begun(tmp_path / "other", "z")
    close_stores()
    for path in home.glob("journal.db*"):
        path.unlink()
    for path in (tmp_path / "other").glob("journal.db*"):
        shutil.copy(path, home / path.name)
    report = check(home)
    assert [p.where for p in report.problems] == ["run a"]
    assert [(r.run_id, r.state) for r in report.runs] == [("z", "unsigned")]
    assert check(home, "a").problems[0].where == "run a"


TAMPERINGS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "changed": (lambda x: [x[0], x[1].replace(b'"seq":', b'"seq":1'), *x[2:]], "seal 2"),
    "signature": (lambda x: [x[0], x[1][:-8] + b'0000"}\n', *x[2:]], "seal 2"),
    "first dropped": (lambda x: x[1:], "seal 1"),
    "middle dropped": (lambda x: [x[0], *x[2:]], "seal 2"),
    "swapped": (lambda x: [x[1], x[0], *x[2:]], "seal 1"),
    "doubled": (lambda x: [x[0], x[0], *x[1:]], "seal 2"),
    "space": (lambda x: [x[0].replace(b":", b": ", 1), *x[1:]], "seal 1"),
    "garbage": (lambda x: [*x[:2], b"hello\n", *x[2:]], "seal 3"),
    "gone": (lambda x: [], "the seals"),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_changed_file_of_seals_is_found(home: Path, tampering: str) -> None:
    for name in "abcd":
        begun(home, name)
    change, where = TAMPERINGS[tampering]
    assert check(home).ok
    seal_path(home).write_bytes(b"".join(change(lines(home))))
    first = check(home).problems[0]
    assert first.where.startswith(where), first


def test_seals_cut_off_at_the_end_are_unsigned_and_missed_by_whoever_kept_the_head(home: Path) -> None:
    begun(home, "a")
    begun(home, "b")
    kept = check(home).head
    seal_path(home).write_bytes(lines(home)[0])
    report = check(home)
    assert report.ok
    assert [r.state for r in report.runs] == ["signed", "unsigned"]
    assert [p.where for p in check(home, head=kept).problems] == ["the seals"]


def test_a_seal_by_another_key_is_found(home: Path, tmp_path: Path) -> None:
    begun(home, "a")
    begun(home, "b")
    shutil.copytree(home / "keys", tmp_path / "keys")
    shutil.rmtree(home / "keys")
    begun(home, "c")  # with a new key
    report = check(home)
    assert report.problems[0].where.startswith("seal 1 (run a")
    assert "is not known here" in report.problems[0].what
    trust(home, tmp_path / "keys" / "audit.pub")
    assert check(home).ok  # a person says that it was theirs
    mine = read_public(tmp_path / "keys" / "audit.pub")
    assert check(home, key=mine).problems[0].where.startswith("seal 3")


def test_a_key_that_others_can_read_is_reported(home: Path) -> None:
    begun(home, "a")
    (home / "keys" / "audit.key").chmod(0o644)
    report = check(home)
    assert [p.where for p in report.problems] == ["the signing key"]
    assert report.runs[0].state == "signed"
    (home / "keys" / "audit.key").unlink()
    report = check(home)
    assert report.ok
    assert "private signing key is gone" in report.notes[0]


def test_a_clock_that_goes_back_is_noted_and_not_wrong(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(home, "a")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 7200)
    finished(home, "b")
    monkeypatch.undo()
    report = check(home)
    assert report.ok, report.problems
    assert any("clock went back" in n for n in report.notes)


def test_a_changed_list_of_revocations_is_found(home: Path) -> None:
    store = open_store(home)
    store.revoke("eve", by="ann")
    store.revoke("dan", by="ann")
    assert check(home).ok
    edit(home, "DROP TRIGGER revocations_are_kept")
    edit(home, "DELETE FROM revocations WHERE number=2")
    assert [p.where for p in check(home).problems] == ["revocation 2"]
    edit(home, "DELETE FROM revocations WHERE number=1")
    assert [p.where for p in check(home).problems] == ["revocation 1"]


# --- runs from elsewhere ---


def moved(home: Path, other: Path, *, signed: bool) -> Run:
    run = finished(home, "a") if signed else begun(home, "a", signed=False)
    run.export(home / "run.jsonl")
    return Run.import_(home / "run.jsonl", other)


@pytest.mark.parametrize("signed", [True, False])
def test_an_imported_run_is_foreign_until_its_key_is_believed(home: Path, tmp_path: Path, signed: bool) -> None:
    other = tmp_path / "other"
    count = len(moved(home, other, signed=signed).events())
    (found,) = check(other).runs
    assert (found.state, found.foreign, found.vouched) == ("foreign", count, "")
    sign(open_store(other), "a")  # our own signature does not make it ours
    assert check(other).runs[0].state == "foreign"
    signer(home)
    trust(other, home / "keys" / "audit.pub")
    (found,) = check(other).runs
    assert check(other).ok
    assert found.vouched == (read_public(home / "keys" / "audit.pub").id if signed else "")
    assert found.state == ("signed" if signed else "foreign")


def test_a_forged_seal_in_an_import_vouches_for_nothing(home: Path, tmp_path: Path) -> None:
    finished(home, "a").export(home / "run.jsonl")
    exported = [json.loads(line) for line in (home / "run.jsonl").read_text().splitlines()]
    for field, value in (("head", "f" * 64), ("seq", 2), ("run", "b"), ("signature", "0" * 128)):
        other = tmp_path / f"other-{field}"
        exported[-1] = {"seal": exported[-1]["seal"] | {field: value}}
        (tmp_path / "x.jsonl").write_text("".join(json.dumps(line) + "\n" for line in exported))
        Run.import_(tmp_path / "x.jsonl", other)
        signer(other)
        trust(other, home / "keys" / "audit.pub")
        assert check(other).runs[0].state == "foreign", field


def test_a_foreign_run_cannot_be_passed_off_as_ours(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    moved(home, other, signed=False)
    sign(open_store(other), "a")
    assert check(other).ok
    for sql in ("UPDATE imports SET head_seq=2", "DELETE FROM imports"):
        edit(other, sql)
        assert "run a" in {p.where for p in check(other, "a").problems}
        assert "came from elsewhere" in check(other).problems[-1].what


@pytest.mark.parametrize("name", [":revocations", ":imported:b", "a:b", "", "x" * 201])
def test_no_import_takes_a_name_of_ours(home: Path, tmp_path: Path, name: str) -> None:
    """A run called like the list of revocations would be sealed as if it were the list."""
    finished(home, "a").export(home / "run.jsonl")
    header, *rest = (home / "run.jsonl").read_text().splitlines(keepends=True)
    said = json.loads(header)
    said["run"]["id"] = name
    (tmp_path / "x.jsonl").write_text(json.dumps(said) + "\n" + "".join(rest))
    with pytest.raises(StoreError, match="is no run's id"):
        Run.import_(tmp_path / "x.jsonl", tmp_path / "other")


# --- while runs write ---

WRITE = """
    import sys
    from pathlib import Path
    from mainspring.store import NewEvent, SQLiteStore
    store = SQLiteStore(Path(sys.argv[1]))
    lease, made = store.create("busy", [NewEvent("run.started", {"n": 0})], agent="a", task="t")
    made.done.result()
    print("ready", flush=True)
    while True:
        store.append(lease, [NewEvent("message.added", {"n": 1})] * 3).done.result()
        store.seal("busy")
"""


def test_checking_goes_on_while_runs_write(home: Path) -> None:
    finished(home, "a")
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITE), str(home)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        seen = set()
        for _ in range(15):
            report = check(home)
            assert report.ok, report.problems
            seen.add(next(r.events for r in report.runs if r.run_id == "busy"))
        assert len(seen) > 1
    finally:
        writer.kill()
        writer.wait()
    assert check(home).ok  # killed in the middle: the rest is unsigned, nothing is wrong


def test_a_line_appended_by_somebody_without_the_key(home: Path) -> None:
    run = begun(home, "a")
    signed = len(run.events())
    close_stores()
    forger = SQLiteStore(home)
    lease = forger.acquire("a")
    forger.append(lease, [NewEvent("message.added", {"by": "user"}, USER)]).done.result()
    forger.close()
    (found,) = check(home).runs
    assert (found.signed, found.unsigned) == (signed, 1)
