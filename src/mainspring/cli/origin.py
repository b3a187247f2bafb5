"""Where a run's agent declaration comes from, so that another process can make the same one again.

An origin is a text, journaled when the run starts: `builtin:coding?model=local` for the default agent, or
`/path/to/file.py:agent` for one from a file, followed by what the command line changed
(`?allow=send_mail&model=local`).
"""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlencode

from mainspring.errors import DeclarationError

if TYPE_CHECKING:
    from mainspring.agent import Agent

_BUILTIN = "builtin:"
_OPTIONS = (
    *("model", "tools", "effort", "allow", "guard", "grant", "mcp", "reader", "harness", "tests", "seed", "name"),
    "strategy",
)

CODING = """\
You are a careful software engineer working in one folder, the workspace. Read before you change anything, make \
the smallest change that does the task, and check it by running the tests or the program. When you are done, say \
in a few sentences what you found and what you changed. If the task cannot be done, say why.\
"""
PLAIN = "Answer the task clearly and briefly. Say so when you do not know."


@dataclass(frozen=True, slots=True)
class Origin:
    """A file and the name in it, or one of our own agents; with what the command line changed.

    Args:
        place: a path to a Python file, or the name of a built-in agent.
        attribute: the agent's name in the file; None for the only one. Empty for a built-in agent.
        options: `model`, `effort`, `tools`, `guard`, `reader`, `allow` and `mcp` (comma separated), and `grant` (one a
            line, as :func:`mainspring.cli.granting.parse_grant` reads them), where given; `strategy` is ``split`` for
            an agent that starts sub-agents of its own declaration.
    """

    place: str
    attribute: str | None = None
    builtin: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> str:
        """The origin as text; :func:`parse` reads it back."""
        if self.builtin:
            text = _BUILTIN + self.place
        else:
            # Only what would end the path is quoted, so that the text stays a path to look at.
            text = self.place.replace("%", "%25").replace("?", "%3F")
            text += f":{self.attribute}" if self.attribute else ""
        return text + ("?" + urlencode(sorted(self.options.items())) if self.options else "")


def parse(text: str) -> Origin:
    """Read a journaled origin. Raises DeclarationError."""
    place, _, query = text.partition("?")
    options = dict(parse_qsl(query))
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise DeclarationError(f"origin {text!r} has options {unknown}, written by a newer mainspring")
    if place.startswith(_BUILTIN):
        return Origin(place.removeprefix(_BUILTIN), builtin=True, options=options)
    file = split(place)
    return Origin(unquote(file.place), file.attribute, options=options)


def split(text: str) -> Origin:
    """Read ``FILE[:ATTR]`` as a person types it."""
    path, colon, attribute = text.rpartition(":")
    if colon and path and attribute.isidentifier():
        return Origin(path, attribute)
    return Origin(text)


def builtin(model: str, tools: str = "coding", effort: str | None = None) -> Origin:
    """The default agent's origin."""
    options = {"model": model, "tools": tools} | ({"effort": effort} if effort else {})
    return Origin("coding", builtin=True, options=options)


def load(origin: Origin) -> Agent:
    """Make the declaration that an origin names, with `agent.origin` set to its text.

    Raises:
        DeclarationError: the file cannot be read or run, or holds no such agent.
    """
    if origin.builtin:
        agent = _make_builtin(origin)
    else:
        path = Path(origin.place).expanduser().resolve()
        name, agent = _pick(_execute(path), path, origin.attribute)
        origin = Origin(str(path), name, options=origin.options)
        _change(agent, origin.options)
    _guard(agent, origin.options)
    if origin.options.get("strategy") != "split":
        agent.origin = origin.encode()
        return agent
    from mainspring.swarm import splitting

    own = {name: value for name, value in origin.options.items() if name != "strategy"}
    agent.origin = Origin(origin.place, origin.attribute, origin.builtin, own).encode()  # as a sub-agent is declared
    made = splitting(agent)
    made.origin = origin.encode()
    return made


def load_all(text: str) -> list[Agent]:
    """Every agent that the top level of a file declares, or for ``FILE:ATTR`` that one and the sub-agents beside it.

    Raises:
        DeclarationError: the file cannot be read or run, or declares no agent.
    """
    from mainspring.agent import Agent

    named = split(text)
    path = Path(named.place).expanduser().resolve()
    module = _execute(path)
    first = [_pick(module, path, named.attribute)] if named.attribute is not None else []
    found = {id(agent): (name, agent) for name, agent in first}
    for name, value in vars(module).items():
        if isinstance(value, Agent):
            found.setdefault(id(value), (name, value))
    if not found:
        raise DeclarationError(f"{path} declares no Agent at its top level")
    for name, agent in found.values():
        agent.origin = Origin(str(path), name).encode()
    return [agent for _, agent in found.values()]


