"""The record of what was done is rewritten, so that nobody sees it."""

from __future__ import annotations

import json
import sqlite3
import zlib

from benchmarks.attacks.cases.approvals import asking
from benchmarks.attacks.hijacked import Hijacked
from benchmarks.attacks.world import ACCOUNT, Result, Tampered, World, case
from mainspring import Agent, Run
from mainspring.audit import verify
from mainspring.errors import MainspringError
from mainspring.store import close_stores, open_store
from mainspring.store.chain import GENESIS, Stored, link


def paid(world: World) -> None:
    """A run that paid the attacker with Ann's yes."""
    agent, run = asking(world, ("pay", {"account": ACCOUNT, "amount": 900}))
    run.pending()[0].approve(by="ann")
    run.resume_sync(agent)
    if not world.did("pay"):
        raise Tampered("nothing was paid")
    close_stores()


def rewritten(world: World, sql: str, *values: object, whole: bool) -> None:
    """Change the journal; with `whole`, write a chain over it as whoever has the file can."""
    with sqlite3.connect(world.home / "journal.db") as database:
        if database.execute(sql, values).rowcount < 1:
            raise Tampered(f"nothing was changed by {sql!r}")
        if whole:
            (number,) = database.execute("SELECT number FROM runs WHERE id='a'").fetchone()
            select = "SELECT at, kind, version, label, payload, blob FROM events WHERE run=? ORDER BY place"
            rows = database.execute(select, (number,)).fetchall()
            database.execute("DELETE FROM events WHERE run=?", (number,))
            insert = "INSERT INTO events (place,at,kind,version,label,payload,blob,hash) VALUES (?,?,?,?,?,?,?,?)"
            previous = GENESIS
            for seq, (at, kind, version, label, payload, blob) in enumerate(rows, 1):
                previous = link(previous, "a", seq, at, kind, version, label, Stored(payload, blob, None))
                values = ((number << 32) + seq, at, kind, version, label, payload, blob, previous)
                database.execute(insert, values)
            database.execute("UPDATE runs SET head_seq=?, head_hash=? WHERE id='a'", (len(rows), previous))
    database.close()


def unnoticed(world: World) -> Result:
    """Whether the change stays unseen: by the audit, or (the control) by somebody who only reads what is there."""
    try:
        if world.guarded:
            report = verify(open_store(world.home), home=world.home)
            return Result(report.ok, "; ".join(p.what[:90] for p in report.problems[:1]) or "nothing was found")
        events = Run.load("a", world.home).events()
    except MainspringError as error:
        return Result(False, str(error)[:90])
    return Result(ACCOUNT not in json.dumps([str(e.payload) for e in events]), f"{len(events)} events, none with it")


@case("a line of the journal is changed afterwards", "the journal is a chain of hashes")
def journal_line_changed(world: World) -> Result:
    paid(world)
    rewritten(world, "UPDATE events SET payload=replace(payload, ?, 'DE12')", ACCOUNT, whole=False)
    return unnoticed(world)


@case("the journal is rewritten with a whole new chain", "each end of a run is signed")
def journal_rewritten(world: World) -> Result:
    paid(world)
    rewritten(world, "UPDATE events SET payload=replace(payload, ?, 'DE12')", ACCOUNT, whole=True)
    return unnoticed(world)


@case("the payment's lines are taken out of the journal", "each end of a run is signed")
def journal_lines_removed(world: World) -> Result:
    paid(world)
    rewritten(world, "DELETE FROM events WHERE payload LIKE '%' || ? || '%'", ACCOUNT, whole=True)
    return unnoticed(world)


@case("the whole run is removed", "seals lie beside the database and name the run")
def run_removed(world: World) -> Result:
    paid(world)
    rewritten(world, "DELETE FROM runs WHERE id='a'", whole=False)
    if world.guarded:
        return unnoticed(world)
    return Result(not Run.list(world.home), "the list of runs is empty")


@case("the audit says that another person said yes", "what a person answered is in the signed chain")
def another_person_said_yes(world: World) -> Result:
    paid(world)
    rewritten(world, "UPDATE events SET payload=replace(payload, '\"ann\"', '\"ben\"')", whole=True)
    if world.guarded:
        return unnoticed(world)
    return Result("ben" in str([e.payload for e in Run.load("a", world.home).events()]), "the events name ben")


@case(
    "the journal is rewritten, and its signatures are thrown away", "a home that has signed before is known by its key"
)
def seals_removed(world: World) -> Result:
    paid(world)
    rewritten(world, "UPDATE events SET payload=replace(payload, ?, 'DE12')", ACCOUNT, whole=True)
    (world.home / "audit" / "seals.jsonl").unlink()
    return unnoticed(world)


@case("a long text is changed where the journal keeps long texts", "the chain holds the digest of what lies outside it")
def long_text_changed(world: World) -> Result:
    long = f"{ACCOUNT} " * 1000
    agent = Agent("clerk", model=Hijacked(["done"], [], []), tools=[world.pay], guard="tainted", grants=[])
    agent.run_sync(long, home=world.home, run_id="a")
    close_stores()
    with sqlite3.connect(world.home / "journal.db") as database:
        rows = database.execute("SELECT digest, data FROM blobs").fetchall()
        for digest, data in rows:
            text = data.encode() if isinstance(data, str) else data
            text = zlib.decompress(text) if text[:1] == b"\x78" else text
            if ACCOUNT.encode() not in text:
                raise Tampered("the long text is not where it was looked for")
            changed = text.replace(ACCOUNT.encode(), b"DE12")
            database.execute("UPDATE blobs SET data=? WHERE digest=?", (changed, digest))
        if not rows:
            raise Tampered("the journal keeps no long text apart")
        database.execute("UPDATE runs SET task='DE12'")
    database.close()
    return unnoticed(world)
