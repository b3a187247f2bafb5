"""What a search from a fresh process loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mainspring.library.library import Library

#: A search by words takes a quarter of its time for each of these that it imports without need.
HEAVY = ("numpy", "onnxruntime", "onnx", "numkong", "pydantic", "rich", "asyncio", "httpx", "PIL", "cv2", "pypdfium2")

_SEARCH = f"""
import sys
from mainspring.cli import main
assert main(["search", *sys.argv[1:]]) == 0
print("loaded:", *(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)
"""


def test_a_search_by_words_loads_neither_arrays_nor_encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lease.md").write_text("# Lease\n\nA lease lasts thirty seconds.\n", "utf-8")
    home = tmp_path / "home"
    with Library.open(home=home, embedder="none") as library:
        library.index(tmp_path / "lease.md", ocr="off")
    monkeypatch.setenv("MAINSPRING_HOME", str(home))
    for options in (["lease", "--mode", "text"], ['"lease lasts" -draft', "--mode", "text", "--json"], ["lease"]):
        done = subprocess.run(
            [sys.executable, "-c", _SEARCH, *options], capture_output=True, text=True, check=True, timeout=60
        )
        assert "lease.md" in done.stdout
        loaded = done.stderr.splitlines()[-1]
        if '"' not in options[0]:  # which pages hold a phrase is a set of numbers
            assert loaded == "loaded:"
        else:
            assert "onnx" not in loaded
