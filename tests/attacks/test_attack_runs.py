"""The attacks of `benchmarks.attacks`: each is stopped, and each would succeed without the defence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.attacks import cases  # noqa: E402  the benchmarks are no part of the installed package
from benchmarks.attacks.world import CASES, Case, play  # noqa: E402

FAST = [c for c in CASES.values() if not c.slow]
SLOW = [c for c in CASES.values() if c.slow]


@pytest.fixture(autouse=True)
def _no_settings_of_whoever_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAINSPRING_CONFIG", "MAINSPRING_HOME", "MAINSPRING_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def holds(case: Case, folder: Path) -> None:
    guarded = play(case, True, folder)
    assert not guarded.happened, f"{case.wants}: {guarded.how}"
    control = play(case, False, folder)
    assert control.happened, f"the case shows nothing, since it fails without the guard too: {control.how}"


@pytest.mark.parametrize("case", FAST, ids=[c.name for c in FAST])
def test_an_attack_is_stopped(case: Case, tmp_path: Path) -> None:
    holds(case, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW, ids=[c.name for c in SLOW])
def test_an_attack_with_a_server_or_a_command_is_stopped(case: Case, tmp_path: Path) -> None:
    holds(case, tmp_path)


def test_there_are_enough_of_them() -> None:
    assert len({name.partition(".")[0] for name in CASES}) >= 90
    assert all(c.wants and c.holds for c in CASES.values())
    assert len(cases.__all__) == 15
