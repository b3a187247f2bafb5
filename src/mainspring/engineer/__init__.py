"""The software engineer: an agent that works on a repository and is done only when its patch was verified.

from mainspring.engineer import code_sync

result = code_sync("paginate() loses the last page; mend it", "path/to/repo", model="openai:...")
print(result.report.text())
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.engineer.agent import code_agent
    from mainspring.engineer.report import Report
    from mainspring.engineer.start import CodeResult, code, code_sync

__all__ = ["CodeResult", "Report", "code", "code_agent", "code_sync"]

_HOME = {
    "CodeResult": "start",
    "Report": "report",
    "code": "start",
    "code_agent": "agent",
    "code_sync": "start",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mainspring.engineer' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mainspring.engineer.{_HOME[name]}"), name)
