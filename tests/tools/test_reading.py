"""Reading: numbered pages, folders, and clear answers for everything that is no text."""

from __future__ import annotations

import hashlib
import os
import resource
from pathlib import Path

import pytest

from mainspring.errors import ToolError
from mainspring.tools import reading
from mainspring.tools.textfile import Encoding, encoding_of


def read(workspace: Path, path: str, start_line: int = 1, lines: int = 250, home: Path | None = None) -> str:
    return reading.read(workspace, path, start_line, lines, home).text


def test_lines_are_numbered_and_pages_say_where_to_go_on(workspace: Path) -> None:
    (workspace / "a.txt").write_text("".join(f"line {n}\n" for n in range(1, 11)))
    assert read(workspace, "a.txt", 4, 3).splitlines() == [
        "a.txt, lines 4-6 of 10; go on with start_line=7",
        "    4| line 4",
        "    5| line 5",
        "    6| line 6",
    ]
    assert read(workspace, "a.txt", 10).splitlines() == ["a.txt, lines 10-10 of 10", "   10| line 10"]


def test_an_absolute_path_inside_the_workspace_works(workspace: Path) -> None:
    (workspace / "a.txt").write_text("here")
    assert read(workspace, str(workspace / "a.txt")).endswith("    1| here")


def test_a_workspace_named_by_a_link(workspace: Path, tmp_path: Path) -> None:
    (workspace / "a.txt").write_text("here")
    (tmp_path / "alias").symlink_to(workspace)
    for way in ("a.txt", str(tmp_path / "alias" / "a.txt"), str(workspace / "a.txt")):
        assert read(tmp_path / "alias", way).endswith("    1| here")


def test_past_the_end_and_nonsense_numbers(workspace: Path) -> None:
    (workspace / "a.txt").write_text("one\n")
    with pytest.raises(ToolError, match="has 1 lines; start_line 9 is past its end"):
        read(workspace, "a.txt", 9)
    with pytest.raises(ToolError, match="count from 1"):
        read(workspace, "a.txt", 0)


def test_an_empty_file(workspace: Path) -> None:
    (workspace / "a.txt").write_text("")
    assert read(workspace, "a.txt") == "a.txt is empty"


def test_missing_names_what_is_near(workspace: Path) -> None:
    (workspace / "src").mkdir()
    (workspace / "src" / "calculator.py").write_text("x")
    with pytest.raises(ToolError, match=r"calculater.py does not exist; did you mean src/calculator.py\?"):
        read(workspace, "calculater.py")


def test_a_folder_is_listed(workspace: Path) -> None:
    (workspace / "sub").mkdir()
    (workspace / "a.txt").write_text("abc")
    (workspace / "out").symlink_to("/etc/passwd")
    assert read(workspace, ".").splitlines() == [
        ". is a folder with 3 entries",
        "a.txt  (3 bytes)",
        "out -> /etc/passwd",
        "sub/",
    ]


def test_encodings(workspace: Path) -> None:
    (workspace / "latin.txt").write_bytes("grün\n".encode("latin-1"))
    (workspace / "wide.txt").write_bytes("grün\nblau\n".encode("utf-16"))
    (workspace / "mark.txt").write_bytes("grün\r\nblau\r\n".encode("utf-8-sig"))
    latin = read(workspace, "latin.txt")
    assert "not valid UTF-8, shown as Latin-1" in latin
    assert latin.endswith("    1| grün")
    wide = read(workspace, "wide.txt")
    assert "of 2; utf-16" in wide
    assert wide.endswith("    1| grün\n    2| blau")
    marked = read(workspace, "mark.txt")
    assert "lines end with CRLF" in marked
    assert marked.endswith("    1| grün\n    2| blau")


def test_wide_text_that_holds_a_newline_byte_inside_a_character(workspace: Path) -> None:
    (workspace / "wide.txt").write_bytes("\ufeff\u0a00\u0a0ab\nc\n".encode("utf-16-le"))
    assert read(workspace, "wide.txt").splitlines()[1:] == ["    1| \u0a00\u0a0ab", "    2| c"]


