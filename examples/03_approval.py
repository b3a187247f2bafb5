"""A run stops before it sends mail, costs nothing while it waits, and sends exactly once."""

from mainspring import Agent, Run, ScriptedModel, ToolCallPart, tool


@tool(effect="irreversible", authority=["to"])
def send_mail(to: str, body: str) -> str:
    """Send a letter."""
    print(f"   >>> mail to {to}: {body}")
    return "sent"


script = [ToolCallPart("", "send_mail", {"to": "ann@example.org", "body": "Lunch at noon?"}), "Ann has been asked."]
agent = Agent("clerk", model=ScriptedModel(script), tools=[send_mail])

run = agent.run_sync("Ask Ann to lunch.")
print(run.status, "-", run.reason)

# Later, perhaps in another process (or: mainspring approvals approve ID):
for pending in Run.load(run.id).pending():
    print(f"{pending.tool}({pending.arguments}) because {pending.reason}")
    pending.approve(by="ben")

run = Run.load(run.id).resume_sync()
print(run.status, "-", run.output)
