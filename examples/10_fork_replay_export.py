"""A run is a list of events: take another way from an earlier step, check the record, write it to a file."""

import tempfile
from pathlib import Path

from mainspring import Agent, Run, ScriptedModel, ToolCallPart, tool


@tool(effect="read")
def flip(n: int) -> str:
    """Flip a coin."""
    return "heads" if n % 2 else "tails"


script = [ToolCallPart("", "flip", {"n": 1}), ToolCallPart("", "flip", {"n": 2}), "One of each."]
agent = Agent("gambler", model=ScriptedModel(script), tools=[flip])
run = agent.run_sync("Flip twice.")

fork = run.fork(1)
fork.send("Stop after the first.")
fork.resume_sync(Agent("gambler", model=ScriptedModel([script[0], "Heads, and that is all."]), tools=[flip]))
print("original:", run.output)
print("fork:    ", fork.output)

report = run.replay()
print(f"replay: {report.steps} contexts, identical: {report.identical}; chain of {run.verify()} events is intact")

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "run.jsonl"
    run.export(path)
    copy = Run.import_(path, home=Path(folder) / "elsewhere")
    print("imported:", copy.id == run.id, copy.output)
