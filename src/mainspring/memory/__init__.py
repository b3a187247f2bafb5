"""Durable memory: what agents and people wrote down, each record with the label that it had when it was written."""

from mainspring.memory.memory import Memory, Scope, open_memory
from mainspring.memory.records import Judgement, Record
from mainspring.memory.tools import memory_tools, recall, remember
from mainspring.memory.transfer import Imported, export_records, import_records

__all__ = [
    "Imported",
    "Judgement",
    "Memory",
    "Record",
    "Scope",
    "export_records",
    "import_records",
    "memory_tools",
    "open_memory",
    "recall",
    "remember",
]
