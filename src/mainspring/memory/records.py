"""What a record of memory is, and how one is read from its row."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from mainspring.errors import StoreError
from mainspring.label import Label

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


def settled_labels(connection: sqlite3.Connection, roots: Sequence[str]) -> dict[str, Label]:
    """The labels of records and of everything made from them, by id: each its own, joined with those of its parents.

    A person's trust in a record is about its text as it stands, so its parents do not matter any more. The work is
    proportional to what was made from them, however deep; a circle, as an import may hold, settles too.
    """
    ids = json.dumps(descendants(connection, roots))
    own: dict[str, Label] = {}
    vouched = set()
    for each, label, judged in connection.execute(
        "SELECT id, label, judged FROM records WHERE id IN (SELECT value FROM json_each(?))", (ids,)
    ):
        own[each] = own_label(label, judged)
        if judged is not None and judged != DISTRUSTED:
            vouched.add(each)
    found = dict(own)
    children: dict[str, list[str]] = {}
    for child, parent, effective in connection.execute(
        "SELECT child.id, above.id, above.effective FROM records AS child JOIN parents ON parents.child = child.number "
        "JOIN records AS above ON above.id = parents.parent WHERE child.id IN (SELECT value FROM json_each(?))",
        (ids,),
    ):
        if child in vouched:
            continue
        if parent in own:
            children.setdefault(parent, []).append(child)
        else:
            found[child] = found[child].join(read_label(effective))
    changed = list(own)
    while changed:
        parent = changed.pop()
        for child in children.get(parent, ()):
            joined = found[child].join(found[parent])
            if joined != found[child]:
                found[child] = joined
                changed.append(child)
    return found


def own_label(label: str, judged: str | None) -> Label:
    """A record's label without its parents': as written, or what a person made of it."""
    if judged is None:
        return read_label(label)
    if judged == DISTRUSTED:
        return read_label(label).join(Label(frozenset({DISTRUSTED})))
    return read_label(judged)


def descendants(connection: sqlite3.Connection, ids: Sequence[str]) -> list[str]:
    """The records and all that was made from them, directly or not."""
    return [
        row[0]
        for row in connection.execute(
            "WITH RECURSIVE down (id) AS (SELECT value FROM json_each(?) UNION SELECT records.id FROM down "
            "JOIN parents ON parents.parent = down.id JOIN records ON records.number = parents.child) "
            "SELECT id FROM down",
            (json.dumps(list(ids)),),
        )
    ]
