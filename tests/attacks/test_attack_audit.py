"""The audit under attack: a person with the files rewrites, drops, adds and sets back, without the key."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest

from mainspring import Agent, ScriptedModel, ToolCallPart, tool
from mainspring.audit import verify
from mainspring.store import close_stores, open_store
from mainspring.store.chain import GENESIS, Stored, link
from mainspring.store.keys import signer
from mainspring.store.seals import Seal, seal_path


@tool
def pay(to: str) -> str:
    """Pay somebody."""
    return "paid"


@pytest.fixture
def done(home: Path) -> Path:
    for run_id in ("a", "b"):
        agent = Agent("clerk", model=ScriptedModel([ToolCallPart("", "pay", {"to": "bob"}), "Done."]), tools=[pay])
        run = agent.run_sync("Pay", home=home, run_id=run_id)
        run.pending()[0].approve(by="ann")
        run.resume_sync()
    assert verify(open_store(home), home=home).ok
    close_stores()
    return home


def forge(home: Path, run_id: str, sql: str) -> None:
    """Change a run and write a whole new chain over it, as whoever has the file can."""
    with sqlite3.connect(home / "journal.db") as connection:
        (number,) = connection.execute("SELECT number FROM runs WHERE id=?", (run_id,)).fetchone()
        assert connection.execute(sql, (number,)).rowcount >= 1
        rows = connection.execute(
            "SELECT place, at, kind, version, label, payload, blob FROM events WHERE run=? ORDER BY place", (number,)
        ).fetchall()
        connection.execute("DELETE FROM events WHERE run=?", (number,))
        previous = GENESIS
        for seq, (_, at, kind, version, label, payload, blob) in enumerate(rows, 1):
            previous = link(previous, run_id, seq, at, kind, version, label, Stored(payload, blob, None))
            place = (number << 32) + seq
            connection.execute(
                "INSERT INTO events (place, at, kind, version, label, payload, blob, hash) VALUES (?,?,?,?,?,?,?,?)",
                (place, at, kind, version, label, payload, blob, previous),
            )
        connection.execute("UPDATE runs SET head_seq=?, head_hash=? WHERE id=?", (len(rows), previous, run_id))
    connection.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE events SET payload=replace(payload, '\"ann\"', '\"eve\"') WHERE run=? AND kind='approval.answered'",
        "DELETE FROM events WHERE run=? AND kind='approval.answered'",
        "DELETE FROM events WHERE run=? AND seq > 6",
        "UPDATE events SET at=at-86400 WHERE run=?",
        "UPDATE events SET label='{\"sources\":[]}' WHERE run=? AND kind='effect.done'",
    ],
)
def test_a_rewritten_history_with_a_chain_of_its_own(done: Path, sql: str) -> None:
    forge(done, "b", sql)
    store = open_store(done)
    store.verify("b")  # its own chain is sound
    report = verify(store, home=done)
    assert [p.where.split(",")[0] for p in report.problems] == ["run b"]


def test_seals_made_with_another_key(done: Path, tmp_path: Path) -> None:
    """The forger rewrites the run and signs the whole file anew with a key of their own that has the name of ours."""
    forge(done, "b", "UPDATE events SET at=at+1 WHERE run=?")
    (tmp_path / "forger").mkdir()
    key = signer(tmp_path / "forger")
    ours = signer(done).public.id
    store = open_store(done)
    previous, lines = GENESIS, []
    for n, text in enumerate(seal_path(done).read_text().splitlines(), 1):
        old = Seal.decode(json.loads(text))
        head = store.event(old.run, old.seq).hash
        bare = Seal(n, old.run, old.seq, head, old.at, previous, ours, "")
        seal = Seal.decode(bare.encode() | {"signature": key.sign(bare.signed())})
        lines.append(seal.line())
        previous = hashlib.sha256(seal.line()).hexdigest()
    seal_path(done).write_bytes(b"\n".join(lines) + b"\n")
    report = verify(store, home=done)
    assert report.problems[0].where.startswith("seal 1")
    assert all(r.state == "unsigned" for r in report.runs)  # none of these signatures counts


def test_a_seal_of_one_run_is_none_of_another(done: Path) -> None:
    lines = seal_path(done).read_bytes().splitlines()
    moved = [line.replace(b'"run":"a"', b'"run":"b"') for line in lines]
    seal_path(done).write_bytes(b"\n".join(moved) + b"\n")
    assert verify(open_store(done), home=done).problems[0].where.startswith("seal 1")


def test_a_signature_for_an_export_is_none_for_a_seal(done: Path) -> None:
    """Each purpose signs behind words of its own, so a line of an export cannot be passed off as a seal."""
    key = signer(done)
    fields = {"n": 1, "run": "a", "seq": 1, "head": "0" * 64, "at": 1.0, "previous": GENESIS, "key": key.public.id}
    body = json.dumps(fields, separators=(",", ":")).encode()
    for purpose in (b"", b"mainspring audit export 1\n"):
        seal = Seal.decode(fields | {"signature": key.sign(purpose + body)})
        assert not seal.signed_by(key.public)
    assert Seal.decode(fields | {"signature": key.sign(b"mainspring seal 1\n" + body)}).signed_by(key.public)


def test_a_removed_run_and_a_removed_revocation_are_missed(done: Path) -> None:
    store = open_store(done)
    store.revoke("eve", by="ann")
    close_stores()
    with sqlite3.connect(done / "journal.db") as connection:
        connection.execute("DELETE FROM runs WHERE id='a'")
        connection.execute("DROP TRIGGER revocations_are_kept")
        connection.execute("DELETE FROM revocations")
    connection.close()
    assert [p.where for p in verify(open_store(done), home=done).problems] == ["run a", "revocation 1"]


def test_control_characters_in_a_run_do_not_reach_the_terminal(home: Path) -> None:
    from mainspring.audit import Search, search
    from mainspring.cli.audit import _row

    evil = "\x1b[2J\u202e\x07"
    agent = Agent("clerk", model=ScriptedModel([ToolCallPart("", "pay", {"to": evil}), evil]), tools=[pay])
    run = agent.run_sync("Pay " + evil, home=home, run_id="a")
    run.pending()[0].deny(by="ann", reason=evil)
    run.resume_sync()
    shown = "".join(cell for record in search(open_store(home), Search()) for cell in _row(record))
    assert "ann" in shown
    assert not set(shown) & set(evil.replace("[2J", ""))
