"""The loop benchmark runs without the other systems and prints its fixed fields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.loop.measure import ChildError, Samples, System, measure_killed, python_of_this_process
from benchmarks.peers.workload import RESULT_BYTES, last_page, marker, page_text

ROOT = Path(__file__).resolve().parents[2]


def test_quick_run_prints_the_fixed_fields(benchmark_object: Callable[..., dict[str, Any]]) -> None:
    result = benchmark_object("loop")
    ours = result["mainspring"]
    for field in ("cpu_ms", "wall_ms", "kb_per_step", "last10_over_first10", "cpu_ms_1000", "resume_s"):
        assert ours[field] > 0, field
    assert ours["durable"] is True
    assert ours["steps_repeated_after_kill"] == 0
    assert ours["kb_per_step"] > RESULT_BYTES / 1024  # what the tool returned is on disk
    assert result["skipped"] == ["peers (pass --peers)"]


def test_a_page_is_recognised_in_its_own_answer_only() -> None:
    assert len(page_text(17)) == RESULT_BYTES
    assert last_page(page_text(17)) == 17
    assert marker(17) in page_text(17)
    assert marker(16) not in page_text(17)
    assert last_page("say done when there are no more pages") is None


def test_a_system_that_forgets_is_not_called_durable(tmp_path: Path) -> None:
    """A child that starts over after the kill must be caught."""
    child = tmp_path / "forgetful.py"
    child.write_text(
        "from benchmarks.peers.workload import main, page_text\n"
        "import time\n"
        "def run(folder, name, work):\n"
        "    last = ''\n"
        "    while (page := work.next_page(last, lambda: last)) is not None:\n"
        "        last = work.look_up(page)\n"
        "def resume(folder, name, work):\n"
        "    work.resumed_at_ns = time.perf_counter_ns()\n"
        "    run(folder, name, work)\n"
        "main([], run, resume)\n"
    )
    samples = Samples()
    environment = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": "/usr/bin:/bin"}
    system = System("forgetful", python_of_this_process(), "forgetful", environment)
    measure_killed(system, tmp_path, 12, samples)
    assert samples.durable == [False]
    assert samples.repeated == [12]


def test_a_child_that_fails_is_reported_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise SystemExit('no such luck')\n")
    environment = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": "/usr/bin:/bin"}
    system = System("broken", python_of_this_process(), "broken", environment)
    with pytest.raises(ChildError, match="no such luck"):
        measure_killed(system, tmp_path, 12, Samples())
