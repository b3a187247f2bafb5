"""A job by the clock: nothing to do costs no model call, something to do is one run, and a second scheduler adds none.

python examples/32_schedule.py
"""

import asyncio
import tempfile
from pathlib import Path

from mainspring import Agent, ScriptedModel, tool
from mainspring.fleet import Worker
from mainspring.guard import Grant
from mainspring.messages import ToolCallPart, assistant
from mainspring.schedules import Schedule, Scheduler, Schedules
from mainspring.store import open_store

filed: list[str] = []


@tool(effect="irreversible", authority=["folder"])
def file_away(folder: str) -> str:
    """File what is in the tray."""
    filed.append(folder)
    return "filed"


script = [assistant("", ToolCallPart("c1", "file_away", {"folder": "archive"})), "The tray is empty."]
clerk = Agent("clerk", model=ScriptedModel(script), tools=[file_away])


def main() -> None:
    """Nine in the morning, three days in a row, without waiting for them: the clock is an argument."""
    store = open_store()
    with tempfile.TemporaryDirectory() as tray:
        day = 86_400.0
        monday = 1_800_000_000.0 // day * day  # midnight, UTC
        Schedules(store).add(
            Schedule(
                "tidy",
                "clerk",
                "File what is in the tray.",
                {"cron": "0 9 * * *", "zone": "UTC"},
                check={"exists": f"{tray}/*"},
                grants=(Grant("file_away", {"folder": ("archive",)}),),
                rights_s=10 * 365 * day,  # this clock is not the machine's
                caps={"firings": 1},
            ),
            by="ann",
            now=monday,
        )
        one, two = (Scheduler(store, {"clerk": clerk}) for _ in range(2))
        one.tick(monday + 9 * 3600)
        print("an empty tray, runs:", len(store.rows()))

        Path(tray, "letter.txt").write_text("Dear Ann")
        one.tick(monday + day + 9 * 3600)
        two.tick(monday + day + 9 * 3600)
        print("a letter and two schedulers, runs:", len(store.rows()))
        asyncio.run(Worker(store, [clerk]).run(until_idle=True))
        print("filed in:", *filed)

        one.tick(monday + 6 * day)
        entry = Schedules(store).get("tidy")
        print("after four days without a look:", [firing.status for firing in entry.history])


if __name__ == "__main__":
    main()
