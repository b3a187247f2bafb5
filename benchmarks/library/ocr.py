"""``python -m benchmarks.library.ocr``: how many characters OCR gets wrong, and how long a page takes.

Pages of known text are drawn, worn like scans (turned a little, noise, blur, JPEG) and read, by each engine that is
installed, one page at a time with one thread. Chinese pages need a font: ``--font``, or one that is found.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import statistics
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.output import emit, machine, note, rounded, table
from mainspring.library.sight.ocr import Ocr

if TYPE_CHECKING:
    from PIL.Image import Image

_SEED = 20_260_501
_WORDS = (
    "the library keeps a page of every report so that nobody must look for it twice while engineers measure how long "
    "each step takes and write down the result in a table at the end of chapter where readers compare prices costs "
    "weights and dates with those of last year before they sign the contract about paper ink and binding"
)
_ENGLISH = _WORDS.split()
_CHINESE = (
    "图书馆为每一份报告保存一页这样就没有人需要找两次工程师测量每个步骤的时间并在章节末尾的表格中写下结果读者在签订纸张"
    "油墨和装订合同之前将价格费用重量和日期与去年进行比较如果数字不同他们就打电话给编辑部询问原因"
)
_FONTS = ("wqy*.tt?", "NotoSansCJK*.tt?", "NotoSansSC*.?tf", "*SourceHanSans*.?t?", "DroidSansFallback*.ttf")


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.library.ocr", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument("--pages", type=int, default=5, help="pages of each kind (5)")
    parser.add_argument("--font", type=Path, help="a font with Chinese characters")
    options = parser.parse_args()
    font = options.font or _font()
    skipped = [] if font else ["Chinese: no font with Chinese characters (--font)"]
    engines = ["onnxruntime"]
    if find_spec("openvino") is not None:
        engines.append("openvino")
    else:
        skipped.append("openvino: not installed")
    kinds: dict[str, Any] = {}
    for engine in engines:
        with Ocr(workers=1, engine=engine) as ocr:  # type: ignore[arg-type]
            ocr.read(_page("warm up", None, random.Random(0)))
            for language in ("English", *(["Chinese"] if font else [])):
                for worn in (False, True):
                    name = f"{language}, {'scanned' if worn else 'clean'}, {engine}"
                    kinds[name] = _measured(ocr, options.pages, language, font, worn)
                    note(f"{name}: {kinds[name]}")
    rows = [
        (name, one["cer"], one["s_per_page"], one["processor_s_per_page"], one["pages_per_s"])
        for name, one in kinds.items()
    ]
    print(table(("pages", "character errors", "s a page", "of a core", "pages a s"), rows))
    emit(
        {
            "pages": options.pages,
            "kinds": kinds,
            "font": font.name if font else None,
            "skipped": skipped,
            "machine": machine(Path.cwd()),
        }
    )


def _measured(ocr: Ocr, pages: int, language: str, font: Path | None, worn: bool) -> dict[str, Any]:
    wrong = characters = 0
    seconds: list[float] = []
    processor: list[float] = []
    for truth, image in _made(pages, language, font, worn):
        begun, used = time.perf_counter(), _processor_s(ocr)
        found = ocr.read(image).text
        seconds.append(time.perf_counter() - begun)
        processor.append(_processor_s(ocr) - used)
        wrong += _edits("".join(truth.split()), "".join(found.split()))
        characters += len("".join(truth.split()))
    middle = statistics.median(seconds)
    return {
        "cer": rounded(wrong / characters, 3),
        "characters": characters,
        "s_per_page": rounded(middle, 3),
        "processor_s_per_page": rounded(statistics.median(processor), 3),
        "pages_per_s": rounded(1 / middle, 3),
    }


def _processor_s(ocr: Ocr) -> float:
    """Seconds of a core that the process which reads has used: unlike time, it hardly depends on what else runs."""
    (pid,) = ocr._children.pids()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _made(pages: int, language: str, font: Path | None, worn: bool) -> Iterator[tuple[str, Image]]:
    for number in range(pages):
        chance = random.Random(f"{_SEED} {language} {number}")
        lines = []
        for n in range(38):
            if n % 9 == 8:
                lines.append("")
            elif language == "Chinese":
                start = chance.randrange(len(_CHINESE) - 1)
                lines.append((_CHINESE[start:] + _CHINESE * 2)[: chance.randint(28, 44)])
            else:
                lines.append(" ".join(chance.choice(_ENGLISH) for _ in range(chance.randint(11, 15))))
        truth = "\n".join(lines)
        image = _page(truth, font if language == "Chinese" else None, chance)
        yield truth, _worn(image, chance) if worn else image


def _page(text: str, font: Path | None, chance: random.Random) -> Image:
    """An A4 page at 150 dots an inch."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (1240, 1754), "white")
    draw = ImageDraw.Draw(image)
    face = ImageFont.truetype(str(font), 22) if font else ImageFont.load_default(22)
    for number, line in enumerate(text.split("\n")):
        draw.text((100, 90 + number * 42), line, font=face, fill=(chance.randrange(40),) * 3)
    return image


def _worn(image: Image, chance: random.Random) -> Image:
    """As a scanner gives it back."""
    import numpy as np
    from PIL import Image as Pillow
    from PIL import ImageFilter

    image = image.rotate(chance.uniform(-1.5, 1.5), Pillow.Resampling.BICUBIC, fillcolor="white")
    image = image.filter(ImageFilter.GaussianBlur(0.8))
    noise = np.random.default_rng(chance.randrange(1 << 30)).normal(-8, 10, (image.height, image.width, 1))
    image = Pillow.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=45)
    return Pillow.open(out)


def _edits(truth: str, found: str) -> int:
    above = list(range(len(found) + 1))
    for row, wanted in enumerate(truth, 1):
        below = [row]
        for column, got in enumerate(found, 1):
            below.append(min(above[column] + 1, below[-1] + 1, above[column - 1] + (wanted != got)))
        above = below
    return above[-1]


def _font() -> Path | None:
    """A font with Chinese characters, where the system or a package has one."""
    places = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts"]
    spec = find_spec("paperang_p2_fonts_cjk")
    places += [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    for pattern in _FONTS:
        for place in places:
            for found in sorted(place.rglob(pattern)) if place.is_dir() else []:
                return found
    return None


if __name__ == "__main__":
    main()
