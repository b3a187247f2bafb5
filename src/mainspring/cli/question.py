"""What a person is shown before they let a call through: values, where they came from, and who decides."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mainspring.cli.render import argument_lines, clock, indent, safe
from mainspring.errors import StoreError
from mainspring.label import Label
from mainspring.names import lookalikes

if TYPE_CHECKING:
    from mainspring.runtime.pending import Asked, Pending

#: Characters of one value that are shown where no limit is asked for; what is longer is named by its digest.
SHOWN = 4000
_DIFF_LINES = 400
_SCANNED = 200_000  # characters of a value in which look-alikes are searched


def question_lines(pending: Pending, asked: Asked, limit: int | None = SHOWN) -> list[str]:
    """The whole question. Nothing in it can steer a terminal or pass for a line of ours.

    Args:
        limit: characters of each value to show; None shows everything.
    """
    return [*_question(pending, asked, limit)]


def _question(pending: Pending, asked: Asked, limit: int | None) -> Iterator[str]:
    tool = safe(pending.tool, exact=True)
    yield f"{tool} needs your yes" if pending.kind == "approval" else f"{tool}: in doubt whether it happened"
    for name, value in asked.arguments.items():
        yield from _argument(name, value, asked, limit)
    yield f"  because: {_flat(asked.reason or pending.reason)}"
    if asked.diff:
        yield "  what would change:"
        lines = asked.diff.split("\n")
        shown = lines if limit is None else lines[:_DIFF_LINES]
        yield from (f"    │ {safe(line[:2000], exact=True)}" for line in shown)
        if len(lines) > len(shown):
            yield f"    … {len(lines) - len(shown):,} more lines, SHA-256 of the whole {_digest(asked.diff)}"
    if pending.kind == "approval":
        if asked.grant is not None:
            yield f"  smallest grant for it (approve --grant): {_flat(asked.grant.shown(), 600)}"
        yield f"  who: {who(asked)}"
    if pending.expires_at is not None:
        yield f"  expires: {clock(pending.expires_at)}"
    yield f"  run: {safe(pending.run_id, exact=True)}, digest: {asked.digest}"


def _argument(name: str, value: Any, asked: Asked, limit: int | None) -> Iterator[str]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    yield from indent("\n".join(argument_lines({name: value}, limit))).split("\n")
    if limit is not None and len(text) > limit:
        yield f"      {len(text):,} characters in all, SHA-256 {_digest(text)}"
    about = [_flat(asked.roles[name])] if asked.roles.get(name) else []
    if asked.origins.get(name):
        about.append(f"from {_flat(asked.origins[name], 200)}")
    if asked.labels.get(name):
        about.append(writers(asked.labels[name]))
    if about:
        yield f"      {'; '.join(about)}"
    for warning in lookalikes(text[:_SCANNED]):
        yield f"      CAREFUL: {safe(warning, exact=True)}"


def writers(label: str) -> str:
    """An encoded label in words: who may have written the value, and who may read it."""
    try:
        found = Label.decode(label)
    except StoreError:
        return "its label cannot be read: take it for a stranger's"
    if found.strangers:
        said = "may be written by " + ", ".join(sorted(found.strangers))
    elif found.steered:
        said = "chosen, not written, by " + ", ".join(sorted(found.steered))
    else:
        said = "written by " + (", ".join(sorted(found.sources)) or "Mainspring") + ", no stranger"
    if found.readers is not None:
        said += f"; readable by {', '.join(sorted(found.readers)) or 'nobody'}"
    return _flat(said)


def who(asked: Asked) -> str:
    """How many people must say yes, who may, and who has."""
    names = ", ".join(_flat(n) for n in asked.approvers) if asked.approvers else "any person"
    said = "one person" if asked.people == 1 else f"{asked.people} different people"
    text = f"{said} of: {names}" if asked.approvers else f"{said} ({names})"
    if asked.approved_by:
        text += f"; yes so far: {', '.join(_flat(n) for n in asked.approved_by)}, {asked.missing} missing"
    if asked.approvers and asked.people > len(asked.approvers):
        text += "; so many may not answer, so it can only be denied"
    return text


def question_json(asked: Asked) -> Mapping[str, Any]:
    """The same as JSON-ready data, with every value whole."""
    return {
        "arguments": asked.arguments,
        "origins": asked.origins,
        "labels": {name: _label(text) for name, text in asked.labels.items()},
        "roles": asked.roles,
        "careful": [
            w
            for value in asked.arguments.values()
            for w in lookalikes(json.dumps(value, ensure_ascii=False, default=str)[:_SCANNED])
        ],
        "grant": None if asked.grant is None else asked.grant.encode(),
        "diff": asked.diff or None,
        "people": asked.people,
        "approvers": list(asked.approvers),
        "approved_by": list(asked.approved_by),
    }


def _label(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _flat(text: str, width: int = 2000) -> str:
    shown = safe(str(text)[: width + 1], exact=True).replace("\n", "\\n").replace("\t", "\\t")
    return shown if len(shown) <= width else shown[:width] + "…"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
