"""`mainspring doctor` with a journal on PostgreSQL: which one it is, and whether it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.cli.doctor import _journal


def test_the_doctor_says_which_database_answers(database: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_HOME", str(home))
    monkeypatch.setenv("MAINSPRING_DATABASE_URL", database)
    [check] = _journal()
    assert check.ok
    assert "PostgreSQL 127.0.0.1:" in check.found
    assert "answers" in check.found


def test_the_doctor_says_what_to_do_when_it_does_not(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_HOME", str(home))
    monkeypatch.setenv("MAINSPRING_DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/x")
    [check] = _journal()
    assert not check.ok
    assert "check that the server runs" in check.found
    assert "secret" not in check.found
