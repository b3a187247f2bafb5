"""Pydantic AI with its DBOS durability over SQLite, in the loop benchmark.

Model calls become DBOS steps by themselves. A plain function tool does not, and its result would be lost in a
crash, so the tool is a DBOS step, as Pydantic AI's guide advises.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from dbos import DBOS, SetWorkflowID
from pydantic_ai import Agent
from pydantic_ai.durable_exec.dbos import DBOSDurability
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models import Model
from pydantic_ai.usage import UsageLimits

from benchmarks.peers.workload import INSTRUCTIONS, TASK, Workload, main

# DBOS wants its workflows registered before it is launched, and launched once a process.
_now: list[Workload] = []


class FakeModel(Model):
    """A model whose answers come from the workload."""

    async def request(self, messages: list[ModelMessage], *args: Any, **kwargs: Any) -> ModelResponse:
        part = messages[-1].parts[-1]
        text = str(part.content) if isinstance(part, ToolReturnPart) else ""
        page = _now[-1].next_page(text, lambda: "\n".join(_texts(messages)))
        if page is None:
            return ModelResponse(parts=[TextPart("done")], model_name="fake")
        call = ToolCallPart("look_up", {"page": page}, tool_call_id=f"call-{page}")
        return ModelResponse(parts=[call], model_name="fake")

    @property
    def model_name(self) -> str:
        """Its name."""
        return "fake"

    @property
    def system(self) -> str:
        """Its provider."""
        return "fake"


def _texts(messages: list[ModelMessage]) -> list[str]:
    return [str(p.content) for m in messages for p in m.parts if isinstance(p, ToolReturnPart)]


agent = Agent(FakeModel(), name="bench", instructions=INSTRUCTIONS, capabilities=[DBOSDurability()])


@agent.tool_plain
@DBOS.step()
async def look_up(page: int) -> str:
    """Look up a page."""
    return _now[-1].look_up(page)


@DBOS.workflow()
async def work_through(task: str) -> str:
    """The durable unit: one agent run."""
    result = await agent.run(task, usage_limits=UsageLimits(request_limit=None))
    return str(result.output)


def _launch(folder: Path) -> None:
    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{folder / 'dbos.sqlite'}",
            "run_admin_server": False,
            "log_level": "ERROR",
            "application_version": "1",
            "executor_id": "bench",
        }
    )
    DBOS.launch()


def run(folder: Path, name: str, work: Workload) -> None:
    """Do the work from its start."""
    if not _now:
        _launch(folder)
    _now.append(work)

    async def execute() -> str:
        with SetWorkflowID(name):
            return await work_through(TASK)

    assert asyncio.run(execute()) == "done"


def resume(folder: Path, name: str, work: Workload) -> None:
    """Launch again, upon which DBOS recovers what was pending, and wait for its end."""
    _now.append(work)
    work.resumed_at_ns = time.perf_counter_ns()
    _launch(folder)
    assert DBOS.retrieve_workflow(name).get_result() == "done"


if __name__ == "__main__":
    main(["pydantic-ai-slim", "dbos"], run, resume)
