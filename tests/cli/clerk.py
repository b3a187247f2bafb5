"""Agents for the tests of the command line: scripted models, real tools."""

import os
import time

from mainspring import Agent, ScriptedModel, ToolContext, tool
from mainspring.messages import Message, TextPart, ThinkingPart, ToolCallPart, Usage


@tool(effect="read")
def look(what: str) -> str:
    """Look at something."""
    print("a tool's own noise on standard output")
    os.system("echo noise of its child")
    return f"seen {what}\nand \x1b[31mmore\x1b[0m"


@tool
def pay(to: str, amount: int, context: ToolContext) -> str:
    """Pay somebody."""
    assert context.workspace is not None
    with open(context.workspace / "payments", "a") as ledger:
        ledger.write(f"{to} {amount}\n")
    return f"paid {amount} to {to}"


@tool(effect="read")
def dawdle(context: ToolContext) -> str:
    """Take a while, and say so."""
    assert context.workspace is not None
    (context.workspace / "dawdling").touch()
    for _ in range(100):
        if (context.workspace / "enough").exists():
            break
        time.sleep(0.1)
    with open(context.workspace / "dawdled", "a") as file:
        file.write("once\n")
    return "dawdled"


@tool
def die(context: ToolContext) -> str:
    """Kill the process midway in an irreversible call."""
    os.kill(os.getpid(), 9)
    return "never"


@tool(effect="read")
def hang() -> str:
    """Never return."""
    time.sleep(3600)
    return "never"


def says(text: str, *calls: ToolCallPart) -> Message:
    return Message(
        "assistant",
        (ThinkingPart("Let me think.\n\x1b[2J"), TextPart(text), *calls),
        usage=Usage(4000, 100, calls=1, usd=0.01),
    )


def call(name: str, **arguments: object) -> ToolCallPart:
    return ToolCallPart(f"call-{name}", name, arguments)


PAY = call("pay", to="bob", amount=5)
END = says("All \x1b]0;owned\x07[bold]done[/bold]: é日本.")
TOOLS = [look, pay, dawdle, die, hang]


def agent_of(name: str, *script: object) -> Agent:
    return Agent(name, model=ScriptedModel(script), tools=TOOLS, limits={"usd": 2, "steps": 50})


reader = agent_of("reader", says("I look.", call("look", what="the [bold]ledger[/]")), END)
payer = agent_of("payer", says("I look.", call("look", what="the ledger")), says("I pay.", PAY), END)
twice = agent_of("twice", says("I pay.", PAY), says("Again.", call("pay", to="eve", amount=6)), END)
again = agent_of("again", says("I look.", call("look", what="it")), says("I pay.", PAY), says("Again.", PAY), END)
slow = agent_of("slow", says("I dawdle.", call("dawdle")), says("I look.", call("look", what="it")), END)
dawdler = agent_of("dawdler", says("I dawdle.", call("dawdle")), says("I pay.", PAY), END)
killer = agent_of("killer", says("I die.", call("die")), END)
hanger = agent_of("hanger", says("I hang.", call("hang")), END)
lost = agent_of("lost")
typed = Agent("typed", model=ScriptedModel(["[1, 2]"]), output_type=list[int])
