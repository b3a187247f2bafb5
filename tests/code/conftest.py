"""Fixtures for the tests of work on code."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_project import make_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project whose tests pass."""
    return make_project(tmp_path / "project")
