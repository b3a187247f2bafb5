"""The index as a whole: what it keeps, what it parses again, and what it answers."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.code.index import CodeIndex, index_tools
from mainspring.code.patch import FileChange, Patch
from mainspring.errors import ToolError
from mainspring.tool import ToolContext

FILES = {
    "shop/__init__.py": "from shop.store import Store\n",
    "shop/store.py": (
        "class Store:\n    def load(self, key):\n        return parse(key)\n\n\n"
        "def parse(key):\n    return _clean(key)\n"
        "\n\ndef _clean(key):\n    return key.strip()\n"
    ),
    "shop/web.py": "from shop import Store\n\n\ndef handle(request):\n    return Store().load(request)\n",
    "other/parse.py": "def parse(text):\n    return text\n\n\nparse('a')\n",
    "tests/test_store.py": (
        "from shop.store import Store, parse\n\n\n"
        "class TestParse:\n    def test_parse(self):\n        assert parse(' a')\n"
        "\n\ndef test_load():\n    assert Store().load('a')\n\n\ndef test_nothing():\n    assert True\n"
    ),
}


def write(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def git(folder: Path, *arguments: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


@pytest.fixture
def index(workspace: Path, home: Path) -> CodeIndex:
    write(workspace, FILES)
    found = CodeIndex.open(workspace, home)
    found.refresh()
    return found


def state(index: CodeIndex) -> dict[str, Any]:
    """Everything that an index says, by names instead of numbers."""
    graph = index.graph
    path = graph.path
    return {
        path(file): (
            index.facts(path(file)).encode(),
            sorted(graph.names[n] for n in graph.defines(file)),
            {graph.names[n]: count for n, count in graph.uses(file).items()},
            sorted(map(path, graph.imports(file))),
            sorted(map(path, graph.importers(file))),
            {path(other): round(weight, 9) for other, weight in graph.edges(file).items()},
            {graph.names[n]: sorted(map(path, graph.users(n))) for n in graph.defines(file)},
        )
        for file in graph.files()
    }


def test_only_changed_files_are_parsed_again(index: CodeIndex, workspace: Path) -> None:
    assert index.refresh().parsed == 0
    write(workspace, {"shop/store.py": "def fresh():\n    pass\n"})
    assert index.refresh().parsed == 1
    assert index.find_definition("fresh").symbols[0].path == "shop/store.py"
    assert not index.find_definition("Store")
    (workspace / "shop/store.py").touch()
    assert index.refresh().parsed == 0  # another time, the same content


def test_it_is_there_again_after_it_was_closed(index: CodeIndex, workspace: Path, home: Path) -> None:
    before = state(index)
    index.close()
    again = CodeIndex.open(workspace, home)
    assert state(again) == before
    assert again.refresh().parsed == 0


@pytest.mark.parametrize("damage", ["bytes", "row", "version"])
def test_a_damaged_or_old_file_is_built_anew(index: CodeIndex, workspace: Path, home: Path, damage: str) -> None:
    before = state(index)
    index.close()
    (file,) = (home / "index").glob("*.sqlite")
    if damage == "bytes":
        file.write_bytes(b"no database at all" * 1000)
    else:
        with sqlite3.connect(file) as db:
            db.execute("UPDATE files SET head='[1' WHERE path=?" if damage == "row" else "PRAGMA user_version=99",
                       (b"shop/web.py",) if damage == "row" else ())  # fmt: skip
    again = CodeIndex.open(workspace, home)
    refresh = again.refresh()
    assert refresh.parsed == len(FILES)
    assert any("is built anew" in note for note in refresh.notes), refresh.notes
    assert state(again) == before
    assert not any("built anew" in note for note in again.refresh().notes)


def test_definitions_are_found_by_name_and_by_the_end_of_a_qualified_one(index: CodeIndex) -> None:
    assert [s.path for s in index.find_definition("parse").symbols] == ["other/parse.py", "shop/store.py"]
    for name in ("Store.load", "shop.store.Store.load", "Store::load", "Store#load()"):
        found = index.find_definition(name)
        assert (found.how, [s.qualified for s in found.symbols]) == ("qualified", ["Store.load"]), name
    assert [s.path for s in index.find_definition("parse", "shop").symbols] == ["shop/store.py"]
    assert index.find_definition("PARSE").suggestions[0] == "parse"
    assert "Store" in index.find_definition("Stoer").suggestions


def test_references_mean_what_is_imported_and_not_a_namesake(index: CodeIndex) -> None:
    calls = index.who_calls("parse", "shop/store.py")
    assert {(r.path, r.inside, r.confidence) for r in calls} == {
        ("shop/store.py", "Store.load", 1.0),
        ("tests/test_store.py", "TestParse.test_parse", 1.0),
    }
    assert [r.excerpt for r in calls if r.path == "shop/store.py"] == ["return parse(key)"]
    assert {r.path for r in index.who_calls("parse", "other/parse.py")} == {"other/parse.py"}
    reexported = [r for r in index.find_references("Store") if r.path == "shop/web.py"]
    assert {r.confidence for r in reexported} == {0.9}


def test_tests_for_a_symbol_the_nearest_first(index: CodeIndex) -> None:
    found = index.tests_for("shop.store._clean")
    assert [(t.test, t.distance) for t in found] == [
        ("tests/test_store.py::TestParse::test_parse", 2),
        ("tests/test_store.py::test_load", 3),
    ]
    direct = index.tests_for("Store.load")
    assert [(t.test, t.distance, t.why) for t in direct] == [("tests/test_store.py::test_load", 1, "names it")]
    recorded = index.tests_for("_clean", {"tests/other.py::test_it": {"shop/store.py": [11]}})
    assert [(t.test, t.why) for t in recorded][:1] == [("tests/other.py::test_it", "covers it")]
    with pytest.raises(ToolError, match=r"neither an indexed file nor a defined name.*_clean"):
        index.tests_for("_claen")


def test_blast_radius_of_a_patch_a_path_and_a_name(index: CodeIndex, workspace: Path) -> None:
    before = (workspace / "shop/store.py").read_bytes()
    patch = Patch((FileChange("shop/store.py", before, before.replace(b"_clean(key)\n", b"_clean(key) or 0\n", 1)),))
    found = index.blast_radius(patch)
    assert [s.qualified for s in found.symbols] == ["parse"]
    assert ("shop/store.py", "Store.load") in {(r.path, r.inside) for r in found.callers}
    assert [s.qualified for s in found.further] == ["handle"]
    assert found.importers == ("shop/__init__.py", "tests/test_store.py")
    assert [t.test for t in found.tests] == [
        "tests/test_store.py::TestParse::test_parse",
        "tests/test_store.py::test_load",
    ]
    assert [s.qualified for s in found.public] == ["parse"]
    assert index.blast_radius("shop/store.py:_clean").public == ()
    assert {s.qualified for s in index.blast_radius(["shop/store.py"]).public} == {"Store", "Store.load", "parse"}
    with pytest.raises(ToolError, match="neither"):
        index.blast_radius(["nowhere.py"])


def test_search_joins_names_and_text(index: CodeIndex, workspace: Path) -> None:
    write(workspace, {"shop/notes.py": "# Where the quick brown fox sleeps\nA = 1\n"})
    index.update(["shop/notes.py"])
    (best, *_) = index.search("quick brown fox")
    assert (best.path, best.line) == ("shop/notes.py", 1)
    (best, *_) = index.search("load a store")
    assert best.path in ("shop/store.py", "tests/test_store.py")
    (best, *_) = index.search("handle")
    assert (best.path, best.line, best.symbol and best.symbol.name) == ("shop/web.py", 4, "handle")
    assert index.search("   ") == ()
    assert index.search('"; DROP TABLE words; --') == index.search("drop table words")


def test_recent_changes_come_from_git(workspace: Path, home: Path) -> None:
    write(workspace, FILES)
    git(workspace, "init", "-q")
    for number, paths in enumerate((["shop/store.py", "shop/web.py"], ["shop/store.py"], ["tests/test_store.py"])):
        for path in paths:
            (workspace / path).write_text(f"{FILES[path]}\n# {number}\n")
        git(workspace, "add", *paths)
        git(workspace, "commit", "-qm", f"change {number}")
    index = CodeIndex.open(workspace, home)
    index.refresh()
    found = {c.path: (c.commits, c.age, dict(c.together)) for c in index.recent()}
    assert found == {
        "tests/test_store.py": (1, 0, {}),
        "shop/store.py": (2, 1, {"shop/web.py": 1}),
        "shop/web.py": (1, 2, {"shop/store.py": 1}),
    }
    assert index.recent()[0].path == "tests/test_store.py"


@pytest.mark.parametrize("with_git", [True, False])
def test_ignored_and_foreign_files_are_left_out(workspace: Path, with_git: bool) -> None:
    write(workspace, FILES | {".gitignore": "made/\n*.gen.py\n", "made/a.py": "A = 1\n", "b.gen.py": "B = 1\n"})
    write(workspace, {"node_modules/c.js": "let c = 1\n", "d.min.js": "let d\n", "e_pb2.py": "E = 1\n"})
    write(workspace, {"big.py": "x = 1\n" * 200_000, "packed.js": "a();" * 10_000, "broken.py": "def f(:\n  x = (\n"})
    write(workspace, {"made_by.go": "// Code generated by protoc. DO NOT EDIT.\npackage a\n"})
    if with_git:
        git(workspace, "init", "-q")
    (workspace / "inner").mkdir()
    git(workspace / "inner", "init", "-q")
    write(workspace, {"inner/f.py": "F = 1\n"})
    index = CodeIndex.open(workspace)
    notes = " / ".join(index.refresh().notes)
    assert set(index.files()) == set(FILES) | {"broken.py"}
    for said in (
        "vendored",
        "3 generated",
        "1 larger than 1 MB",
        "1 minified",
        "1 repositories inside",
        "broken syntax",
    ):
        assert said in notes
    assert "broken.py" in notes
    with pytest.raises(ToolError, match="minified"):
        index.outline("packed.js")
    with pytest.raises(ToolError, match="not indexed: it is missing"):
        index.outline("made/a.py")


def test_no_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="is no folder"):
        CodeIndex.open(tmp_path / "nothing")


def test_a_home_inside_is_not_indexed(workspace: Path) -> None:
    write(workspace, FILES | {"home/kept.py": "A = 1\n"})
    index = CodeIndex.open(workspace, workspace / "home")
    index.refresh()
    assert "home/kept.py" not in index.files()


def call(tool: Any, workspace: Path, home: Path, **arguments: Any) -> str:
    context = ToolContext("run", "key", workspace=workspace, home=home)
    answer = asyncio.run(tool.call(tool.validate(arguments), context))
    assert isinstance(answer, str)
    return answer


def test_tools_answer_with_places(workspace: Path, home: Path) -> None:
    write(workspace, FILES)
    find, outline, radius = index_tools()
    assert [t.name for t in (find, outline, radius)] == ["find_symbol", "outline_file", "blast_radius"]
    assert {t.effect for t in (find, outline, radius)} == {"read"}
    assert not any(t.consequential for t in (find, outline, radius))
    assert call(find, workspace, home, name="Store") == "shop/store.py:1-3: class class Store"
    assert "tests/test_store.py:6: call in TestParse.test_parse" in call(
        find, workspace, home, name="shop.store.parse", what="callers"
    )
    assert "similar: Store" in call(find, workspace, home, name="Stoer")
    assert call(outline, workspace, home, path="shop/store.py").splitlines()[1] == "2-3:   def load(self, key)"
    said = call(radius, workspace, home, path="shop/store.py", symbol="_clean")
    assert "tests, first ones first:\ntests/test_store.py::TestParse::test_parse" in said
    with pytest.raises(ToolError, match="outside the workspace"):
        call(outline, workspace, home, path="../x.py")


NAMES = st.sampled_from(["alpha", "beta", "gamma", "Delta"])
PATHS = st.sampled_from(
    ["a.py", "pkg/__init__.py", "pkg/b.py", "pkg/c.py", "tests/test_b.py", "d.js", "go.mod", "e.go"]
)


@st.composite
def source(draw: st.DrawFn) -> str:
    """A small file, for any of the languages: broken for some of them."""
    lines = []
    for kind in draw(st.lists(st.sampled_from(["def", "call", "import", "class", "mess", "module"]), max_size=5)):
        name, other = draw(NAMES), draw(NAMES)
        lines.append(
            {
                "def": f"def {name}():\n    return {other}()",
                "call": f"{name}({other})",
                "import": draw(st.sampled_from([f"from pkg.b import {name}", f"from pkg import {name}", "import a"])),
                "class": f"class {name}({other}):\n    pass",
                "mess": f"((( {name} = \x00 def",
                "module": "module example.com/x",
            }[kind]
        )
    return "\n".join(lines) + "\n"


EDITS = st.lists(st.tuples(PATHS, st.none() | source()), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(EDITS)
def test_an_index_updated_by_edits_equals_one_built_afresh(edits: list[tuple[str, str | None]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        index = CodeIndex.open(root)
        for path, text in edits:
            if text is None:
                (root / path).unlink(missing_ok=True)
            else:
                write(root, {path: text})
            index.update([path])
            for file in index.graph.files():
                index.graph.edges(file)  # so that stale ones would be kept
        fresh = CodeIndex.open(root)
        fresh.refresh()
        assert state(index) == state(fresh)
        assert index.search("alpha beta") == fresh.search("alpha beta")
        assert index.find_references("alpha") == fresh.find_references("alpha")
