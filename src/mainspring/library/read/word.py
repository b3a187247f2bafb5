"""Word documents: paragraphs, tables, text boxes and notes in order; sections by heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mainspring.errors import ToolError
from mainspring.library.read.archive import Archive, plain
from mainspring.library.read.base import FlowReading, Notes, title_of
from mainspring.library.read.blocks import Block
from mainspring.library.read.protocol import About, ReadLimits

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}docPr"
_HEADING = re.compile(r"heading (\d)$", re.I)
#: Parts with text besides the body, and what their blocks are.
_NOTES = ("footnotes", "endnotes")
_EMPTY = frozenset({"", "auto", "ffffff"})


def open_docx(path: Path, limits: ReadLimits) -> FlowReading:
    try:
        import docx
    except ImportError:
        raise ToolError('Word files are read by python-docx; install it: pip install "mainspring[library]"') from None
    Archive(path, limits).close()
    with open(path, "rb") as file:
        document = docx.Document(file)
    notes = Notes()
    core = document.core_properties
    said = {"author": core.author, "subject": core.subject, "keywords": core.keywords, "language": core.language}
    extra = {key: plain(value) for key, value in said.items() if value and value != "python-docx"}
    if core.modified is not None:
        extra["date"] = core.modified.isoformat()
    package: Any = document.part.package
    if any(str(part.partname).lower().endswith("vbaproject.bin") for part in package.iter_parts()):
        notes.add("it holds macros, which were neither read nor run")
    styles = _Styles(document.styles.element)
    body = document.element.body
    first = next((paragraph.text for paragraph in document.paragraphs if paragraph.text.strip()), "")
    named = str(getattr(document.paragraphs[0].style, "name", "")) if document.paragraphs else ""
    title = title_of(path, plain(core.title), first if named.lower().startswith(("title", "heading")) else "")

    def blocks() -> Iterator[Block]:
        walk = _Walk(styles, notes, document.element)
        yield from walk.blocks(body)
        yield from _others(document, walk)

    return FlowReading(path.name, About("office", title, extra), blocks, limits, notes)


def _others(document: Any, walk: _Walk) -> Iterator[Block]:
    """Foot- and endnotes, and what stands at the head and foot of pages, each once."""
    from lxml import etree  # type: ignore[import-untyped]

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    seen: set[str] = set()
    for part in sorted(document.part.package.iter_parts(), key=lambda one: str(one.partname)):
        name = str(part.partname).rpartition("/")[2]
        kind = name.rstrip("0123456789.xml")
        if not name.endswith(".xml") or kind not in (*_NOTES, "header", "footer"):
            continue
        for block in walk.blocks(etree.fromstring(part.blob, parser)):
            if block.text not in seen:
                seen.add(block.text)
                yield block if kind in _NOTES else Block(block.text, "header" if kind == "header" else "footer")


class _Styles:
    """What the document's styles say of headings and hidden text, through the styles that they are based on."""

    def __init__(self, element: Any) -> None:
        self._by_id = {style.get(f"{_W}styleId"): style for style in element.iter(f"{_W}style")}

    def chain(self, style_id: str | None) -> Iterator[Any]:
        for _ in range(20):
            style = self._by_id.get(style_id)
            if style is None:
                return
            yield style
            based = style.find(f"{_W}basedOn")
            style_id = None if based is None else based.get(f"{_W}val")

    def level(self, style_id: str | None) -> int:
        for style in self.chain(style_id):
            name = style.find(f"{_W}name")
            said = "" if name is None else str(name.get(f"{_W}val"))
            if said.lower() == "title":
                return 1
            if found := _HEADING.match(said):
                return int(found[1])
            outline = style.find(f"{_W}pPr/{_W}outlineLvl")
            if outline is not None:
                return min(9, int(outline.get(f"{_W}val", 8)) + 1)
        return 0

    def is_list(self, style_id: str | None) -> bool:
        return any(style.find(f"{_W}pPr/{_W}numPr") is not None for style in self.chain(style_id))

    def value(self, properties: list[Any], name: str) -> Any:
        """The first element of this name in run properties, nearest first."""
        for one in properties:
            found = one.find(f"{_W}{name}")
            if found is not None:
                return found
        return None


