"""`repair_agent`: an ordinary agent whose model is carried by the repair planner."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mainspring.agent import Agent
from mainspring.code.repair.planner import RepairPlanner
from mainspring.model import Model

INSTRUCTIONS = "Mend the project in the workspace until its own tests pass. Change no test."


def repair_agent(
    model: str | Model = "local",
    workspace: str | os.PathLike[str] | None = None,
    test_command: str | None = None,
    *,
    name: str = "repair",
    tries: int = 80,
    seconds: float | None = 900.0,
    tokens: int | None = None,
    seed: int = 0,
    limits: Mapping[str, float | None] | None = None,
) -> Agent:
    """An agent that mends a Python project until its tests pass.

    Its tools are the coding tools and `locate_fault`; its model is a :class:`RepairPlanner` around `model`, which
    may be weak. A run ends as done only when the whole test suite has passed; otherwise it fails with the reason,
    and every edit that did not help is undone.

    Args:
        model: a model's name or object.
        workspace: the project; by default each run's own workspace.
        test_command: how its tests are run, such as ``"PYTHONPATH=src python -m pytest"``; detected by default. The
            fault is located under pytest (which also runs unittest's tests).
        name: the agent's name.
        tries: edits to try before it gives up.
        seconds: time before it gives up, or None.
        tokens: tokens read anew and written by the model before it gives up, or None.
        seed: for other answers of the same model.
        limits: further limits of a run; see :class:`mainspring.agent.Limits`.

    Raises:
        ModelError: there is no such model.
        DeclarationError: a limit is wrong.
    """
    from mainspring.code.repair.fault import FaultLocator
    from mainspring.models import resolve
    from mainspring.tools import coding_tools

    inner = resolve(model) if isinstance(model, str) else model
    folder = None if workspace is None else Path(workspace).expanduser().absolute()
    locator = FaultLocator(folder, test_command).tool()
    return Agent(
        name,
        model=RepairPlanner(inner, tries=tries, seconds=seconds, tokens=tokens, seed=seed),
        instructions=INSTRUCTIONS,
        tools=[*coding_tools(folder, test_command=test_command), locator],
        workspace=folder,
        limits={"steps": tries * 4 + 60, "tool_failures": None, "repeats": None, **(limits or {})},
        model_timeout_s=3600.0,
    )
