"""Rules of an agent's owner, in Cedar: what they permit passes, what nothing permits waits for a person."""

from pathlib import Path

from mainspring import Agent, Policy, ScriptedModel, ToolCallPart, tool

RULES = Path(__file__).parent / "policy" / "office.cedar"


@tool(effect="irreversible", authority=["to"], outside=True)
def send_mail(to: str, body: str) -> str:
    """Send a mail."""
    return f"sent to {to}"


def mail(to):
    return ToolCallPart("", "send_mail", {"to": to, "body": "The minutes are in the folder."})


agent = Agent(
    "assistant",
    model=ScriptedModel([mail("bob@example.com"), mail("press@example.net"), "Bob knows; the press waits for you."]),
    tools=[send_mail],
    policy=Policy.cedar(RULES),
)
run = agent.run_sync("Tell Bob and the press that the minutes are there.")
for event in run.events():
    if event.kind == "effect.done":
        print("done:", event.payload["content"][0]["text"])
for question in run.pending():
    print(f"{run.status}: {question.arguments['to']} - {question.reason}")
