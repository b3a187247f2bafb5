"""Who did what, for whom, and why it was allowed: records, a signed file, and a journal that somebody changed."""

import io
import os
import sqlite3
from pathlib import Path

from mainspring import Agent, ScriptedModel, ToolCallPart, tool
from mainspring.audit import Search, check_export, export, search, verify
from mainspring.store import close_stores, open_store
from mainspring.store.keys import own_public

home = Path(os.environ.get("MAINSPRING_HOME") or "~/.mainspring-example").expanduser()


@tool(effect="irreversible", authority=["to"])
def send_mail(to: str, body: str) -> str:
    """Send a letter."""
    return "sent"


script = [ToolCallPart("", "send_mail", {"to": "ann@example.org", "body": "Lunch?"}), "Ann has been asked."]
run = Agent("clerk", model=ScriptedModel(script), tools=[send_mail]).run_sync("Ask Ann to lunch.", home=home)
run.pending()[0].approve(by="ben", reason="she likes lunch")
run.resume_sync()

# mainspring audit search --person ben
store = open_store(home)
for record in search(store, Search(run=run.id)):
    print(f"{record.action:18} {record.by:12} {record.tool:10} {record.outcome:10} {record.why[:60]}")

# mainspring audit verify: every chain, and that this home's key signed where each run stopped
report = verify(store, home=home)
print("sound:", report.ok, "-", ", ".join(f"{r.state}" for r in report.runs if r.run_id == run.id))

# mainspring audit export: each line is signed, so that the public key is all that is needed to check it elsewhere
file = io.StringIO()
export(search(store, Search(run=run.id)), file, home)
key = own_public(home)
assert key is not None
print("records that another machine can check:", len(list(check_export(io.StringIO(file.getvalue()), key))))

# Somebody changes what was sent to whom, and has no key.
close_stores()
with sqlite3.connect(home / "journal.db") as journal:
    journal.execute(
        "UPDATE events SET payload=replace(payload, 'ann@', 'eve@') "
        "WHERE kind='approval.requested' AND run=(SELECT number FROM runs WHERE id=?)",
        (run.id,),
    )
journal.close()
for problem in verify(open_store(home), run.id, home=home).problems:
    print(f"found: {problem.where.partition(',')[2].strip()}: {problem.what.rpartition(': ')[2]}")
