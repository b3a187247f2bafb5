"""Mainspring in the swarm benchmark: the public API, everything in the journal; ``--alone`` does one part at a time."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from benchmarks.swarm.arm import Job, main
from benchmarks.swarm.draws import INSTRUCTIONS, WARM_UP, Size, measurement, task
from mainspring import Agent, tool
from mainspring.swarm import run_tasks


def _agent(url: str, size: Size) -> Agent:
    @tool(effect="read")
    async def measure(part: int, step: int) -> str:
        """Measure a part."""
        if part < WARM_UP:
            await asyncio.sleep(size.tool_s)
        return measurement(part, step)

    return Agent("examiner", model=f"openai:bench@{url}", instructions=INSTRUCTIONS, tools=[measure])


def _home(job: Job) -> Path:
    """A home for this job; its configuration says how fast the server may be asked, if the job allows that."""
    home = job.folder / f"home-{job.parts[0]}"
    home.mkdir(parents=True, exist_ok=True)
    if job.paced:
        limit = f'[rates."openai:bench@*"]\nrequests_per_minute = {job.size.rate * 60:g}\n'
        (home / "mainspring.toml").write_text(limit)
    return home


async def _swarm(job: Job) -> dict[int, str]:
    """All parts at the same time, each a sub-agent."""
    agent = _agent(job.url, job.size)
    at_once = job.at_once or len(job.parts)
    result = await run_tasks(agent, [task(part) for part in job.parts], home=_home(job), concurrency=at_once)
    ended = {ended.index: ended for ended in (*result.answers, *result.missing)}
    return {part: str(ended[n].output or ended[n].why) for n, part in enumerate(job.parts) if n in ended}


async def _alone(job: Job) -> dict[int, str]:
    """One agent, one part after another; each with a short context, as it would be at its fastest."""
    agent = _agent(job.url, job.size)
    found = {}
    for part in job.parts:
        run = await agent.run(task(part), home=_home(job))
        found[part] = str(run.output or run.reason)
    return found


if __name__ == "__main__":
    os.environ.setdefault("OPENAI_API_KEY", "none")
    alone = "--alone" in sys.argv
    if alone:
        sys.argv.remove("--alone")
    main(["mainspring", "pydantic-ai-slim", "openai"], _alone if alone else _swarm)
