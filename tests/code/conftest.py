"""Fixtures for the tests of work on code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The benchmarks are no part of the installed package.
ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from small_project import make_project  # noqa: E402


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project whose tests pass."""
    return make_project(tmp_path / "project")
