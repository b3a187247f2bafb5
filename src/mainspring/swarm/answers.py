"""What a run is told of its sub-agents' answers: counts and ids of ours, and the rest under the labels that it has."""

from __future__ import annotations

import json
from typing import Any

from mainspring.errors import RunNotFoundError, ToolError
from mainspring.label import Label
from mainspring.store import open_store
from mainspring.swarm.child import ENDED, Ended
from mainspring.swarm.joins import Result
from mainspring.tool import ToolContext, tool
from mainspring.value import Labelled

#: Longest answer of one sub-agent that is passed on whole, and longest sum of all answers, in characters.
MAX_ANSWER_CHARS = 20_000
MAX_CHARS = 400_000
#: Longest reason, and reasons of how many missing parts.
MAX_WHY_CHARS = 500
MAX_MISSING = 200
_PAGE = 8_000

MADE = Label(frozenset({"made:spawn"}))


def labelled(result: Result, gain: str = "") -> Labelled:
    """A result as a tool returns it; `gain` is our own line on what the call gained."""
    each = max(400, min(MAX_ANSWER_CHARS, MAX_CHARS // max(1, len(result.answers))))
    labels: dict[str, Label] = {"": MADE}
    answers: list[dict[str, Any]] = []
    for n, answer in enumerate(result.answers):
        output, cut = _bounded(answer, each)
        answers.append({"index": answer.index, "run": answer.run_id, "answer": output, **cut})
        labels[f"answers[{n}].answer"] = answer.label.join(result.label)
    said: dict[str, Any] = {"done": len(result.answers), "of": result.of, "answers": answers}
    if result.join == "vote":
        said["votes"] = result.votes
    if result.missing:
        said["missing"] = [_missing(m) for m in result.missing[:MAX_MISSING]]
        labels |= {f"missing[{n}].why": m.label for n, m in enumerate(result.missing[:MAX_MISSING])}
    if len(result.missing) > MAX_MISSING:
        said["more_missing"] = len(result.missing) - MAX_MISSING
    if not result.satisfied:
        said["satisfied"] = False
    if gain:
        said["gain"] = gain
    return Labelled(said, labels, result.usage)


def _bounded(answer: Ended, most: int) -> tuple[Any, dict[str, Any]]:
    text = as_text(answer.output)
    if len(text) <= most:
        return answer.output, {}
    return text[:most], {"cut_at": most, "characters": len(text)}


def _missing(part: Ended) -> dict[str, Any]:
    return {"index": part.index, "run": part.run_id, "status": part.status, "why": part.why[:MAX_WHY_CHARS]}


def as_text(output: Any) -> str:
    """An answer as text: a text as it is, everything else as JSON."""
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)


@tool(effect="read", authority=(), label=MADE)
def read_answer(run: str, context: ToolContext, offset: int = 0) -> Labelled:
    """Read on in a sub-agent's answer that was cut.

    Args:
        run: the run id that stands beside the answer.
        offset: the character to begin at.
    """
    if context.home is None:
        raise ToolError("there are no sub-agents here")
    store = open_store(context.home)
    try:
        first, row = store.event(run, 1).payload, store.row(run)
    except RunNotFoundError:
        raise ToolError(f"there is no run {run[:100]!r}; the id stands beside the answer") from None
    if ((first.get("bounds") or {}).get("cause") or {}).get("run") != context.run_id or store.imported(run):
        raise ToolError(f"run {run[:100]!r} is no sub-agent of this run")
    last = store.event(run, row.head_seq)
    if row.status not in ENDED or last.kind != "run.ended":
        raise ToolError(f"run {run[:100]!r} has not ended yet")
    text = as_text(last.payload["output"])
    if not 0 <= offset < max(1, len(text)):
        raise ToolError(f"the answer has {len(text):,} characters; offset {offset:,} lies outside")
    page = text[offset : offset + _PAGE]
    return Labelled(
        {"text": page, "next": offset + len(page) if offset + len(page) < len(text) else None},
        {"": MADE, "text": last.label},
    )
