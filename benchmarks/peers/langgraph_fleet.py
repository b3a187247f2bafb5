"""LangGraph on PostgreSQL: graphs of so many steps, side by side. Run inside the peer's environment.

A step is a model call and a tool call, each a node whose state is on disk before the next; with ``--records 1`` both
are one node.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import operator
import resource
import sys
import time
from importlib.metadata import version
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

BYTES = 2_000


class State(TypedDict):
    """What a run has so far."""

    pages: Annotated[list[str], operator.add]
    call: dict[str, Any]
    steps: int


async def step(state: State) -> dict[str, Any]:
    """One step: an answer of `BYTES` bytes."""
    return {"pages": [f"page {len(state['pages'])}".ljust(BYTES, ".")]}


async def think(state: State) -> dict[str, Any]:
    """What a model would answer: the next call."""
    return {"call": {"call": "look", "step": len(state["pages"]), "usage": {"in": 100, "out": 10}}}


def build(saver: AsyncPostgresSaver, records: int) -> Any:
    """The graph: a model and its tool, or both in one."""
    first = "think" if records == 2 else "step"

    def more(state: State) -> str:
        return first if len(state["pages"]) < state["steps"] else END

    builder = StateGraph(State)
    builder.add_node("step", step)
    if records == 2:
        builder.add_node("think", think)
        builder.add_edge("think", "step")
    builder.add_edge(START, first)
    builder.add_conditional_edges("step", more)
    return builder.compile(checkpointer=saver)


async def work(graph: Any, worker: int, runs: int, steps: int) -> int:
    """All graphs at once."""

    async def one(number: int) -> int:
        config = {"configurable": {"thread_id": f"{worker}-{number}-{time.time()}"}, "recursion_limit": 2 * steps + 5}
        state = await graph.ainvoke({"pages": [], "call": {}, "steps": steps}, config, durability="sync")
        return len(state["pages"])

    return sum(await asyncio.gather(*(one(n) for n in range(runs))))


async def main() -> None:
    """Say that it is ready, wait for the word, work, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url")
    parser.add_argument("--setup", action="store_true")
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--records", type=int, default=2)
    options = parser.parse_args()
    keywords = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(options.url, min_size=4, max_size=10, kwargs=keywords) as pool:
        saver = AsyncPostgresSaver(pool)  # type: ignore[arg-type]
        if options.setup:
            await saver.setup()
            return
        graph = build(saver, options.records)
        await work(graph, options.worker, 1, 1)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        cpu, began = _cpu(), time.time()
        done = await work(graph, options.worker, options.runs, options.steps)
        ended, cpu = time.time(), _cpu() - cpu
    versions = {name: version(name) for name in ("langgraph", "langgraph-checkpoint-postgres")}
    print(json.dumps({"began": began, "ended": ended, "cpu_s": cpu, "steps": done, "versions": versions}), flush=True)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    asyncio.run(main())
