"""Turns the files of a work tree into a git tree, byte for byte and without git opening any of them for us."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mainspring.code.git.changes import TreeChange, TreePatch
from mainspring.code.git.command import Git
from mainspring.code.git.files import FILE, LINK, MODULE, State, TooLargeError, Tree
from mainspring.code.git.repository import Repository, Snapshot
from mainspring.code.git.store import copy_refs, make_store, read_blobs, sizes, write_object
from mainspring.errors import ToolError
from mainspring.tools.names import printable

#: Larger files that are new or changed are left out (and named), bytes.
MAX_FILE = 64 << 20
#: After so many seconds a person is told what goes on.
QUIET_S = 2.0
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Mainspring"), ("EMAIL", "mainspring@localhost"))
}
_NOTED = 20


def take(repository: Repository, folder: Path, progress: Callable[[str], None]) -> Snapshot:
    """See :meth:`Repository.snapshot`."""
    make_store(
        folder,
        repository.git,
        repository.common,
        algorithm=repository.algorithm,
        objects=[repository.objects],
    )
    copy_refs(folder, repository.git)
    index = folder / "index"
    git = Git(folder, repository.top, repository.top, index)
    with telling(progress, "looking at your files"):
        _copy_index(repository, git, index)
        tree, left_out = tree_of(git, repository, folder / "objects", exact=True)
        parents = ["-p", repository.head] if repository.head else []
        message = b"Snapshot of the files as they were\n"
        commit = Git(folder, folder, more=_IDENTITY).text("commit-tree", tree, *parents, given=message)
    (folder / "HEAD").write_text(commit + "\n")
    return Snapshot(commit, tree, repository.head, folder, left_out)


def state_patch(git: Git, repository: Repository, store: Path, tree: str) -> tuple[TreePatch, tuple[str, ...]]:
    """What differs between a snapshot's tree and the files of a work tree now; and what was left out.

    Args:
        git: with the work tree, and an index of our own that git may refresh.
        repository: where it comes from.
        store: its own git folder.
        tree: of the snapshot.

    Raises:
        ToolError: the files cannot be read.
    """
    now, left_out = tree_of(git, repository, store / "objects")
    return between(git, tree, now), left_out


def between(git: Git, old: str, new: str) -> TreePatch:
    """The patch from one tree to another; submodules are not in it. Raises ToolError."""
    raw = git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-ext-diff", "--full-index", old, new)
    rows: list[tuple[str, str, str, str, str]] = []
    fields = raw.split(b"\0")
    for at in range(0, len(fields) - 1, 2):
        before_mode, after_mode, before, after, _ = fields[at].decode().lstrip(":").split(" ")
        if MODULE not in (before_mode, after_mode):
            rows.append((os.fsdecode(fields[at + 1]), before_mode, before, after_mode, after))
    blobs = read_blobs(git, [name for row in rows for name in (row[2], row[4]) if name.strip("0")])

    def state(mode: str, name: str) -> State | None:
        return State(mode, blobs[name]) if name.strip("0") else None

    return TreePatch(tuple(TreeChange.of(p, state(bm, b), state(am, a)) for p, bm, b, am, a in rows))


def tree_of(git: Git, repository: Repository, objects: Path, exact: bool = False) -> tuple[str, tuple[str, ...]]:
    """Write the work tree's files as a git tree, through the index of `git`; with what was left out.

    Args:
        exact: the index is the person's own, whose entries may stand for other bytes than the files have (line ends,
            filters); those are read as well.
    """
    git.run("update-index", "-q", "--refresh", "--unmerged", "--ignore-submodules", ok=(0, 1))
    changed = [os.fsdecode(path) for path in _changed(git)]
    tracked, skipped = _entries(git)
    top = os.fspath(git.work_tree or git.folder)
    # What a sparse check-out leaves out is no change, but somebody may have put a file there.
    changed += [path for path in skipped if os.path.lexists(f"{top}/{path}")]
    if exact:
        changed += [path for path in _differently_stored(git, tracked) if path not in set(changed)]
    others = [os.fsdecode(p) for p in git.run("ls-files", "-z", "-o", "--exclude-standard").split(b"\0") if p]
    files, left_out = Tree(git.work_tree or git.folder), []
    gone, come = [], []
    modes = repository.filemode
    for path in dict.fromkeys([*changed, *others]):
        if path.endswith("/"):
            left_out.append(f"{printable(path)} is a repository of its own")
            continue
        mode, _ = tracked.get(path, ("", ""))
        if mode == MODULE:
            continue
        try:
            state = files.read(path, MAX_FILE)
        except TooLargeError as error:
            left_out.append(str(error))
            continue
        if state is None:
            if path in tracked:
                gone.append(path)
            continue
        kept = (mode or FILE) if not modes and state.mode != LINK else state.mode
        come.append((kept, write_object(objects, "blob", state.data, repository.algorithm), path))
    zero = "0" * (40 if repository.algorithm == "sha1" else 64)
    lines = [f"0 {zero}\t".encode() + os.fsencode(path) for path in gone]
    lines += [f"{mode} {name}\t".encode() + os.fsencode(path) for mode, name, path in come]
    if lines:
        git.run("update-index", "-z", "--index-info", given=b"\0".join(lines) + b"\0")
    return git.text("write-tree"), tuple(left_out[:_NOTED])


@contextmanager
def telling(progress: Callable[[str], None], what: str) -> Iterator[None]:
    """Say what goes on, every few seconds, when it takes long."""
    done = threading.Event()

    def tell() -> None:
        seconds = 0.0
        while not done.wait(QUIET_S):
            seconds += QUIET_S
            progress(f"{what}: {seconds:.0f} s")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _copy_index(repository: Repository, git: Git, index: Path) -> None:
    """Begin with what git knows of the person's files, so that only changed ones are read.

    An index that is split over several files, or sparse, cannot be copied; then every file is read.
    """
    try:
        shutil.copy2(repository.git_dir / "index", index)  # with its time: git tells by it which entries to distrust
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ToolError(f"the repository's index cannot be copied: {error.strerror}") from None
    if index.exists() and git.result("ls-files", "-s", "-z").returncode == 0:
        return
    index.unlink(missing_ok=True)
    git.run("read-tree", *([repository.head] if repository.head else ["--empty"]))


def _changed(git: Git) -> list[bytes]:
    fields = git.run("diff-files", "--raw", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=all").split(
        b"\0"
    )
    return [fields[at + 1] for at in range(0, len(fields) - 1, 2)]


def _entries(git: Git) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Path -> (mode, object) of everything in the index; and what of it a sparse check-out leaves out."""
    found, skipped = {}, []
    for line in git.run("ls-files", "-s", "-t", "-z").split(b"\0"):
        head, _, path = line.partition(b"\t")
        if path:
            tag, mode, name, _ = head.decode().split(" ")
            found[os.fsdecode(path)] = (mode, name)
            if tag == "S":
                skipped.append(os.fsdecode(path))
    return found, skipped


def _differently_stored(git: Git, tracked: dict[str, tuple[str, str]]) -> Iterator[str]:
    """Files that git stores otherwise than they lie on disk: every conversion in use changes a file's size."""
    stored = sizes(git, (name for mode, name in tracked.values() if mode not in (MODULE, LINK)))
    top = os.fspath(git.work_tree or git.folder)
    for path, (mode, name) in tracked.items():
        if mode in (MODULE, LINK):
            continue
        try:
            status = os.lstat(f"{top}/{path}")
        except OSError:
            continue
        if status.st_size != stored.get(name, -1):
            yield path
