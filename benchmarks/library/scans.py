"""Turns pages of a PDF into what an office scanner and a hasty person make of their printout.

Each page is drawn, made smaller, laid a little askew, made noisy, and pressed as JPEG into a PDF without text.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path

#: Dots per inch of the drawing and of the scan, standard deviation of the noise (of 255), JPEG quality.
DRAWN, SCANNED, NOISE, QUALITY = 200, 130, 9.0, 40
#: Most degrees that a page lies askew.
ASKEW = 0.9
#: How dark the paper is, of 255.
PAPER = 238


def rescan(source: Path, numbers: Sequence[int], target: Path, seed: str) -> None:
    """Write `target`, a PDF of pictures of the pages `numbers` (from 1) of `source`. The same seed, the same noise."""
    import pypdfium2

    document = pypdfium2.PdfDocument(source)
    try:
        pages = [_scanned(document[number - 1], random.Random(f"{seed}/{number}")) for number in numbers]
    finally:
        document.close()
    never = time.gmtime(0)
    pages[0].save(
        target,
        "PDF",
        save_all=True,
        append_images=pages[1:],
        resolution=SCANNED,
        quality=QUALITY,
        title="",
        creationDate=never,
        modDate=never,
    )


def _scanned(page, drawn: random.Random):  # type: ignore[no-untyped-def]  # pypdfium2 has no types
    import numpy as np
    from PIL import Image

    bitmap = page.render(scale=DRAWN / 72, grayscale=True)
    picture = bitmap.to_pil().convert("L")
    width, height = (round(side * SCANNED / DRAWN) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    picture = picture.rotate(drawn.uniform(-ASKEW, ASKEW), Image.Resampling.BICUBIC, fillcolor=255)
    grey = np.asarray(picture, np.float32) * (PAPER / 255)
    noise = np.random.default_rng(drawn.getrandbits(64)).normal(0, NOISE, grey.shape)
    return Image.fromarray(np.clip(grey + noise, 0, 255).astype(np.uint8))
