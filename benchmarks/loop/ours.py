"""Mainspring in the loop benchmark: the public API, full durability, an async tool that reads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.workload import INSTRUCTIONS, TASK, Workload, main
from mainspring import Agent, Message, ModelSettings, Run, ToolCallPart, Usage, tool
from mainspring.messages import ToolResultPart, assistant
from mainspring.model import ToolSpec


class FakeModel:
    """A model whose answers come from the workload; it looks at the last message only."""

    name = "fake"
    context_window = 100_000_000

    def __init__(self, work: Workload) -> None:
        self.work = work

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """The next call, or the final word."""
        part = messages[-1].parts[-1]
        text = part.text if isinstance(part, ToolResultPart) else ""
        page = self.work.next_page(text, lambda: "\n".join(_texts(messages)))
        usage = Usage(calls=1)
        if page is None:
            return assistant("done", usage=usage)
        return assistant("", ToolCallPart(f"call-{page}", "look_up", {"page": page}), usage=usage)


def _texts(messages: Sequence[Message]) -> list[str]:
    return [p.text for m in messages for p in m.parts if isinstance(p, ToolResultPart)]


def _agent(work: Workload) -> Agent:
    @tool(effect="read")
    async def look_up(page: int) -> str:
        """Look up a page."""
        return work.look_up(page)

    return Agent("bench", model=FakeModel(work), instructions=INSTRUCTIONS, tools=[look_up], limits={"steps": None})


def run(folder: Path, name: str, work: Workload) -> None:
    """Do the work from its start."""
    done = _agent(work).run_sync(TASK, run_id=name, home=folder)
    if done.output != "done":
        raise RuntimeError(f"the run ended {done.status}: {done.reason}")


def resume(folder: Path, name: str, work: Workload) -> None:
    """Go on with the run after a kill."""
    # The other systems import and build all this when they are imported and declared.
    import mainspring.runtime
    import mainspring.store  # noqa: F401

    agent = _agent(work)
    agent.tools["look_up"].validate({"page": 0})
    work.resumed_at_ns = time.perf_counter_ns()
    done = Run.load(name, home=folder).resume_sync(agent)
    if done.output != "done":
        raise RuntimeError(f"the run ended {done.status}: {done.reason}")


if __name__ == "__main__":
    main(["mainspring"], run, resume)
