"""Text for terminals: made harmless, shortened, and formatted for people.

What models and tools write may hold escape sequences that repaint the screen, rename the window or fill the
clipboard, and invisible characters that hide words. Nothing of theirs is printed before it went through `safe`.
"""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from mainspring.guard.outputs import plain_hosts, visible

_HEAD = 20_000  # characters in which the first line is looked for


def safe(text: str, *, exact: bool = False) -> str:
    """The text with everything that a terminal would obey, or that hides or reorders words, made visible.

    Newlines and tabs stay. Colour codes are dropped, as tools print them by habit; with `exact` (for what a
    person has to approve) they, and every invisible character, are shown too. Hosts with letters that look like
    others are shown in ASCII (punycode).
    """
    return plain_hosts(visible(text, exact=exact))


def is_text(text: str) -> bool:
    """False for bytes of the operating system that are no UTF-8 (Python holds them as lone surrogates)."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def one_line(text: str, width: int = 100) -> str:
    """The first line that is not empty, made safe and cut to `width` characters."""
    head = text[:_HEAD] if text[:_HEAD].strip() else text.lstrip()[:_HEAD]  # a result may be 100 MB long
    line = next((line.strip() for line in head.splitlines() if line.strip()), "")
    return cut(safe(line).replace("\t", " "), width)


def cut(text: str, width: int) -> str:
    """At most `width` characters, with an ellipsis where something was left out."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def value_text(value: object, width: int = 60) -> str:
    """An argument's value on one line: JSON, made safe, shortened in the middle of nothing else."""
    if isinstance(value, str) and len(value) > 4 * width:
        value = value[: 4 * width]
    return cut(safe(json.dumps(value, ensure_ascii=False, default=str), exact=True), width)


def arguments_text(arguments: Mapping[str, Any], width: int = 100) -> str:
    """Arguments on one line, such as ``path="src/a.py" start=3``."""
    return cut(
        " ".join(f"{safe(str(name), exact=True)}={value_text(value)}" for name, value in arguments.items()), width
    )


def argument_lines(arguments: Mapping[str, Any], limit: int | None = None) -> list[str]:
    """Arguments in full for a person who has to decide on them, each line led by a bar that text cannot forge.

    Args:
        limit: characters of each value to show; None shows everything.
    """
    lines: list[str] = []
    for name, value in arguments.items():
        label = safe(str(name), exact=True).replace("\n", "\\n").replace("\t", "\\t")
        long = isinstance(value, str) and "\n" in value
        text = value if isinstance(value, str) and long else json.dumps(value, ensure_ascii=False, default=str)
        hidden = 0 if limit is None else max(len(text) - limit, 0)
        shown = safe(text if limit is None else text[:limit], exact=True)
        if long:
            lines.append(f"{label}:")
            lines.extend(f"  │ {line}" for line in shown.split("\n"))
        else:
            lines.append(f"{label} = {shown}")
        if hidden:
            lines.append(f"  … {hidden:,} more characters")
    return lines


def indent(text: str, by: str = "  ") -> str:
    """Every line of the text led by `by`."""
    return "\n".join(by + line if line else "" for line in text.split("\n"))


def count(number: float) -> str:
    """A count for people: 950, 4.1k, 2.3M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return f"{number:.0f}"


def bytes_text(number: float) -> str:
    """A size in bytes for people: 512 B, 4.1 KiB, 1.0 GiB."""
    unit = "B"
    for bigger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, bigger
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"


def seconds(value: float) -> str:
    """A duration in seconds for people: 0.2s, 14s, 3m05s, 2h10m."""
    if value < 10:
        return f"{value:.1f}s" if value >= 0.05 else "0s"
    whole = int(value)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def usd(value: float | None) -> str:
    """Dollars for people; None is an unknown price."""
    if value is None:
        return "$?"
    return f"${value:.2f}" if value == 0 or value >= 0.1 else f"${value:.4f}"


def ago(at: float, now: float | None = None) -> str:
    """How long ago a Unix time was."""
    passed = max((time.time() if now is None else now) - at, 0)
    return f"{int(passed // 86400)}d" if passed >= 86400 else seconds(passed)


def clock(at: float) -> str:
    """A Unix time as local date and time, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def columns(rows: Sequence[Sequence[str]], head: Sequence[str]) -> list[str]:
    """Rows as aligned lines; the last column is never padded."""
    table = [list(head), *[[cell.replace("\n", " ").replace("\t", " ") for cell in row] for row in rows]]
    widths = [max(_cells(row[i]) for row in table) for i in range(len(head))]
    return [
        "  ".join(
            cell if i == len(row) - 1 else cell + " " * (widths[i] - _cells(cell)) for i, cell in enumerate(row)
        ).rstrip()
        for row in table
    ]


def _cells(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
