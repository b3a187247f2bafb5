"""Open-weight models on this machine, run by llama.cpp in a child process; see docs/local-models.md."""

from mainspring.models.local.model import LocalModel
from mainspring.models.local.names import resolve_local

__all__ = ["LocalModel", "resolve_local"]
