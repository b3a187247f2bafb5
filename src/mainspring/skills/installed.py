"""The skills of a home: copied there, so that nothing in a workspace can change them, and used only as approved."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import DeclarationError, StoreError
from mainspring.guard.pins import Changed, New, Pin, Pins
from mainspring.guard.snapshot import Snapshot
from mainspring.skills.skill import Skill, load_skill, skill_of

KIND = "skill"


@dataclass(frozen=True, slots=True)
class Installed:
    """A skill's folder in the home.

    Args:
        name: of the folder.
        state: ``approved``, ``new``, ``changed`` or ``broken``.
        skill: None for a broken one.
        why: what is wrong with a broken one.
        diff: against what was approved; for a new one, everything.
        pin: the approval, if there is one.
    """

    name: str
    state: str
    skill: Skill | None
    why: str = ""
    diff: str = ""
    pin: Pin | None = None


class Skills:
    """The skills under ``home/skills``."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "skills"
        self.pins = Pins(home)

    def add(self, folder: Path, *, replace: bool = False) -> Skill:
        """Copy a skill into the home. It is used only after a person's approval.

        Raises:
            DeclarationError: it is no skill, or there is another one of this name and `replace` is not set.
            StoreError: it cannot be written.
        """
        skill = load_skill(folder)
        target = self.folder / skill.name
        try:
            if target.exists() and not replace:
                raise DeclarationError(
                    f"there is a skill {skill.name!r} already; remove it, or replace it with: skills add --replace"
                )
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = self.folder / f".{skill.name}.{secrets.token_hex(4)}"
            _write(skill.content, beside)
            if target.exists():
                old = beside.with_suffix(".old")
                target.rename(old)
                beside.rename(target)
                shutil.rmtree(old)
            else:
                beside.rename(target)
        except OSError as error:
            raise StoreError(f"skill {skill.name!r} cannot be written to {self.folder}: {error}") from error
        return skill

    def approve(self, name: str, *, by: str, digest: str | None = None) -> Pin:
        """Let a skill be used as it is now; `digest` is of what the person looked at.

        Raises:
            DeclarationError: there is no such skill, it is broken, or not what was looked at.
        """
        skill = self._read(name)
        return self.pins.approve(KIND, name, skill.content, by=by, digest=digest)

    def load(self, name: str) -> tuple[Skill, Pin]:
        """A skill as a person approved it, with the approval, whose label is that of the instructions.

        Raises:
            DeclarationError: there is none, or it is new or changed; with the difference.
        """
        skill = self._read(name)
        return skill, self.pins.require(KIND, name, skill.content)

    def all(self) -> list[Installed]:
        """Every folder, approved or not, by name."""
        return [self.look(name) for name in self._names()]

    def look(self, name: str) -> Installed:
        """One skill and its state. Raises DeclarationError: there is none."""
        try:
            skill = self._read(name)
        except DeclarationError as error:
            if name not in self._names():
                raise
            return Installed(name, "broken", None, str(error))
        checked = self.pins.check(KIND, name, skill.content)
        if isinstance(checked, New):
            return Installed(name, "new", skill, diff=checked.diff)
        if isinstance(checked, Changed):
            return Installed(name, "changed", skill, diff=checked.diff, pin=checked.pin)
        return Installed(name, "approved", skill, pin=checked.pin)

    def remove(self, name: str) -> None:
        """Take a skill's approval back and delete its folder. Raises DeclarationError: there is none."""
        folder = self._folder(name)
        with contextlib.suppress(DeclarationError):  # it never was approved
            self.pins.remove(KIND, name)
        shutil.rmtree(folder)

    def _names(self) -> list[str]:
        """What lies in the folder, and nothing else: no name here leads anywhere."""
        if not self.folder.is_dir():
            return []
        return sorted(name for name in os.listdir(self.folder) if not name.startswith("."))

    def _folder(self, name: str) -> Path:
        names = self._names()
        if name not in names or not (self.folder / name).is_dir() or (self.folder / name).is_symlink():
            raise DeclarationError(f"there is no skill {name!r:.100}; there is {', '.join(names) or 'none yet'}")
        return self.folder / name

    def _read(self, name: str) -> Skill:
        folder = self._folder(name)
        skill = skill_of(Snapshot.take(folder), str(folder))
        if skill.name != name:
            raise DeclarationError(f"{folder} holds a skill named {skill.name!r}; a folder has its skill's name")
        return skill


def _write(content: Snapshot, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    for path, data in content.files.items():
        target = folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o500 if path in content.programs else 0o400)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
