"""A long task in a small window: what is kept through its folds, what is said again, and what a later run recalls.

The model is scripted; it notes a decision and a piece of work, then reads on until its window has been full many times.

    python examples/35_long_task.py
"""

from mainspring import Agent, Drift, ScriptedModel, ToolCallPart, tool
from mainspring.memory import recall_runs_tool


@tool(effect="read", authority=())
def page(number: int) -> str:
    """A page of the archive."""
    return f"Page {number}: " + "nothing of interest. " * 60


def call(name: str, **arguments: object) -> ToolCallPart:
    """What the model says when it calls a tool."""
    return ToolCallPart("", name, arguments)


class SmallModel(ScriptedModel):
    """Follows its script in a window of 4,000 tokens; asked for a summary, it forgets everything."""

    context_window = 4_000

    def __init__(self, script: list[object]) -> None:
        super().__init__([])
        self.lines = script

    async def respond(self, messages, tools, settings):  # type: ignore[no-untyped-def]
        if messages[-1].text.startswith("[mainspring] The conversation has become too long"):
            self.script = ["I read some pages."]
        else:
            self.script = [self.lines.pop(0)]  # type: ignore[list-item]
        return await super().respond([], tools, settings)


def main() -> None:
    """Read sixty pages, then ask a later run what was decided."""
    script: list[object] = [
        call("note", kind="decision", text="the archive is searched from 1999 backwards"),
        call("note", kind="todo", text="ask the town hall for volume 7"),
        *(call("page", number=n) for n in range(60)),
        "Read to the end.",
    ]
    agent = Agent("archivist", model=SmallModel(script), tools=[page], drift=Drift(every=25))
    run = agent.run_sync("Search the archive for the name Amsel. Never leave out a page.", by="ann")

    events = run.events()
    folds = [e.payload for e in events if e.kind == "context.compacted"]
    print(f"{run.steps} steps, {len(folds)} folds, {sum(e.kind == 'drift.checked' for e in events)} reminders")
    report = folds[-1]["handover"]
    print(f"last hand-over: {report['calls']} calls folded, {report['calls_readable']} can still be read in full")
    text = "\n".join(m.text for m in run.model_messages())
    for fact in ("Never leave out a page", "from 1999 backwards", "volume 7"):
        print(f"still in the context: {fact!r}: {fact in text}")

    later = Agent(
        "archivist",
        model=ScriptedModel([call("recall_runs", query="archive decided volume"), "Thank you."]),
        tools=[recall_runs_tool()],
    )
    asked = later.run_sync("What did we decide about the archive?", by="ann")
    answer = next(e.payload for e in asked.events() if e.kind == "effect.done")["content"][0]["text"]
    print(f"a later run recalls the open work: {'volume 7' in answer}")


if __name__ == "__main__":
    main()
