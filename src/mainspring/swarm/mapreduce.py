"""Long inputs: every piece is read by a sub-agent of its own, and what they say is put together in rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mainspring.agent import Agent, Limits
from mainspring.errors import DeclarationError
from mainspring.guard import Grant
from mainspring.label import PASTE, Label
from mainspring.messages import Usage
from mainspring.runtime.journal import Watcher
from mainspring.swarm.answers import as_text
from mainspring.swarm.child import Ended
from mainspring.swarm.joins import Result
from mainspring.swarm.options import ChildWatcher, Subtask
from mainspring.swarm.program import Where, in_a_run
from mainspring.swarm.spawning import spawn
from mainspring.tool import ToolContext
from mainspring.value import Value

#: A rough number of characters to a token, as the runtime counts them.
CHARS_PER_TOKEN = 3.5
#: Longest input, in characters.
MAX_CHARS = 60_000_000


async def map_reduce(
    agent: Agent,
    items: str | Sequence[str],
    *,
    map: str,
    reduce: str,
    chunk: int = 8_000,
    budget: int = 16_000,
    label: Label = PASTE,
    home: str | Path | None = None,
    by: str = "user",
    run_id: str | None = None,
    limits: Limits | dict[str, float | None] | None = None,
    grants: Sequence[Grant] = (),
    on_event: Watcher | None = None,
    watch: ChildWatcher | None = None,
    **declared: Any,
) -> Result:
    """Have each piece of a long input read by a sub-agent, and their answers put together.

    Answers are put together in the order of the pieces, as many at a time as fit into `budget`, in as many rounds as
    it takes until one is left. Durable as :func:`mainspring.swarm.run_tasks` is.

    Args:
        items: a long text, which is cut between paragraphs, lines or words; or pieces.
        map: what is to be done with each piece.
        reduce: what is to be done with several answers. A program may not rely on how many it gets.
        chunk: tokens (roughly) of one piece.
        budget: tokens (roughly) of the answers that one sub-agent puts together.
        label: who may have written the input.
        home, by, run_id, limits, grants, on_event, watch, declared: as for :func:`mainspring.swarm.run_tasks`.

    Returns:
        One answer; `missing` names pieces that nobody could read.

    Raises:
        DeclarationError: there is nothing to read, or it is too long.
        ToolError, StoreError: as :func:`mainspring.swarm.run_tasks`.
    """
    for name, number in (("chunk", chunk), ("budget", budget)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 16:
            raise DeclarationError(f"{name} is a number of tokens from 16, not {number!r}")
    for name, order in (("map", map), ("reduce", reduce)):
        if not isinstance(order, str) or not order.strip():
            raise DeclarationError(f"{name} says what is to be done, as text; it is {order!r}")
    pieces = cut(items, int(chunk * CHARS_PER_TOKEN)) if isinstance(items, str) else [str(i) for i in items]
    if not any(p.strip() for p in pieces):
        raise DeclarationError("the input is empty; there is nothing to read")
    if sum(len(p) for p in pieces) > MAX_CHARS:
        raise DeclarationError(f"the input has more than {MAX_CHARS:,} characters; read it in several calls")

    async def work(context: ToolContext, said: dict[str, Any]) -> Result:
        rounds = _Rounds(context, agent, said, watch, declared)
        return await rounds.work()

    said = {
        "pieces": pieces,
        "map": map,
        "reduce": reduce,
        "budget": int(budget * CHARS_PER_TOKEN),
        "label": label.encode(),
    }
    where = Where(home=home, by=by, run_id=run_id, limits=limits, grants=grants, on_event=on_event)
    return await in_a_run(agent, (agent,), f"{len(pieces):,} pieces", said, work, where, declared)


class _Rounds:
    def __init__(
        self,
        context: ToolContext,
        agent: Agent,
        said: dict[str, Any],
        watch: ChildWatcher | None,
        declared: dict[str, Any],
    ) -> None:
        self._context, self._agent, self._said = context, agent, said
        self._watch, self._declared = watch, {k: v for k, v in declared.items() if k not in ("join", "k")}
        self._next = 0  # index of the next sub-agent
        self._usage = Usage()

    async def work(self) -> Result:
        said, label = self._said, Label.decode(self._said["label"])
        of = len(said["pieces"])
        read = await self._round(
            [
                Subtask(said["map"], inputs={f"piece {n} of {of}": Value(piece, label)})
                for n, piece in enumerate(said["pieces"], 1)
            ]
        )
        missing = read.missing
        answers = list(read.answers)
        while len(answers) > 1:
            groups = grouped([len(as_text(a.output)) for a in answers], said["budget"])
            parts = [self._together([answers[i] for i in g], said) for g in groups if len(g) > 1]
            found = await self._round(parts)
            missing = (*missing, *found.missing)
            done = {a.index: a for a in found.answers}
            first = self._next - len(parts)
            together = iter(range(first, self._next))
            answers = [
                a for g in groups if (a := answers[g[0]] if len(g) == 1 else done.get(next(together))) is not None
            ]
        satisfied = bool(answers) and not missing
        return Result("all", satisfied, of, tuple(answers), missing, usage=self._usage, run_id=self._context.run_id)

    def _together(self, answers: list[Ended], said: dict[str, Any]) -> Subtask:
        most = max(200, said["budget"] // len(answers))
        inputs = {
            f"answer {n} of {len(answers)}": Value(as_text(a.output)[:most], a.label) for n, a in enumerate(answers, 1)
        }
        return Subtask(said["reduce"], inputs=inputs)

    async def _round(self, parts: list[Subtask]) -> Result:
        first, self._next = self._next, self._next + len(parts)
        found = await spawn(
            self._context, parts, agents=(self._agent,), first=first, on_event=self._watch, **self._declared
        )
        self._usage = replace(self._usage + found.usage, usd=(self._usage.usd or 0.0) + (found.usage.usd or 0.0))
        return found


def cut(text: str, size: int) -> list[str]:
    """A text in pieces of at most `size` characters, cut between paragraphs, lines or words where there are any."""
    pieces: list[str] = []
    at = 0
    while at < len(text):
        end = min(len(text), at + size)
        if end < len(text):
            for mark in ("\n\n", "\n", ". ", " "):
                found = text.rfind(mark, at + size // 2, end)
                if found != -1:
                    end = found + len(mark)
                    break
        pieces.append(text[at:end])
        at = end
    return pieces


def grouped(sizes: Sequence[int], budget: int) -> list[list[int]]:
    """Neighbours that fit into `budget` together, at least two in each group but the last, so that every round at
    least halves their number."""
    groups: list[list[int]] = []
    room = 0
    for n, size in enumerate(sizes):
        if groups and (len(groups[-1]) < 2 or size <= room):
            groups[-1].append(n)
            room -= size
        else:
            groups.append([n])
            room = budget - size
    return groups
