"""What may be used while skills are active: never more than the agent holds, nor than each manifest says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mainspring.errors import DeclarationError, ToolError
from mainspring.skills.manifest import host_inside, inside
from mainspring.skills.skill import Skill
from mainspring.tool import Tool, ToolContext

#: Parameters that name a path in the workspace, that say where a request goes, and that hold a program, which may
#: touch every path.
_PATH = re.compile(r"(?:^|_)(?:path|file|filename|folder|dir|directory)s?(?:$|_)", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:^|_)(?:url|uri|link|href|host|domain|endpoint|webhook)s?(?:$|_)", re.IGNORECASE)
_PROGRAM = re.compile(r"(?:^|_)(?:command|script|program|code|target)s?(?:$|_)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Held:
    """What an agent holds.

    Args:
        tools: by name.
        hosts: that its sandbox and tools may reach.
        paths: patterns of paths in its workspace.
        secrets: names of the secrets that may be filled in for it.
    """

    tools: Mapping[str, Tool]
    hosts: Sequence[str] = ()
    paths: Sequence[str] = ("**",)
    secrets: Sequence[str] = field(default=())


def narrow(held: Held, skills: Sequence[Skill]) -> Held:
    """What is left while all of `skills` are active: of what the agent holds, what every manifest names.

    Raises:
        DeclarationError: a manifest asks for more than the agent holds; it says for what.
    """
    for skill in skills:
        more = list(_excess(held, skill))
        if more:
            raise DeclarationError(
                f"skill {skill.name!r} asks for more than the agent holds: {'; '.join(more)}. Rights only shrink: give "
                "the agent that, or take it out of the skill's manifest"
            )
    if not skills:
        return held
    manifests = [skill.manifest for skill in skills]
    first = manifests[0]
    return Held(
        {n: LimitedTool(t, skills) for n, t in held.tools.items() if all(n in m.tools for m in manifests)},
        [h for h in first.hosts if all(host_inside(h, m.hosts) for m in manifests)],
        [p for p in first.paths if all(inside(p, m.paths) for m in manifests)],
        [s for s in first.secrets if all(s in m.secrets for m in manifests)],
    )


def restrict(tools: Mapping[str, Tool], *skills: Skill) -> dict[str, Tool]:
    """The agent's tools that may be used while all of `skills` are active, each held to their paths and hosts.

    Raises:
        DeclarationError: a manifest names a tool that the agent has not, or an effect that it may not have.
    """
    everything = Held(
        tools,
        [host for skill in skills for host in skill.manifest.hosts],
        ("**",),
        [secret for skill in skills for secret in skill.manifest.secrets],
    )
    return dict(narrow(everything, skills).tools)


class LimitedTool(Tool):
    """A tool that refuses paths and hosts which the active skills do not name.

    Arguments are checked when the model sends them, and again, with every handle resolved, before the tool acts.
    """

    def __init__(self, tool: Tool, skills: Sequence[Skill]) -> None:  # deliberately not Tool's: all of it is taken over
        self.__dict__.update(tool.__dict__)
        self._skills = tuple(skills)
        self._whole = tool

    def validate(self, arguments: Mapping[str, Any], *, quote: bool = True) -> dict[str, Any]:
        """See :class:`Tool`; raises ToolError for what the skills do not allow."""
        checked = self._whole.validate(arguments, quote=quote)
        for text, where, skill in self._aimed(checked):
            # Handles have no value yet, and where an absolute path leads only its workspace tells.
            if "$" not in text and not os.path.isabs(text) and _refused(skill, where, text, None):
                raise self._refusal(where, skill)
        return checked

    async def run_prepare(self, arguments: Mapping[str, Any], context: ToolContext) -> Mapping[str, Any] | None:
        """See :class:`Tool`; raises ToolError for what the skills do not allow."""
        self._check(arguments, context.workspace)
        return await self._whole.run_prepare(arguments, context)

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> Any:
        """See :class:`Tool`; raises ToolError for what the skills do not allow."""
        self._check(arguments, context.workspace)
        return await self._whole.call(arguments, context)

    def _check(self, arguments: Mapping[str, Any], workspace: Path | None) -> None:
        for text, where, skill in self._aimed(arguments):
            if _refused(skill, where, text, workspace):
                raise self._refusal(where, skill)

    def _aimed(self, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str, Skill]]:
        """Each text of an argument that names a path or an address, for each skill."""
        for name, value in arguments.items():
            if _PATH.search(name) or _ADDRESS.search(name):
                for text in _texts(value):
                    yield from ((text, name, skill) for skill in self._skills)

    def _refusal(self, where: str, skill: Skill) -> ToolError:
        manifest = skill.manifest
        named = f"paths {list(manifest.paths)}" if _PATH.search(where) else f"hosts {list(manifest.hosts)}"
        return ToolError(f"{self.name}: skill {skill.name!r} is active, and allows as {where} only {named}")


def _refused(skill: Skill, name: str, text: str, workspace: Path | None) -> bool:
    if _PATH.search(name):
        if "\0" in text:
            return True
        if workspace is not None:  # where it really leads, links and all
            root = os.path.realpath(workspace)
            text = os.path.relpath(os.path.realpath(os.path.join(root, text)), root)
        return not skill.manifest.allows_path(text)
    return not skill.manifest.allows_host(_host(text))


def _host(text: str) -> str:
    """The host that an address leads to, or "" when that is not certain."""
    if any(c.isspace() or c in "\\@" or not c.isprintable() for c in text):
        return ""  # what programs read differently
    try:
        return urlsplit(text if "://" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str | os.PathLike):
        yield os.fspath(value)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _texts(each)


def _excess(held: Held, skill: Skill) -> Iterator[str]:
    manifest = skill.manifest
    for name in manifest.tools:
        tool = held.tools.get(name)
        if tool is None:
            yield f"tool {name!r}"
        elif tool.effect not in manifest.effects:
            yield f"tool {name!r} is {tool.effect!r}, and the manifest's effects are {list(manifest.effects)}"
        elif manifest.paths != ("**",) and any(_PROGRAM.search(a) for a in tool.schema.get("properties", {})):
            yield f"tool {name!r} runs programs, which may touch every path; the manifest must say paths = ['**']"
    for host in manifest.hosts:
        if not host_inside(host, held.hosts):
            yield f"host {host!r}"
    for path in manifest.paths:
        if not inside(path, held.paths):
            yield f"path {path!r}"
    for secret in manifest.secrets:
        if secret not in held.secrets:
            yield f"secret {secret!r}"
