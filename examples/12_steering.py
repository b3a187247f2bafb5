"""A person speaks to a run while it works; the model hears it before its next answer."""

from mainspring import Agent, Run, ScriptedModel, ToolCallPart, tool


@tool(effect="read")
def measure(what: str) -> str:
    """Measure something."""
    Run.list()[0].send("In inches, please.", by="ann")  # from anywhere: mainspring runs send ID "In inches, please."
    return "2.54 cm"


def answer(messages):
    return "1 inch" if "inches" in messages[-1].text else "2.54 cm"


agent = Agent("gauge", model=ScriptedModel([ToolCallPart("", "measure", {"what": "bolt"}), answer]), tools=[measure])
print(agent.run_sync("How long is the bolt?").output)
