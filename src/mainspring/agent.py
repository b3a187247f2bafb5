"""Agents: the declaration of a name, a model, instructions, tools, a policy and limits."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mainspring.errors import DeclarationError
from mainspring.messages import Message, Part
from mainspring.model import EFFORTS, Effort, Model, model_name
from mainspring.tool import Tool, as_tool

if TYPE_CHECKING:
    from mainspring.guard import Grant, Policy
    from mainspring.runtime.run import Run, RunEvent

#: How runs may be guarded; the modes are `mainspring.guard.MODES`.
GUARDS = ("auto", "plain", "contained", "clean", "tainted")

Task: TypeAlias = "str | Message | Sequence[Message] | Sequence[str | Part]"

_NEVER = 2**62  # steps

#: Agents declared in this process by name, so that `Run.load(id).resume_sync()` finds its declaration again.
declared: dict[str, Agent] = {}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may spend. None means no limit.

    Args:
        steps: model calls.
        tokens: input and output tokens together, as the providers count them.
        usd: US dollars. A call whose price is unknown counts as 0 and is reported as such.
        seconds: time spent executing; waiting for a person does not count.
        tool_failures: failed tool calls in a row, before the run ends.
        repeats: identical calls with identical answers in a row, before the run ends.
    """

    steps: int | None = 200
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None
    tool_failures: int | None = 20
    repeats: int | None = 6

    def __post_init__(self) -> None:
        for field in fields(self):
            number = getattr(self, field.name)
            if number is not None and (
                isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf
            ):
                raise DeclarationError(f"limit {field.name!r} must be a positive number or None, not {number!r}")

    @classmethod
    def of(cls, value: Limits | Mapping[str, float | None] | None) -> Limits:
        """Limits from a mapping such as ``{"usd": 2, "steps": 200}``; raises DeclarationError."""
        if value is None:
            return cls()
        if isinstance(value, Limits):
            return value
        if not isinstance(value, Mapping):
            raise DeclarationError(f"limits are a mapping such as {{'usd': 2, 'steps': 200}}, not {value!r}")
        known = {f.name for f in fields(cls)}
        for key in value:
            if key not in known:
                raise DeclarationError(f"limit {key!r} is unknown; known are {sorted(known)}")
        return cls(**value)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How a long run is held to its task. See docs/long-tasks.md.

    Args:
        every: steps between two checks. At each one the runtime states the task, what people said and the open notes
            again, and says what it has noticed by rules; nothing is asked of a model.
        judge: a model that is asked at each check whether the last steps serve the task, in a context of its own that
            holds no outsider's word; ``"own"`` is the agent's first model. None asks nobody.
        bad: so many verdicts in a row that the run has left its task pause it until a person speaks.
        handover: whether a model compares each summary of folded steps with them, and adds what it left out.

    Raises:
        DeclarationError: something does not fit.
    """

    every: int = 50
    judge: str | Model | None = None
    bad: int = 2
    handover: bool = False

    def __post_init__(self) -> None:
        for name in ("every", "bad"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise DeclarationError(f"drift: {name} must be a whole number from 1, not {number!r}")
        if self.judge is not None and not isinstance(self.judge, str) and not hasattr(self.judge, "respond"):
            raise DeclarationError(f"drift: judge must be a model, 'own' or None, not {self.judge!r}")


class Agent:
    """Who does the work: a name, a model, instructions, tools, a policy and limits.

    Args:
        name: what people and the journal call it; 1 to 100 characters.
        model: ``"openai:gpt-..."``, ``"anthropic:..."``, ``"local"``, ``"local:1.5b"``, a URL, any object with
            `respond`, or a list of these, tried in order when one fails.
        instructions: its standing orders (the system message); a Path is a file that is read at the start of each run,
            and only as a person has approved it (`mainspring pins approve`).
        tools: functions, `@tool` functions or LangChain tools.
        policy: what is allowed, asked or denied; the default asks before irreversible calls.
        limits: what a run may spend, see :class:`Limits`.
        output_type: a type that the final answer must satisfy (pydantic model, dataclass, ``list[int]`` ...).
        effort: how much thinking to spend; ``"auto"`` starts low and rises on failed checks and retries.
        workspace: the folder that its tools may touch.
        max_output_tokens, temperature, seed, model_timeout_s: settings of each model call.
        model_retries: attempts per model call before the next model of the list is tried.
        check: ``check(output, run) -> str | None``, sync or async: a complaint sends the agent back to work.
        settings: settings that only one provider knows, passed through to it.
        guard: how its runs are guarded: ``"auto"`` chooses from what the tools could do; ``"plain"``, ``"contained"``,
            ``"clean"`` (the planner sees no outsider's text) or ``"tainted"`` (every consequential call needs a grant
            with exact values, or a person). See docs/guard.md.
        grants: rights that every run of it holds; None makes them of the user's own words at the start of each run.
        reader: the model that reads outsiders' text for a clean planner; its first model, without tools, by default.
        drift: how long runs are held to their task: a :class:`Drift`, a number of steps between checks, or False for
            none. By default every 50 steps, and only where people said something, work is open, or something is odd.

    Attributes:
        origin: where the declaration can be found again (a file and a name, say), journaled with each run, or None.

    Raises:
        DeclarationError: something does not fit.
    """

    def __init__(
        self,
        name: str,
        *,
        model: str | Model | Sequence[str | Model],
        instructions: str | Path = "",
        tools: Iterable[object] = (),
        policy: Policy | None = None,
        limits: Limits | Mapping[str, float | None] | None = None,
        output_type: Any = None,
        effort: Effort = "auto",
        workspace: str | Path | None = None,
        max_output_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        model_timeout_s: float = 600.0,
        model_retries: int = 3,
        check: Any = None,
        settings: Mapping[str, Any] | None = None,
        guard: str = "auto",
        grants: Iterable[Grant] | None = None,
        reader: str | Model | None = None,
        drift: Drift | int | bool | None = None,
    ) -> None:
        if not isinstance(name, str) or not 0 < len(name) <= 100:
            raise DeclarationError(f"an agent's name is a text of 1 to 100 characters, not {name!r}")
        if not isinstance(instructions, str | Path):
            raise DeclarationError(
                f"agent {name!r}: instructions must be text or the Path of a file, not {type(instructions).__name__}"
            )
        if effort not in EFFORTS:
            raise DeclarationError(f"agent {name!r}: effort {effort!r} is unknown; use one of {EFFORTS}")
        self.name = name
        self.models: tuple[str | Model, ...] = _models(name, model)
        self.instructions = instructions
        if isinstance(tools, str | Tool) or not isinstance(tools, Iterable):
            raise DeclarationError(f"agent {name!r}: tools is a list of tools, not {tools!r}")
        if policy is not None and not hasattr(policy, "decide"):
            raise DeclarationError(f"agent {name!r}: policy must be a Policy, not {policy!r}")
        if check is not None and not callable(check):
            raise DeclarationError(f"agent {name!r}: check must be a function, not {check!r}")
        if isinstance(model_retries, bool) or not isinstance(model_retries, int) or model_retries < 1:
            raise DeclarationError(
                f"agent {name!r}: model_retries must be a whole number from 1, not {model_retries!r}"
            )
        if not isinstance(model_timeout_s, int | float) or not 0 < model_timeout_s < math.inf:
            raise DeclarationError(f"agent {name!r}: model_timeout_s must be positive seconds, not {model_timeout_s!r}")
        self.tools: dict[str, Tool] = {}
        for item in tools:
            made = as_tool(item)
            if made.name in self.tools:
                raise DeclarationError(f"agent {name!r}: two tools are called {made.name!r}; rename one")
            self.tools[made.name] = made
        self.policy = policy
        self.limits = Limits.of(limits)
        self.output_type = output_type
        self.effort: Effort = effort
        self.workspace = Path(workspace).expanduser().resolve() if workspace is not None else None
        self.max_output_tokens = max_output_tokens
        self.temperature = temperature
        self.seed = seed
        self.model_timeout_s = model_timeout_s
        self.model_retries = model_retries
        self.check = check
        self.settings = dict(settings or {})
        if guard not in GUARDS:
            raise DeclarationError(f"agent {name!r}: guard {guard!r} is unknown; use one of {GUARDS}")
        self.guard = guard
        if reader is not None and not isinstance(reader, str) and not hasattr(reader, "respond"):
            raise DeclarationError(f"agent {name!r}: reader must be a model, not {reader!r}")
        self.reader = reader
        self.drift = _drift(name, drift)
        self.grants = None if grants is None else tuple(grants)
        for grant in self.grants or ():
            if not hasattr(grant, "misses"):
                raise DeclarationError(f"agent {name!r}: grants takes Grant objects, not {grant!r}")
        self.origin: str | None = None
        declared[name] = self

    def __repr__(self) -> str:
        return f"<Agent {self.name!r} model={self.model_names()} tools={list(self.tools)}>"

    def model_names(self) -> list[str]:
        """Names of the models in the order they are tried."""
        return [m if isinstance(m, str) else model_name(m) for m in self.models]

    def capable(self) -> bool:
        """Whether its first model is taken to plan well on handles and to compile grants: hosted ones are, small local
        ones are not, and an object says so itself with an attribute ``clean``."""
        first = self.models[0]
        if isinstance(first, str):
            return not first.startswith("local") and not first.endswith(".gguf")
        return bool(getattr(first, "clean", False))

    def compiles_grants(self) -> bool:
        """Whether grants are made by a model call at the start of a turn."""
        return self.grants is None and self.capable()

    def describe(self) -> dict[str, Any]:
        """The declaration as JSON-ready dict, journaled when a run starts."""
        return {
            "name": self.name,
            "models": self.model_names(),
            "instructions": str(self.instructions),
            "tools": {
                t.name: {
                    "effect": t.effect,
                    "settlement": t.settlement,
                    "description": t.description,
                    "authority": [n for n in t.argument_names if t.role(n) == "authority"],
                    "selector": list(t.selector),
                    "outside": t.outside,
                    "undoable": t.undoable,
                    "server": t.server,
                }
                for t in self.tools.values()
            },
            "effort": self.effort,
        }

    def digest(self) -> str:
        """SHA-256 of the declaration (hex)."""
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()

    async def run(self, task: Task, **options: Any) -> Run:
        """Execute the agent on a task and return when the run is done, waiting or has failed.

        Options: `workspace`, `limits`, `run_id`, `home`, `on_event`, as described in
        :func:`mainspring.runtime.start`.
        """
        from mainspring.runtime import start

        return await start(self, task, **options)

    def run_sync(self, task: Task, **options: Any) -> Run:
        """:meth:`run` for programs without an event loop."""
        from mainspring.runtime import start_sync

        return start_sync(self, task, **options)

    def enqueue(self, task: Task, **options: Any) -> Run:
        """Put a run into the journal for a worker (`mainspring worker`) to execute.

        Options: those of :meth:`run` but `on_event`, and `priority` and `queue`, as in
        :func:`mainspring.runtime.enqueue`.
        """
        from mainspring.runtime import enqueue

        return enqueue(self, task, **options)

    def stream(self, task: Task, **options: Any) -> AsyncIterator[RunEvent]:
        """Execute the agent and yield journal events and text deltas as they happen; the last one ends the run."""
        from mainspring.runtime import stream

        return stream(self, task, **options)


def _drift(name: str, value: object) -> Drift | None:
    """What `drift` means; None stays None, which is the careful default."""
    if value is None or isinstance(value, Drift):
        return value
    if isinstance(value, bool):
        return Drift() if value else Drift(every=_NEVER)
    if isinstance(value, int):
        return Drift(every=value)
    raise DeclarationError(f"agent {name!r}: drift is a Drift, a number of steps or False, not {value!r}")


def _models(name: str, model: object) -> tuple[str | Model, ...]:
    items: list[Any] = list(model) if isinstance(model, list | tuple) else [model]
    if not items:
        raise DeclarationError(f"agent {name!r}: the list of models is empty")
    for item in items:
        if not isinstance(item, str) and not hasattr(item, "respond"):
            raise DeclarationError(
                f"agent {name!r}: {item!r} is no model: pass a name such as 'local' or 'openai:...', "
                "or an object with an async method respond(messages, tools, settings)"
            )
        if isinstance(item, str) and not item.strip():
            raise DeclarationError(f"agent {name!r}: the model's name is empty")
    return tuple(items)
