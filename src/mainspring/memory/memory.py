"""The memory of a home: records that only grow dirtier, unless a person says otherwise."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.errors import StoreError, ToolError
from mainspring.label import Label
from mainspring.memory.meaning import embedder_at_hand
from mainspring.memory.ranking import HALF_LIFE_S
from mainspring.memory.records import (
    DISTRUSTED,
    Judgement,
    Kind,
    Record,
    Verdict,
    descendants,
    digest_of,
    read_label,
)
from mainspring.memory.scope import Scope, visible
from mainspring.memory.searching import Searching

if TYPE_CHECKING:
    from mainspring.library.embed.protocol import Embedder

#: Largest value, in characters of JSON; a record is a note, not a document.
MAX_CHARS = 65_536
MAX_ABOUT = 500
#: Most records that one run may write, so that a hijacked model cannot fill the disk.
MAX_PER_RUN = 1_000

_PERSON = re.compile(r"[^\s\x00-\x1f\x7f]{1,100}\Z")


def open_memory(home: Path, *, meaning: Embedder | bool = False, half_life_s: float | None = HALF_LIFE_S) -> Memory:
    """The memory of a home; close it after use, or use it in a `with` block.

    Args:
        meaning: search by meaning as well as by words, with this encoder; True for the embedded one, if it is there.
        half_life_s: see `Memory`.

    Raises:
        StoreError: it cannot be opened.
    """
    embedder = embedder_at_hand() if meaning is True else meaning or None
    return Memory(home / "memory.sqlite", embedder, half_life_s=half_life_s)


class Memory(Searching):
    """Records in one SQLite file. Safe to use from several threads and processes at once.

    Args:
        path: the file.
        embedder: makes records findable by meaning, with vectors in a folder beside the file; None for words only.
        half_life_s: how fast older records fall behind newer ones that fit as well, in seconds; None: not at all.

    Raises:
        StoreError: the file or the vectors cannot be opened.
    """

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(
        self,
        value: Any,
        label: Label,
        *,
        about: str = "",
        scope: Scope | None = None,
        kind: Kind = "note",
        key: str | None = None,
        run: str = "",
        tool: str = "",
        by: str = "",
        parents: Sequence[str] = (),
        keep_s: float | None = None,
        most: int = MAX_PER_RUN,
    ) -> Record:
        """Write a record. It is on disk when this returns.

        Args:
            value: text or any JSON value.
            label: who may have written the value, the subject, and the choice to write it.
            key: idempotency key: a second call under it writes nothing and returns the first one's record.
            run, tool: what writes it; `by`: the person who does. A rule has a person and no tool.
            parents: ids of records that it was made from: its label is never cleaner than theirs. Whatever the run
                was told by memory before counts as a parent as well.
            keep_s: seconds after which it is not recalled any more; None keeps it.
            most: so many records may a run write.

        Raises:
            ToolError: the value, the subject or a parent cannot be used.
            StoreError: the disk is full, or the file is damaged.
        """
        scope = scope or Scope()
        text = _checked(value, about, keep_s)
        if kind == "rule" and (tool or not by or not label.trusted):
            raise ToolError("a rule is written by a person, not by a tool: mainspring memory add --rule")
        id_ = "m_" + (hashlib.sha256(key.encode()).hexdigest()[:16] if key else secrets.token_hex(8))
        now = time.time()
        with self.transaction() as db:
            if key is not None and db.execute("SELECT 1 FROM records WHERE key=?", (key,)).fetchone():
                return self._repeated(id_, digest_of(about, text))
            self._check_parents(parents, scope)
            if run:
                self._check_count(run, most)
            heard = [r[0] for r in db.execute("SELECT record FROM heard WHERE run=?", (run,))] if run else []
            fields: dict[str, Any] = {"id": id_, "key": key, "kind": kind, "person": scope.person, "agent": scope.agent}
            fields |= {"about": about, "value": text, "digest": digest_of(about, text), "run": run, "tool": tool}
            fields |= {"by": by, "created_at": now, "expires_at": None if keep_s is None else now + keep_s}
            self.insert(fields, label, (*parents, *heard))
            self.settle(id_)
        return self.get(id_)

    def get(self, id_: str) -> Record:
        """The record whose id `id_` begins, with or without ``m_``. Raises StoreError: none, or several."""
        if id_ in ("", "m_"):  # with a single record it would mean that one
            raise StoreError("the id is empty; `mainspring memory list` lists the records")
        begins = id_ if id_.startswith("m_") else f"m_{id_}"
        rows = self.rows("id >= ? AND id < ? ORDER BY id LIMIT 10", (begins, begins + "g"))
        exact = [r for r in rows if r.id == begins]
        if len(exact or rows) == 1:
            return (exact or rows)[0]
        if not rows:
            raise StoreError(f"no record begins with {id_!r}; `mainspring memory list` lists them")
        raise StoreError(f"several records begin with {id_!r}: {', '.join(r.id for r in rows)}; give more of the id")

    def records(self, scope: Scope | None = None, *, limit: int = -1, gone: bool = False) -> list[Record]:
        """Records, newest first.

        Args:
            scope: only what this person's agent can see; None for everything.
            limit: at most so many; -1 for all.
            gone: expired and forgotten ones as well.
        """
        where, values = visible(scope, gone)
        return self.rows(f"{where} ORDER BY number DESC LIMIT ?", (*values, limit))

    def rules(self, scope: Scope) -> list[Record]:
        """The rules that people wrote for this scope, oldest first, as far as their label is still trusted."""
        where, values = visible(scope)
        return self.rows(f"{where} AND kind='rule' AND outsider=0 ORDER BY number", values)

    # --- what only a person does ---

    def trust(self, id_: str, *, by: str, why: str) -> Record:
        """Say that a record's text may be relied on, whoever wrote it. Its readers stay as they are.

        Raises:
            StoreError: there is no such record, or `by` or `why` is missing.
        """
        record = self._kept(id_)
        sources = record.label.sources - record.label.strangers | {f"person:{by}"}
        self._judge(record, "trust", Label(sources, record.label.readers).encode(), by, why)
        return self.get(record.id)

    def distrust(self, id_: str, *, by: str, why: str) -> Record:
        """Take trust in a record back, and in everything made from it. Raises StoreError as `trust` does."""
        record = self._kept(id_)
        self._judge(record, "distrust", DISTRUSTED, by, why)
        return self.get(record.id)

    def forget(self, id_: str, *, by: str, why: str) -> Record:
        """Erase a record's text and subject. Its id, label and descent stay, so that it does not come back.

        Raises:
            StoreError: there is no such record, or `by` or `why` is missing.
        """
        record = self._kept(id_)
        self._judge(record, "forget", None, by, why)
        self._forget_meaning(record.id)
        with self.lock, contextlib.suppress(sqlite3.Error):
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the old pages leave the log as well
        return self.get(record.id)

    def judgements(self, id_: str | None = None) -> list[Judgement]:
        """What people decided, oldest first."""
        rows = self.read(
            "SELECT record, at, by, why, verdict, before, after FROM judgements WHERE coalesce(record = ?, 1) "
            "ORDER BY number",
            (id_,),
        )
        return [
            Judgement(id_, at, by, why, verdict, read_label(before), read_label(after))
            for id_, at, by, why, verdict, before, after in rows
        ]

    def made_from(self, id_: str) -> list[str]:
        """Ids of the records that were, or may have been, made from this one."""
        with self.lock, self.explained():
            return [other for other in descendants(self.db, [id_]) if other != id_]

    def _judge(self, record: Record, verdict: Verdict, judged: str | None, by: str, why: str) -> None:
        if not _PERSON.match(by):
            raise StoreError(f"who decides? {by!r} is no name; say --by NAME")
        if not why.strip():
            raise StoreError(f"say why record {record.id} is judged: --why TEXT")
        with self.transaction():
            self.judge(record, verdict, judged, by, why)

    def _kept(self, id_: str) -> Record:
        record = self.get(id_)
        if record.forgotten_at is not None:
            raise StoreError(f"record {record.id} was forgotten; nothing is left to judge")
        return record

    def _repeated(self, id_: str, digest: str) -> Record:
        record = self.get(id_)
        if record.forgotten_at is None and record.digest != digest:
            raise StoreError(f"record {id_} was written under this key with another text; keys are used once")
        return record

    def _check_parents(self, parents: Sequence[str], scope: Scope) -> None:
        for parent in parents:
            where, values = visible(scope)
            if not self.rows(f"id=? AND {where}", (parent, *values)):
                raise ToolError(f"there is no record {parent!r} that this could be made from; recall lists ids")

    def _check_count(self, run: str, most: int) -> None:
        if self.read("SELECT count(*) FROM records WHERE run=?", (run,))[0][0] >= most:
            raise ToolError(f"this run has written {most:,} records already; it may write no more")


def _checked(value: Any, about: str, keep_s: float | None) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        f"{text}{about}".encode()
    except UnicodeEncodeError:
        raise ToolError("the text is not valid Unicode (it holds half a character); write it again") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolError(f"memory keeps text and JSON values only: {error}") from None
    if len(text) > MAX_CHARS:
        raise ToolError(f"{len(text):,} characters are too many to remember; at most {MAX_CHARS:,}")
    if value is None or value == "":
        raise ToolError("there is nothing to remember: the text is empty")
    if len(about) > MAX_ABOUT:
        raise ToolError(f"`about` has {len(about):,} characters; say it in at most {MAX_ABOUT}")
    if keep_s is not None and not 0 < keep_s < 1e10:
        raise ToolError(f"a record is kept for a positive number of seconds, not {keep_s!r}")
    return text
