"""OCR: what is read, in which order, from which sorts of file, and what happens to files that are damaged."""

from __future__ import annotations

import os
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont
from sight_made import CHINESE, CHINESE_LINES, encoded, errors, written

from mainspring.errors import DeclarationError, ModelError, ToolError
from mainspring.library.page import Box, Page
from mainspring.library.sight.cache import Cache
from mainspring.library.sight.lines import Line, Sighted, clean, page_from, reading_order
from mainspring.library.sight.ocr import Ocr
from mainspring.library.sight.weights import MODELS, checked, models_folder

LETTER = ("Quarterly report", "Paper cost 300 euros in 2026", "Every page has a title")


@pytest.fixture(scope="module")
def ocr() -> Iterator[Ocr]:
    with Ocr(workers=1, engine="onnxruntime") as reader:
        yield reader


def test_english_is_read_with_places(ocr: Ocr) -> None:
    found = ocr.read(written(LETTER))
    assert errors("".join(LETTER), found.text) <= 0.02
    assert [line.text for line in found.lines] == list(LETTER)
    box = found.lines[0].box
    assert box.left == pytest.approx(40 / 640, abs=0.03)
    assert box.top < 50 / 320 < box.bottom
    assert all(0.5 <= line.confidence <= 1 for line in found.lines)


def test_chinese_is_read(ocr: Ocr) -> None:
    found = ocr.read(CHINESE)
    assert len(found.lines) == 4
    assert errors("".join(CHINESE_LINES), found.text) <= 0.06


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_turned_page_is_read_and_its_boxes_are_those_of_the_page_as_given(ocr: Ocr, angle: int) -> None:
    upright = written(LETTER)
    found = ocr.read(upright.rotate(angle, expand=True))
    assert errors("".join(LETTER), found.text) <= 0.04
    assert found.turned == angle  # turned counter-clockwise when made, clockwise when read
    box = found.lines[0].box  # the first line was at the top
    middle = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    near = {90: middle[0] < 0.3, 180: middle[1] > 0.7, 270: middle[0] > 0.7}
    assert near[angle]


def test_a_skewed_page_is_read_in_order(ocr: Ocr) -> None:
    found = ocr.read(written(LETTER).rotate(4, expand=True, fillcolor="white"))
    assert errors("".join(LETTER), found.text) <= 0.04