def test_a_binary_file_is_refused(workspace: Path) -> None:
    (workspace / "a.bin").write_bytes(b"\x7fELF\0\0\0" + bytes(2000))
    with pytest.raises(ToolError, match=r"a.bin is a binary file \(2 KB\), not text"):
        read(workspace, "a.bin")


def test_two_gigabytes_are_never_read_whole(workspace: Path) -> None:
    with open(workspace / "big.txt", "wb") as file:
        file.write(b"first line\nsecond\n" + b"more\n" * 2_000)
        file.truncate(2 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = read(workspace, "big.txt", 1, 2)
    assert "lines 1-2 of many (2,147 MB); go on with start_line=3" in text.splitlines()[0]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


def test_a_sparse_file_of_two_gigabytes_is_binary(workspace: Path) -> None:
    with open(workspace / "hole", "wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(ToolError, match="is a binary file"):
        read(workspace, "hole")


def test_a_line_without_end_is_cut(workspace: Path) -> None:
    (workspace / "min.js").write_text("x" * 5_000_000 + "\nlast\n")
    lines = read(workspace, "min.js").splitlines()
    assert len(lines[1]) < 2100
    assert lines[1].endswith("[... line cut]")
    assert lines[2] == "    2| last"


def test_a_page_is_bounded(workspace: Path) -> None:
    (workspace / "a.txt").write_text(("y" * 999 + "\n") * 500)
    text = read(workspace, "a.txt", 1, 500)
    assert len(text) < 45_000
    assert "go on with start_line=41" in text


def test_a_pipe_is_refused_without_opening_it(workspace: Path) -> None:
    os.mkfifo(workspace / "pipe")
    with pytest.raises(ToolError, match="pipe is a named pipe, not a file"):
        read(workspace, "pipe")


def test_a_name_that_is_no_utf8_is_listed_and_read(workspace: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    (workspace / name).write_text("coffee")
    assert "caf\\xe9.txt" in read(workspace, ".")
    assert read(workspace, name).endswith("    1| coffee")


def test_the_home_inside_the_workspace_is_refused(workspace: Path) -> None:
    (workspace / ".mainspring").mkdir()
    (workspace / ".mainspring" / "journal.db").write_text("secret")
    with pytest.raises(ToolError, match="belongs to Mainspring"):
        read(workspace, ".mainspring/journal.db", home=workspace / ".mainspring")


def test_the_digest_is_of_the_bytes_that_were_shown(workspace: Path) -> None:
    data = b"one\r\ntwo" * 200_000  # several pieces
    (workspace / "a.txt").write_bytes(data)
    page = reading.read(workspace, "a.txt", 5, 2, hash_bytes=len(data))
    assert (page.path, page.digest) == ("a.txt", hashlib.sha256(data).hexdigest())
    assert page.text == read(workspace, "a.txt", 5, 2), "hashed or not, the same lines"
    for most in (0, len(data) - 1):
        assert reading.read(workspace, "a.txt", hash_bytes=most).digest is None
    assert reading.read(workspace, ".", hash_bytes=len(data)).digest is None, "a folder has none"


def test_a_file_that_changes_while_it_is_read_shows_what_was_hashed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands may take turns with one file: no page may come from one content, and its digest from another."""
    (workspace / "a.txt").write_text("good\n")

    def later(data: bytes, *, whole: bool) -> Encoding | None:
        with open(workspace / "a.txt", "r+") as file:  # in place: the open descriptor sees it
            file.write("evil\n")
        return encoding_of(data, whole=whole)

    monkeypatch.setattr("mainspring.tools.reading.encoding_of", later)
    page = reading.read(workspace, "a.txt", hash_bytes=100)
    assert page.text.endswith("    1| good")
    assert page.digest == hashlib.sha256(b"good\n").hexdigest()
