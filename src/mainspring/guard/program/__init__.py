"""Code mode: a program over the tools, written by a model and run by our own interpreter, with labels on everything."""

from mainspring.guard.program.faults import ProgramError, ProgramLimits
from mainspring.guard.program.program import Failed, Finished, Program, ProgramRun, ToolFailure, ToolRequest

__all__ = [
    "Failed",
    "Finished",
    "Program",
    "ProgramError",
    "ProgramLimits",
    "ProgramRun",
    "ToolFailure",
    "ToolRequest",
]
