"""A model uses a key by its name; the tool gets the value, and nothing that comes back holds it."""

import base64
import os
from pathlib import Path

from mainspring import Agent, Run, ScriptedModel, ToolCallPart, ToolContext, tool
from mainspring.errors import ToolError
from mainspring.secrets import Secrets

os.environ["SHOP_KEY"] = "sk-live-4711-0815"
secrets = Secrets({"shop": {"from": "env:SHOP_KEY", "tools": ["get_orders"], "hosts": ["shop.example.com"]}})


@tool(effect="read", outside=False)
def get_orders(url: str, auth: str, context: ToolContext) -> dict[str, str]:
    """Ask the shop for its orders (this one only pretends to, and echoes what it was sent)."""
    sent = secrets.fill({"url": url, "auth": auth}, "get_orders", context.principal)
    print("   >>> the tool has the key:", sent["auth"].endswith(os.environ["SHOP_KEY"]))
    answer = {"orders": "17", "you sent": sent["auth"], "debug": base64.b64encode(sent["auth"].encode()).decode()}
    return secrets.scrub(answer)


call = ToolCallPart("", "get_orders", {"url": "https://shop.example.com/orders", "auth": "Bearer {secret:shop}"})
agent = Agent("clerk", model=ScriptedModel([call, "There are 17 orders."]), tools=[get_orders])
run = agent.run_sync("How many orders are there?")
print(run.status, "-", run.output)
for event in Run.load(run.id).events():
    if event.kind == "effect.done":
        print("what came back:", event.payload["content"])

for tool_name, url in (("write_note", "https://shop.example.com/"), ("get_orders", "https://evil.example/")):
    try:
        secrets.fill({"url": url, "text": "{secret:shop}"}, tool_name, ("clerk",))
    except ToolError as error:
        print("refused:", error)

home = Path(os.environ.get("MAINSPRING_HOME", "~/.mainspring")).expanduser()
stored = b"".join(path.read_bytes() for path in home.rglob("*.db*") if path.is_file())
print("the journal holds the name:", b"{secret:shop}" in stored, "- the key:", b"sk-live-4711" in stored)
