"""The characters of a PDF page with their places, and which of them nobody sees."""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mainspring.library.read.base import Notes

if TYPE_CHECKING:
    from pypdfium2 import PdfPage  # type: ignore[import-untyped]

#: Smaller than this, in points, is not for people to read.
SMALLEST = 2.0
#: More characters of a page are not looked at; no page of the library holds a tenth of them.
MOST_CHARS = 200_000
#: Text drawn in a colour this light may be white on white; it is compared with the page (see `_unseen`).
_LIGHT = 200
_FAINT = 40
#: Differences of a picture's values up to this are smoothing.
_SEEN = 10
_RENDER_SCALE = 1.5


@dataclass(slots=True)
class Char:
    """A character with its rectangle, in points from the top left corner, and how its text is turned in the file.

    `angle` is 0, 90, 180 or 270 degrees counter-clockwise.
    """

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    angle: int = 0


@dataclass(slots=True)
class Frame:
    """How a page lies: from the file's coordinates to those after a clockwise rotation."""

    left: float
    bottom: float
    right: float
    top: float
    rotation: int

    @property
    def width(self) -> float:
        return self.top - self.bottom if self.rotation in (90, 270) else self.right - self.left

    @property
    def height(self) -> float:
        return self.right - self.left if self.rotation in (90, 270) else self.top - self.bottom

    def place(self, left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
        """Left, top, right, bottom on the screen."""
        if self.rotation == 90:
            return bottom - self.bottom, left - self.left, top - self.bottom, right - self.left
        if self.rotation == 180:
            return self.right - right, bottom - self.bottom, self.right - left, top - self.bottom
        if self.rotation == 270:
            return self.top - top, self.right - right, self.top - bottom, self.right - left
        return left - self.left, self.top - top, right - self.left, self.top - bottom


@dataclass(slots=True)
class _Object:
    """A text object of the page: pdfium's handle, whether it is drawn at all, its rectangle on the screen."""

    handle: object
    hidden: str = ""
    suspect: bool = False
    size: float = 0.0
    angle: int = 0
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


@dataclass(slots=True)
class Things:
    """What a page holds besides text: rectangles of pictures, of drawn areas, and of thin lines."""

    pictures: list[tuple[float, float, float, float]] = field(default_factory=list)
    areas: list[tuple[float, float, float, float]] = field(default_factory=list)
    rules: list[tuple[float, float, float, float]] = field(default_factory=list)


def frame_of(page: PdfPage) -> Frame:
    left, bottom, right, top = page.get_bbox()
    if right - left <= 0 or top - bottom <= 0:
        left, bottom, right, top = 0.0, 0.0, 612.0, 792.0
    return Frame(left, bottom, right, top, page.get_rotation())


def things_on(page: PdfPage, frame: Frame) -> Things:
    """Pictures and drawings, those inside form objects too."""
    import pypdfium2.raw as raw  # type: ignore[import-untyped]

    things = Things()
    area = frame.width * frame.height
    kinds = (raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_SHADING)
    for count, thing in enumerate(page.get_objects(filter=kinds, max_depth=3)):
        if count > 20_000:  # a map or a drawing of very many lines; its text is still read
            break
        try:
            left, top, right, bottom = frame.place(*thing.get_bounds())
        except Exception:  # an object without a place
            continue
        left, top = max(0.0, left), max(0.0, top)
        right, bottom = min(frame.width, right), min(frame.height, bottom)
        wide, high = right - left, bottom - top
        if wide < 0 or high < 0:
            continue
        if raw.FPDFPageObj_GetType(thing.raw) == raw.FPDF_PAGEOBJ_IMAGE:
            if wide * high > 1e-4 * area:
                things.pictures.append((left, top, right, bottom))
        elif min(wide, high) <= 3 and max(wide, high) >= 12:
            things.rules.append((left, top, right, bottom))
        elif wide > 3 and high > 3:
            things.areas.append((left, top, right, bottom))
    return things


def chars_on(page: PdfPage, frame: Frame, things: Things, notes: Notes) -> list[Char]:
    """The page's characters in the order in which pdfium gives them, without what nobody sees.

    Left out and noted: text in the invisible mode, smaller than 2 points, off the page, or such that the page looks
    the same without it (white on white, transparent, under a picture).
    """
    import pypdfium2.raw as raw

    textpage = page.get_textpage()
    try:
        total = textpage.count_chars()
        if total > MOST_CHARS:
            notes.lost += total - MOST_CHARS
            total = MOST_CHARS
        objects: dict[int, _Object] = {}
        chars: list[tuple[Char, _Object | None]] = []
        left, right, bottom, top = ctypes.c_double(), ctypes.c_double(), ctypes.c_double(), ctypes.c_double()
        get_unicode, get_box, get_object = _fast()
        places = [ctypes.byref(value) for value in (left, right, bottom, top)]
        handle = ctypes.cast(textpage.raw, ctypes.c_void_p).value
        wide, high = frame.width, frame.height
        for index in range(total):
            code = get_unicode(handle, index)
            if code == 0:
                continue
            if code in (0xFFFE, 2):  # pdfium's mark of a hyphen that only breaks a line
                code = 0xAD
            text = chr(code) if code < 0x110000 else "\ufffd"
            address = get_object(handle, index)
            owner = None
            if address is not None:
                owner = objects.get(address)
                if owner is None:
                    pointer = ctypes.cast(address, raw.FPDF_PAGEOBJECT)
                    owner = objects[address] = _look(raw, textpage.raw, index, pointer, frame, things)
            get_box(handle, index, *places)
            x0, y0, x1, y1 = frame.place(left.value, bottom.value, right.value, top.value)
            if owner is not None and not owner.hidden and not text.isspace() and (
                x1 < -1 or y1 < -1 or x0 > wide + 1 or y0 > high + 1
            ):  # fmt: skip
                notes.hide("off the page", 1)
                continue
            size = owner.size if owner else 0.0
            chars.append((Char(text, x0, y0, x1, y1, size, owner.angle if owner else 0), owner))
        suspects = [one for one in objects.values() if one.suspect and not one.hidden]
        if suspects:
            _mark_unseen(page, frame, suspects)
    finally:
        textpage.close()
    kept = []
    for char, owner in chars:
        if owner is not None and owner.hidden:
            notes.hide(owner.hidden, not char.text.isspace())
        else:
            kept.append(char)
    return kept


@lru_cache(maxsize=1)
def _fast() -> tuple[Any, Any, Any]:
    """What is called for each character: pdfium's code point, rectangle and object, with less between it and us.

    The bindings make a new object of each pointer and let go of the interpreter for each call; that doubles the time.
    """
    import pypdfium2.raw as raw

    page, number, double = ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
    shapes = (
        (raw.FPDFText_GetUnicode, ctypes.PYFUNCTYPE(ctypes.c_uint, page, number)),
        (raw.FPDFText_GetCharBox, ctypes.PYFUNCTYPE(number, page, number, double, double, double, double)),
        (raw.FPDFText_GetTextObject, ctypes.PYFUNCTYPE(ctypes.c_void_p, page, number)),
    )
    unicode, box, thing = (shape(ctypes.cast(function, ctypes.c_void_p).value or 0) for function, shape in shapes)
    return unicode, box, thing


def _look(raw: Any, textpage: object, index: int, pointer: object, frame: Frame, things: Things) -> _Object:
    """A text object for the first time: how it is drawn and whether that needs a closer look."""
    thing = _Object(pointer)
    size = ctypes.c_float()
    if raw.FPDFTextObj_GetFontSize(pointer, size):
        thing.size = abs(size.value)
    matrix = raw.FS_MATRIX()
    if raw.FPDFPageObj_GetMatrix(pointer, matrix):
        # The length of the text's vertical unit, whichever way it is turned.
        thing.size *= (matrix.c**2 + matrix.d**2) ** 0.5 or 1.0
        thing.angle = round(math.degrees(math.atan2(matrix.b, matrix.a)) / 90) * 90 % 360
    bounds = [ctypes.c_float() for _ in range(4)]
    if raw.FPDFPageObj_GetBounds(pointer, *bounds):
        thing.box = frame.place(*(value.value for value in bounds))
    mode = raw.FPDFTextObj_GetTextRenderMode(pointer)
    if mode in (raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP):
        thing.hidden = "in the invisible mode (as in the text layer of many scans; the picture is read instead)"
    elif 0 < thing.size < SMALLEST:
        thing.hidden = f"smaller than {SMALLEST:g} points"
    colour = [ctypes.c_uint() for _ in range(4)]
    if raw.FPDFText_GetFillColor(textpage, index, *colour):
        red, green, blue, alpha = (value.value for value in colour)
        thing.suspect = min(red, green, blue) >= _LIGHT or alpha <= _FAINT
    thing.suspect = thing.suspect or any(
        _covers(area, thing.box) for area in (*things.pictures[:200], *things.areas[:200])
    )
    return thing


def _covers(area: tuple[float, float, float, float], box: tuple[float, float, float, float]) -> bool:
    wide = min(area[2], box[2]) - max(area[0], box[0])
    high = min(area[3], box[3]) - max(area[1], box[1])
    return wide > 0 and high > 0 and wide * high > 0.5 * (box[2] - box[0]) * (box[3] - box[1])


def _mark_unseen(page: PdfPage, frame: Frame, suspects: list[_Object]) -> None:
    """Mark those without which the page looks the same: drawn once with them and once without."""
    import numpy as np
    import pypdfium2.raw as raw

    scale: Any = min(_RENDER_SCALE, 1600 / max(frame.width, frame.height, 1.0))

    def picture() -> Any:
        bitmap = page.render(scale=scale, may_draw_forms=False)
        try:
            return bitmap.to_numpy()[:, :, :3].astype(np.int16)
        finally:
            bitmap.close()

    with_them = picture()
    for suspect in suspects:
        raw.FPDFPageObj_SetIsActive(suspect.handle, False)
    try:
        without = picture()
    finally:
        for suspect in suspects:
            raw.FPDFPageObj_SetIsActive(suspect.handle, True)
    differs = (np.abs(with_them - without) > _SEEN).any(axis=2)
    high, wide = differs.shape
    for suspect in suspects:
        left, top, right, bottom = (value * scale for value in suspect.box)
        piece = differs[max(0, int(top)) : min(high, int(bottom) + 2), max(0, int(left)) : min(wide, int(right) + 2)]
        if piece.size and not piece.any():
            suspect.hidden = "in the colour of what is under it, or under something else"
