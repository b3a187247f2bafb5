"""The OCR models are loaded without a word to anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LOADED = "from mainspring.library.sight.weights import load; load('detect', 'onnxruntime', 1)"


def test_the_runtime_that_reads_pictures_keeps_nothing_of_the_machine(tmp_path: Path) -> None:
    """With its telemetry on, onnxruntime 1.32 leaves an identifier of the device and a queue of events there."""
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment = kept | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache")}
    subprocess.run([sys.executable, "-c", LOADED], env=environment, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []
