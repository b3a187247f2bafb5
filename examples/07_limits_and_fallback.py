"""Hard caps with an orderly finish, and a second model when the first is down."""

from mainspring import Agent, ModelError, ScriptedModel, ToolCallPart, tool


@tool(effect="read")
def look(page: int) -> str:
    """Look at a page."""
    return f"page {page} says: see page {page + 1}"


endless = ScriptedModel([ToolCallPart("", "look", {"page": n}) for n in range(5)] + ["I read five pages; more follow."])
run = Agent("reader", model=endless, tools=[look], limits={"steps": 6, "usd": 1}).run_sync("Read everything.")
print(run.status, "-", run.reason, "-", run.output)

down = ScriptedModel([ModelError("503 overloaded", retryable=True, retry_after_s=0.1)] * 3, name="first")
agent = Agent("careful", model=[down, ScriptedModel(["Here I am."], name="second")], model_retries=2)
run = agent.run_sync("Anybody there?")
print(run.status, "-", run.output)
for event in run.events():
    if event.kind == "model.failed":
        print("  ", event.payload["model"], "attempt", event.payload["attempt"], "-", event.payload["error"])
