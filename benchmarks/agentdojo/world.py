"""AgentDojo's suites and their tools, wrapped as Mainspring tools over one task's environment."""

from __future__ import annotations

import functools
import tomllib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.agentdojo.shapes import channel_id, shape
from mainspring.errors import ToolError
from mainspring.tool import Tool

#: Version of the suites, and of the package that holds them.
VERSION = "v1.2.2"
PACKAGE = "0.1.35"
SUITES = ("workspace", "slack", "banking", "travel")
#: Labels, roles and planner were developed on these; the others are only run to report.
DEVELOPED_ON = ("workspace", "slack")

CONFIGURATION = Path(__file__).with_name("tools.toml")


@functools.cache
def configuration() -> dict[str, dict[str, Any]]:
    """Tool name -> what ``tools.toml`` says of it."""
    tools: dict[str, dict[str, Any]] = tomllib.loads(CONFIGURATION.read_text())["tools"]
    return tools


@functools.cache
def load(name: str) -> Any:
    """AgentDojo's suite `name`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from agentdojo.task_suite.load_suites import get_suite

        return get_suite(VERSION, name)


@functools.cache
def _schema(tool: str, suite: str) -> dict[str, Any]:
    schema: dict[str, Any] = next(f for f in load(suite).tools if f.name == tool).parameters.model_json_schema()
    return schema


class World:
    """One environment with its tools.

    Args:
        suite: AgentDojo's suite.
        environment: AgentDojo's environment; the tools change it.

    Attributes:
        trace: the calls that were executed, as AgentDojo's checks want them.
        answers: tool and structured answer of each.
        failed: what AgentDojo complained of.
        alter: ``alter(tool, answer)`` -> what the tool answers instead, or None.
        tools: name -> Mainspring tool.
    """

    def __init__(self, suite: Any, environment: Any) -> None:
        from agentdojo.functions_runtime import FunctionsRuntime

        self.suite = suite
        self.environment = environment
        self.trace: list[Any] = []
        self.answers: list[tuple[str, Any]] = []
        self.failed: list[str] = []
        self.alter: Callable[[str, Any], Any] | None = None
        self._runtime = FunctionsRuntime(suite.tools)
        self.tools: dict[str, Tool] = {function.name: self._wrapped(function) for function in suite.tools}

    def _wrapped(self, function: Any) -> Tool:
        declared = {k: v for k, v in configuration()[function.name].items() if k != "why"}

        async def call(**arguments: Any) -> Any:
            return self.call(function.name, arguments)

        return Tool.from_schema(
            call,
            name=function.name,
            description=function.description,
            schema=_schema(function.name, self.suite.name),
            parallel=False,
            **declared,
        )

    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Execute a tool and return structured JSON data; raises ToolError with AgentDojo's complaint."""
        from agentdojo.functions_runtime import FunctionCall

        given = self.resolved(arguments)
        result, error = self._runtime.run_function(self.environment, name, given)
        if error is not None:
            self.failed.append(f"{name}: {error}")
            raise ToolError(error)
        self.trace.append(FunctionCall(function=name, args=given))
        answer = shape(name, result)
        if self.alter is not None:
            answer = self.alter(name, answer)
        self.answers.append((name, answer))
        return answer

    def resolved(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments with channels' ids replaced by the names that AgentDojo knows them by."""
        given = dict(arguments)
        slack = getattr(self.environment, "slack", None)
        if slack is not None and "channel" in given:
            names = {channel_id(n): name for n, name in enumerate(slack.channels)}
            given["channel"] = names.get(given["channel"], given["channel"])
        return given


def world(suite: Any, task: Any = None, injections: Mapping[str, str] | None = None) -> World:
    """A fresh world, prepared for a user task, with strings planted in AgentDojo's injection vectors."""
    environment = suite.load_and_inject_default_environment(dict(injections or {}))
    if task is not None:
        environment = task.init_environment(environment)
    return World(suite, environment)
