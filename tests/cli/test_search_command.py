"""`mainspring search` as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_program import json_lines, mainspring

from mainspring.library.library import Library

HOSTILE = (
    "# \x1b]0;owned\x07 Boiler ![x](http://evil.example/p.png) \u202eesrever\n\nThe boiler \x1b[2J is vented in May.\n"
)
CARE = "# Care\n\nThe boiler must be vented every May.\n"


@pytest.fixture
def filled(home: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "boiler.md").write_text(
        "# Care\n\nThe boiler must be vented every May.\n\n# Sale\n\nIt costs 70 euros.\n"
    )
    (folder / "copy.md").write_text(CARE)
    (folder / "tea.txt").write_text("Green tea is brewed at 70 degrees.\n")
    with Library.open(home=home, embedder="none") as library:
        library.index(folder, jobs=1)
        mine = tmp_path / "mine.txt"
        mine.write_text("My own boiler is in the cellar.\n")
        library.index(mine, trust=True, readers=["ann"], by="ann", jobs=1)
    return folder


def test_pages_are_shown_with_place_score_and_label(filled: Path, home: Path) -> None:
    done = mainspring("search", "boiler", "vented", "--mode", "text", home=home)
    first, facts, snippet, *_ = done.stdout.splitlines()
    assert first.startswith("1. ")
    assert str(filled / "boiler.md") in facts
    assert "maybe by library" in facts
    assert "score " in facts
    assert "The boiler must be vented every May." in snippet
    assert "ms" in done.stderr
    assert any("no outsider" in line and "read by ann" in line for line in done.stdout.splitlines())


def test_json_lines(filled: Path, home: Path) -> None:
    done = mainspring("search", "green tea", "--json", home=home)
    (line,) = json_lines(done.stdout)
    assert (line["rank"], line["uri"], line["number"]) == (1, str(filled / "tea.txt"), 1)
    assert line["snippet"] == "Green tea is brewed at 70 degrees."
    assert line["trusted"] is False
    assert line["ranks"] == {"text": 1}


def test_filters_and_operators(filled: Path, home: Path) -> None:
    def uris(*arguments: str) -> set[str]:
        return {Path(x["uri"]).name for x in json_lines(mainspring("search", *arguments, "--json", home=home).stdout)}

    assert uris("70") == {"boiler.md", "tea.txt"}
    assert uris("70", "--kind", "markdown") == {"boiler.md"}
    assert uris("70", "--path", "*tea*") == {"tea.txt"}
    assert uris("70", "--path", str(filled)) == {"boiler.md", "tea.txt"}
    assert uris("70", "-k", "1") < {"boiler.md", "tea.txt"}
    assert uris("70", "-k", "0") == set()
    assert uris("70 -degrees") == {"boiler.md"}
    assert uris('"70 euros"') == {"boiler.md"}
    assert uris("boiler", "--trusted") == {"mine.txt"}
    assert uris("cellar", "--reader", "ben") == set()
    assert uris("cellar", "--reader", "ann") == {"mine.txt"}
    assert uris("70", "--after", "2100-01-01") == set()
    assert uris("70", "--before", "2100-01-01") == {"boiler.md", "tea.txt"}


def test_what_finds_nothing_says_why(filled: Path, home: Path) -> None:
    assert "no page fits the filters" in mainspring("search", "boiler", "--kind", "pdf", home=home).stderr
    assert "try other words" in mainspring("search", "xyzzy", "--mode", "text", home=home).stderr


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        ([], 2, "say what to search for"),
        (["?!"], 1, "no words to search by"),
        (["x", "--library", "gone"], 1, "there is no library 'gone'; there are: default"),
        (["x", "--library", "../x"], 1, "no name for a library"),
        (["x", "-k", "-1"], 2, "-1"),
        (["x", "-k", "10001"], 2, "10001"),
        (["x", "--kind", "exe"], 2, "exe"),
        (["x", "--mode", "meaning"], 1, "cannot be searched by meaning"),
        (["boiler", "--explain", "why.jpg"], 2, "does not end in .png"),
        (["boiler", "--explain", "why.png", "--path", "*tea*", "--path", "*boiler*"], 1, "no picture to draw on"),
    ],
)
def test_wrong_usage_says_what_to_do(
    filled: Path, home: Path, tmp_path: Path, arguments: list[str], status: int, complaint: str
) -> None:
    assert complaint in mainspring("search", *arguments, home=home, cwd=tmp_path, expect=status).stderr
    assert not (tmp_path / "why.png").exists()


def test_without_a_library_it_says_how_to_make_one(home: Path) -> None:
    assert "`mainspring index PATH` makes one" in mainspring("search", "x", home=home, expect=1).stderr
    assert not (home / "library").exists()


def test_a_hostile_page_does_nothing_to_the_terminal(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "evil\x1b[31m.md"
    file.write_text(HOSTILE)
    with Library.open(home=home, embedder="none") as library:
        library.index(file, jobs=1)
    shown = mainspring("search", "boiler", home=home)
    assert "vented in May" in shown.stdout
    for char in ("\x1b", "\x07", "\u202e"):
        assert char not in shown.stdout
    (line,) = json_lines(mainspring("search", "boiler", "--json", home=home).stdout)
    assert line["uri"] == str(file)  # for programs it is what it is


def test_a_word_with_a_minus_that_the_shell_makes_an_option_is_explained(filled: Path, home: Path) -> None:
    told = mainspring("search", "boiler", "-vented", home=home, expect=2).stderr
    assert "mainspring search 'other words -vented'" in told
    assert "Did you mean '--mode'" in mainspring("search", "--modee", "text", "boiler", home=home, expect=2).stderr
    (left,) = json_lines(mainspring("search", "boiler -vented", "--json", home=home).stdout)
    assert Path(left["uri"]).name == "mine.txt"
