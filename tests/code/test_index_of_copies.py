"""A run's working copy lies inside Mainspring's folder, and is indexed all the same."""

from __future__ import annotations

from pathlib import Path

from calculator import repository
from mainspring.code.git import Repository, WorkingCopy
from mainspring.code.index import CodeIndex


def test_a_working_copy_is_indexed_and_a_home_inside_a_repository_is_not(home: Path, tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo")
    copy = WorkingCopy.make(Repository.find(repo), home, "run")
    index = CodeIndex.open(copy.path, home)
    assert index.refresh().files == 3
    assert [s.path for s in index.find_definition("total").symbols] == ["paging.py"]

    inside = repo / "home"
    inside.mkdir()
    (inside / "mine.py").write_text("def mine(): ...\n")
    index = CodeIndex.open(repo, inside)
    index.refresh()
    assert not index.find_definition("mine")
    assert index.find_definition("total")
