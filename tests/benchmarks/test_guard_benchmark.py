"""The guard benchmark times what it says, finds what it times, and prints its fixed fields."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest

import benchmarks.guard as module
from benchmarks.guard import MODES, WORK, Clock, measured


def burn(milliseconds: float) -> None:
    until = time.thread_time() + milliseconds / 1000
    while time.thread_time() < until:
        pass


def test_what_one_timed_call_does_within_another_counts_once() -> None:
    clock = Clock()
    inner = clock.around("inner", lambda: burn(5))
    clock.around("outer", lambda: (burn(5), inner()))()
    assert 10 <= clock.spent / 1e6 < 40
    assert list(clock.parts) == ["outer"]
    inner()
    assert set(clock.parts) == {"outer", "inner"}


def test_waiting_is_no_cost() -> None:
    async def work() -> None:
        burn(5)
        await asyncio.sleep(0.2)

    clock = Clock()
    asyncio.run(clock.around("work", work)())
    assert 5 <= clock.spent / 1e6 < 60


def test_what_fails_is_timed_as_well() -> None:
    def fails() -> None:
        burn(2)
        raise ValueError("on purpose")

    clock = Clock()
    with pytest.raises(ValueError, match="on purpose"):
        clock.around("fails", fails)()
    assert clock.depth == 0
    assert clock.spent >= 2e6


def test_the_guard_is_as_it_was_afterwards() -> None:
    from mainspring.runtime.gate import Gate

    before = Gate.decide
    with measured(Clock()):
        assert Gate.decide is not before
    assert Gate.decide is before


def test_a_part_that_has_moved_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORK", (*WORK, ("mainspring.runtime.gate", "Gate.gone")))
    with pytest.raises(AttributeError, match="gone"), measured(Clock()):
        pass


def test_an_expensive_guard_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If deciding took 3 ms more, the benchmark would say so."""
    from mainspring.runtime import gate

    cheap, _, _ = module._run("tainted", 10, tmp_path)
    decide = gate.decide_call

    def slow(*args: Any) -> Any:
        burn(3)
        return decide(*args)

    monkeypatch.setattr(gate, "decide_call", slow)
    dear, _, parts = module._run("tainted", 10, tmp_path)
    assert 2.5 <= median(dear) - median(cheap) < 6
    assert parts["Gate.decide"] > 3


def test_quick_run_prints_the_fixed_fields(benchmark_object: Callable[..., dict[str, Any]]) -> None:
    result = benchmark_object("guard")
    for name in ("cpu_ms_per_step", "decisions_per_s", "interpreter_steps_per_s"):
        assert result[name] > 0, name
    assert set(result["modes"]) == set(MODES)
    assert result["cpu_ms_per_step"] == max(m["mean_ms"] for m in result["modes"].values())
    for mode in result["modes"].values():
        assert 0 < mode["mean_ms"] < mode["timed_step_ms"]
        assert 0 < mode["p50_ms"] <= mode["p95_ms"]
    assert result["decisions_per_s"] == min(result["decisions"].values())
    assert len(result["programs"]) == 3
