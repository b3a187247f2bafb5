"""What a record of memory is, and how one is read from its row."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from mainspring.errors import StoreError
from mainspring.label import Label, join_all

Kind: TypeAlias = Literal["note", "rule"]
Verdict: TypeAlias = Literal["trust", "distrust", "forget"]

#: Stands where a label cannot be read (damaged, or from a newer Mainspring): a stranger's, and nobody may read it.
UNREADABLE = Label(frozenset({"unreadable"}), frozenset())
#: A value of which nobody said who wrote it.
UNLABELLED = Label(frozenset({"unlabelled"}))
#: The source that a person's distrust adds.
DISTRUSTED = "distrusted"

COLUMNS = (
    "number, id, kind, person, agent, about, value, digest, label, effective, judged, run, tool, by, "
    "created_at, expires_at, forgotten_at"
)


@dataclass(frozen=True, slots=True)
class Record:
    """One thing remembered.

    Args:
        id: ``m_`` and 16 hexadecimal digits.
        kind: ``note``, or ``rule``: an instruction, which only a person writes.
        person, agent: whose it is; "" for nobody in particular, or for every agent of the person.
        about: its subject in a few words.
        value: text, or any JSON value; None when it was forgotten.
        written: its label when it was written.
        label: its label now: `written`, joined with those of its parents, or what a person made of it.
        judged: ``trust`` or ``distrust`` when a person spoke last, else "".
        run, tool, by: the run and the tool that wrote it, or the person.
        created_at, expires_at, forgotten_at: Unix times; the last two may be None.
        digest: SHA-256 (hex) of subject and value; "" when it was forgotten.
        parents: ids of the records that it may have been made from, and other references.
    """

    id: str
    kind: str
    person: str
    agent: str
    about: str
    value: Any
    written: Label
    label: Label
    judged: str
    run: str
    tool: str
    by: str
    created_at: float
    expires_at: float | None
    forgotten_at: float | None
    digest: str
    parents: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Its value as text: text as it is, anything else as JSON."""
        return as_text(self.value)

    @property
    def state(self) -> str:
        """``kept``, ``expired`` or ``forgotten``."""
        if self.forgotten_at is not None:
            return "forgotten"
        return "expired" if self.expires_at is not None and time.time() >= self.expires_at else "kept"

    @property
    def written_at(self) -> str:
        """When it was written, as a date and time in UTC."""
        return datetime.fromtimestamp(self.created_at, UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a person decided about a record, when and why, with its label before and after."""

    record: str
    at: float
    by: str
    why: str
    verdict: str
    before: Label
    after: Label


def as_text(value: Any) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def digest_of(about: str, value: str) -> str:
    """SHA-256 (hex) of a subject and a value in canonical JSON."""
    return hashlib.sha256(json.dumps([about, value]).encode()).hexdigest()


def read_label(text: str) -> Label:
    """A stored label; one that cannot be read fails closed instead of hiding the other records."""
    try:
        return Label.decode(text)
    except StoreError:
        return UNREADABLE


def read_row(row: tuple[Any, ...], parents: tuple[str, ...] = ()) -> Record:
    """A record from a row of `COLUMNS`."""
    _, id_, kind, person, agent, about, value, digest, label, effective, judged, run, tool, by = row[:14]
    return Record(
        id=id_,
        kind=kind,
        person=person,
        agent=agent,
        about=about,
        value=None if value is None else json.loads(value),
        written=read_label(label),
        label=read_label(effective),
        judged="" if judged is None else "distrust" if judged == DISTRUSTED else "trust",
        run=run,
        tool=tool,
        by=by,
        created_at=row[14],
        expires_at=row[15],
        forgotten_at=row[16],
        digest=digest,
        parents=parents,
    )


def effective_label(connection: sqlite3.Connection, id_: str) -> Label:
    """What a record's label is now: its own, joined with those of everything it was made from.

    A person's trust in a record is about its text as it stands, so its parents do not matter any more.
    """
    rows = connection.execute(
        "WITH RECURSIVE up (id) AS (SELECT ? UNION SELECT parents.parent FROM up JOIN records ON records.id = up.id "
        "JOIN parents ON parents.child = records.number WHERE records.judged IS NULL OR records.judged = ?) "
        "SELECT records.label, records.judged FROM up JOIN records ON records.id = up.id",
        (id_, DISTRUSTED),
    ).fetchall()
    return join_all(own_label(label, judged) for label, judged in rows) if rows else UNREADABLE


def own_label(label: str, judged: str | None) -> Label:
    """A record's label without its parents': as written, or what a person made of it."""
    if judged is None:
        return read_label(label)
    if judged == DISTRUSTED:
        return read_label(label).join(Label(frozenset({DISTRUSTED})))
    return read_label(judged)


def descendants(connection: sqlite3.Connection, id_: str) -> list[str]:
    """The record and all that was made from it, directly or not."""
    return [
        row[0]
        for row in connection.execute(
            "WITH RECURSIVE down (id) AS (SELECT ? UNION SELECT records.id FROM down "
            "JOIN parents ON parents.parent = down.id JOIN records ON records.number = parents.child) "
            "SELECT id FROM down",
            (id_,),
        )
    ]
