"""OpenAI Agents in the swarm benchmark: one Runner.run a part under asyncio.gather."""

from __future__ import annotations

import asyncio

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

from benchmarks.swarm.arm import Job, main
from benchmarks.swarm.draws import INSTRUCTIONS, WARM_UP, measurement, task

#: The client's own attempts at a request that was refused or failed; its default of 2 loses parts.
RETRIES = 20


async def _work(job: Job) -> dict[int, str]:
    @function_tool
    async def measure(part: int, step: int) -> str:
        """Measure a part."""
        if part < WARM_UP:
            await asyncio.sleep(job.size.tool_s)
        return measurement(part, step)

    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=job.url, api_key="none", max_retries=RETRIES)
    model = OpenAIChatCompletionsModel(model="bench", openai_client=client)
    agent = Agent("examiner", instructions=INSTRUCTIONS, model=model, tools=[measure])
    room = asyncio.Semaphore(job.at_once or len(job.parts))

    async def examine(part: int) -> tuple[int, str]:
        async with room:
            try:
                return part, str((await Runner.run(agent, task(part))).final_output)
            except Exception as error:  # one part that fails must not take the others with it
                return part, f"{type(error).__name__}: {error}"

    return dict(await asyncio.gather(*(examine(part) for part in job.parts)))


if __name__ == "__main__":
    main(["openai-agents", "openai"], _work)