def test_columns_are_read_one_after_the_other(ocr: Ocr) -> None:
    page = Image.new("RGB", (1000, 420), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(24)
    draw.text((120, 20), "A headline over both of the two columns of this page", font=font, fill="black")
    for number in range(5):
        draw.text((30, 100 + 50 * number), f"left column, line number {number}", font=font, fill="black")
        draw.text((560, 100 + 50 * number), f"right column, line number {number}", font=font, fill="black")
    words = ocr.read(page).text
    assert words.index("headline") < words.index("left column")
    assert words.rindex("left column") < words.index("right column")


def test_long_lines_are_read_whole(ocr: Ocr) -> None:
    line = "the model by itself skips letters of lines as long as this one is, so they are read in pieces of some words"
    found = ocr.read(written([line], size=(1500, 100)))
    assert errors(line, found.text) <= 0.02
    assert len(found.lines) == 1
    assert found.text.split() == line.split()  # no space is lost or made where the line was cut


@pytest.mark.slow
def test_a_tall_screenshot_is_looked_through_in_pieces(ocr: Ocr) -> None:
    lines = [f"entry {number} of the log" for number in range(60)]
    found = ocr.read(written(lines, size=(420, 2000), height=18))
    texts = found.text.split("\n")
    assert len(texts) == 60  # none lost or doubled at the seams
    assert errors("".join(lines), found.text) <= 0.02


def test_an_empty_picture_and_one_of_a_pixel_are_empty_pages(ocr: Ocr) -> None:
    assert ocr.read(Image.new("RGB", (1, 1))) == Sighted()
    assert ocr.read(Image.new("RGB", (400, 300), "white")).lines == ()
    assert ocr.page_of(Image.new("RGB", (1, 1)), 1).source == "none"


def modes() -> dict[str, bytes]:
    page = written(LETTER[:1], size=(420, 90))
    clear = Image.new("RGBA", page.size, (0, 0, 0, 0))
    clear.putalpha(page.convert("L").point(lambda v: 255 - v))  # black letters on nothing
    deep = page.convert("L").convert("I").point(lambda v: v * 257)
    turned = page.rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise
    return {
        "alpha": encoded(clear),
        "cmyk": encoded(page.convert("CMYK"), "JPEG", quality=95),
        "sixteen bits": encoded(deep.convert("I;16")),
        "palette": encoded(page.quantize(8)),
        "one bit": encoded(page.convert("1")),
        "exif": encoded(turned, "JPEG", exif=exif, quality=95),
        "webp": encoded(page, "WEBP"),
        "avif": encoded(page, "AVIF"),
    }


@pytest.mark.parametrize("mode", sorted(modes()))
def test_every_sort_of_pixel_is_read(ocr: Ocr, mode: str) -> None:
    found = ocr.read(modes()[mode])
    assert [line.text for line in found.lines] == [LETTER[0]]
    assert found.turned == 0


def test_frames_of_a_file_are_pages(ocr: Ocr) -> None:
    pages = [written([f"page number {n}"], size=(420, 90)) for n in (1, 2)]
    file = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert ocr.read(file, frame=2).text == "page number 2"
    with pytest.raises(ToolError, match="frame 3"):
        ocr.read(file, frame=3)


def bomb(wide: int, high: int) -> bytes:
    """A PNG that declares a size and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a picture"),
        (bomb(12_000, 10_000), "12,000 x 10,000 pixels, more than the 100,000,000"),
        (b"%PDF-1.7 is not a picture", "not a picture"),
        (bomb(50_000, 50_000), "2,500,000,000 pixels, more than the 100,000,000"),
        (bomb(20_000, 10_000), "200,000,000 pixels, more than the 100,000,000"),
        (encoded(written(LETTER), "JPEG")[:2_000], "broken|truncated"),
        (encoded(written(LETTER))[:300], "broken|truncated"),
    ],
    ids=["empty", "120 megapixels", "pdf", "bomb", "200 megapixels", "cut JPEG", "cut PNG"],
)
def test_damaged_files_are_named_and_the_next_one_is_read(ocr: Ocr, data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(data)
    with pytest.raises(ToolError, match=says):
        ocr.read(path)
    assert ocr.read(written(LETTER[:1], size=(420, 90))).text == LETTER[0]


def youngest(pid: int) -> int:
    """The last of the processes that this one started: in a sandbox, the one that reads."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return youngest(int(children[-1])) if children else pid


def test_a_process_that_is_killed_over_a_picture_is_replaced(ocr: Ocr) -> None:
    ocr.read(written(["first"], size=(300, 90)))
    (started,) = ocr._children.pids()
    pid = youngest(started)
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(ToolError, match="ended over this one"):
        ocr.read(written(["second"], size=(300, 90)))
    assert ocr.read(written(["third"], size=(300, 90))).text == "third"
    assert ocr._children.pids() != [started]


def test_a_picture_that_takes_too_long_is_given_up() -> None:
    with Ocr(workers=1, seconds=0.01) as hasty, pytest.raises(ToolError, match=r"longer than 0\.01 s"):
        hasty.read(written(LETTER))


def test_too_little_memory_is_an_error_of_that_picture() -> None:
    with Ocr(workers=1, memory_mb=500, engine="onnxruntime") as small, pytest.raises((ToolError, ModelError)):
        small.read(written(LETTER, size=(3000, 4000)))


def test_the_processes_end_with_their_parent() -> None:
    program = (
        "import time\nfrom mainspring.library.sight.ocr import Ocr\nfrom PIL import Image\n"
        "o = Ocr(workers=1)\no.read(Image.new('RGB', (60, 60)))\nprint(*o._children.pids(), flush=True)\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = youngest(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < until, "the child outlives its parent"
        time.sleep(0.1)


def test_nothing_is_fetched() -> None:
    # In a process of its own, for an audit hook cannot be taken off again.
    program = (
        "import sys\nopened = []\n"
        "sys.addaudithook(lambda e, a: opened.append(e) if e.startswith('socket.') else None)\n"
        "import numpy as np\nfrom mainspring.library.sight.recognise import Recogniser\n"
        "Recogniser().read(np.full((100, 300, 3), 255, np.uint8))\n"
        "assert not opened, opened\nassert 'rapidocr' not in sys.modules and 'requests' not in sys.modules\n"
        "import socket\ns = socket.socket()\nassert opened\nprint('none')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "none", done.stderr


def test_a_changed_model_is_refused(tmp_path: Path) -> None:
    name, _ = MODELS["detect"]
    data = bytearray((models_folder() / name).read_bytes())
    (tmp_path / name).write_bytes(data)
    assert checked("detect", tmp_path) == data
    data[1000] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelError, match="was changed or is of another release"):
        checked("detect", tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        checked("read", tmp_path)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(DeclarationError, match="at least one"):
        Ocr(threads=0)
    with pytest.raises(DeclarationError, match="unknown OCR engine"):
        Ocr(engine="magic")  # type: ignore[arg-type]


def test_the_same_picture_is_read_once_also_by_a_later_process(tmp_path: Path) -> None:
    path = tmp_path / "ocr" / "cache.sqlite"
    page = written(LETTER[:1], size=(420, 90))
    with Ocr(path, workers=1) as first:
        found = first.read(page)
        assert first.read(encoded(page)) == found  # the same pixels in a file
        assert first.read_anew == 1
    with Ocr(path, workers=1) as second:
        assert second.read(page) == found
        assert second.read_anew == 0
        assert second._children.pids() == []


def test_pictures_of_two_circles_share_neither_a_process_nor_what_was_read(tmp_path: Path) -> None:
    page = written(LETTER[:1], size=(420, 90))
    with Ocr(tmp_path / "cache.sqlite", workers=1, engine="onnxruntime") as reader:
        reader.read(page, circle="strangers")
        before = reader._children.pids()
        reader.read(encoded(page.rotate(180)), circle="strangers")
        assert reader._children.pids() == before
        assert reader.read(page, circle="ann's").text == LETTER[0]
        assert reader.read_anew == 3
        assert not set(reader._children.pids()) & set(before)
        reader.read(page, circle="ann's")
        reader.read(page, circle="strangers")
        assert reader.read_anew == 3


@pytest.mark.parametrize("what", ["pipe", "folder", "nothing"])
def test_what_is_no_file_is_not_opened(ocr: Ocr, tmp_path: Path, what: str) -> None:
    path = tmp_path / "scan.png"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    with pytest.raises(ToolError, match=r"scan\.png (is no regular file|cannot be opened)"):
        ocr.read(path)


def test_what_was_read_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    program = (
        "import sys, os, signal\nfrom pathlib import Path\nfrom mainspring.library.sight.cache import Cache\n"
        "from mainspring.library.sight.lines import Sighted\n"
        "Cache(Path(sys.argv[1])).put(b'k', Sighted(turned=90))\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)])
    assert Cache(path).get(b"k") == Sighted(turned=90)


@pytest.mark.parametrize("damage", ["garbage", "torn", "foreign", "newer"])
def test_a_damaged_cache_is_thrown_away(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "cache.sqlite"
    cache = Cache(path)
    for n in range(200):
        cache.put(n.to_bytes(2, "big"), Sighted((Line("x" * 200, Box(0, 0, 1, 1), 1.0),), (0,)))
    cache.close()
    if damage == "garbage":
        path.write_bytes(b"not a database at all" * 500)
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 30_000)
    elif damage == "foreign":
        path.unlink()
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE read (something INTEGER)")
    else:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
    again = Cache(path)
    for n in range(200):
        again.get(n.to_bytes(2, "big"))
    again.put(b"new", Sighted(turned=180))
    assert again.get(b"new") == Sighted(turned=180)
    assert again.thrown_away == 1


def test_the_cache_is_bounded_and_loses_what_is_unused_longest(tmp_path: Path) -> None:
    now = [1_000_000.0]
    cache = Cache(tmp_path / "cache.sqlite", bytes_=20_000, clock=lambda: now[0])
    for n in range(100):
        cache.put(bytes([n]), Sighted((Line("y" * 400, Box(0, 0, 1, 1), 1.0),), (0,)))
        now[0] += 90_000
        assert cache.get(bytes([0])) is not None  # used each day, so kept
    assert 20 <= cache.count() <= 40
    assert cache.get(bytes([99])) is not None
    assert cache.get(bytes([1])) is None


def test_reading_order_of_a_table_is_by_rows() -> None:
    cells = [(x, y, x + 40.0, y + 10.0) for y in (0.0, 20.0, 40.0, 60.0) for x in (200.0, 0.0, 100.0)]
    assert reading_order(cells) == [[1, 2, 0], [4, 5, 3], [7, 8, 6], [10, 11, 9]]
    assert reading_order([]) == []


def test_a_page_has_a_region_for_each_line() -> None:
    lines = (Line("Totals", Box(0.1, 0.1, 0.5, 0.2), 0.9), Line("42", Box(0.1, 0.5, 0.2, 0.6), 0.9))
    base = Page(7, "old", heading="Chapter", width=600, height=800, begins_s=1.5, unread=1.0)
    page = page_from(
        Sighted(lines, (0, 1)), base, [("table", Box(0.05, 0.45, 0.9, 0.7)), ("figure", Box(0, 0.8, 1, 1))]
    )
    assert page.text == "Totals\n42"
    assert [(page.text[r.start : r.end], r.kind) for r in page.regions] == [
        ("Totals", "text"),
        ("42", "text"),
        ("42", "table"),
        ("", "figure"),
    ]
    assert (page.source, page.unread, page.heading, page.begins_s) == ("ocr", 0.0, "Chapter", 1.5)
    assert page_from(Sighted(lines, (0, 1)), base, most_chars=7).text == "Totals"


def test_text_is_cleaned() -> None:
    assert clean("a\x00b\n e\u0301\ud800") == "ab \u00e9"


def reading(**change: Any) -> dict[str, Any]:
    line = {"text": "words", "box": {"left": 0.1, "top": 0.1, "right": 0.5, "bottom": 0.2}, "confidence": 0.9}
    return {"lines": [line], "rows": [0], "turned": 0, "areas": []} | change


@pytest.mark.parametrize(
    "answer",
    [
        {},
        reading(rows=[]),
        reading(lines=[{"text": "a", "box": {"left": "x"}, "confidence": 1}]),
        reading(areas=[["order", {"left": 0, "top": 0, "right": 1, "bottom": 1}]]),
        reading(areas=[["table", {"left": float("nan"), "top": 0, "right": 1, "bottom": 1}]]),
        reading(turned=float("inf")),
    ],
)
def test_what_the_process_answers_is_checked(answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with Ocr(workers=1, engine="onnxruntime") as reader:
        monkeypatch.setattr(reader._children, "ask", lambda *_: (reading(), b""))
        assert reader.read(Image.new("RGB", (50, 50))).text == "words"
        monkeypatch.setattr(reader._children, "ask", lambda *_: (answer, b""))
        with pytest.raises(ToolError, match="no reading"):
            reader.read(Image.new("RGB", (50, 50)))


@pytest.mark.parametrize(
    ("answer", "data"),
    [
        (None, b""),
        ([], b""),
        ({"width": 50, "height": 50}, b"short"),
        ({"width": "50", "height": 50}, bytes(7_500)),
        ({"width": -50, "height": -50}, bytes(7_500)),
        ({"width": 1 << 40, "height": 0}, b""),
    ],
)
def test_a_decoded_picture_is_checked(answer: Any, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ocr(workers=1, engine="onnxruntime") as reader:
        monkeypatch.setattr(reader._children, "ask", lambda *_: (answer, data))
        with pytest.raises(ToolError, match="no picture"):
            reader.read(encoded(Image.new("RGB", (50, 50))))


@pytest.mark.parametrize("body", [b"7", b"null", b"[]", b"[1, 2, 3]", b"[" * 50_000, b"\xff", b'{"a": 1}'])
def test_a_process_that_answers_nonsense_is_ended(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: Any, more: Any, **popen: Any) -> subprocess.Popen[bytes]:
        said = len(body).to_bytes(4, "big") + bytes(8) + body
        program = f"import sys; sys.stdout.buffer.write({said!r}); sys.stdout.flush(); sys.stdin.read()"
        return subprocess.Popen([sys.executable, "-c", program], **popen)

    monkeypatch.setattr("mainspring.library.sight.child.start", start)
    with Ocr(workers=1, engine="onnxruntime") as reader:
        with pytest.raises(ToolError, match="ended over this one"):
            reader.read(Image.new("RGB", (50, 50)))
        assert reader._children.pids() == []
