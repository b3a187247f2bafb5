"""`code_agent`: the declaration of the agent behind `mainspring code`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from mainspring.agent import Agent, Limits
from mainspring.engineer.gate import only_verified
from mainspring.engineer.instructions import MEND, METHOD
from mainspring.errors import DeclarationError
from mainspring.model import Effort, Model
from mainspring.tool import ToolContext
from mainspring.tools.surroundings import Surroundings

Harness: TypeAlias = Literal["auto", "full", "light"]
HARNESSES: tuple[Harness, ...] = ("auto", "full", "light")


def code_agent(
    model: str | Model = "local",
    *,
    test_command: str | None = None,
    harness: Harness = "auto",
    name: str = "code",
    effort: Effort = "auto",
    limits: Limits | Mapping[str, float | None] | None = None,
    sandbox: Mapping[str, Any] | None = None,
    tries: int = 80,
    seconds: float | None = 900.0,
    tokens: int | None = None,
    seed: int = 0,
) -> Agent:
    """An agent that works on a repository and may end as done only with a patch that passed its verification.

    Start it with :func:`mainspring.engineer.start.code`, which makes the working copy that its tools need.

    Args:
        model: a model's name or object.
        test_command: how the project's tests are run; detected by default.
        harness: ``"full"`` runs the tests first, mends a failing suite with the repair planner, shows a map and
            verifies by itself: for weak models. ``"light"`` gives a strong model the tools and stays out of its way.
            ``"auto"`` takes ``"full"`` for the small local models and ``"light"`` for all others.
        name: the agent's name.
        effort: how much thinking to spend.
        limits: what a run may spend.
        sandbox: hosts and limits of commands, as in the section ``[sandbox]`` of the configuration.
        tries, seconds, tokens, seed: of the repair planner (:class:`mainspring.code.RepairPlanner`).

    Raises:
        DeclarationError: a setting has no fitting value.
        ModelError: there is no such model.
    """
    if harness not in HARNESSES:
        raise DeclarationError(f"harness {harness!r} is unknown; use one of {HARNESSES}")
    if harness == "auto":
        weak = isinstance(model, str) and (model.startswith("local") or model.endswith(".gguf"))
        harness = "full" if weak else "light"
    if harness == "light":
        return Agent(
            name,
            model=model,
            instructions=METHOD,
            tools=_light_tools(test_command, sandbox),
            limits=limits,
            effort=effort,
            check=only_verified,
        )
    from mainspring.code.repair.planner import RepairPlanner
    from mainspring.engineer.planner import WorkPlanner
    from mainspring.models import resolve

    inner = resolve(model) if isinstance(model, str) else model
    repair = RepairPlanner(inner, tries=tries, seconds=seconds, tokens=tokens, seed=seed)
    own = {"steps": tries * 4 + 60, "tool_failures": None, "repeats": None}
    return Agent(
        name,
        model=WorkPlanner(inner, repair),
        instructions=MEND,
        tools=_full_tools(test_command, sandbox),
        limits=limits if isinstance(limits, Limits) else {**own, **(limits or {})},
        effort=effort,
        check=only_verified,
        model_timeout_s=3600.0,
    )


def around(context: ToolContext) -> Surroundings:
    """What belongs to a run's working copy: the repository's own interpreter, and its history to read."""
    from mainspring.code.git import load

    if context.home is None:
        return Surroundings()
    record = load(context.home, context.run_id)
    return Surroundings(record.python, record.read_only)


def _light_tools(test_command: str | None, sandbox: Mapping[str, Any] | None) -> list[Any]:
    """Everything that a strong model can make use of."""
    from mainspring.code.edit import edit_tools
    from mainspring.code.git import git_tools
    from mainspring.code.index import Shelf, index_tools
    from mainspring.code.repomap import repo_map_tool
    from mainspring.engineer.tools import accept_finding, verify_change
    from mainspring.tools import coding_tools
    from mainspring.tools.shells import process_tools

    shelf = Shelf()  # one index in memory for all tools that ask it
    return [
        *coding_tools(test_command=test_command, sandbox=sandbox, around=around),
        *edit_tools(),
        *index_tools(shelf=shelf),
        repo_map_tool(shelf=shelf),
        *process_tools(sandbox=sandbox, around=around),
        verify_change(test_command),
        accept_finding(),
        *git_tools(),
    ]


def _full_tools(test_command: str | None, sandbox: Mapping[str, Any] | None) -> list[Any]:
    """What a weak model can make use of; each further tool costs it tokens and confuses it."""
    from mainspring.code.repair.fault import FaultLocator
    from mainspring.code.repomap import repo_map_tool
    from mainspring.engineer.tools import verify_change
    from mainspring.tools import coding_tools

    return [
        *coding_tools(test_command=test_command, sandbox=sandbox, around=around),
        FaultLocator(None, test_command, around=around).tool(),
        repo_map_tool(),
        verify_change(test_command),
    ]
