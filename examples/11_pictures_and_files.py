"""Pictures and files in a task. A model that takes none is told what they are instead of failing."""

import os

from mainspring import Agent, FilePart, ImagePart

note = FilePart(b"Milk, eggs, and a new chain for the bicycle.", "text/plain", "shopping.txt")
picture = ImagePart(b"\x89PNG\r\n\x1a\n", description="a photo of an empty fridge")

agent = Agent("helper", model=os.environ.get("MAINSPRING_MODEL", "local"), instructions="Answer in one sentence.")
run = agent.run_sync(["What am I to buy that is no food?", note, picture])
print(run.status, "-", run.output)
