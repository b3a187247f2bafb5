"""Memory as JSON lines, out and in again. What comes in is not cleaner for having been away."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

from mainspring.errors import StoreError
from mainspring.label import Label
from mainspring.memory.memory import MAX_ABOUT, MAX_CHARS, Memory
from mainspring.memory.records import Record, digest_of

#: Version of the lines.
FORMAT = 1
#: The source that a record takes on when it comes from a file, which anybody may have changed.
IMPORTED = Label(frozenset({"imported"}))

_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Imported:
    """How many records came in, were here already, or were forgotten here and stay so."""

    added: int
    present: int
    forgotten: int


def export_records(memory: Memory, file: TextIO) -> int:
    """Write every record that is kept, oldest first, and return how many. Judgements stay here."""
    file.write(json.dumps({"mainspring": "memory", "format": FORMAT}) + "\n")
    records = memory.records(gone=True)[::-1]
    kept = [r for r in records if r.forgotten_at is None]
    for record in kept:
        file.write(json.dumps(_encode(record)) + "\n")
    return len(kept)


def import_records(memory: Memory, lines: Iterable[str], *, by: str = "", why: str = "") -> Imported:
    """Read exported records, all or none.

    Each takes on the source ``imported``, and no rule comes in as a rule. With `by` and `why`, a person vouches for
    the file: labels are taken as it says and rules stay rules; that is kept as the person's judgement of each record.
    What is here already stays as it is, and what was forgotten here does not come back.

    Raises:
        StoreError: the file is no export of memory, or a line of it is damaged.
    """
    if by and not why.strip():
        raise StoreError("say why the file may be relied on: --why TEXT")
    read = _read(iter(lines))
    added: list[str] = []
    present = forgotten = 0
    with memory.transaction():
        for number, (item, label) in enumerate(read, 2):
            here = memory.rows("id=?", (item["id"],))
            if here and here[0].forgotten_at is not None:
                forgotten += 1
                continue
            if here:
                if here[0].digest != item["digest"]:
                    raise StoreError(f"line {number}: record {item['id']} is here already with another text")
                present += 1
                continue
            rule = item["kind"] == "rule" and bool(by)
            who = {"kind": "rule", "tool": "", "by": by} if rule else {"kind": "note"}
            fields = {name: item[name] for name in item if name not in ("label", "parents")} | who
            memory.insert(fields, label.join(IMPORTED), item["parents"])
            added.append(item["id"])
        memory.settle(*added)
        if by:
            said = {item["id"]: label for item, label in read}
            for id_ in added:
                (record,) = memory.rows("id=?", (id_,))
                memory.judge(record, "trust", said[id_].encode(), by, why)
    return Imported(len(added), present, forgotten)


def _encode(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "kind": record.kind,
        "person": record.person,
        "agent": record.agent,
        "about": record.about,
        "value": record.value,
        "label": json.loads(record.label.encode()),
        "parents": list(record.parents),
        "run": record.run,
        "tool": record.tool,
        "by": record.by,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
    }


def _read(lines: Iterator[str]) -> list[tuple[dict[str, Any], Label]]:
    first = next(lines, "")
    try:
        head = json.loads(first)
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict) or head.get("mainspring") != "memory":
        raise StoreError("this is no export of memory: its first line does not say so")
    if head.get("format") != FORMAT:
        raise StoreError(f"the export has format {head.get('format')!r}, and this Mainspring reads {FORMAT}; update it")
    found = []
    for number, line in enumerate(lines, 2):
        if number > _MOST:
            raise StoreError(f"the export has more than {_MOST:,} records; split it")
        if not line.strip():
            continue
        try:
            found.append(_checked(json.loads(line)))
        except (ValueError, KeyError, TypeError, RecursionError, StoreError) as error:
            raise StoreError(f"line {number} is no record of memory: {type(error).__name__}: {error}") from None
    return found


def _checked(item: Any) -> tuple[dict[str, Any], Label]:
    texts = ("id", "kind", "person", "agent", "about", "run", "tool", "by")
    if not isinstance(item, dict) or set(item) != {*texts, "value", "label", "parents", "created_at", "expires_at"}:
        raise ValueError("it has not the fields of a record")
    for name in texts:
        if not isinstance(item[name], str):
            raise TypeError(f"{name} must be text")
        item[name].encode()
    if not item["id"].startswith("m_") or len(item["id"]) != 18 or set(item["id"][2:]) - set("0123456789abcdef"):
        raise ValueError(f"{item['id'][:40]!r} is no id of a record")
    if item["kind"] not in ("note", "rule"):
        raise ValueError(f"kind {item['kind']!r} is unknown")
    if not isinstance(item["parents"], list) or not all(isinstance(p, str) for p in item["parents"]):
        raise TypeError("parents is a list of ids")
    for name in ("created_at", "expires_at"):
        at = item[name]
        if not (at is None and name == "expires_at") and (not isinstance(at, int | float) or not 0 <= at < 1e11):
            raise ValueError(f"{name} must be a Unix time")
    value = json.dumps(item["value"], ensure_ascii=False, allow_nan=False)
    value.encode()
    if item["value"] in (None, "") or len(value) > MAX_CHARS or len(item["about"]) > MAX_ABOUT:
        raise ValueError("its value or subject is empty or too long")
    label = Label.decode(json.dumps(item["label"]))
    return item | {"value": value, "digest": digest_of(item["about"], value)}, label
