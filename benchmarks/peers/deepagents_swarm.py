"""deepagents in the swarm benchmark: an agent that hands every part to a sub-agent, with all its calls in one answer.

The agent above the others makes two model calls of its own, which the other systems do not need.
"""

from __future__ import annotations

import asyncio
from typing import Any

from deepagents import create_deep_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from benchmarks.swarm.arm import Job, main
from benchmarks.swarm.draws import INSTRUCTIONS, WARM_UP, measurement, task

#: The client's own attempts at a request that was refused or failed; its default of 2 loses parts.
RETRIES = 20


async def _work(job: Job) -> dict[int, str]:
    @tool
    async def measure(part: int, step: int) -> str:
        """Measure a part."""
        if part < WARM_UP:
            await asyncio.sleep(job.size.tool_s)
        return measurement(part, step)

    examiner = {
        "name": "examiner",
        "description": "Examines one part.",
        "system_prompt": INSTRUCTIONS,
        "tools": [measure],
    }
    model = ChatOpenAI(model="bench", base_url=job.url, api_key="none", max_retries=RETRIES)
    lead: Any = create_deep_agent(model=model, tools=[measure], subagents=[examiner])  # type: ignore[list-item]
    config: Any = {"recursion_limit": 1_000}
    if job.at_once is not None:
        config["max_concurrency"] = job.at_once
    alone = len(job.parts) == 1  # the warm-up
    said = task(job.parts[0]) if alone else "Examine all parts."
    ended = await lead.ainvoke({"messages": [{"role": "user", "content": said}]}, config)
    if alone:
        return {job.parts[0]: str(ended["messages"][-1].content)}
    answers = {}
    for message in ended["messages"]:
        if message.type == "tool" and str(message.content).startswith("part "):
            answers[int(str(message.content).split(":")[0][5:])] = str(message.content)
    return answers


if __name__ == "__main__":
    main(["deepagents", "langgraph", "langchain-openai", "openai"], _work)
