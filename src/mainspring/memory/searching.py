"""Finding records: by words and by meaning, nobody's crowded out, older ones a little later."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring import lexical
from mainspring.label import fair
from mainspring.memory.conflicts import Why, disagreements
from mainspring.memory.file import MemoryFile
from mainspring.memory.meaning import FOLDER, Meaning, keep
from mainspring.memory.ranking import HALF_LIFE_S, freshness, fused
from mainspring.memory.records import UNREADABLE, Record
from mainspring.memory.scope import Scope, visible

if TYPE_CHECKING:
    from mainspring.library.embed.protocol import Embedder


class Searching(MemoryFile):
    """A part of `Memory`."""

    def __init__(
        self, path: Path, embedder: Embedder | None = None, *, half_life_s: float | None = HALF_LIFE_S
    ) -> None:
        super().__init__(path)
        self._half_life_s = half_life_s
        self._vectors = path.with_name(FOLDER)
        self._meaning = None if embedder is None else Meaning(self._vectors, embedder)

    def close(self) -> None:
        """Close the file and the vectors."""
        super().close()
        if self._meaning is not None:
            self._meaning.close()

    def search(self, query: str, limit: int = 5, scope: Scope | None = None, run: str = "") -> list[Record]:
        """Records that fit `query` by their words, and by meaning where there is an encoder, best first.

        A query that has no words finds the newest. Half of the places are kept for records that no outsider wrote, so
        that nobody can crowd them out.

        Args:
            scope: only what this person's agent can see; None for everything.
            run: the run that is told: what it writes later counts as made from these records.

        Raises:
            StoreError, ModelError: memory or the encoder failed.
        """
        clean, others = (
            [r for r in self._side(query, outsider, limit, scope) if r.label != UNREADABLE] for outsider in (0, 1)
        )
        clean, others = fair(clean, others, limit)
        if run and clean:
            with self.transaction() as db:
                db.executemany("INSERT OR IGNORE INTO heard (run, record) VALUES (?,?)", [(run, r.id) for r in clean])
        return clean + others

    def _side(self, query: str, outsider: int, limit: int, scope: Scope | None) -> list[Record]:
        """The best records of those that an outsider wrote, or of the others."""
        where, values = visible(scope)
        where, values = f"{where} AND outsider=?", (*values, outsider)
        wanted = lexical.match(query)
        if not wanted:
            return self.rows(f"{where} ORDER BY number DESC LIMIT ?", (*values, limit))
        # A few more than are wanted: age may change the order of what fits about as well.
        most = 4 * limit
        by_words = [
            number
            for (number,) in self.read(
                "SELECT number FROM records JOIN terms ON terms.rowid = records.number "  # noqa: S608 - values are bound
                f"WHERE terms MATCH ? AND {where} ORDER BY bm25(terms), number DESC LIMIT ?",
                (wanted, *values, most),
            )
        ]
        by_meaning: list[int] = []
        if self._meaning is not None:
            seen = self.read(f"SELECT number FROM records WHERE {where}", values)  # noqa: S608 - values are bound
            by_meaning = self._meaning.rank(query, [number for (number,) in seen], self._texts, most)
        found = self._numbered([*by_words, *by_meaning])
        now = time.time()
        weights = {number: freshness(record, now, self._half_life_s) for number, record in found.items()}
        order = fused([by_words, by_meaning], weights)
        return [found[number] for number in order if number in found][:limit]

    def _numbered(self, numbers: Sequence[int]) -> dict[int, Record]:
        ids = dict(
            self.read(
                "SELECT id, number FROM records WHERE number IN (SELECT value FROM json_each(?))",
                (json.dumps(list(numbers)),),
            )
        )
        return {
            ids[record.id]: record
            for record in self.rows("id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),))
        }

    def _texts(self, numbers: Sequence[int]) -> dict[int, str]:
        """What is encoded of records."""
        return {n: f"{record.about}\n{record.text}".strip() for n, record in self._numbered(numbers).items()}

    def disagreeing(self, record: Record, scope: Scope | None = None) -> list[tuple[Record, Why]]:
        """Records of this scope that say otherwise than this one on the same subject, newest first; see `conflicts`."""
        near = [r for outsider in (0, 1) for r in self._side(f"{record.about} {record.text}", outsider, 20, scope)]
        return disagreements(record, [r for r in near if r.label != UNREADABLE])

    def mixed(self, scope: Scope | None = None) -> bool:
        """True when an outsider wrote something in this scope, and so may decide what a search leaves out."""
        where, values = visible(scope)
        return bool(self.rows(f"{where} AND outsider=1 LIMIT 1", values))

    def _forget_meaning(self, id_: str) -> None:
        """Take the vectors of a record off the disk, whichever encoder they are of."""
        numbers = [
            number
            for (number,) in self.read("SELECT number FROM records WHERE forgotten_at IS NULL AND id != ?", (id_,))
        ]
        if self._meaning is not None:
            self._meaning.keep(numbers)
        else:
            keep(self._vectors, numbers)
