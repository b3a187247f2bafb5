"""The process that works, and is killed: ``python -m benchmarks.long.worker HOME STEPS SEED WINDOW MODE``.

It starts the run, or resumes it when it is there. At each part it says where it is, and at some waits for its starter.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.long.model import Knower
from benchmarks.long.plan import Plan, answer, make_plan
from mainspring import Agent, Run, tool
from mainspring.errors import RunNotFoundError

RUN = "long"


def agent_for(plan: Plan, model: Knower, *, keeps: bool) -> Agent:
    """The agent of the task. With `keeps` false the runtime's keeping is switched off, as a control."""
    if not keeps:
        _switch_keeping_off()
    last = max(plan.parts)

    @tool(effect="read", authority=(), parallel=False)
    def work(number: int) -> str:
        """Do one part of the work."""
        part = plan.parts[number]
        counts = [model.compared, model.repeated, model.compared_all, model.repeated_all]
        line = {"part": number, "cpu_s": time.process_time(), "model_s": model.cpu_s, "chars": model.largest}
        print(json.dumps(line | {"bytes": counts, "calls": model.calls}), flush=True)
        if part.said is not None or part.kill is not None:
            sys.stdin.readline()
        return answer(part, number, last)

    @tool(effect="read", authority=())
    def answer_question(question: str, text: str) -> str:
        """Answer a question."""
        return "heard"

    answering = type(answer_question)(
        answer_question.function, name="answer", effect="read", authority=(), description="Answer a question."
    )
    return Agent(
        "plant",
        model=model,
        instructions=plan.orders,
        tools=[work, answering],
        limits={"steps": None, "tool_failures": None, "repeats": None},
        drift=keeps,
    )


def _switch_keeping_off() -> None:
    """A runtime that hands over the model's summary and the digest of steps alone."""
    from mainspring.runtime import builtin, loop

    nothing: dict[str, Any] = {"persons": [], "notes": [], "doubts": [], "known": [], "left_out": {}}
    loop.kept = lambda state, window, children: dict(nothing)  # type: ignore[attr-defined]
    made = builtin.builtin_tools
    loop.builtin_tools = lambda store, state, taken=(): {  # type: ignore[attr-defined]
        n: t for n, t in made(store, state, taken).items() if n != "read_notes"
    }


def main() -> None:
    """Work until the end, or until somebody kills this process."""
    home, steps, seed, window, mode = Path(sys.argv[1]), *map(int, sys.argv[2:5]), sys.argv[5]
    plan = make_plan(steps, seed)
    model = Knower(window, looks_up=mode == "kept")
    agent = agent_for(plan, model, keeps=mode == "kept")
    try:
        run = Run.load(RUN, home).resume_sync(agent)
    except RunNotFoundError:
        run = agent.run_sync(plan.task, run_id=RUN, home=home)
    print(json.dumps({"status": run.status, "reason": run.reason}), flush=True)


if __name__ == "__main__":
    main()
