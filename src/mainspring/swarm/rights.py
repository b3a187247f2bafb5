"""What a sub-agent gets of its creator's rights: agents, tools, folder, grants. They only shrink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mainspring.agent import Agent
from mainspring.errors import DeclarationError, ToolError
from mainspring.guard import Grant
from mainspring.signature import unbound
from mainspring.swarm.board import BOARD_TOOLS
from mainspring.swarm.options import Options, Subtask
from mainspring.swarm.parent import Parent
from mainspring.tool import Tool


def agent_of(parent: Parent, options: Options, name: str) -> Agent:
    """The agent that does a part; raises ToolError with the names that there are."""
    agents = options.agents or (parent.agent,)
    if not name:
        return agents[0]
    for agent in agents:
        if agent.name == name:
            return agent
    known = ", ".join(a.name for a in agents)
    raise ToolError(f"there is no sub-agent {name[:100]!r}; there are: {known}")


def tools_of(parent: Parent, agent: Agent, options: Options, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the tools that a sub-agent gets.

    Raises:
        ToolError: it has, or asks for, one that its creator lacks.
    """
    held = parent.held
    if wanted is not None:
        unknown = sorted(set(wanted) - set(agent.tools))
        if unknown:
            has = ", ".join(agent.tools) or "none"
            raise ToolError(f"sub-agent {agent.name} has no tool {unknown[0][:100]!r}; it has: {has}")
    found = []
    for name, tool in agent.tools.items():
        if wanted is not None and name not in wanted:
            continue
        if tool in BOARD_TOOLS:
            if options.board:
                found.append(name)
        elif name not in held:
            raise ToolError(
                f"sub-agent {agent.name} has the tool {name}, which its creator does not hold; "
                "rights only shrink: name tools=[...] without it, or give it to the creator"
            )
        elif not no_wider(tool, held[name]):
            raise ToolError(
                f"the tool {name} of sub-agent {agent.name} is another one than its creator's, or declared otherwise; "
                "declare both with the same tool"
            )
        else:
            found.append(name)
    return tuple(found)


def no_wider(tool: Tool, held: Tool) -> bool:
    """Whether a tool is the one that is held, and not declared more loosely."""
    if tool is held:
        return True
    said = [
        (t.effect, t.settlement, t.authority, t.selector, t.outside, t.undoable, t.server, t.name, t.keeps_labels)
        for t in (tool, held)
    ]
    if said[0] != said[1] or type(tool) is not type(held):
        return False
    one, other = unbound(tool.function), unbound(held.function)
    return one == other or getattr(one, "__code__", one) is getattr(other, "__code__", other)


def harmless(agent: Agent, tools: Sequence[str]) -> bool:
    """Whether a sub-agent with these tools can neither change nor tell anything, so that a second one does no harm."""
    from mainspring.swarm.spawning import SpawnTool

    return all(
        agent.tools[n].effect == "read" and not agent.tools[n].outside and not isinstance(agent.tools[n], SpawnTool)
        for n in tools
    )


def workspace_of(parent: Parent, agent: Agent, wanted: str) -> Path | None:
    """The folder of a sub-agent: its creator's, one inside it, or none.

    Raises:
        ToolError: it lies elsewhere, or is no folder.
    """
    if wanted == "none":
        return None
    own = parent.workspace
    if not wanted and agent.workspace is None:
        return own
    if own is None:
        raise ToolError(f"the creator has no workspace, so sub-agent {agent.name} can have none; say workspace='none'")
    if "\0" in wanted:
        raise ToolError(f"{wanted[:100]!r} is no folder")
    folder = (own / wanted if wanted else Path(str(agent.workspace))).resolve()
    return inside(folder, own)


def inside(folder: Path, own: Path | None) -> Path:
    """`folder`, when it is one within `own` and no link leads out of it; else ToolError."""
    if own is None or not folder.is_relative_to(own.resolve()):
        raise ToolError(f"the folder {folder} is not within the creator's workspace {own}; rights only shrink")
    if folder.resolve() != folder or not folder.is_dir():
        raise ToolError(f"{folder} is no folder, or a link by now; make it first")
    return folder


def handed_on(parent: Parent, parts: Sequence[tuple[Subtask, Sequence[str]]]) -> dict[str, Any]:
    """The grants that sub-agents get of their creator's, and how much of each is used up by it.

    Args:
        parts: each part with the tools that its sub-agent holds.

    Returns:
        ``{"handed_on": {id: count}, "grants": {index: [encoded grants]}}``, as a tool's `prepare` journals it.

    Raises:
        ToolError: more than is held.
    """
    guard = parent.state.guard
    left = {g.id: g.count - guard.used.get(g.id, 0) for g in guard.grants}
    held = {g.id: g for g in guard.grants}
    taken: dict[str, int] = {}
    given: dict[str, list[dict[str, Any]]] = {}
    revoked = parent.store.revoked()
    for index, (part, tools) in enumerate(parts):
        for wanted in part.grants:
            asked = _asked(wanted, tools)
            for id, grant in held.items():
                cut = _cut(asked, grant)
                if cut is not None and id not in revoked and left[id] >= cut.count:
                    left[id] -= cut.count
                    taken[id] = taken.get(id, 0) + cut.count
                    given.setdefault(str(index), []).append(cut.encode())
                    break
            else:
                raise ToolError(
                    f"part {index} asks for {asked['count']} calls of {asked['tool']}, which is more than its creator "
                    "still holds; rights only shrink"
                )
    return {"handed_on": taken, "grants": given} if taken else {}


def _asked(wanted: Mapping[str, Any], tools: Sequence[str]) -> dict[str, Any]:
    unknown = set(wanted) - {"tool", "count", "arguments"}
    if unknown or not isinstance(wanted.get("tool"), str):
        raise ToolError(
            "a grant is {'tool': name, 'count': n, 'arguments': {name: [values]}}; arguments may be left out"
        )
    if wanted["tool"] not in tools:
        raise ToolError(f"a grant for {wanted['tool'][:100]!r} is of no use: this sub-agent does not hold that tool")
    count = wanted.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ToolError(f"count of a grant is a whole number from 1, not {str(count)[:50]!r}")
    arguments = wanted.get("arguments") or {}
    if not isinstance(arguments, Mapping):
        raise ToolError("arguments of a grant are {name: [values]}")
    return {"tool": wanted["tool"], "count": count, "arguments": dict(arguments)}


def _cut(asked: Mapping[str, Any], grant: Grant) -> Grant | None:
    """The part of `grant` that is asked for, or None when it does not cover that."""
    if grant.tool != asked["tool"]:
        return None
    arguments = dict(grant.arguments) | {
        n: v if isinstance(v, str) else tuple(v) if isinstance(v, list | tuple) else (v,)
        for n, v in asked["arguments"].items()
    }
    try:
        cut = replace(
            grant, arguments=arguments, count=asked["count"], why=grant.why, cut_from=(*grant.cut_from, grant.id)
        )
    except DeclarationError:
        return None
    return cut if cut.narrower(grant) else None
