"""Editing: exact or not at all, whole definitions, several files as one, nothing broken written, all of it undoable."""

import tempfile
from pathlib import Path

from mainspring import Agent, ScriptedModel, ToolCallPart
from mainspring.code.edit import edit_tools
from mainspring.tools import coding_tools
from mainspring.tools.undo import undo_run


def step(tool: str, /, **arguments: object) -> ToolCallPart:
    return ToolCallPart("", tool, arguments)


SHAPES = '''\
import math


class Circle:
    """Round."""

    def __init__(self, radius):
        self.radius = radius

    # of the whole disc
    def area(self):
        return math.pi * self.radius
'''
PATCH = """\
--- a/shapes.py
+++ b/shapes.py
@@ -4,2 +4,2 @@
-class Circle:
+class Disc:
     \"\"\"Round.\"\"\"
--- a/main.py
+++ b/main.py
@@ -1,3 +1,3 @@
-from shapes import Circle
+from shapes import Disc

-print(round(Circle(1).area(), 2))
+print(round(Disc(2).area(), 2))
"""

script = [
    # Nearly right is not right: the answer says where, and what differs.
    step("edit_file", path="shapes.py", old="    def area(self):\n      return math.pi * self.radius", new="pass"),
    # A whole method; the comment above it stays, the indentation becomes the file's.
    step(
        "replace_symbol",
        path="shapes.py",
        name="Circle.area",
        code="def area(self):\n  return math.pi * self.radius**2",
    ),
    # What would not parse is not written.
    step("edit_file", path="main.py", old="print(", new="print(("),
    # Both files or none.
    step("apply_patch", patch=PATCH),
    "The class is called Disc, and its area is right.",
]
with tempfile.TemporaryDirectory() as folder:
    workspace = Path(folder)
    main = "from shapes import Circle\n\nprint(round(Circle(1).area(), 2))\n"
    (workspace / "shapes.py").write_text(SHAPES)
    (workspace / "main.py").write_text(main)
    tools = [*coding_tools(), *edit_tools()]
    run = Agent("coder", model=ScriptedModel(script), tools=tools, workspace=folder).run_sync("Mend and rename Circle.")
    for event in run.events():
        if event.kind in ("effect.done", "call.refused"):
            text = event.payload.get("reason") or event.payload["content"][0]["text"]
            print(f"--- {event.payload['tool']}\n{text.strip()}\n")
    print(run.status, "-", run.output)
    for said in undo_run(run.home, workspace, run.events()).done:
        print(said)
    print("as before:", (workspace / "shapes.py").read_text() == SHAPES and (workspace / "main.py").read_text() == main)
