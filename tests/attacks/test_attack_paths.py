"""Paths that try to leave the workspace, or to reach what runs later outside the sandbox."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from pathlib import Path

import pytest

from mainspring.errors import ToolError
from mainspring.tools import editing, reading
from mainspring.tools.paths import locate

SECRET = "the secret outside"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text(SECRET)
    return folder


def read(workspace: Path, path: str) -> str:
    return reading.read(workspace, path).text


def edit(workspace: Path, path: str, old: str = "", new: str = "owned\n") -> str:
    return editing.apply(workspace, None, editing.plan(workspace, None, path, old, new))


def test_every_way_out_is_refused(workspace: Path, outside: Path) -> None:
    (workspace / "sub").mkdir()
    (workspace / "link.txt").symlink_to(outside / "secret.txt")
    (workspace / "relative.txt").symlink_to("../outside/secret.txt")
    (workspace / "folder").symlink_to(outside)
    (workspace / "chain").symlink_to("sub/next")
    (workspace / "sub" / "next").symlink_to("../folder")
    (workspace / "up").symlink_to("..")
    (workspace / "root").symlink_to("/")
    (workspace / "process").symlink_to("/proc/self/root")
    ways = [
        "../outside/secret.txt",
        "sub/../../outside/secret.txt",
        str(outside / "secret.txt"),
        f"{workspace}/../outside/secret.txt",
        f"{workspace}x/secret.txt",
        "link.txt",
        "relative.txt",
        "folder/secret.txt",
        "chain/secret.txt",
        "up/outside/secret.txt",
        f"root{outside}/secret.txt",
        f"process{outside}/secret.txt",
        f"/proc/self/root{outside}/secret.txt",
        f"/proc/self/cwd/{os.path.relpath(outside)}/secret.txt",
        "/dev/fd/0",
        "/etc/passwd",
        "~/.ssh/id_rsa",
    ]
    for way in ways:
        with pytest.raises(ToolError, match=r"outside the workspace|does not exist"):
            read(workspace, way)
        if way.startswith("~"):
            continue  # an ordinary name: no tool expands it
        with pytest.raises(ToolError, match="outside the workspace"):
            edit(workspace, way, SECRET)
        with pytest.raises(ToolError, match="outside the workspace"):
            edit(workspace, f"{os.path.dirname(way)}/new.txt" if "/" in way else way)
    assert (outside / "secret.txt").read_text() == SECRET
    assert os.listdir(outside) == ["secret.txt"]


def test_links_inside_the_workspace_work(workspace: Path) -> None:
    (workspace / "real").mkdir()
    (workspace / "real" / "a.txt").write_text("one\n")
    (workspace / "relative").symlink_to("real")
    (workspace / "absolute").symlink_to(workspace / "real")
    (workspace / "real" / "back").symlink_to("../real/a.txt")
    for way in ("relative/a.txt", "absolute/a.txt", "relative/back", "real/../absolute/./a.txt"):
        assert read(workspace, way).endswith("    1| one")
    edit(workspace, "absolute/back", "one", "two")
    assert (workspace / "real" / "a.txt").read_text() == "two\n"
    assert (workspace / "real" / "back").is_symlink()


def test_circles_and_impossible_names(workspace: Path) -> None:
    (workspace / "a").symlink_to("b")
    (workspace / "b").symlink_to("a")
    with pytest.raises(ToolError, match="may be a circle"):
        read(workspace, "a")
    for name in ("nul\0byte", "x" * 5000, "lone\ud800surrogate"):
        with pytest.raises(ToolError, match=r"no path|cannot be a file name"):
            read(workspace, name)
    with pytest.raises(ToolError, match="too long"):
        read(workspace, "x" * 300)
    (workspace / "file").write_text("")
    with pytest.raises(ToolError, match="no folder"):
        read(workspace, "file/deeper")


def test_a_name_cannot_draw_on_the_terminal(workspace: Path) -> None:
    (workspace / "\x1b[2Jevil\n.txt").write_text("")
    assert "\x1b" not in read(workspace, ".")
    with pytest.raises(ToolError) as caught:
        read(workspace, "\x1b]0;evil\x07")
    assert "\x1b" not in str(caught.value)


def test_a_folder_swapped_for_a_link_never_leads_out(workspace: Path, outside: Path) -> None:
    """Another process swaps a folder for a link as fast as it can while we read and write through it."""
    (workspace / "d").mkdir()
    (workspace / "d" / "secret.txt").write_text("inside\n")
    (workspace / "l").symlink_to(outside)
    stop = threading.Event()
    libc = ctypes.CDLL(None)
    paths = [os.fsencode(workspace / "d"), os.fsencode(workspace / "l")]

    def swap() -> None:
        while not stop.is_set():
            assert libc.renameat2(-100, paths[0], -100, paths[1], 2) == 0  # 2 exchanges the two in one step

    swapper = threading.Thread(target=swap)
    swapper.start()
    read_inside = refused = 0
    try:
        for number in range(3000):
            try:
                text = read(workspace, "d/secret.txt")
                assert SECRET not in text
                read_inside += 1
                if number % 10 == 0:
                    edit(workspace, "d/new.txt")
                    (workspace / "d" / "new.txt").unlink(missing_ok=True)
            except ToolError:
                refused += 1
            except FileNotFoundError:
                pass  # our own tidying met the link
    finally:
        stop.set()
        swapper.join()
    assert read_inside
    assert refused, "the swap was never met, so nothing was tested"
    assert os.listdir(outside) == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == SECRET


def test_nothing_below_git_is_written(workspace: Path) -> None:
    (workspace / ".git" / "hooks").mkdir(parents=True)
    (workspace / ".git" / "config").write_text("[core]\n")
    (workspace / "sub" / ".git").mkdir(parents=True)
    (workspace / "innocent").symlink_to(".git/hooks")
    (workspace / "settings").symlink_to(".git/config")
    for way in (
        ".git/hooks/pre-commit",
        ".git/new",
        ".GIT/hooks/pre-commit",
        "sub/.git/config",
        "innocent/pre-commit",
        "sub/../.git/commondir",
        "made/.git/hooks/post-checkout",
        ".git",
    ):
        with pytest.raises(ToolError, match=r"nothing below \.git is written"):
            edit(workspace, way)
    for way in (".git/config", "settings"):
        with pytest.raises(ToolError, match=r"nothing below \.git is written"):
            edit(workspace, way, "[core]", "[core]\nfsmonitor = evil")
        assert read(workspace, way).endswith("    1| [core]")
    assert os.listdir(workspace / ".git" / "hooks") == []


def test_the_interpreter_that_runs_us_is_not_writable() -> None:
    workspace = Path(sys.prefix).resolve().parent
    name = os.path.relpath(sys.prefix, workspace)
    with pytest.raises(ToolError, match="is the Python environment that runs Mainspring"):
        editing.plan(workspace, None, f"{name}/lib/sitecustomize.py", "", "evil")


def test_devices_pipes_and_sockets_are_refused(workspace: Path) -> None:
    import socket

    os.mkfifo(workspace / "pipe")
    server = socket.socket(socket.AF_UNIX)
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(workspace)  # a socket's path has at most 107 characters
        server.bind("socket")
    finally:
        os.fchdir(here)
        os.close(here)
        server.close()
    for name, kind in (("pipe", "a named pipe"), ("socket", "a socket")):
        with pytest.raises(ToolError, match=kind):
            read(workspace, name)
        with pytest.raises(ToolError, match=kind):
            edit(workspace, name)


def test_descriptors_are_closed_whatever_happens(workspace: Path) -> None:
    (workspace / "a" / "b").mkdir(parents=True)
    (workspace / "a" / "out").symlink_to("/")
    before = len(os.listdir("/proc/self/fd"))
    for way in ("a/b/c", "a/out/etc/passwd", "a/../../x", "a/b/../b/./missing", "a"):
        for _ in range(20):
            try:
                with locate(workspace, way) as place:
                    os.close(place.open())
            except ToolError:
                pass
    assert len(os.listdir("/proc/self/fd")) == before
