"""The engineer with the real embedded model: a failing suite becomes a verified patch."""

from __future__ import annotations

from pathlib import Path

import pytest

from calculator import BROKEN, repository
from mainspring.engineer import code_sync


@pytest.mark.slow
def test_the_smallest_model_mends_a_fault_with_the_full_harness(home: Path, tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo")
    result = code_sync("pages() loses the last page; mend it", repo, model="local:0.5b", home=home)
    assert result.done, result.report.text()
    assert result.report.verified
    assert result.report.patch.paths == ("paging.py",)
    assert BROKEN in (repo / "paging.py").read_text()
    assert result.run.usage.output_tokens > 0
