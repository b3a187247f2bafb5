"""Processes that stay: a server and a Python prompt in the sandbox, with a terminal, ended with the run."""

import tempfile
from pathlib import Path

from mainspring import Agent, ScriptedModel, ToolCallPart
from mainspring.tools.shells import close_run, process_tools


def step(tool: str, /, **arguments: object) -> ToolCallPart:
    return ToolCallPart("", tool, arguments)


ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/note.txt').read().decode())<enter>"
script = [
    step("start_process", name="web", command="python -m http.server --bind 127.0.0.1 8000", wait_s=20),
    step("start_process", name="prompt", command="python -q", wait_s=20),
    step("write_process", name="prompt", text=ask, until="hello", wait_s=20),
    step("read_process", name="web", wait_s=5),
    step("write_process", name="prompt", text="import time; time.sleep(600)<enter>", wait_s=0),
    step("write_process", name="prompt", text="<ctrl-c>", until="KeyboardInterrupt", wait_s=20),
    step("stop_process", name="web"),
    step("read_process"),
    "The server answers, within this run only.",
]
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "note.txt").write_text("hello from the workspace")
    agent = Agent("operator", model=ScriptedModel(script), tools=process_tools(), workspace=folder)
    run = agent.run_sync("Serve the folder and look at note.txt.")
    for event in run.events():
        if event.kind == "effect.done":
            print(f"--- {event.payload['tool']}\n{event.payload['content'][0]['text']}")
    print(run.status, "-", run.output)
    close_run(run.id)
