"""Audit records as a file that anybody can check with nothing but the public key.

JSON lines: a header, one line a record, and an end that says how many. Every line holds the SHA-256 of the line before
it and a signature over its own content, so that none can be changed, dropped, added or moved, and one can be shown
alone. What is signed is the line's JSON without ``signature``, as ``json.dumps(..., separators=(",", ":"))`` writes it
in ASCII, behind the line ``mainspring audit export 1``.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from mainspring.audit.records import AuditRecord
from mainspring.errors import StoreError
from mainspring.store.chain import GENESIS
from mainspring.store.keys import PublicKey, signer

FORMAT = 1
_PURPOSE = b"mainspring audit export 1\n"


def export(found: Iterable[AuditRecord], out: TextIO, home: Path, about: dict[str, Any] | None = None) -> int:
    """Write records to `out`, signed by the home's key; returns how many.

    Args:
        about: what the file is of, for its reader: the search that chose the records, notes of the check before it.

    Raises:
        StoreError: the key cannot be used.
    """
    key = signer(home)
    previous, number, count = GENESIS, 0, 0

    def write(body: dict[str, Any]) -> None:
        nonlocal previous, number
        number += 1
        line = {"n": number, **body, "previous": previous}
        line["signature"] = key.sign(_PURPOSE + _bytes(line))
        data = _bytes(line)
        previous = hashlib.sha256(data).hexdigest()
        out.write(data.decode("ascii") + "\n")

    write({"audit_export": FORMAT, "key": key.public.id, "at": round(time.time(), 3), "about": about or {}})
    for record in found:
        write({"record": record.encode()})
        count += 1
    write({"end": count})
    return count


def check_export(lines: Iterable[str], key: PublicKey) -> Iterator[dict[str, Any]]:
    """The records of a file, each as soon as it is checked.

    Raises:
        StoreError: at the first line that is changed, missing, added or moved, or that another key signed.
    """
    previous, number, count, ended = GENESIS, 0, 0, False
    for number, text in enumerate(lines, 1):
        where = f"line {number}"
        data = text.rstrip("\n").encode("utf-8", "surrogatepass")
        try:
            line = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{where} is no JSON ({error})") from None
        if not isinstance(line, dict) or _bytes(line) != data:
            raise StoreError(f"{where} is not written as Mainspring writes it; it was changed")
        if ended:
            raise StoreError(f"{where} follows the end; it was added")
        signature = line.pop("signature", None)
        if line.get("n") != number or line.get("previous") != previous:
            raise StoreError(f"{where} does not follow the line before it: one is missing, was added or moved")
        if not isinstance(signature, str) or not key.verifies(signature, _PURPOSE + _bytes(line)):
            raise StoreError(
                f"{where}: the signature is not {key.id}'s; the line was changed, or signed by another key"
            )
        previous = hashlib.sha256(data).hexdigest()
        if number == 1:
            if type(line.get("audit_export")) is not int or line["audit_export"] > FORMAT:
                raise StoreError(f"{where}: this is no audit export that this Mainspring can read")
        elif "end" in line:
            ended = True
            if line["end"] != count:
                raise StoreError(f"{where} says that there are {line['end']} records, and there are {count}")
        else:
            count += 1
            yield line["record"]
    if not ended:
        raise StoreError(f"the file has no end: what comes after line {number} is missing")


def _bytes(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=True, separators=(",", ":"), default=str).encode("ascii")
