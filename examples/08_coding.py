"""The five workspace tools: what an agent does stays in the folder, commands run in a sandbox, edits can be undone."""

import tempfile
from pathlib import Path

from mainspring import Agent, ScriptedModel, ToolCallPart
from mainspring.tools import coding_tools
from mainspring.tools.undo import list_edits, undo_edit


def step(tool: str, /, **arguments: object) -> ToolCallPart:
    return ToolCallPart("", tool, arguments)


script = [
    step("execute_tests"),
    step("edit_file", path="area.py", old="return width + height", new="return width * height"),
    step("execute_tests"),
    step("run_terminal_command", command="cat /etc/shadow; ls; echo done"),
    step("read_file", path="../outside.txt"),
    "area() multiplies now, and its test passes.",
]
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "area.py").write_text("def area(width, height):\n    return width + height\n")
    Path(folder, "test_area.py").write_text("from area import area\n\ndef test_area():\n    assert area(2, 3) == 6\n")
    agent = Agent("coder", model=ScriptedModel(script), tools=coding_tools(), workspace=folder)
    run = agent.run_sync("Mend area().")
    for event in run.events():
        if event.kind in ("effect.done", "call.refused"):
            text = event.payload.get("reason") or event.payload["content"][0]["text"]
            print(f"--- {event.payload['tool']}\n{text.strip()[:300]}")
    print(run.status, "-", run.output)
    (edit,) = list_edits(run.events())
    undo_edit(run.home, Path(folder), edit.payload)
    print("undone:", "width + height" in Path(folder, "area.py").read_text())
