"""Calls git, so that no repository's own settings, attributes or hooks make it run anything.

What is in a repository's folder may have come from strangers. Git reads commands from many of its settings; each call
goes through here, with those settings overruled, no prompt, no network, a time limit and plain English answers.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mainspring.errors import ToolError
from mainspring.tools.names import printable

#: Seconds for one call that works on local files only.
TIMEOUT_S = 600.0
_SAID = 2_000
_KEPT = ("HOME", "XDG_CONFIG_HOME", "TMPDIR", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "USER")
_OVERRULED = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "core.pager=cat",
    "core.editor=false",
    "core.quotePath=true",
    "core.safecrlf=false",
    "core.logAllRefUpdates=false",
    "gpg.program=false",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "protocol.ext.allow=never",
    "advice.detachedHead=false",
    "color.ui=false",
)


@dataclass(frozen=True, slots=True)
class Git:
    """One repository and how it is to be called.

    Args:
        git_dir: its folder; None lets git look for it from `folder` upwards, heeding `safe.directory`.
        folder: where git runs.
        work_tree: the files, or None.
        index: the index file, or None for the repository's own.
        objects: where objects are written, or None for the repository's own.
        more: further variables of the environment.
    """

    git_dir: Path | None
    folder: Path
    work_tree: Path | None = None
    index: Path | None = None
    objects: Path | None = None
    more: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        *arguments: str | Path,
        given: bytes = b"",
        ok: Sequence[int] = (0,),
        timeout_s: float = TIMEOUT_S,
    ) -> bytes:
        """Run one command and return what it wrote.

        Args:
            arguments: the command's name and its arguments.
            given: its standard input.
            ok: exit codes that are no failure.
            timeout_s: seconds after which it is killed.

        Raises:
            ToolError: git is not installed, took too long, or failed; with its first words.
        """
        done = self.result(*arguments, given=given, timeout_s=timeout_s)
        if done.returncode not in ok:
            raise ToolError(f"git {arguments[0]} failed in {printable(str(self.folder))}: {said(done.stderr)}")
        return done.stdout

    def result(
        self, *arguments: str | Path, given: bytes = b"", timeout_s: float = TIMEOUT_S
    ) -> subprocess.CompletedProcess[bytes]:
        """As :meth:`run`, whatever its exit code is. Raises ToolError."""
        command: list[str | Path] = [program()]
        for setting in _OVERRULED:
            command += ["-c", setting]
        try:
            return subprocess.run(
                [*command, *arguments],
                cwd=self.folder,
                env=self.environment(),
                input=given,
                capture_output=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ToolError(f"git {arguments[0]} took longer than {timeout_s:.0f} s and was ended") from None
        except (OSError, ValueError) as error:
            raise ToolError(f"git cannot be run in {printable(str(self.folder))}: {error}") from None

    def text(self, *arguments: str | Path, given: bytes = b"", ok: Sequence[int] = (0,)) -> str:
        """What a command wrote, as text without the line end."""
        return self.run(*arguments, given=given, ok=ok).decode("utf-8", "surrogateescape").rstrip("\n")

    def environment(self) -> dict[str, str]:
        """The variables that git sees: nothing of ours that would lead it elsewhere."""
        env = {name: os.environ[name] for name in _KEPT if name in os.environ}
        env |= {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS": "/bin/false",
            "GIT_EDITOR": "false",
            "GIT_PAGER": "cat",
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_LFS_SKIP_SMUDGE": "1",
        }
        places = {
            "GIT_DIR": self.git_dir,
            "GIT_WORK_TREE": self.work_tree,
            "GIT_INDEX_FILE": self.index,
            "GIT_OBJECT_DIRECTORY": self.objects,
        }
        return env | {name: str(place) for name, place in places.items() if place is not None} | dict(self.more)


def program() -> str:
    """The path of git. Raises ToolError when it is not installed."""
    path = os.pathsep.join(p for p in os.environ.get("PATH", "/usr/bin:/bin").split(os.pathsep) if os.path.isabs(p))
    found = shutil.which("git", path=path)
    if found is None:
        raise ToolError("git is not installed; install it: apt-get install git, or dnf install git")
    return found


def said(stderr: bytes) -> str:
    """What git complained of, fit to show: no hints, no addresses with passwords, bounded."""
    text = stderr[: _SAID * 4].decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("hint:")]
    shown = "; ".join(re.sub(r"^(fatal|error|warning): ", "", line) for line in lines)
    return without_password(printable(shown))[:_SAID] or "it said nothing"


def without_password(text: str) -> str:
    """Text with what stands before the ``@`` of an address taken out, unless it is only ``git``."""
    return re.sub(r"([a-z][a-z0-9+.-]*://)(?!git@)[^/@\s]+@", r"\1", text, flags=re.IGNORECASE)
