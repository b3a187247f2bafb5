"""A git folder of our own beside a repository: it reads the repository's objects, and writes only its own.

Its settings are ours, so nothing that stands in the repository's own settings (a filter, a hook, a file watcher, a
diff program) is ever seen by a call that works through it; what the user's global settings say still holds.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from mainspring.code.git.command import Git
from mainspring.errors import ToolError

#: Bytes are kept exactly as they lie on disk: no line end, no encoding and no filter is changed on the way.
_RAW = "* -text -crlf -eol -filter -ident -working-tree-encoding\n"
#: Settings of a repository that say how its files are to be understood, and name no program.
_CARRIED = re.compile(r"core\.(filemode|symlinks|ignorecase|precomposeunicode|excludesfile)\Z")
_CONVERTING = re.compile(r"core\.(autocrlf|eol|filemode|symlinks|ignorecase|precomposeunicode|excludesfile)\Z")


def make_store(
    folder: Path,
    source: Git,
    common: Path,
    *,
    algorithm: str,
    objects: Sequence[Path],
    converting: bool = False,
) -> None:
    """Write a git folder.

    Args:
        folder: it; must not exist.
        source: the repository, to read its settings.
        common: the repository's common folder (of all its work trees).
        algorithm: ``"sha1"`` or ``"sha256"``.
        objects: object folders to read from.
        converting: line ends and filters are handled as the user's settings and the repository's attributes say;
            otherwise bytes are kept exactly.

    Raises:
        ToolError: it cannot be written.
    """
    try:
        for part in ("objects/info", "objects/pack", "refs/heads", "info"):
            (folder / part).mkdir(parents=True)
        (folder / "HEAD").write_text("ref: refs/heads/none\n")
        (folder / "config").write_text(_config(source, algorithm, _CONVERTING if converting else _CARRIED))
        (folder / "objects/info/alternates").write_bytes(b"".join(_quoted(path) + b"\n" for path in objects))
        exclude = common / "info" / "exclude"
        (folder / "info/exclude").write_bytes(_plain(exclude))
        if converting:
            (folder / "info/attributes").write_bytes(_plain(common / "info" / "attributes"))
        else:
            (folder / "info/attributes").write_text(_RAW)
        if shallow := _plain(common / "shallow"):
            (folder / "shallow").write_bytes(shallow)
    except OSError as error:
        raise ToolError(f"{folder} cannot be written: {error.strerror}") from None


def copy_refs(folder: Path, source: Git) -> None:
    """Let a store know the repository's branches and tags, as they are now."""
    lines = source.run("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags", "refs/remotes")
    try:
        (folder / "packed-refs").write_bytes(lines)
    except OSError as error:
        raise ToolError(f"{folder} cannot be written: {error.strerror}") from None


def write_object(objects: Path, kind: str, data: bytes, algorithm: str = "sha1") -> str:
    """Put an object among loose ones and return its id; one that is there is left.

    Raises:
        ToolError: it cannot be written.
    """
    whole = b"%s %d\0" % (kind.encode(), len(data)) + data
    name = hashlib.new(algorithm, whole, usedforsecurity=False).hexdigest()
    target = objects / name[:2] / name[2:]
    if target.exists():
        return name
    temporary = target.with_name(f"tmp_obj_{secrets.token_hex(6)}")
    try:
        target.parent.mkdir(exist_ok=True)
        temporary.write_bytes(zlib.compress(whole, 1))
        os.chmod(temporary, 0o444)
        os.rename(temporary, target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ToolError(f"{objects} cannot be written: {error.strerror}") from None
    return name


def read_blobs(git: Git, names: Iterable[str]) -> dict[str, bytes]:
    """The bytes of blobs by id. Raises ToolError when one is missing."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    answer = git.run("cat-file", "--batch", given="".join(f"{name}\n" for name in wanted).encode())
    found: dict[str, bytes] = {}
    at = 0
    for name in wanted:
        end = answer.index(b"\n", at)
        head = answer[at:end].split()
        if len(head) != 3 or head[1] != b"blob":
            raise ToolError(f"the repository has lost the object {name}; restore it (git fsck names what is missing)")
        size = int(head[2])
        found[name] = answer[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
    return found


def sizes(git: Git, names: Iterable[str]) -> dict[str, int]:
    """The sizes of objects by id, in bytes; a missing one is left out."""
    wanted = sorted(set(names))
    lines = git.run(
        "cat-file", "--batch-check=%(objectname) %(objectsize)", given="".join(f"{n}\n" for n in wanted).encode()
    ).split(b"\n")
    pairs = [line.split() for line in lines if line]
    return {p[0].decode(): int(p[1]) for p in pairs if len(p) == 2 and p[1].isdigit()}


def _config(source: Git, algorithm: str, carried: re.Pattern[str]) -> str:
    lines = ["[core]", "\tbare = false", "\thooksPath = /dev/null", "\tfsmonitor = false", "\tlogAllRefUpdates = false"]
    lines.append(f"\trepositoryformatversion = {0 if algorithm == 'sha1' else 1}")
    if carried is _CARRIED:
        lines += ["\tautocrlf = false", "\teol = lf", "\tsafecrlf = false"]
    listed = source.run("config", "-z", "--list").decode("utf-8", "surrogateescape")
    for entry in listed.split("\0"):
        name, _, value = entry.partition("\n")
        if carried.match(name) and "\n" not in value:
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'\t{name.partition(".")[2]} = "{quoted}"')
    if algorithm != "sha1":
        lines += ["[extensions]", f"\tobjectFormat = {algorithm}"]
    lines += ["[gc]", "\tauto = 0", "[maintenance]", "\tauto = false"]
    return "\n".join(lines) + "\n"


def _plain(path: Path) -> bytes:
    """The bytes of a plain file; empty when there is none, or something else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    with open(handle, "rb") as file:
        try:
            return file.read(1 << 20)
        except OSError:  # a folder
            return b""


def _quoted(path: Path) -> bytes:
    """A path as git reads it in a list of alternates, where a quote begins an escaped one."""
    raw = os.fsencode(path)
    if b"\n" not in raw and not raw.startswith((b'"', b"#")):
        return raw
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
