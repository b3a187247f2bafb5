"""`mainspring runs show ID --tree`: a run and all that it started, with times, spending and the critical path."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mainspring.cli.output import Output, note
from mainspring.cli.render import columns, count, cut, one_line, seconds, usd
from mainspring.messages import encode_usage

if TYPE_CHECKING:
    from mainspring.messages import Usage
    from mainspring.store import Store
    from mainspring.swarm.critical import Analysis
    from mainspring.swarm.tree import Node

_BAR = 20  # characters for the whole time
_FOLD = 12  # a run with more sub-agents than this shows only the telling ones
_SLOWEST = 5
_FAILED = 10
_SPLITS = 20  # lines on what each split gained


def show_tree(store: Store, run_id: str, output: Output, *, json: bool, everything: bool) -> None:
    """Print the tree of a run.

    Args:
        everything: every sub-agent, also of a thousand. With `json` all are printed anyhow.
    """
    from mainspring.swarm.critical import analyse
    from mainspring.swarm.tree import read, totals

    root = read(store, run_id, report=_progress())
    analysis = analyse(root)
    if json:
        _print_json(root, analysis, output)
        return
    drawing = _Drawing(root, analysis, totals(root), everything)
    output.text("\n".join([*drawing.table(), "", *_foot(root, analysis)]))


def _progress() -> Any:
    """Tells a person how far it is, when it takes more than two seconds."""
    told = [time.monotonic()]

    def report(runs: int) -> None:
        if time.monotonic() - told[0] > 2.0:
            told[0] = time.monotonic()
            note(f"{runs:,} runs read")

    return report


def _print_json(root: Node, analysis: Analysis, output: Output) -> None:
    from mainspring.swarm.tree import totals

    sums, path = totals(root), set(analysis.path.runs)
    for node in root.walk():
        steps, usage, unpriced = sums[node.id]
        output.json(
            {
                "kind": "node",
                "run_id": node.id,
                "parent": node.parent,
                "depth": node.depth,
                "agent": node.agent,
                "task": node.task,
                "status": node.status,
                "reason": node.reason,
                "problem": node.problem,
                "fork": node.fork,
                "imported": node.foreign,
                "intent": None if node.started_by is None else node.started_by[0],
                "index": None if node.started_by is None else node.started_by[1],
                "critical": node.id in path,
                "strategy": node.strategy,
                "began_at": node.began_at,
                "ended_at": node.ended_at,
                "last_at": node.last_at,
                "steps": node.steps,
                "usage": encode_usage(node.usage),
                "unpriced_calls": node.unpriced,
                "with_below": {"steps": steps, "usage": encode_usage(usage), "unpriced_calls": unpriced},
            }
        )
    output.json({"kind": "tree", "run_id": root.id, "runs": len(sums), **asdict(analysis)})


class _Drawing:
    """The lines of the tree."""

    def __init__(
        self, root: Node, analysis: Analysis, sums: dict[str, tuple[int, Usage, int]], everything: bool
    ) -> None:
        self.root, self.sums, self.everything = root, sums, everything
        self.path = set(analysis.path.runs)
        self.began = root.began_at if root.began_at is not None else root.created_at
        self.length = max([analysis.seconds, *(n.last_at - self.began for n in root.walk())])

    def table(self) -> list[str]:
        """The head and a line for each run or fold."""
        rows: list[tuple[str, ...]] = []
        waiting: list[tuple[str, str, Node | list[Node]]] = [("", "", self.root)]
        while waiting:
            lead, below, item = waiting.pop()
            if isinstance(item, list):
                rows.append((f"{lead}… {len(item):,} more", "", "", "", "", "", "", self._folded(item)))
                continue
            rows.append(self._row(lead, item))
            shown, hidden = self._choose(item)
            parts: list[Node | list[Node]] = [*shown, *([hidden] if hidden else [])]
            branches = [
                (below + ("└ " if i == len(parts) - 1 else "├ "), below + ("  " if i == len(parts) - 1 else "│ "), part)
                for i, part in enumerate(parts)
            ]
            waiting.extend(reversed(branches))
        return columns(rows, ("RUN", "STATUS", "TIME", "TOOK", "STEPS", "TOKENS", "SPENT", "TASK"))

    def _row(self, lead: str, node: Node) -> tuple[str, ...]:
        name = node.id
        if node.parent is not None:
            name = node.id.removeprefix(node.parent) if node.id.startswith(node.parent + ".") else node.id[-10:]
        marks = ("* " if node.id in self.path else "") + ("fork " if node.fork else "")
        steps, usage, unpriced = self.sums[node.id]
        own = bool(node.parts())
        told = "; ".join(
            text
            for text in (
                f"unreadable: {one_line(node.problem, 120)}" if node.problem else "",
                "imported: times and spending are its journal's claim" if node.foreign else "",
                one_line(node.reason, 120) if node.status not in ("done", "running") else "",
                one_line(node.task, 60),
            )
            if text
        )
        return (
            f"{lead}{marks}{one_line(node.agent, 20)} {one_line(name, 40)}",
            node.status,
            self._bar(node),
            seconds(max(0.0, node.last_at - node.began_at)) if node.began_at is not None else "-",
            f"{steps:,}" + (f" (own {node.steps:,})" if own else ""),
            count(usage.tokens) + (f" (own {count(node.usage.tokens)})" if own else ""),
            _money(usage, unpriced) + (f" (own {_money(node.usage, node.unpriced)})" if own else ""),
            told,
        )

    def _bar(self, node: Node) -> str:
        """When it was at work (full) and when it slept or waited for others (light) within the whole."""
        from mainspring.swarm.intervals import without

        cells = [" "] * _BAR
        if node.began_at is None:
            return "".join(cells)
        waits = [(began, node.last_at if done is None else done) for began, done in node.splits.values()]
        for sign, stretches in (("░", [(node.began_at, node.last_at)]), ("█", without(node.work, waits))):
            for began, ended in stretches:
                first, last = self._cell(began), self._cell(ended)
                cells[first : max(last, first + 1)] = sign * (max(last, first + 1) - first)
        return "".join(cells[:_BAR])

    def _cell(self, at: float) -> int:
        share = (at - self.began) / self.length if self.length > 0 else 0.0
        return min(_BAR - 1, max(0, int(share * _BAR + 0.5))) if share < 1 else _BAR

    def _choose(self, node: Node) -> tuple[list[Node], list[Node]]:
        """The sub-agents to show, in their order, and those to fold."""
        if self.everything or len(node.children) <= _FOLD:
            return node.children, []
        slow = sorted(node.children, key=lambda c: c.last_at - (c.began_at or c.last_at), reverse=True)
        bad = [c for c in node.children if c.problem or c.status in ("failed", "in_doubt", "interrupted")]
        kept = {c.id for c in [*slow[:_SLOWEST], *bad[:_FAILED]]}
        kept |= {c.id for c in node.children if c.fork or c.id in self.path}
        shown = [c for c in node.children if c.id in kept]
        return shown, [c for c in node.children if c.id not in kept]

    def _folded(self, nodes: list[Node]) -> str:
        states = Counter(n.status for n in nodes)
        told = ", ".join(f"{number:,} {status}" for status, number in states.most_common())
        tokens = sum(self.sums[n.id][1].tokens for n in nodes)
        broken = sum(bool(n.problem) for n in nodes)
        return f"{told}; {count(tokens)} tokens{f'; {broken:,} unreadable' if broken else ''}; --all shows each"


def _money(usage: Usage, unpriced: int) -> str:
    if not unpriced:
        return usd(usage.usd)
    return f"{usd(usage.usd)}+?" if usage.usd else "$?"


def _foot(root: Node, analysis: Analysis) -> list[str]:
    path = analysis.path
    lines = [
        f"critical path (*): {path.steps:,} steps, {count(path.tokens)} tokens, {seconds(path.seconds)} "
        f"in {len(path.runs):,} run{'s' if len(path.runs) != 1 else ''}; all runs one after another: "
        f"{seconds(analysis.alone_seconds)}" + ("" if analysis.gain is None else f", gained {analysis.gain:.1f} times")
    ]
    for split in analysis.splits[:_SPLITS]:
        lines.append(f"split at event {split.intent} of {split.run}: {split.line()}")
        at_work = cut(", ".join(f"{n} {share:.0%}" for n, share in split.at_work.items()), 150)
        lines.append(f"  share of the time with so many at work: {at_work or 'no time passed'}")
    if len(analysis.splits) > _SPLITS:
        lines.append(f"… {len(analysis.splits) - _SPLITS:,} more splits; --json has them all")
    if root.strategy:
        lines.append("strategy: " + one_line(f"{root.strategy.get('strategy')}: {root.strategy.get('reason')}", 300))
    if any(n.fork for n in root.walk()):
        lines.append("forks have what they did themselves, and count in nothing above them")
    return lines
