"""For all tests: journals are closed after each, for every test has homes of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _close_stores() -> Iterator[None]:
    yield
    from mainspring.store import close_stores

    close_stores()
