"""What the demo and the benchmark are made of: breaking a line that the tests notice, and fetching sources."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from small_project import COMMAND, SHAPES

from mainspring.code.breaking import sdist
from mainspring.code.breaking.demo import _Show, break_one_line, whole_suite
from mainspring.code.breaking.sdist import SOURCES, Source, SourceError, fetch, source_named


def test_a_broken_line_is_noticed_and_the_same_for_the_same_seed(project: Path) -> None:
    first, passed = break_one_line(project, ["shapes.py"], COMMAND, 1)
    assert passed == 3
    assert (project / "shapes.py").read_text() != SHAPES
    assert whole_suite(project, COMMAND)[0] is False
    first.revert(project)
    assert (project / "shapes.py").read_text() == SHAPES
    assert whole_suite(project, COMMAND)[0] is True
    assert break_one_line(project, ["shapes.py"], COMMAND, 1)[0] == first


def test_nothing_is_broken_when_the_tests_fail_already(project: Path) -> None:
    (project / "tests" / "test_shapes.py").write_text("def test_bad():\n    assert 0\n")
    with pytest.raises(SourceError, match="do not pass before"):
        break_one_line(project, ["shapes.py"], COMMAND, 1)
    assert (project / "shapes.py").read_text() == SHAPES


@pytest.mark.slow
def test_a_line_that_no_test_notices_is_put_back(project: Path) -> None:
    (project / "tests" / "test_shapes.py").write_text("def test_nothing():\n    pass\n")
    with pytest.raises(SourceError, match="another --seed"):
        break_one_line(project, ["shapes.py"], COMMAND, 1)
    assert (project / "shapes.py").read_text() == SHAPES


def test_json_lines_are_json() -> None:
    out = io.StringIO()
    show = _Show(True, out)
    show.say("broken", "text\nmore", "bold", kind="operator", line=3)
    show.stream("not shown")
    assert json.loads(out.getvalue()) == {"event": "broken", "text": "text\nmore", "kind": "operator", "line": 3}


def _archive(cache: Path, source: Source, names: list[str]) -> Source:
    cache.mkdir(exist_ok=True)
    path = cache / f"{source.name}-{source.version}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"x=1\n"))
    return replace(source, sha256=sdist._digest(path))


def test_an_archive_is_unpacked_only_into_its_folder(tmp_path: Path) -> None:
    source = Source("thing", "1.0", "", "MIT", ("thing",))
    sound = _archive(tmp_path / "cache", source, ["thing-1.0/thing/a.py", "thing-1.0/thing/tests/test_a.py"])
    folder = fetch(sound, tmp_path / "out", tmp_path / "cache")
    assert sound.files(folder) == ["thing/a.py"]
    with pytest.raises(SourceError, match="not empty"):
        fetch(sound, folder, tmp_path / "cache")
    evil = _archive(tmp_path / "cache", source, ["../evil.py", "thing-1.0/a.py"])
    with pytest.raises(SourceError, match="cannot be unpacked"):
        fetch(evil, tmp_path / "out2", tmp_path / "cache")
    assert not (tmp_path / "evil.py").exists()


def test_unknown_sources_are_named() -> None:
    assert source_named(SOURCES[0].name) is SOURCES[0]
    with pytest.raises(SourceError, match="webcolors"):
        source_named("no-such")


@pytest.mark.slow
def test_a_source_comes_from_the_registry_and_another_digest_is_refused(tmp_path: Path) -> None:
    source = source_named("inflection")
    folder = fetch(source, tmp_path / "out", tmp_path / "cache")
    assert source.files(folder) == ["inflection/__init__.py"]
    assert whole_suite(folder, source.test_command)[0]
    other = replace(source, sha256="0" * 64)
    with pytest.raises(SourceError, match="inflection"):
        fetch(other, tmp_path / "out2", tmp_path / "cache")
    assert not (tmp_path / "out2").exists()
