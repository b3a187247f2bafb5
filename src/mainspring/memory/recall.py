"""The tool `recall_runs`: what finished runs were asked, decided and answered, never cleaner than it was there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from mainspring.config import load_config
from mainspring.errors import DeclarationError, ModelError, StoreError, ToolError
from mainspring.label import SYSTEM, Label, join_all
from mainspring.memory.meaning import embedder_at_hand
from mainspring.memory.runs import AT_ONCE, LOOKED_AT, Found, RunIndex
from mainspring.store import open_store
from mainspring.tool import Tool, ToolContext
from mainspring.value import Labelled

MAX_RECALLED = 20

#: Added to a list where outsiders wrote some of what was searched: they had a say in what was found.
_STEERED = Label(frozenset({"steered:recall_runs"}))
_MADE = Label(frozenset({"made:recall_runs"}))


def recall_runs_tool(*, agents: Sequence[str] = (), people: Sequence[str] = ()) -> Tool:
    """A tool that searches the finished runs of the same person and the same agent.

    Args:
        agents: other agents whose runs for the same person may be shown; ``("*",)`` for all.
        people: other people whose runs may be shown; ``("*",)`` for all. Whoever declares the agent answers for it.
    """
    if isinstance(agents, str) or isinstance(people, str):
        raise ToolError("agents and people are lists of names, such as agents=['clerk']")

    def recall_runs(query: str, context: ToolContext, limit: int = 5) -> Labelled:
        """Search earlier runs: their tasks, decisions, open work and outcomes.

        Args:
            query: words to look for; "" for the newest.
            limit: most entries to return, up to 20.
        """
        if not 1 <= limit <= MAX_RECALLED:
            raise ToolError(f"limit must be from 1 to {MAX_RECALLED}, not {limit}")
        if context.home is None:
            raise ToolError("past runs are found in a home; this call has none")
        whom = context.principal
        own_person = whom[0] if len(whom) > 1 else ""
        own_agent = whom[-1].removeprefix("agent:") if whom else ""
        persons = None if "*" in people else [own_person, *people]
        names = None if "*" in agents else [own_agent, *agents]
        try:
            embedder = embedder_at_hand() if load_config(context.home).memory.meaning else None
            with RunIndex(open_store(context.home), embedder=embedder) as index:
                index.update(look_at=LOOKED_AT, at_once=AT_ONCE)
                found = index.search(query, limit, people=persons, agents=names, without=context.run_id)
                mixed = index.mixed(persons, names)
        except (StoreError, ModelError, DeclarationError) as error:
            raise ToolError(str(error)) from None
        asked = join_all(context.labels.values()).steering()  # a query chooses and writes none
        return _labelled(found, join_all([_MADE, asked, _STEERED if mixed else SYSTEM]))

    return Tool(recall_runs, effect="read", outside=False, parallel=False, authority=())


def _labelled(found: Sequence[Found], chosen: Label) -> Labelled:
    shown = []
    labels = {"": chosen}
    for number, entry in enumerate(found):
        shown.append(
            {
                "run": entry.run,
                "agent": entry.agent,
                "what": entry.what,
                "text": entry.text,
                "status": entry.status,
                "ended_at": datetime.fromtimestamp(entry.ended_at, UTC).isoformat(timespec="seconds"),
                "outsider": not entry.label.trusted,
            }
        )
        path = f"[{number}]"
        labels |= {f"{path}.{name}": chosen for name in shown[-1]}
        if "imported" in entry.label.sources:  # whoever made that journal named them
            labels |= {f"{path}.{name}": chosen.join(entry.label) for name in ("run", "agent")}
        labels |= {path: chosen, f"{path}.text": entry.label}
    return Labelled(shown, labels)
