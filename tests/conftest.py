"""For all tests: a workspace, a home and a database apart from each other; journals are closed after each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples each time, so that a run that failed fails again and one that passed says something about the
# change. `HYPOTHESIS_PROFILE=search` draws new ones, to look for what the fixed ones do not show.
settings.register_profile("fixed", derandomize=True, database=None)
settings.register_profile("search", derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(autouse=True)
def _close_stores() -> Iterator[None]:
    yield
    from mainspring.store import close_stores

    close_stores()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of a new PostgreSQL database; the test is skipped where PostgreSQL is not installed."""
    from postgres_server import NoPostgres, shared_server

    try:
        server = shared_server()
    except NoPostgres as reason:
        pytest.skip(str(reason))
    url = server.create_database()
    yield url
    from mainspring.store import close_stores

    close_stores()
    if server.pid:
        server.drop_database(url.rpartition("/")[2])
