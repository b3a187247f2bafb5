"""Pushes one commit to one branch of a remote, by nothing that the repository's own settings could have bent.

The address is read from the repository, shown, and used as it was shown. The call itself runs in a git folder of our
own, so that only the user's global settings say how to reach it and which password to use.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mainspring.code.git.command import Git, said, without_password
from mainspring.code.git.repository import Repository
from mainspring.code.git.store import make_store
from mainspring.errors import ToolError
from mainspring.tools.names import printable

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}\Z")
_SCP = re.compile(r"(?:[A-Za-z0-9._-]+@)?(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\]):(?!:)[^\s].*\Z")
_PROTOCOLS = "https:ssh:file"
_TIMEOUT_S = 300.0
#: What a call that may reach a remote gets of the environment besides.
_NETWORK = (
    "SSH_AUTH_SOCK", "SSH_AGENT_PID", "GIT_SSH_COMMAND", "GIT_SSH", "GIT_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "DBUS_SESSION_BUS_ADDRESS",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote of a repository.

    Args:
        name: its name.
        url: where it leads for a push, every rewriting done; may hold a password.
        shown: the same without the password.
    """

    name: str
    url: str
    shown: str


def remotes(repository: Repository) -> list[Remote]:
    """The remotes that may be pushed to; others are left out."""
    found = []
    for name in repository.git.text("remote").splitlines():
        try:
            found.append(remote(repository, name))
        except ToolError:
            continue
    return found


def remote(repository: Repository, name: str) -> Remote:
    """A remote by its name.

    Raises:
        ToolError: there is none, or its address is none that is pushed to.
    """
    git = repository.git
    if not _NAME.match(name) or name not in git.text("remote").splitlines():
        raise ToolError(f"there is no remote {printable(name)[:100]!r}; `git remote -v` lists them")
    urls = git.text("remote", "get-url", "--push", "--all", name).splitlines()
    if len(urls) != 1:
        raise ToolError(f"remote {name} has {len(urls)} addresses for a push; one is needed")
    url = _checked(repository, name, urls[0])
    return Remote(name, url, without_password(url))


def send(repository: Repository, target: Remote, branch: str, commit: str) -> str:
    """Push a commit to a branch, which may only go forward.

    Raises:
        ToolError: it was refused, or the remote cannot be reached.
    """
    with _caller(repository, target) as git:
        done = git.result(
            "push",
            "--porcelain",
            "--no-force",
            "--no-follow-tags",
            "--no-signed",
            "--no-verify",
            "--recurse-submodules=no",
            "--receive-pack=git-receive-pack",
            "--",
            target.url,
            f"{commit}:refs/heads/{branch}",
            timeout_s=_TIMEOUT_S,
        )
    if done.returncode:
        rejected = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.startswith("!")]
        why = printable(rejected[0].rpartition("\t")[2]) if rejected else said(done.stderr)
        raise ToolError(f"{target.shown} did not take branch {branch}: {why}")
    return f"pushed {branch} at {commit[:12]} to {target.shown}"


def pushed(repository: Repository, target: Remote, branch: str) -> str:
    """The commit that a remote's branch has, or "". Raises ToolError when the remote cannot be asked."""
    with _caller(repository, target) as git:
        done = git.result(
            "ls-remote",
            "--heads",
            "--upload-pack=git-upload-pack",
            "--",
            target.url,
            f"refs/heads/{branch}",
            timeout_s=_TIMEOUT_S,
        )
    if done.returncode:
        raise ToolError(f"{target.shown} cannot be asked: {said(done.stderr)}")
    for line in done.stdout.decode("ascii", "replace").splitlines():
        name, _, reference = line.partition("\t")
        if reference == f"refs/heads/{branch}":
            return name
    return ""


def _checked(repository: Repository, name: str, url: str) -> str:
    """The address as git gets it: of a known protocol, or a folder that lies outside of the repository."""
    if url.startswith("-") or not url.isprintable() or not url.isascii():
        raise ToolError(f"the address of remote {name} is none: {printable(without_password(url))[:200]}")
    scheme, separator, _ = url.partition("://")
    if separator and scheme in ("https", "ssh"):
        host = re.match(r"[a-z]+://(?:[^/@]*@)?([^/:]+)", url)
        if host is None or host[1].startswith("-"):
            raise ToolError(f"the address of remote {name} names no host: {without_password(url)}")
        return url
    path = url.removeprefix("file://")
    if (separator and scheme != "file") or re.match(r"[A-Za-z0-9+.-]+::", url):
        raise ToolError(
            f"remote {name} leads to {without_password(url)}; only https, ssh and folders of this machine are pushed to"
        )
    if not separator and not path.startswith(("/", ".")) and _SCP.match(url):
        return url
    place = Path(os.path.realpath(repository.top / path))
    inside = (repository.top, repository.common, repository.git_dir)
    if any(place.is_relative_to(folder) or folder.is_relative_to(place) for folder in inside):
        raise ToolError(f"remote {name} lies inside the repository, {place}; its hooks would run, so it is not used")
    return str(place)


@contextmanager
def _caller(repository: Repository, target: Remote) -> Iterator[Git]:
    with tempfile.TemporaryDirectory(prefix="mainspring-push-") as made:
        store = Path(made) / "git"
        make_store(
            store, repository.git, repository.common, algorithm=repository.algorithm, objects=[repository.objects]
        )
        more = {name: os.environ[name] for name in _NETWORK if name in os.environ}
        more["GIT_ALLOW_PROTOCOL"] = _PROTOCOLS
        git = replace(Git(store, Path(made)), more=more)
        asked = git.text("ls-remote", "--get-url", "--", target.url)
        git.run("config", "remote.target.url", target.url)
        sent = git.text("remote", "get-url", "--push", "target")
        for again in (asked, sent):
            if again != target.url:
                shown = without_password(again)
                raise ToolError(f"your git settings lead {target.shown} on to {shown}, which nobody was shown")
        yield git
