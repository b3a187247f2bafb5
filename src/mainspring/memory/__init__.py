"""Durable memory: what agents and people wrote down, each record with the label that it had when it was written."""

from mainspring.memory.memory import Memory, open_memory
from mainspring.memory.recall import recall_runs_tool
from mainspring.memory.records import Judgement, Record
from mainspring.memory.runs import Found, RunIndex
from mainspring.memory.scope import Scope
from mainspring.memory.tools import memory_tools, recall, remember
from mainspring.memory.transfer import Imported, export_records, import_records

__all__ = [
    "Found",
    "Imported",
    "Judgement",
    "Memory",
    "Record",
    "RunIndex",
    "Scope",
    "export_records",
    "import_records",
    "memory_tools",
    "open_memory",
    "recall",
    "recall_runs_tool",
    "remember",
]
