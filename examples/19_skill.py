"""A skill is used only as a person approved it, and gets no further than its manifest says."""

import os
from pathlib import Path

from mainspring import Agent, ScriptedModel, ToolCallPart
from mainspring.errors import DeclarationError
from mainspring.skills import Skills, restrict
from mainspring.tools import coding_tools

HOME = Path(os.environ.get("MAINSPRING_HOME", "~/.mainspring")).expanduser()

skills = Skills(HOME)
added = skills.add(Path(__file__).parent / "skills" / "tidy-notes", replace=True)
try:
    skills.load("tidy-notes")
except DeclarationError as error:
    print("before approval:", str(error).splitlines()[0])

skills.approve("tidy-notes", by="ann", digest=added.digest)  # or: mainspring skills approve tidy-notes
skill, pin = skills.load("tidy-notes")
print(f"approved by {pin.by}: {skill.description}")

workspace = Path("desk")
(workspace / "notes").mkdir(parents=True, exist_ok=True)
(workspace / "notes" / "a.txt").write_text("buy tea\n")
(workspace / "keys.txt").write_text("secret\n")

held = {t.name: t for t in coding_tools()}
left = restrict(held, skill)
print("the agent holds", len(held), "tools; while the skill is active:", ", ".join(left))

script = [
    ToolCallPart("", "read_file", {"path": "keys.txt"}),
    ToolCallPart("", "edit_file", {"path": "notes/tea.md", "old": "", "new": "- buy tea\n"}),
    "Your notes are tidy.",
]
agent = Agent("tidy", model=ScriptedModel(script), instructions=skill.instructions, tools=list(left.values()))
run = agent.run_sync("Tidy my notes", workspace=workspace)
for event in run.events():
    if event.kind in ("call.refused", "effect.done"):
        print("  ", str(event.payload.get("content") or event.payload.get("reason"))[:110])
print(run.status, "-", run.output)
