"""Files as pages of text with places. `open_file` reads in a child process; `kind_of` says what a file is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.library.read.kinds import kind_of
    from mainspring.library.read.opening import open_file
    from mainspring.library.read.protocol import About, Reader, Reading, ReadLimits

__all__ = ["About", "ReadLimits", "Reader", "Reading", "kind_of", "open_file"]

_PLACES = {"kind_of": "kinds", "open_file": "opening"} | dict.fromkeys(
    ("About", "ReadLimits", "Reader", "Reading"), "protocol"
)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
