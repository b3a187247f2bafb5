"""The tools `git_commit` and `git_push`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mainspring.code.git.branches import (
    Person,
    check_branch,
    check_name,
    checked_out,
    commit_patch,
    move_branch,
)
from mainspring.code.git.command import without_password
from mainspring.code.git.pushing import Remote, pushed, remote, remotes, send
from mainspring.code.git.recorded import CodeRecord, load
from mainspring.errors import ToolError
from mainspring.tool import DidNotHappen, Happened, Settled, Tool, ToolContext, Unknown
from mainspring.tools.names import printable
from mainspring.tools.provenance import WORKSPACE

#: Every branch that a run makes lies below this.
PREFIX = "mainspring/"
_MAX_MESSAGE = 20_000


def git_tools(author: str = "Mainspring", email: str = "mainspring@localhost") -> list[Tool]:
    """`git_commit` and `git_push`, for runs that were started with a working copy.

    Args:
        author: who the commits are by; "on behalf of" and the person's name are added.
        email: their address.
    """
    tools = GitTools(author, email)
    make: Callable[..., Tool] = Tool
    return [
        make(
            tools.git_commit,
            effect="write",
            authority=["branch"],
            undoable=True,
            label=WORKSPACE,
            prepare=tools.prepare_commit,
            reconcile=tools.reconcile_commit,
        ),
        make(
            tools.git_push,
            effect="irreversible",
            outside=True,
            authority=["remote", "branch"],
            label=WORKSPACE,
            prepare=tools.prepare_push,
            reconcile=tools.reconcile_push,
            timeout_s=600.0,
        ),
    ]


@dataclass(frozen=True, slots=True)
class GitTools:
    """How the two tools work; see :func:`git_tools`."""

    author: str
    email: str

    def git_commit(self, message: str, context: ToolContext, branch: str = "") -> dict[str, Any]:
        """Commit everything you changed to a new branch of the repository. Its files and other branches stay.

        Args:
            branch: name below mainspring/; by default the run's
        """
        record = _record(context)
        repository, name = record.repository, branch_name(branch, context.run_id)
        if len(message) > _MAX_MESSAGE:
            raise ToolError(f"the message has {len(message):,} characters; use at most {_MAX_MESSAGE:,}")
        tip = _own_tip(record, name)
        patch = record.patch()
        person = context.principal[0] if context.principal else ""
        author = Person(f"{self.author} on behalf of {_plain(person)}" if person else self.author, self.email)
        trailers = f"Mainspring-Run: {context.run_id}\nMainspring-Key: {context.key}\n"
        commit = commit_patch(
            repository,
            patch,
            tip or repository.head,
            f"{message.strip()}\n\n{trailers}",
            author,
            base=repository.head,
        )
        # First the note, then the branch: a branch that exists is always known to be ours.
        record = record.keep(patch).with_branch(name, commit)
        move_branch(repository, name, commit, tip)
        return _committed(record, name, commit)

    def prepare_commit(self, message: str, context: ToolContext, branch: str = "") -> Mapping[str, Any]:
        """What the intent records: where the branch was."""
        name = branch_name(branch, context.run_id)
        return {"branch": name, "tip": _own_tip(_record(context), name)}

    def reconcile_commit(self, message: str, context: ToolContext, branch: str = "") -> Settled:
        """After a crash: the branch's own commit tells, by the key in it."""
        record, name = _record(context), branch_name(branch, context.run_id)
        tip = _tip(record, name)
        if tip and context.key and f"Mainspring-Key: {context.key}" in _message(record, tip).splitlines():
            return Happened(_committed(record.with_branch(name, tip), name, tip))
        if context.prepared is not None and tip != context.prepared["tip"]:
            return Unknown(f"branch {name} is neither where it was nor where this commit would have left it")
        return DidNotHappen()

    def git_push(self, remote: str, branch: str, url: str, commit: str, context: ToolContext) -> str:
        """Push a branch that git_commit made. A person sees and approves exactly this.

        Args:
            remote: its name
            url: the remote's, as git_commit returned it
            commit: the branch's, as git_commit returned it
        """
        record = _record(context)
        target, whole = self._checked(record, remote, branch, url, commit)
        return send(record.repository, target, branch, whole)

    def prepare_push(self, remote: str, branch: str, url: str, commit: str, context: ToolContext) -> Mapping[str, Any]:
        """What the intent records: where it goes, and which commit."""
        target, whole = self._checked(_record(context), remote, branch, url, commit)
        return {"url": target.shown, "commit": whole}

    def reconcile_push(self, remote: str, branch: str, url: str, commit: str, context: ToolContext) -> Settled:
        """After a crash: the remote is asked which commit its branch has."""
        record = _record(context)
        try:
            target, whole = self._checked(record, remote, branch, url, commit)
            there = pushed(record.repository, target, branch)
        except ToolError as error:
            return Unknown(str(error))
        if there == whole:
            return Happened(f"pushed {branch} at {whole[:12]} to {target.shown}")
        return DidNotHappen()  # to push the same commit to the same branch twice is as good as once

    def _checked(self, record: CodeRecord, name: str, branch: str, url: str, commit: str) -> tuple[Remote, str]:
        """The remote and the whole commit, when everything that the call names is as the repository has it."""
        repository = record.repository
        check_name(repository, branch)
        target = remote(repository, name)
        if url != target.shown:
            raise ToolError(f"remote {target.name} leads to {target.shown}, not to {printable(without_password(url))}")
        tip = record.branches.get(branch, "")
        if not branch.startswith(PREFIX) or not tip:
            own = ", ".join(sorted(record.branches)) or "none yet"
            raise ToolError(f"only branches that git_commit made in this run are pushed ({own})")
        if _tip(record, branch) != tip:
            raise ToolError(f"branch {branch} was moved by somebody else since git_commit; it is not pushed")
        if not re.fullmatch(r"[0-9a-f]{12,64}", commit) or not tip.startswith(commit):
            raise ToolError(f"branch {branch} is at commit {tip[:12]}, not at {printable(commit)[:80]}")
        return target, tip


