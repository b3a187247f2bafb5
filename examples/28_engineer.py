"""A task on a repository: the patch is verified in fresh copies, and a model that only says so is not believed."""

import subprocess
import tempfile
from pathlib import Path

from mainspring import ScriptedModel, ToolCallPart
from mainspring.engineer import code_sync

SOURCE = """def pages(items, size):
    return [items[start : start + size] for start in range(0, len(items) - size, size)]
"""
TEST = """from paging import pages

def test_the_last_page_counts():
    assert pages([1, 2, 3], 2) == [[1, 2], [3]]
"""


def repository() -> Path:
    folder = Path(tempfile.mkdtemp()) / "project"
    folder.mkdir()
    (folder / "paging.py").write_text(SOURCE)
    (folder / "test_paging.py").write_text(TEST)
    git = ["git", "-c", "user.name=ann", "-c", "user.email=ann@corp.example"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return folder


mend = ToolCallPart(
    "",
    "edit_file",
    {"path": "paging.py", "old": "range(0, len(items) - size, size)", "new": "range(0, len(items), size)"},
)
verify = ToolCallPart("", "verify_change", {})

# Yours would be model="openai:..." or "local"; this one plays its lines, so that the example runs anywhere.
repo = repository()
honest = code_sync("pages() loses the last page; mend it", repo, model=ScriptedModel([mend, verify, "Mended."]))
print(honest.report.text())
print()
print("the files are as they were:", (repo / "paging.py").read_text() == SOURCE)

liar = code_sync("pages() loses the last page; mend it", repo, model=ScriptedModel([mend, *["All tests pass!"] * 9]))
print("a model that only says so:", liar.run.status)
