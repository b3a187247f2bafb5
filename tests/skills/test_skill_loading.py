"""Reading a skill's folder: what it says, and everything about it that is refused."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from mainspring.errors import DeclarationError
from mainspring.skills import Manifest, load_skill
from mainspring.skills.frontmatter import split
from mainspring.skills.manifest import host_inside, inside, match_host, match_path

HEAD = "---\nname: invoices\ndescription: How invoices are paid here.\n---\n"
BODY = "Read the invoice, then ask.\n"
MANIFEST = """
tools = ["read_file", "pay"]
effects = ["read", "irreversible"]
hosts = ["bank.example", "*.bank.example"]
paths = ["invoices/**", "*.md"]
secrets = ["BANK_KEY"]
"""


def make(folder: Path, main: str | bytes = HEAD + BODY, manifest: str | None = MANIFEST) -> Path:
    folder.mkdir()
    (folder / "SKILL.md").write_bytes(main if isinstance(main, bytes) else main.encode())
    if manifest is not None:
        (folder / "manifest.toml").write_text(manifest)
    return folder


def test_a_skill(tmp_path: Path) -> None:
    folder = make(tmp_path / "s")
    (folder / "forms").mkdir()
    (folder / "forms" / "a.txt").write_text("form")
    skill = load_skill(folder)
    assert (skill.name, skill.description) == ("invoices", "How invoices are paid here.")
    assert skill.instructions == BODY.strip()
    assert skill.manifest.tools == ("read_file", "pay")
    assert skill.manifest.secrets == ("BANK_KEY",)
    assert skill.file("forms/a.txt") == "form"
    for path in ("../s/SKILL.md", "/etc/passwd", "forms", "forms/../SKILL.md"):
        with pytest.raises(DeclarationError, match="there is no"):
            skill.file(path)
    (folder / "forms" / "a.txt").write_text("later")
    assert skill.file("forms/a.txt") == "form"  # what was read is what is used
    assert load_skill(folder).digest != skill.digest


def test_without_a_manifest_a_skill_may_use_nothing(tmp_path: Path) -> None:
    manifest = load_skill(make(tmp_path / "s", manifest=None)).manifest
    assert manifest == Manifest()
    assert manifest.tools == manifest.hosts == manifest.paths == manifest.secrets == ()


@pytest.mark.parametrize("asked", ["pay, mail", "pay mail", "[pay, mail]", "\n  - pay\n  - mail"])
def test_a_skill_that_asks_for_more_than_its_manifest(tmp_path: Path, asked: str) -> None:
    main = f"---\nname: invoices\ndescription: d\nallowed-tools: {asked}\n---\n{BODY}"
    with pytest.raises(DeclarationError, match="asks for 'mail'"):
        load_skill(make(tmp_path / "s", main))
    assert load_skill(make(tmp_path / "t", main.replace("mail", "read_file"))).name == "invoices"


@pytest.mark.parametrize(
    ("main", "complaint"),
    [
        (BODY, "must begin with"),
        ("", "must begin with"),
        ("---\nname: a\n", "not closed"),
        ("---\n" + "\n" * 1000 + "---\n", "not closed"),
        ("---\ndescription: x\n---\nx", "'name: ...'"),
        ("---\nname: a\n---\nx", "'description: ...'"),
        ("---\nname: a\ndescription: x\n---\n \n", "no instructions"),
        ("---\nname: ../../etc\ndescription: x\n---\nx", "not usable"),
        ("---\nname: Invoices\ndescription: x\n---\nx", "not usable"),
        ("---\nname: a--b\ndescription: x\n---\nx", "not usable"),
        (f"---\nname: {'a' * 65}\ndescription: x\n---\nx", "not usable"),
        (f"---\nname: a\ndescription: {'x' * 1025}\n---\nx", "at most 1,024"),
        ("---\nname: a\ndescription: |\n  x\n  y\n---\nx", "one line"),
        ("---\nname: a\ndescription: x\u200by\n---\nx", "zero width space"),
        ("---\nname: a\nname: b\ndescription: x\n---\nx", "line 3: 'name' is said twice"),
        ("---\nname: [a]\ndescription: x\n---\nx", "'name: ...'"),
        ("---\nname: &a b\ndescription: x\n---\nx", "more YAML"),
        ("---\nname: !!python/object:os.system x\n---\nx", "more YAML"),
        ("---\nname: {a: b}\n---\nx", "more YAML"),
        ('---\nname: "a\n---\nx', "double quotes"),
        ("---\nname: 'a\n---\nx", "single quotes"),
        ("---\nnonsense\n---\nx", "no 'key: value'"),
        (b"---\nname: a\xff\n---\nx", "not valid UTF-8"),
        (HEAD.encode("utf-16"), "not valid UTF-8"),
        (HEAD + "x" * (300 << 10), "larger than 256 KiB"),
    ],
)
def test_a_main_file_that_is_refused(tmp_path: Path, main: str | bytes, complaint: str) -> None:
    with pytest.raises(DeclarationError, match=complaint):
        load_skill(make(tmp_path / "s", main))


def test_what_heads_may_look_like() -> None:
    text = (
        "\ufeff---\r\n# a comment\r\nname: 'it''s'\nlicense: \"a \\u0041\"\nlong: >-\n  one\n  two\n\n"
        "kept: |\n  a\n    b\nlist:\n  - x\n  - 'y'\nflow: [a, \"b\"]\nmetadata:\n  version: 1\n"
        "url: http://a.example/#x # why\nempty:\n---\nbody\n"
    )
    fields, body = split(text, "SKILL.md")
    assert fields == {
        "name": "it's",
        "license": "a A",
        "long": "one two",
        "kept": "a\n  b",
        "list": ["x", "y"],
        "flow": ["a", "b"],
        "metadata": {"version": "1"},
        "url": "http://a.example/#x",
        "empty": "",
    }
    assert body == "body"


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        ("tools = [", "no TOML"),
        ("x = " + "[" * 5000, "no TOML"),
        ('tool = ["a"]', r"says \['tool'\]"),
        ('tools = "a"', "must be a list"),
        ("tools = [1]", "must be a list"),
        ('tools = ["a", "a"]', "twice"),
        ('tools = ["*"]', "no name of a tool"),
        ('effects = ["everything"]', "effects are"),
        ('hosts = ["*"]', "host's name"),
        ('hosts = ["https://a.example"]', "host's name"),
        ('hosts = ["a.example:443"]', "host's name"),
        ('hosts = ["a.*.example"]', "host's name"),
        ('paths = ["/etc"]', "relative"),
        ('paths = ["../x"]', "relative"),
        ('paths = ["a/../../x"]', "relative"),
        ('paths = ["~/x"]', "relative"),
        ('paths = ["a\\\\b"]', "relative"),
        ('paths = ["**/**/**/**"]', "too long"),
        ('secrets = ["a b"]', "no name of a secret"),
        (f"paths = {[str(n) for n in range(201)]!r}", "at most 200"),
    ],
)
def test_a_manifest_that_is_refused(tmp_path: Path, manifest: str, complaint: str) -> None:
    with pytest.raises(DeclarationError, match=complaint):
        load_skill(make(tmp_path / "s", manifest=manifest))


def test_archives_are_refused_under_any_name(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a", "x" * 10_000)
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a"))
    for n, data in enumerate((packed.getvalue(), tarred.getvalue(), b"\x1f\x8b\x08", b"7z\xbc\xaf\x27\x1c")):
        folder = make(tmp_path / f"s{n}")
        (folder / "picture.png").write_bytes(data)
        with pytest.raises(DeclarationError, match=r"picture.png is an archive"):
            load_skill(folder)


def test_a_folder_that_is_no_skill(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DeclarationError, match=r"no SKILL.md"):
        load_skill(tmp_path / "empty")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DeclarationError, match=r"no SKILL.md"):
        load_skill(tmp_path / "file")
    linked = make(tmp_path / "linked")
    (linked / "SKILL.md").rename(tmp_path / "real.md")
    (linked / "SKILL.md").symlink_to(tmp_path / "real.md")
    with pytest.raises(DeclarationError, match="symbolic link"):
        load_skill(linked)


def test_hosts() -> None:
    for host in ("a.example", "A.EXAMPLE", "a.example."):
        assert match_host(host, ["a.example"])
    for host in ("x.a.example", "aa.example", "a.example.evil", "", "example"):
        assert not match_host(host, ["a.example"])
    assert match_host("x.y.a.example", ["*.a.example"])
    for host in ("a.example", ".a.example", "evila.example"):
        assert not match_host(host, ["*.a.example"])
    assert host_inside("*.b.a.example", ["*.a.example"])
    assert not host_inside("*.a.example", ["a.example", "*.b.a.example"])


def test_paths() -> None:
    for path, pattern in (
        ("a/b.txt", "a/**"),
        ("a", "a/**"),
        ("./a//b", "a/*"),
        ("x/y/z.md", "**/*.md"),
        ("z.md", "**/*.md"),
        ("a.md", "?.md"),
        ("", "**"),
        (".", "**"),
        ("a/[b]", "a/[b]"),
    ):
        assert match_path(path, [pattern]), (path, pattern)
    for path, pattern in (
        ("ab", "a/**"),
        ("a/b/c", "a/*"),
        ("a/../b", "**"),
        ("/a", "**"),
        ("a\0", "**"),
        ("a/b", "a/[b]"),
        ("a.md\n", "a.md"),
        ("a", ""),
    ):
        assert not match_path(path, [pattern]), (path, pattern)
    assert inside("a/b/*", ["a/**"])
    assert not inside("ab/*", ["a/**"])
    assert not inside("**", ["a/**"])
