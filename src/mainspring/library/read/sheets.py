"""Sheets: Excel workbooks and CSV files, in pieces of rows under the repeated header."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

from mainspring.errors import ToolError
from mainspring.library.page import Page
from mainspring.library.read.archive import Archive, plain
from mainspring.library.read.base import Notes, PagesReading, title_of
from mainspring.library.read.blocks import SECTION_CHARS, Block, page_of, split_block
from mainspring.library.read.plain import read_text
from mainspring.library.read.protocol import About, ReadLimits

#: Formulas without a stored result are shown only in files up to this size: they are read a second time for it.
_FORMULAS_BYTES = 20_000_000
_SNIFFED_LINES = 20


def open_xlsx(path: Path, limits: ReadLimits) -> PagesReading:
    try:
        import openpyxl  # type: ignore[import-untyped]
    except ImportError:
        raise ToolError('workbooks are read by openpyxl; install it: pip install "mainspring[library]"') from None
    archive = Archive(path, limits)
    macros = any(name.lower().endswith("vbaproject.bin") for name in archive.names())
    archive.close()
    data = io.BytesIO(path.read_bytes())
    book = openpyxl.load_workbook(data, read_only=True, data_only=True, keep_links=False)
    formulas = None
    if data.getbuffer().nbytes <= _FORMULAS_BYTES:
        formulas = openpyxl.load_workbook(data, read_only=True, data_only=False, keep_links=False)
    notes = Notes()
    if macros:
        notes.add("it holds macros, which were neither read nor run")
    core = book.properties
    extra = {key: plain(value) for key, value in (("author", core.creator), ("subject", core.subject)) if value}
    extra = {key: value for key, value in extra.items() if value != "openpyxl"}

    def pages() -> Iterator[Page]:
        number = 0
        for sheet in book.worksheets:
            if sheet.sheet_state != "visible":
                notes.hide("in hidden sheets", sum(len(cell) for row in _rows(sheet, None) for cell in row))
                continue
            for page in rows_as_pages(_rows(sheet, formulas), number, limits, notes, heading=plain(sheet.title)):
                number = page.number
                yield page

    return PagesReading(path.name, About("sheet", title_of(path, plain(core.title)), extra), pages, limits, notes)


def _rows(sheet: Any, formulas: Any) -> Iterator[list[str]]:
    sheet.reset_dimensions()  # what a file says of its size may be anything
    values = sheet.iter_rows(values_only=True)
    if formulas is None:
        for row in values:
            yield [as_text(value) for value in row]
        return
    other = formulas[sheet.title]
    other.reset_dimensions()
    for row, written in zip_longest(values, other.iter_rows(values_only=True), fillvalue=()):
        yield [
            as_text(formula if value is None and formula is not None else value)
            for value, formula in zip_longest(row, written)
        ]


def as_text(value: Any) -> str:
    """A cell's value as people write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "seconds")
    if isinstance(value, float):
        return f"{value:.15g}"
    return " ".join(str(value).split())


def rows_as_pages(
    rows: Iterable[Sequence[str]], before: int, limits: ReadLimits, notes: Notes, *, heading: str = ""
) -> Iterator[Page]:
    """Pages of some 3,000 characters of rows, numbered from `before` + 1; the first row stands on each of them."""
    target = min(SECTION_CHARS, limits.page_chars)
    header = ""
    held: list[str] = []
    size = 0
    number = before
    line = first = 1

    def page() -> Page:
        nonlocal number
        number += 1
        text = "\n".join([header, *held] if header else held)
        made, lost = page_of(
            number, [Block(text, "table")], limits.page_chars, notes.removed, heading=heading, line=first
        )
        notes.lost += lost
        return made

    for line, row in enumerate(rows, 1):
        cells = list(row)
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        text = " | ".join(cells)
        if not header and not held and len(text) <= target // 3 and len(cells) > 1:
            header, first = text, line
            continue
        for piece in split_block(Block(text), max(target - len(header), target // 2)):
            if held and size + len(piece.text) > target - len(header):
                yield page()
                held, size = [], 0
            if not held:
                first = line
            held.append(piece.text)
            size += len(piece.text) + 1
    if held or header:
        yield page()


def open_csv(path: Path, limits: ReadLimits) -> PagesReading:
    text, encoding = read_text(path, limits)
    notes = Notes()
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    csv.field_size_limit(max(csv.field_size_limit(), limits.bytes))

    def pages() -> Iterator[Page]:
        reader = csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=delimiter)
        rows = ([" ".join(cell.split()) for cell in row] for row in _lenient(reader, notes))
        yield from rows_as_pages(rows, 0, limits, notes)

    return PagesReading(path.name, About("sheet", title_of(path), {"encoding": encoding}), pages, limits, notes)


def _lenient(reader: Any, notes: Notes) -> Iterator[list[str]]:
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            notes.add(f"line {reader.line_num} could not be read ({error})")


def _delimiter(text: str) -> str:
    """The character that divides most of the first lines into equally many cells."""
    lines = [line for line in islice(chain(text[:20_000].split("\n")), _SNIFFED_LINES) if line.strip()]

    def score(mark: str) -> tuple[int, int]:
        counts = [line.count(mark) for line in lines]
        most = max(set(counts), key=counts.count, default=0)
        return (counts.count(most) if most else 0, most)

    return max(",;\t|", key=score)
