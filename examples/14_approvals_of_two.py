"""Above an amount a payment needs two people. One person counts once, and one more yes than needed does not exist."""

import os
from pathlib import Path

from mainspring import Agent, Run, ScriptedModel, ToolCallPart, tool
from mainspring.errors import ApprovalError

# A person writes this file once, where no run can write: in Mainspring's home (or MAINSPRING_CONFIG).
home = Path(os.environ.get("MAINSPRING_HOME") or "~/.mainspring-example").expanduser()
home.mkdir(parents=True, exist_ok=True)
rules = home / "mainspring.toml"
rules.write_text(
    """
[people.ann]
roles = ["finance"]
[people.ben]
roles = ["finance"]
limits = {amount = 20000}
[people.cid]

[[approvals.rules]]
tools = ["pay"]
argument = "amount"
above = 1000
people = 2
approvers = ["finance"]
"""
)
rules.chmod(0o600)


@tool(effect="irreversible", authority=["to", "amount"])
def pay(to: str, amount: int) -> str:
    """Pay a supplier."""
    print(f"   >>> {amount} to {to}")
    return "paid"


script = [ToolCallPart("", "pay", {"to": "Muller Ltd", "amount": 12000}), "Muller is paid."]
agent = Agent("clerk", model=ScriptedModel(script), tools=[pay])
run = agent.run_sync("Pay Muller what we owe them.", home=home)

(question,) = run.pending()
asked = question.asked()
print(f"{question.tool}({asked.arguments}): {asked.people} people of {', '.join(asked.approvers)}")
print("a grant would say:", asked.grant.shown() if asked.grant else "nothing")

# Each in a process of their own: mainspring approvals approve ID --by NAME
question.approve(by="ann", reason="fits the invoice")
for by in ("Ann ", "cid", "agent:clerk"):
    try:
        question.approve(by=by)
    except ApprovalError as error:
        print(f"   refused: {error}")
question.approve(by="ben")

run = Run.load(run.id, home).resume_sync()
print(run.status, "-", run.output)
