"""How every benchmark prints: a table for people, then one JSON object on the last line."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows as aligned text; numbers are shortened to what can be read, None becomes a dash."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    lines = [
        "  ".join(t.ljust(w) if i == 0 else t.rjust(w) for i, (t, w) in enumerate(zip(line, widths, strict=True)))
        for line in cells
    ]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def emit(value: Mapping[str, object]) -> None:
    """Print the JSON object, on one line."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def note(text: str) -> None:
    """Show progress, away from the result."""
    print(text, file=sys.stderr, flush=True)


def rounded(value: float | None, digits: int = 4) -> float | None:
    """`value` with that many significant digits."""
    return None if value is None else float(f"{value:.{digits}g}")


def machine(folder: Path) -> dict[str, object]:
    """What the figures were taken on; `folder` is where the measured files lie."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "filesystem": filesystem(folder),
    }


def filesystem(folder: Path) -> str:
    """Type of the file system that holds `folder`, such as ``"ext4"``; flushing to tmpfs costs nothing."""
    best, kind = "", "unknown"
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return kind
    for line in lines:
        _, mount, type_, *_ = line.split(" ")
        mount = mount.replace("\\040", " ")
        if len(mount) >= len(best) and folder.resolve().is_relative_to(mount):
            best, kind = mount, type_
    return kind


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)
