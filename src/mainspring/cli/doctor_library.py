"""What `mainspring doctor` says of the library: its packages, its encoder, what reads pictures. None is needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec

from mainspring.cli.doctor_guard import Check

#: What the extra brings, by what it is imported as.
PACKAGES = (
    "numpy",
    "PIL",
    "pypdfium2",
    "docx",
    "pptx",
    "openpyxl",
    "selectolax",
    "onnx",
    "onnxruntime",
    "rapidocr",
    "av",
)  # fmt: skip


def library() -> Iterator[Check]:
    """The extra, the embedded encoder's weights, the OCR models, and what would make OCR faster."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    found = f"without {', '.join(missing)}" if missing else "all its packages are installed"
    yield Check("library", not missing, False, found, f'{sys.executable} -m pip install "mainspring[library]"')
    if missing:
        return
    yield _encoder()
    yield _ocr()


def _encoder() -> Check:
    from mainspring.library.embed import ready
    from mainspring.library.embed.carried import E5_SMALL

    name = "library: encoder"
    if ready():
        return Check(name, True, False, f"{E5_SMALL.title} is ready")
    found = f"{E5_SMALL.title} is not here yet; the first `mainspring index` fetches it, until then words find pages"
    return Check(name, False, False, found, "mainspring models fetch e5")


def _ocr() -> Check:
    from mainspring.errors import ModelError
    from mainspring.library.sight.weights import MODELS, best_engine, checked

    name = "library: OCR"
    try:
        for part in MODELS:
            checked(part)
    except ModelError as error:
        return Check(name, False, False, str(error), f'{sys.executable} -m pip install "mainspring[library]"')
    engine = best_engine()
    more = "" if engine == "openvino" else "; with OpenVINO (pip install openvino) it takes about a fifth less time"
    return Check(name, True, False, f"its models are here, run by {engine}{more}")