def branch_name(branch: str, run_id: str) -> str:
    """The branch that is meant: below ``mainspring/``, by default named after the run."""
    name = branch.strip() or re.sub(r"[^A-Za-z0-9._-]", "-", run_id) or "work"
    return name if name.startswith(PREFIX) else PREFIX + name


def _record(context: ToolContext) -> CodeRecord:
    if context.home is None or not context.run_id:
        raise ToolError("this run has no working copy; start it with `mainspring code`")
    return load(context.home, context.run_id)


def _own_tip(record: CodeRecord, name: str) -> str:
    """Where a branch of this run is, or "" for one that is yet to be made. Raises ToolError for anybody else's."""
    check_name(record.repository, name)
    tip = _tip(record, name)
    if not tip:
        check_branch(record.repository, name)
        return ""
    if name not in record.branches or (record.branches[name] != tip and not _ours(record, tip)):
        raise ToolError(f"there is a branch {name} already, which this run did not make; choose another name")
    if name in checked_out(record.repository):
        raise ToolError(f"branch {name} is checked out; choose another name")
    return tip


def _ours(record: CodeRecord, commit: str) -> bool:
    return f"Mainspring-Run: {record.run_id}" in _message(record, commit).splitlines()


def _tip(record: CodeRecord, name: str) -> str:
    return record.repository.git.text("rev-parse", "--verify", "-q", f"refs/heads/{name}^{{commit}}", ok=(0, 1))


def _message(record: CodeRecord, commit: str) -> str:
    return record.repository.git.text("cat-file", "commit", commit).partition("\n\n")[2]


def _committed(record: CodeRecord, name: str, commit: str) -> dict[str, Any]:
    return {"branch": name, "commit": commit[:12], "remotes": {r.name: r.shown for r in remotes(record.repository)}}


def _plain(name: str) -> str:
    """A person's name without what git would not take in one."""
    return "".join(c for c in name if c.isprintable() and c not in "<>").strip() or "somebody"
