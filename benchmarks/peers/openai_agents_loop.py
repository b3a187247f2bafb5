"""OpenAI Agents with SQLiteSession on a file, in the loop benchmark."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from agents import (
    Agent,
    Model,
    ModelResponse,
    Runner,
    SQLiteSession,
    Usage,
    function_tool,
    set_tracing_disabled,
)
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from benchmarks.peers.workload import GO_ON, INSTRUCTIONS, TASK, Workload, main


class FakeModel(Model):
    """A model whose answers come from the workload."""

    def __init__(self, work: Workload) -> None:
        self.work = work

    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any) -> ModelResponse:
        last = input if isinstance(input, str) else input[-1]
        text = last if isinstance(last, str) else last.get("output") or last.get("content") or ""
        page = self.work.next_page(str(text), lambda: "\n".join(_texts(input)))
        output: Any
        if page is None:
            answer = ResponseOutputText(text="done", type="output_text", annotations=[])
            output = ResponseOutputMessage(
                id="answer", type="message", role="assistant", status="completed", content=[answer]
            )
        else:
            output = ResponseFunctionToolCall(
                type="function_call",
                name="look_up",
                call_id=f"call-{page}",
                arguments=json.dumps({"page": page}),
            )
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("the benchmark does not stream")


def _texts(items: Any) -> list[str]:
    return [str(item.get("output") or item.get("content") or "") for item in items]


async def _execute(folder: Path, name: str, work: Workload, said: str) -> None:
    @function_tool
    async def look_up(page: int) -> str:
        """Look up a page."""
        return work.look_up(page)

    session = SQLiteSession(name, folder / "sessions.sqlite")
    agent = Agent("bench", instructions=INSTRUCTIONS, model=FakeModel(work), tools=[look_up])
    result = await Runner.run(agent, said, session=session, max_turns=work.steps + 10)
    assert result.final_output == "done"
    session.close()


def run(folder: Path, name: str, work: Workload) -> None:
    """Do the work from its start."""
    set_tracing_disabled(True)
    asyncio.run(_execute(folder, name, work, TASK))


def resume(folder: Path, name: str, work: Workload) -> None:
    """Start a new turn over the session: this system has no call that goes on with an interrupted run."""
    set_tracing_disabled(True)
    work.resumed_at_ns = time.perf_counter_ns()
    asyncio.run(_execute(folder, name, work, GO_ON))


if __name__ == "__main__":
    main(["openai-agents", "openai"], run, resume)
