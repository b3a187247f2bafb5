"""Sub-agents: runs that a run starts, with a part of its rights and its budget, in the same journal.

lead = Agent("lead", model=..., tools=[look, spawn_tool([worker])])
"""

from mainspring.swarm.answers import read_answer
from mainspring.swarm.board import post_note, read_board
from mainspring.swarm.child import Ended
from mainspring.swarm.joins import Result
from mainspring.swarm.mapreduce import map_reduce
from mainspring.swarm.options import JOINS, Join, Options, Subtask
from mainspring.swarm.program import run_tasks
from mainspring.swarm.spawning import SpawnTool, members, spawn, spawn_tool
from mainspring.swarm.strategy import Choice, decide, run, run_sync, splitting

__all__ = [
    "JOINS",
    "Choice",
    "Ended",
    "Join",
    "Options",
    "Result",
    "SpawnTool",
    "Subtask",
    "decide",
    "map_reduce",
    "members",
    "post_note",
    "read_answer",
    "read_board",
    "run",
    "run_sync",
    "run_tasks",
    "spawn",
    "spawn_tool",
    "splitting",
]
