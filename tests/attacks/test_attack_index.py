"""A hostile repository is indexed: it must not hang, crash, be left, or run anything."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mainspring.code.index import CodeIndex, index_tools, parsing
from mainspring.errors import ToolError
from mainspring.tool import ToolContext

FINE = "def fine():\n    return 1\n"
#: Far more than any of these takes; a file that takes the square of its size would need minutes.
SECONDS = 20.0


def git(folder: Path, *arguments: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


def indexed(workspace: Path, home: Path | None = None) -> tuple[CodeIndex, str]:
    began = time.monotonic()
    index = CodeIndex.open(workspace, home)
    refresh = index.refresh()
    index.recent()
    index.search("fine")
    assert time.monotonic() - began < SECONDS
    return index, " / ".join(refresh.notes)


def test_control_a_plain_repository_is_indexed(workspace: Path, home: Path) -> None:
    (workspace / "a.py").write_text(FINE)
    index, notes = indexed(workspace, home)
    assert index.files() == ("a.py",)
    assert notes == ""
    assert index.find_definition("fine")


HOSTILE: dict[str, Callable[[], bytes]] = {
    "parens.py": lambda: b"x = " + b"(" * 100_000 + b"1" + b")" * 100_000,
    "open.py": lambda: b"x = " + b"[" * 100_000,
    "calls.py": lambda: b"f(\n" * 100_000,
    "dots.py": lambda: b"a." * 300_000 + b"b\n",
    "dots_lines.py": lambda: b"x = (a\n" + b".b\n" * 200_000 + b")\n",
    "sums.py": lambda: b"x = (1\n" + b"+ 1\n" * 200_000 + b")\n",
    "defs.py": lambda: b"def f(:\n" * 60_000,
    "ifs.py": lambda: b"".join(b" " * i + b"if x:\n" for i in range(1_300)),
    "holes.js": lambda: b"let a = [" + b",\n" * 400_000 + b"]",
    "words.js": lambda: b"in instanceof\n" * 60_000,
    "braces.js": lambda: b"{\n" * 100_000,
    "jsx.jsx": lambda: b"<a>\n" * 100_000,
    "types.ts": lambda: b"type A = B<\n" + b"B<\n" * 100_000,
    "stars.c": lambda: b"int " + b"*\n" * 400_000 + b"a;\n",
    "ifdef.c": lambda: b"#if A\n" * 100_000,
    "templates.cpp": lambda: b"A<\n" * 40_000,
    "spaces.cpp": lambda: b"namespace a {\n" * 30_000,
    "use.rs": lambda: b"use " + b"a::{\n" * 100_000,
    "macro.rs": lambda: b"m! {\n" + b"(\n" * 100_000,
    "generic.java": lambda: b"class A<B extends\n" * 13_000,
    "else.go": lambda: b"package a\nfunc f() {\n" + b"if a {} else \n" * 60_000,
    "nul.py": lambda: b"def a(): pass\n\0" * 50_000,
    "names.py": lambda: b"def " + b"a" * 200_000 + b"(): pass\n" + b"x\n" * 2_000,
    "invalid.py": lambda: b"\xff\xfe\xfd def \xf0\x28\n" * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_neither_hangs_nor_hides_the_others(workspace: Path, name: str) -> None:
    (workspace / name).write_bytes(HOSTILE[name]())
    (workspace / "fine.py").write_text(FINE)
    index, _ = indexed(workspace)
    assert index.find_definition("fine").symbols[0].path == "fine.py"
    began = time.monotonic()
    with (workspace / name).open("ab") as file:
        file.write(b"\n")
    index.update([name])
    assert time.monotonic() - began < SECONDS


def test_a_file_that_takes_too_long_is_given_up(workspace: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_SECONDS", 2.0)
    (workspace / "hard.cpp").write_bytes(b"A<\n" * 300_000)
    (workspace / "fine.py").write_text(FINE)
    index, notes = indexed(workspace, home)
    assert "1 too hard to parse" in notes
    assert index.files() == ("fine.py",)
    assert index.refresh().parsed == 0  # and is not tried again


def test_a_parser_that_dies_takes_only_its_file_along(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dies = "f = p.extract; p.extract = lambda n, *a: os._exit(139) if n == 'bad.py' else f(n, *a)"
    start = parsing._START.replace("; worker()", f"; import os, mainspring.code.index.parsing as p; {dies}; worker()")
    monkeypatch.setattr(parsing, "_START", start)
    monkeypatch.setattr(parsing, "_HERE_FILES", 0)
    (workspace / "bad.py").write_text(FINE)
    for number in range(6):
        (workspace / f"fine{number}.py").write_text(FINE)
    index, notes = indexed(workspace)
    assert "1 too hard to parse" in notes
    assert len(index.files()) == 6


def test_a_huge_file_on_one_line_is_not_read(workspace: Path) -> None:
    with (workspace / "huge.py").open("wb") as file:
        file.truncate(50 << 20)
    (workspace / "long.js").write_bytes(b"var a=1;" * 100_000)
    index, notes = indexed(workspace)
    assert index.files() == ()
    assert "1 larger than 1 MB" in notes
    assert "1 minified" in notes


@pytest.mark.parametrize("with_git", [True, False])
def test_links_pipes_and_devices_are_not_followed(workspace: Path, tmp_path: Path, with_git: bool) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("def secret(): pass\n")
    (workspace / "passwd.py").symlink_to("/etc/passwd")
    (workspace / "secret.py").symlink_to(outside / "secret.py")
    (workspace / "folder").symlink_to(outside)
    (workspace / ".gitignore").symlink_to("/etc/passwd")
    os.mkfifo(workspace / "pipe.py")
    (workspace / "inner").mkdir()
    os.mkfifo(workspace / "inner" / "pipe.js")
    (workspace / "fine.py").write_text(FINE)
    if with_git:
        git(workspace, "init", "-q")
    index, _ = indexed(workspace)
    index.update(["passwd.py", "secret.py", "folder/secret.py", "pipe.py", "../outside/secret.py", "/etc/passwd.py"])
    index.update([outside / "secret.py", "a\0.py", "inner/../../outside/secret.py"])
    assert index.files() == ("fine.py",)
    assert not index.find_definition("secret")


def test_a_file_that_becomes_a_link_is_forgotten(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("def secret(): pass\n")
    (workspace / "a.py").write_text(FINE)
    index, _ = indexed(workspace)
    (workspace / "a.py").unlink()
    (workspace / "a.py").symlink_to(tmp_path / "secret.py")
    assert index.read_lines("a.py") == []
    index.update(["a.py"])
    assert index.files() == ()


def test_a_pipe_as_ignore_file_does_not_make_us_wait(workspace: Path) -> None:
    os.mkfifo(workspace / ".gitignore")
    (workspace / "fine.py").write_text(FINE)
    index, _ = indexed(workspace)
    assert index.files() == ("fine.py",)


NAMES = [
    b"a\nb.py",
    b"\x1b[31mred.py",
    b"quote\"'.py",
    b"\xff\xfe.py",
    b"-n.py",
    b"$(touch x).py",
    "ä\u202e.py".encode(),
]


@pytest.mark.parametrize("with_git", [True, False])
def test_odd_names_are_kept_and_shown_as_escapes(workspace: Path, home: Path, with_git: bool) -> None:
    for number, name in enumerate(NAMES):
        with open(os.path.join(os.fsencode(workspace), name), "wb") as file:
            file.write(b"def odd%d(): pass\n\n\nodd%d()\n" % (number, number))
    if with_git:
        git(workspace, "init", "-q")
        git(workspace, "add", "-A")
        git(workspace, "commit", "-qm", "odd")
    indexed(workspace, home)[0].close()
    index, _ = indexed(workspace, home)  # as it was kept
    assert sorted(map(os.fsencode, index.files())) == sorted(NAMES)
    find, outline, radius = index_tools(index=index)
    context = ToolContext("run", "key", workspace=workspace, home=home)
    for number, name in enumerate(NAMES):
        path = os.fsdecode(name)
        for tool, arguments in (
            (find, {"name": f"odd{number}", "what": "callers"}),
            (find, {"name": f"odd{number}"}),
            (outline, {"path": path}),
            (radius, {"path": path}),
        ):
            said = asyncio.run(tool.call(arguments, context))
            assert f"odd{number}" in said
            assert all(c.isprintable() or c == "\n" for c in said), said
            assert "\nb.py" not in said
    if with_git:
        assert len(index.recent()) == len(NAMES)


def hostile_settings(workspace: Path, mark: Path) -> None:
    script = workspace / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {mark}\n")
    script.chmod(0o755)
    (workspace / ".gitattributes").write_text("*.py diff=evil filter=evil\n")
    for key in (
        "core.fsmonitor",
        "core.pager",
        "pager.log",
        "core.sshCommand",
        "core.editor",
        "diff.external",
        "diff.evil.textconv",
        "diff.evil.command",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "gpg.program",
        "gpg.ssh.program",
        "remote.origin.uploadpack",
        "core.alternateRefsCommand",
        "alias.log",
        "alias.ls-files",
    ):
        git(workspace, "config", key, ("!" if key.startswith("alias") else "") + str(script))
    git(workspace, "config", "log.showSignature", "true")
    git(workspace, "config", "core.hooksPath", str(workspace))
    git(workspace, "config", "protocol.ext.allow", "always")
    git(workspace, "config", "remote.origin.url", f"ext::{script}")
    for hook in ("post-index-change", "fsmonitor-watchman", "post-checkout"):
        (workspace / hook).write_text(script.read_text())
        (workspace / hook).chmod(0o755)


def test_settings_of_a_repository_run_nothing(workspace: Path, home: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    git(workspace, "init", "-q")
    (workspace / "fine.py").write_text(FINE)
    git(workspace, "add", "fine.py")
    git(workspace, "commit", "-qm", "one")
    signed = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----"
    raw = subprocess.run(["git", "cat-file", "commit", "HEAD"], cwd=workspace, capture_output=True, check=True).stdout
    head, _, body = raw.partition(b"\n\n")
    made = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin"],
        cwd=workspace,
        input=head + b"\n" + signed + b"\n\n" + body,
        capture_output=True,
        check=True,
    ).stdout.decode()
    git(workspace, "update-ref", "HEAD", made.strip())
    hostile_settings(workspace, mark)
    subprocess.run(["git", "status"], cwd=workspace, capture_output=True, check=False)
    assert mark.exists()  # the control: git itself runs what these settings name
    mark.unlink()
    (workspace / "fine.py").write_text(FINE + "\n")
    index, notes = indexed(workspace, home)
    index.update(["fine.py"])
    assert index.blast_radius(["fine.py"]).symbols
    assert index.files() == ("fine.py",)
    assert notes == ""
    assert [c.path for c in index.recent()] == ["fine.py"]
    assert not mark.exists()


def test_missing_objects_are_not_fetched(workspace: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    git(workspace, "init", "-q")
    (workspace / "fine.py").write_text(FINE)
    git(workspace, "add", "fine.py")
    git(workspace, "commit", "-qm", "one")
    tree = subprocess.run(
        ["git", "rev-parse", "HEAD^{tree}"], cwd=workspace, capture_output=True, check=True, text=True
    ).stdout.strip()
    hostile_settings(workspace, mark)
    git(workspace, "config", "core.fsmonitor", "false")
    git(workspace, "config", "core.repositoryformatversion", "1")
    git(workspace, "config", "extensions.partialClone", "origin")
    git(workspace, "config", "remote.origin.promisor", "true")
    (workspace / ".git/objects" / tree[:2] / tree[2:]).unlink()
    mark.unlink(missing_ok=True)
    subprocess.run(["git", "cat-file", "-p", tree], cwd=workspace, capture_output=True, check=False)
    assert mark.exists()  # the control: git fetches what is missing, by running what the settings name
    mark.unlink()
    index, _ = indexed(workspace)
    assert index.files() == ("fine.py",)
    assert not mark.exists()


def test_a_git_file_that_points_elsewhere_shows_nothing_of_there(workspace: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    (other / "fine.py").write_text(FINE)
    git(other, "add", "fine.py")
    git(other, "commit", "-qm", "theirs")
    (workspace / "fine.py").write_text(FINE)
    (workspace / ".git").write_text(f"gitdir: {other}/.git\n")
    index, notes = indexed(workspace)
    assert index.files() == ("fine.py",)
    assert index.recent() == ()
    assert "no repository of this folder" in notes
    (workspace / ".git").unlink()
    (workspace / ".git").symlink_to(other / ".git")
    assert indexed(workspace)[0].recent() == ()
    (workspace / ".git").unlink()
    os.mkfifo(workspace / ".git")
    assert indexed(workspace)[0].files() == ("fine.py",)


def test_control_a_worktree_of_its_own_is_read_by_git(workspace: Path, tmp_path: Path) -> None:
    git(workspace, "init", "-q")
    (workspace / "fine.py").write_text(FINE)
    git(workspace, "add", "fine.py")
    git(workspace, "commit", "-qm", "one")
    git(workspace, "worktree", "add", "-q", str(tmp_path / "tree"))
    index, notes = indexed(tmp_path / "tree")
    assert notes == ""
    assert [c.path for c in index.recent()] == ["fine.py"]


def test_settings_that_lead_the_work_tree_elsewhere_do_not(workspace: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "secret.py").write_text("def secret(): pass\n")
    git(workspace, "init", "-q")
    git(workspace, "config", "core.worktree", str(other))
    (workspace / "fine.py").write_text(FINE)
    index, _ = indexed(workspace)
    assert index.files() == ("fine.py",)


def test_hostile_settings_of_imports_stay_inside(workspace: Path) -> None:
    (workspace / "tsconfig.json").write_text(
        '{"compilerOptions": {"baseUrl": "../../..", "paths": {"*": ["/etc/*", "../../*", 3], "@": 4}}}'
    )
    (workspace / "package.json").write_text("[" * 100_000)
    (workspace / "go.mod").write_text("module \x00\nmodule " + "a/" * 50_000)
    (workspace / "a.ts").write_text("import x from 'passwd'\nimport y from '../../../../etc/passwd'\nfine()\n")
    (workspace / "b.py").write_text("from ......... import x\nfrom .....a.b import y\n")
    (workspace / "c.c").write_text('#include "/etc/passwd"\n#include "../../../etc/passwd"\n')
    index, _ = indexed(workspace)
    assert all(not index.graph.imports(file) for file in index.graph.files())


def test_names_and_queries_that_mean_something_to_sql_or_patterns(workspace: Path) -> None:
    (workspace / "fine.py").write_text(FINE)
    index, _ = indexed(workspace)
    for text in (
        '"',
        "'; DROP TABLE files; --",
        "(((",
        "NEAR(",
        "a* OR b",
        "\0",
        "\ud800",
        "x" * 100_000,
        ". . .",
        "*",
    ):
        assert index.find_references(text) == ()
        index.search(text)
        assert not index.find_definition(text)
        with pytest.raises(ToolError):
            index.tests_for(text)
    assert index.find_definition("fine")
