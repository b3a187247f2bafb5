"""The startup benchmark runs without the other systems and prints its fixed fields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.startup import _cpu_seconds


def test_quick_run_prints_the_fixed_fields(benchmark_object: Callable[..., dict[str, Any]]) -> None:
    result = benchmark_object("startup", "--rounds", "1")
    for field in ("import_cpu_s", "stdlib_cpu_s", "import_over_stdlib", "version_cpu_s"):
        assert result[field] > 0, field
    assert result["peers"] == {}
    assert result["skipped"] == ["peers (pass --peers)"]


def test_a_command_that_fails_stops_the_benchmark(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo broken >&2; exit 3"]
    with pytest.raises(SystemExit, match="ended with status 3:\nbroken"):
        _cpu_seconds(command, {}, tmp_path)
