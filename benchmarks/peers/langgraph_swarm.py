"""LangGraph's Send fan-out in the swarm benchmark: one branch a part, each an agent of create_agent."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from benchmarks.swarm.arm import Job, main
from benchmarks.swarm.draws import INSTRUCTIONS, WARM_UP, Size, measurement, task

#: The client's own attempts at a request that was refused or failed; its default of 2 loses parts.
RETRIES = 20


class State(TypedDict):
    """Answers of all branches, part by part."""

    parts: list[int]
    answers: Annotated[list[tuple[int, str]], operator.add]


def _agent(url: str, size: Size) -> Any:
    @tool
    async def measure(part: int, step: int) -> str:
        """Measure a part."""
        if part < WARM_UP:
            await asyncio.sleep(size.tool_s)
        return measurement(part, step)

    model = ChatOpenAI(model="bench", base_url=url, api_key="none", max_retries=RETRIES)
    return create_agent(model, [measure], system_prompt=INSTRUCTIONS)


async def _work(job: Job) -> dict[int, str]:
    agent = _agent(job.url, job.size)

    async def examine(state: dict[str, Any]) -> dict[str, Any]:
        part = state["part"]
        try:
            ended = await agent.ainvoke({"messages": [{"role": "user", "content": task(part)}]})
            said = str(ended["messages"][-1].content)
        except Exception as error:  # one part that fails must not take the others with it
            said = f"{type(error).__name__}: {error}"
        return {"answers": [(part, said)]}

    graph = StateGraph(State)
    graph.add_node("examine", examine)
    graph.add_conditional_edges(START, lambda state: [Send("examine", {"part": p}) for p in state["parts"]])
    graph.add_edge("examine", END)
    config: Any = {} if job.at_once is None else {"max_concurrency": job.at_once}
    ended = await graph.compile().ainvoke({"parts": list(job.parts), "answers": []}, config)
    return dict(ended["answers"])


if __name__ == "__main__":
    main(["langgraph", "langchain", "langchain-openai", "openai"], _work)
