"""`mainspring runs`: what ran, how it ended, and how to go on from there."""

from __future__ import annotations

import click

from mainspring.cli.group import LazyGroup

_SHOW, _ACT, _MOVE, _VOUCH = (f"mainspring.cli.runs_{room}" for room in ("show", "act", "move", "vouch"))


@click.group(
    cls=LazyGroup,
    default="list",
    lazy={
        "list": (f"{_SHOW}:list_", "Newest first (the default)."),
        "show": (f"{_SHOW}:show", "What a run did, said and spent, and what it waits for."),
        "resume": (f"{_ACT}:resume", "Go on after a pause, a crash or an answer."),
        "send": (f"{_ACT}:send", "Say something to a run, working or not."),
        "cancel": (f"{_ACT}:cancel", "Stop a run for good."),
        "fork": (f"{_MOVE}:fork", "A new run that goes on from an earlier step."),
        "replay": (f"{_MOVE}:replay", "Check that the journal still gives the same context bytes."),
        "vouch": (f"{_VOUCH}:vouch", "Say that a value it read may be trusted."),
        "doubt": (f"{_VOUCH}:doubt", "Take that back."),
        "undo": (f"{_ACT}:undo", "Take a run's edits in its workspace back."),
        "export": (f"{_MOVE}:export", "Write a run as JSON lines."),
        "move": ("mainspring.cli.runs_relocate:move", "Have a run go on in another journal."),
        "import": (f"{_MOVE}:import_", "Read a run that was exported."),
    },
)
def runs() -> None:
    """What ran, how it ended, and how to go on from there.

    ID is a run's id, the beginning of one, or `last`.

    \b
    Examples:
      mainspring runs
      mainspring runs show last --events
      mainspring runs resume 3f2
      mainspring runs show last --values
      mainspring runs vouch last 'v3[0].body' --reason "our own page"
      mainspring runs send 3f2 "Leave the tests alone"
      mainspring runs export 3f2 -o run.jsonl
    """
