"""The idle benchmark prints its fixed fields, and its own arithmetic of times says what cron says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.idle.filling import jobs


@pytest.mark.slow
def test_quick_run_prints_the_fixed_fields(benchmark_object: Callable[..., dict[str, Any]]) -> None:
    result = benchmark_object("idle")
    assert (result["sleepers"], result["schedules"], result["idle_model_calls"]) == (200, 20, 0)
    for field in ("cpu_share", "resident_kb_per_sleeper", "wake_p99_s"):
        assert isinstance(result[field], float), field
    simulated = result["simulated"]
    assert simulated["firings_made"] == simulated["firings_expected"] > 0
    assert simulated["firings_lost"] == simulated["firings_doubled_or_idle"] == 0
    assert simulated["wakers_done"] == simulated["wakers"]


def test_the_expected_times_are_those_of_the_triggers(tmp_path: Path) -> None:
    begin = 1_800_000_123.0
    for job in jobs(40, tmp_path):
        until = begin + 3 * 86_400
        assert list(job.times(begin, until)) == job.schedule.times_between(begin, until, 1000)
