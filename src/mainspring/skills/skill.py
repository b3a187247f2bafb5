"""A skill as it is loaded: from bytes that were read once, so that what runs is what was digested."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import DeclarationError
from mainspring.guard.snapshot import Snapshot, hidden_characters
from mainspring.skills.frontmatter import Field, split
from mainspring.skills.manifest import Manifest

MAIN = "SKILL.md"
MANIFEST = "manifest.toml"
MAX_MAIN_BYTES = 256 << 10
MAX_DESCRIPTION = 1_024

_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,62}\Z")
#: How archives begin. What is in one cannot be reviewed, and unpacks to something larger.
_ARCHIVES = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"7z\xbc\xaf",
    b"Rar!",
    b"\x28\xb5\x2f\xfd",
)


@dataclass(frozen=True, slots=True)
class Skill:
    """Instructions for one kind of work, with what they may use.

    Args:
        name: small letters, digits and hyphens.
        description: when to use it, in a sentence or two.
        instructions: the text of SKILL.md below its head.
        manifest: the most that it may use; a skill without one may use nothing.
        digest: SHA-256 (hex) over names, modes and contents of the whole folder.
        content: every file, as it was read.
    """

    name: str
    description: str
    instructions: str
    manifest: Manifest
    digest: str
    content: Snapshot

    def file(self, path: str) -> str:
        """Another text of the skill's folder. Raises DeclarationError: it is not there, or no UTF-8."""
        return self.content.text(path)


def load_skill(folder: Path) -> Skill:
    """Read a skill's folder. Nobody's approval is asked for here: see `Skills.load`.

    Raises:
        DeclarationError: something about it is wrong; with the file and what to do.
    """
    return skill_of(Snapshot.take(folder), str(folder))


def skill_of(content: Snapshot, shown: str) -> Skill:
    """The skill in a folder's content; raises DeclarationError as `load_skill` does."""
    if MAIN not in content.files:
        raise DeclarationError(f"{shown} is no skill: it has no {MAIN}")
    if len(content.files[MAIN]) > MAX_MAIN_BYTES:
        raise DeclarationError(f"{shown}/{MAIN} is larger than {MAX_MAIN_BYTES >> 10} KiB; move parts to other files")
    for path, data in content.files.items():
        if data.startswith(_ARCHIVES) or data[257:262] == b"ustar":
            raise DeclarationError(
                f"{shown}/{path} is an archive, which nobody can review; put its files in the folder"
            )
    fields, instructions = split(content.text(MAIN), f"{shown}/{MAIN}")
    name, description = (_line(fields, key, f"{shown}/{MAIN}") for key in ("name", "description"))
    if not _NAME.match(name):
        raise DeclarationError(
            f"{shown}/{MAIN}: name {name!r:.100} is not usable: 1 to 64 small letters, digits and single hyphens"
        )
    if not instructions.strip():
        raise DeclarationError(f"{shown}/{MAIN} has no instructions below its head")
    manifest = (
        Manifest.parse(content.text(MANIFEST), f"{shown}/{MANIFEST}") if MANIFEST in content.files else Manifest()
    )
    asked = _asked(fields)
    more = [tool for tool in asked if tool not in manifest.tools]
    if more:
        raise DeclarationError(
            f"skill {name!r} asks for {', '.join(map(repr, more))} (allowed-tools in {MAIN}), which its {MANIFEST} "
            "does not name; a skill gets at most what its manifest says"
        )
    return Skill(name, description, instructions, manifest, content.digest, content)


def _line(fields: dict[str, Field], key: str, shown: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DeclarationError(f"{shown}: its head must say '{key}: ...'")
    hidden = next(hidden_characters(value), None)
    if len(value) > MAX_DESCRIPTION or "\n" in value or hidden:
        why = f"it holds {hidden}" if hidden else f"one line of at most {MAX_DESCRIPTION:,} characters"
        raise DeclarationError(f"{shown}: {key} is not usable: {why}")
    return value.strip()


def _asked(fields: dict[str, Field]) -> list[str]:
    value = fields.get("allowed-tools", "")
    if isinstance(value, str):
        return [part for part in re.split(r"[,\s]+", value) if part]
    return list(value)