def _make_builtin(origin: Origin) -> Agent:
    from mainspring.agent import Agent

    if origin.place == "code":
        return _engineer(origin.options)
    if origin.place != "coding":
        raise DeclarationError(f"there is no built-in agent {origin.place!r}; there are 'coding' and 'code'")
    which = origin.options.get("tools", "coding")
    tools: list[object] = []
    if which == "coding":
        from mainspring.config import load_config
        from mainspring.tools import coding_tools

        tools = list(coding_tools(sandbox=asdict(load_config().sandbox)))
    elif which != "none":
        raise DeclarationError(f"tools {which!r} are unknown; use 'coding' or 'none'")
    return Agent(
        "coder" if tools else "assistant",
        model=origin.options.get("model", "local"),
        instructions=CODING if tools else PLAIN,
        tools=tools,
        effort=origin.options.get("effort", "auto"),  # type: ignore[arg-type]
    )


def _engineer(options: Mapping[str, str]) -> Agent:
    from mainspring.config import load_config
    from mainspring.engineer import code_agent

    return code_agent(
        options.get("model", "local"),
        test_command=options.get("tests"),
        harness=options.get("harness", "auto"),  # type: ignore[arg-type]  # code_agent checks it
        effort=options.get("effort", "auto"),  # type: ignore[arg-type]
        name=options.get("name", "code"),
        seed=int(options.get("seed", "0")),
        sandbox=asdict(load_config().sandbox),
    )


def _change(agent: Agent, options: Mapping[str, str]) -> None:
    from mainspring.model import EFFORTS

    if "model" in options:
        agent.models = (options["model"],)
    if "effort" in options:
        if options["effort"] not in EFFORTS:
            raise DeclarationError(f"effort {options['effort']!r} is unknown; use one of {EFFORTS}")
        agent.effort = options["effort"]  # type: ignore[assignment]  # checked above
    if "tools" in options:
        raise DeclarationError("--tools chooses the default agent's tools; an agent from a file declares its own")


def _guard(agent: Agent, options: Mapping[str, str]) -> None:
    """What the command line says of servers, mode, reader, and rights."""
    if servers := options.get("mcp"):
        _add_servers(agent, servers.split(","))
    if guard := options.get("guard"):
        from mainspring.agent import GUARDS

        if guard not in GUARDS:
            raise DeclarationError(f"guard {guard!r} is unknown; use one of {GUARDS}")
        agent.guard = guard
    if reader := options.get("reader"):
        agent.reader = reader
    if allow := options.get("allow"):
        _allow(agent, allow.split(","))
    if grants := options.get("grant"):
        from mainspring.cli.granting import parse_grant

        given = [parse_grant(text, agent.tools) for text in grants.split("\n")]
        agent.grants = (*(agent.grants or ()), *given)


def _add_servers(agent: Agent, names: list[str]) -> None:
    """The tools of MCP servers that are configured in mainspring.toml."""
    from mainspring.tools.mcp import mcp_tools

    for name in names:
        for tool in mcp_tools(name=name):
            if tool.name in agent.tools:
                raise DeclarationError(f"--mcp {name}: agent {agent.name!r} has a tool {tool.name!r} already")
            agent.tools[tool.name] = tool


def _allow(agent: Agent, names: list[str]) -> None:
    """Let tools pass without asking. What the declaration denies stays denied."""
    from mainspring.guard import DEFAULT_POLICY, Policy

    unknown = [name for name in names if name not in agent.tools]
    if unknown:
        raise DeclarationError(f"--allow {unknown[0]}: agent {agent.name!r} has {sorted(agent.tools) or 'no tools'}")
    policy = agent.policy or DEFAULT_POLICY
    if not isinstance(policy, Policy):
        raise DeclarationError(f"--allow works with a Policy; agent {agent.name!r} has a {type(policy).__name__}")
    agent.policy = policy.allowing(names)


def _execute(path: Path) -> ModuleType:
    """Run a person's agent file as a module of its own, with its folder importable as for any script."""
    if not path.is_file():
        raise DeclarationError(f"no agent file at {path}")
    name = f"mainspring_agent_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise DeclarationError(f"{path} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    sys.modules[name] = module  # dataclasses and type hints look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        if os.environ.get("MAINSPRING_DEBUG"):
            traceback.print_exc()
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = lines[-1] if lines else getattr(error, "lineno", None)
        where = f"{path}, line {line}" if line else str(path)
        raise DeclarationError(f"the agent file failed: {where}: {type(error).__name__}: {error}") from error
    return module


def _pick(module: ModuleType, path: Path, attribute: str | None) -> tuple[str, Agent]:
    from mainspring.agent import Agent

    if attribute is not None:
        found = getattr(module, attribute, None)
        if not isinstance(found, Agent):
            what = "nothing" if found is None else f"a {type(found).__name__}"
            raise DeclarationError(f"{path} has {what} called {attribute!r}, where an Agent was expected")
        return attribute, found
    named = {name: value for name, value in vars(module).items() if isinstance(value, Agent)}
    if "agent" in named:
        return "agent", named["agent"]
    if len({id(value) for value in named.values()}) == 1:
        return next(iter(named.items()))
    if not named:
        raise DeclarationError(f"{path} declares no Agent at its top level")
    raise DeclarationError(f"{path} declares several agents; choose one: " + ", ".join(f"{path}:{n}" for n in named))