class _Walk:
    def __init__(self, styles: _Styles, notes: Notes, document: Any) -> None:
        self._styles = styles
        self._notes = notes
        ground = document.find(f"{_W}background")
        self._coloured = ground is not None and (ground.get(f"{_W}color") or "").lower() not in _EMPTY
        self._boxes: list[Any] = []

    def blocks(self, parent: Any) -> Iterator[Block]:
        """The blocks of a body, a cell, a text box or a part."""
        for child in parent:
            if child.tag == f"{_W}p":
                yield from self._paragraph(child)
            elif child.tag == f"{_W}tbl":
                yield from self._table(child)
            elif child.tag in (
                f"{_W}sdt",
                f"{_W}sdtContent",
                f"{_W}customXml",
                f"{_W}ins",
                f"{_W}footnote",
                f"{_W}endnote",
            ):
                yield from self.blocks(child)

    def _paragraph(self, paragraph: Any) -> Iterator[Block]:
        properties = paragraph.find(f"{_W}pPr")
        style = None if properties is None else properties.find(f"{_W}pStyle")
        style_id = None if style is None else style.get(f"{_W}val")
        text = self._text(paragraph, style_id)
        boxes, self._boxes = self._boxes, []
        level = self._styles.level(style_id)
        if properties is not None and (outline := properties.find(f"{_W}outlineLvl")) is not None:
            level = min(9, int(outline.get(f"{_W}val", 8)) + 1)
        if text.strip():
            listed = (properties is not None and properties.find(f"{_W}numPr") is not None) or (
                self._styles.is_list(style_id)
            )
            if level and len(text) < 500:
                yield Block(text, "title", level=level)
            else:
                yield Block(f"- {text}" if listed else text, "list" if listed else "text")
        for picture in paragraph.iter(_DRAWING):
            alternative = plain(picture.get("descr"))
            if alternative:
                yield Block(alternative, "figure")
        for box in boxes:
            yield from self.blocks(box)

    def _table(self, table: Any) -> Iterator[Block]:
        rows = []
        for row in table.iter(f"{_W}tr"):
            if next(row.iterancestors(f"{_W}tbl"), None) is not table:
                continue  # of a table in a cell, which stands with that cell
            cells = []
            for cell in row.iter(f"{_W}tc"):
                if next(cell.iterancestors(f"{_W}tr"), None) is row:
                    cells.append(" ".join(" ".join(block.text.split()) for block in self.blocks(cell)))
            if any(cells):
                rows.append(" | ".join(cells))
        if rows:
            yield Block("\n".join(rows), "table" if any(" | " in row for row in rows) else "text")

    def _text(self, paragraph: Any, style_id: str | None) -> str:
        parts: list[str] = []
        pending = list(reversed(paragraph))
        while pending:
            node = pending.pop()
            if node.tag == f"{_W}r":
                self._run(node, style_id, parts)
            elif node.tag in (f"{_W}p", f"{_W}tbl", f"{_W}pPr", f"{_W}del", f"{_W}moveFrom"):
                continue  # what was deleted is not there any more
            else:
                pending.extend(reversed(node))
        return "".join(parts)

    def _run(self, run: Any, style_id: str | None, parts: list[str]) -> None:
        text = []
        for child in run:
            if child.tag == f"{_W}t":
                text.append(child.text or "")
            elif child.tag == f"{_W}tab":
                text.append("\t")
            elif child.tag in (f"{_W}br", f"{_W}cr"):
                text.append("\n")
            elif child.tag == f"{_W}noBreakHyphen":
                text.append("-")
            elif child.tag == f"{_MC}AlternateContent":
                choice = child.find(f"{_MC}Choice")
                self._boxes += [] if choice is None else _outermost(run, choice)
            elif child.tag in (f"{_W}drawing", f"{_W}pict"):
                self._boxes += _outermost(run, child)
        said = "".join(text)
        how = self._hidden(run, style_id) if said.strip() else ""
        if how:
            self._notes.hide(how, len(said))
        else:
            parts.append(said)

    def _hidden(self, run: Any, style_id: str | None) -> str:
        """How a run is hidden; "" when people see it."""
        own = run.find(f"{_W}rPr")
        properties = [] if own is None else [own]
        chosen = None if own is None else own.find(f"{_W}rStyle")
        for one in (None if chosen is None else chosen.get(f"{_W}val"), style_id):
            properties += [rpr for style in self._styles.chain(one) if (rpr := style.find(f"{_W}rPr")) is not None]
        vanish = self._styles.value(properties, "vanish")
        if vanish is not None and vanish.get(f"{_W}val", "true") not in ("0", "false", "off"):
            return "set to be hidden"
        size = self._styles.value(properties, "sz")
        if size is not None and (size.get(f"{_W}val") or "").isdigit() and int(size.get(f"{_W}val") or 4) < 4:
            return "smaller than 2 points"
        colour = self._styles.value(properties, "color")
        white = colour is not None and (colour.get(f"{_W}val") or "").lower() == "ffffff"
        return "in white on white" if white and not self._on_colour(run, properties) else ""

    def _on_colour(self, run: Any, properties: list[Any]) -> bool:
        """Something but white may lie under a run: its own ground, a cell's, a box's, a table's, the page's."""
        if self._coloured or self._styles.value(properties, "highlight") is not None:
            return True
        shades = [self._styles.value(properties, "shd")]
        for outer in run.iterancestors():
            if outer.tag == f"{_W}txbxContent" or (
                outer.tag == f"{_W}tbl" and outer.find(f"{_W}tblPr/{_W}tblStyle") is not None
            ):
                return True
            shades += [outer.find(f"{_W}{kind}/{_W}shd") for kind in ("pPr", "tcPr", "tblPr")]
        return any(shade is not None and (shade.get(f"{_W}fill") or "").lower() not in _EMPTY for shade in shades)


def _outermost(run: Any, parent: Any) -> list[Any]:
    """Text boxes of a run that stand in no other one of it: those are found when the outer one is read."""
    tag = f"{_W}txbxContent"
    around = next(run.iterancestors(tag), None)
    return [box for box in parent.iter(tag) if next(box.iterancestors(tag), None) is around]
