from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mainspring.label import Label


@dataclass(frozen=True, slots=True)
class Item:
    id: str
    payload: Mapping[str, Any]
    label: Label
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Polled:
    items: tuple[Item, ...]
    state: Mapping[str, Any]
    next_at: float | None
