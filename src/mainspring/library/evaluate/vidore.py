"""Data sets as ViDoRe and BEIR lay them out: queries, pages as pictures or text, and which page answers which query.

A folder with three tables, ``corpus``, ``queries`` and ``qrels``, each a file (``queries.jsonl``) or a folder of parts
(``queries/test-00000-of-00001.parquet``). Columns are written with a dash or an underscore: ``corpus-id`` with
``image`` and perhaps ``text`` or ``markdown``; ``query-id`` with ``query`` (or ``text``) and perhaps ``language``;
``query-id``, ``corpus-id`` and ``score``. Parquet is read when pyarrow is installed; JSON lines, CSV and TSV always.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.errors import ToolError
from mainspring.library.evaluate.queries import Judged

_KINDS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
_TEXT = ("markdown", "text", "text_description")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set on disk.

    Args:
        queries: with the stems of the files that `write_pages` makes of the pages that answer them; `resolved` gives
            the files' names.
        pages: how many pages it has.
        folder: where it lies.
    """

    queries: tuple[Judged, ...]
    pages: int
    folder: Path


def read_dataset(folder: Path, *, language: str = "") -> Dataset:
    """The queries and relevances of a data set.

    Args:
        language: only queries of this language, as the data set writes it; "" for all.

    Raises:
        ToolError: a table or a column is missing, a line is broken, or parquet cannot be read here.
    """
    texts: dict[str, tuple[str, str]] = {}
    for row in _rows(folder, "queries"):
        spoken = str(_cell(row, "language", default=""))
        if not language or spoken.casefold() == language.casefold():
            id_ = str(_cell(row, "query-id", "id", "_id", table="queries"))
            texts[id_] = (str(_cell(row, "query", "text", table="queries")), spoken)
    relevant: dict[str, dict[str, float]] = {}
    for row in _rows(folder, "qrels"):
        query = str(_cell(row, "query-id", table="qrels"))
        page = str(_cell(row, "corpus-id", table="qrels"))
        score = _cell(row, "score", default=1)
        try:
            grade = min(max(float(score), 0.0), 10.0)
        except (TypeError, ValueError):
            raise ToolError(f"{folder}: the score {score!r} of query {query!r} in qrels is no number") from None
        if query in texts and grade > 0:
            relevant.setdefault(query, {})[page] = grade
    pages = {str(_cell(row, "corpus-id", "id", "_id", table="corpus")) for row in _rows(folder, "corpus")}
    found = [
        Judged(texts[query][0], {_stem(page): grade for page, grade in graded.items()}, texts[query][1])
        for query, graded in relevant.items()
        if texts[query][0].strip()
    ]
    if not found or not pages:
        raise ToolError(f"{folder} has {len(pages)} pages and {len(found)} queries with an answer; nothing to measure")
    return Dataset(tuple(found), len(pages), folder)


def write_pages(dataset: Dataset, folder: Path) -> int:
    """Write each page of a data set as a file that can be indexed, a picture where there is one, and count them.

    Files that are there already are left as they are, so that an interrupted call goes on.

    Raises:
        ToolError: a page has neither picture nor text, or its picture cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for row in _rows(dataset.folder, "corpus"):
        id_ = str(_cell(row, "corpus-id", "id", "_id", table="corpus"))
        data = _picture(row.get("image"), dataset.folder)
        if data is not None:
            path, content = folder / f"{_stem(id_)}{_ending(data, id_)}", data
        else:
            text = next((str(row[name]) for name in _TEXT if row.get(name)), "")
            if not text:
                raise ToolError(f"{dataset.folder}: page {id_!r} has neither a picture nor text")
            path, content = folder / f"{_stem(id_)}.md", text.encode()
        if not path.exists():
            part = path.with_suffix(".part")
            part.write_bytes(content)
            part.rename(path)
        count += 1
    return count


def resolved(dataset: Dataset, folder: Path) -> list[Judged]:
    """The queries with the names of the files that `write_pages` made in `folder`."""
    files = {path.stem: path.name for path in folder.iterdir() if path.is_file()}
    return [
        Judged(j.query, {files.get(name, name): grade for name, grade in j.relevant.items()}, j.kind)
        for j in dataset.queries
    ]


def _stem(id_: str) -> str:
    """A file name for an id; for one that no file system takes, its digest."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,100}", id_):
        return f"page-{id_}"
    digest = hashlib.sha256(id_.encode("utf-8", "replace")).hexdigest()
    return f"page-{digest}"


def _picture(value: Any, folder: Path) -> bytes | None:
    """A picture's bytes: as parquet holds them, as base64, or by the name of a file in the data set's folder."""
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or not value:
        return None
    if re.fullmatch(r"[\w./ -]{1,500}\.(?:png|jpe?g|webp)", value, re.IGNORECASE):
        path = (folder / value).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise ToolError(f"{folder}: there is no picture {value!r} in it")
        return path.read_bytes()
    try:
        return base64.b64decode(value.partition(",")[2] if value.startswith("data:") else value, validate=True)
    except ValueError:
        raise ToolError(f"{folder}: {value[:60]!r} is no picture, neither a file's name nor base64") from None


def _ending(data: bytes, id_: str) -> str:
    for begins, ending in ((b"\x89PNG", ".png"), (b"\xff\xd8", ".jpg"), (b"RIFF", ".webp")):
        if data.startswith(begins):
            return ending
    raise ToolError(f"the picture of page {id_!r} is neither PNG, JPEG nor WebP")


def _cell(row: Mapping[str, Any], *names: str, table: str = "", default: Any = None) -> Any:
    for name in names:
        for written in (name, name.replace("-", "_")):
            if row.get(written) is not None:
                return row[written]
    if default is not None:
        return default
    raise ToolError(f"the table {table} has no column {names[0]!r}; it has {', '.join(map(str, row)) or 'none'}")


def _rows(folder: Path, table: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a table, of all its parts in the order of their names."""
    parts = [folder / f"{table}{kind}" for kind in _KINDS if (folder / f"{table}{kind}").is_file()][:1]
    if not parts and (folder / table).is_dir():
        parts = sorted(p for p in (folder / table).iterdir() if p.suffix in _KINDS)
    if not parts:
        raise ToolError(f"{folder} has no table {table!r}: a file {table}.jsonl, .csv or .parquet, or a folder of such")
    for part in parts:
        try:
            yield from _part(part)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ToolError(f"{part} cannot be read: {error}") from None


def _part(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.suffix == ".parquet":
        try:
            from pyarrow import parquet  # type: ignore[import-not-found, import-untyped, unused-ignore]
        except ImportError:
            raise ToolError(
                f"{path} is parquet, which needs pyarrow: pip install pyarrow; or write the table as JSON lines"
            ) from None
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=64):
            yield from batch.to_pylist()
        return
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix in (".csv", ".tsv"):
            csv.field_size_limit(500_000_000)
            yield from csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            return
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ToolError(f"{path} line {number}: {error}") from None
            if not isinstance(row, dict):
                raise ToolError(f"{path} line {number} is no object")
            yield row
