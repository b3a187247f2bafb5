"""A run's working copy lies inside Mainspring's folder, and is indexed all the same."""

from __future__ import annotations

from pathlib import Path

from calculator import repository
from mainspring.code.git import Repository, WorkingCopy
from mainspring.code.index import CodeIndex, Shelf, index_tools
from mainspring.code.repomap import repo_map_tool
from mainspring.tool import ToolContext


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


def test_tools_that_share_a_shelf_share_the_index(home: Path, tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo")
    shelf = Shelf()
    context = ToolContext(run_id="r", workspace=repo, home=home)
    index = shelf.index(context)
    find = index_tools(shelf=shelf)[0]
    assert "paging.py" in find.function("total", context)
    assert "def total" in repo_map_tool(shelf=shelf).function(context, "total")
    assert shelf.index(context) is index
    assert Shelf(index=index).index(context) is index
