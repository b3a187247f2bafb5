"""Whether a long run still serves its task: stated again now and then, watched by rules, judged when asked for.

The rules and the reminder cost no model call. The judge is a model in a context of its own: the task and the rules in
their authors' own words, and of the last steps only what the runtime itself made of them (declared tool names, how a
call ended, how long its answer was, which names of the task it touched). No text of the run's model, of its arguments
or of an answer gets there, so that a hijacked run cannot talk to its judge.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.guard.words import own_words
from mainspring.messages import Usage, encode_usage, system, user
from mainspring.model import Model, ModelSettings, model_name
from mainspring.runtime.compaction import CHARS_PER_TOKEN
from mainspring.runtime.foreign import interrupted
from mainspring.runtime.notes import fitting_notes, fitting_people, shown

if TYPE_CHECKING:
    from mainspring.runtime.state import RunState

#: Steps between checks where the agent does not say.
EVERY = 50
#: Steps that a check looks back over, at most.
KEPT_STEPS = 200
#: Characters of the task in a reminder, of what people said, and of open notes, each; and the share of the model's
#: window that each may take at most.
MORE_CHARS = 4_000
MORE_SHARE = 0.03
#: Share of different steps below which they count as repeating, and of failed calls from which they count as failing.
DIFFERENT_SHARE = 0.25
FAILED_SHARE = 0.5
#: Share of a limit that may be spent without a piece of open work being closed.
SPENT_SHARE = 0.5

JUDGE_ORDERS = """\
You check whether a piece of work still serves its task. You see the task, its rules by number, and a list of the last
steps: which tool was called, how the call ended, how long the answer was, and which of the task's own names (by number)
the call mentioned. You see nothing else, and the work cannot speak to you. Say "no" only when the steps plainly do
something that the task does not need, or break a rule; work that looks around, repeats a check or takes detours is
"yes"; when you cannot tell, say "unsure". Answer only with JSON: {"on_task": "yes" | "no" | "unsure", "rule": the
number of the rule that is broken, or null}."""
JUDGE_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "on_task": {"type": "string", "enum": ["yes", "no", "unsure"]},
        "rule": {"type": ["integer", "null"]},
    },
    "required": ["on_task", "rule"],
    "additionalProperties": False,
}
_MAX_OBJECTS = 200
_MAX_RULES = 80
_OBJECT = re.compile(
    r'"([^"\n]{2,80})"'
    r"|`([^`\n]{2,80})`"
    r"|\b([\w.+-]+@[\w-]+\.[\w.-]+\w)"
    r"|((?:[\w.-]+/)+[\w.-]+|\w[\w-]*\.[a-z]{1,5}\b)"
    r"|\b(\w*[a-z][A-Z]\w*|\w+_\w+|[A-Za-z]+-?\d[\w-]*|\d{3,})\b"
)


@dataclass(frozen=True, slots=True)
class Traced:
    """A call of a step, as far as the runtime knows it. `refused` is why it was not made, or ""."""

    tool: str
    arguments: Mapping[str, Any]
    failed: bool
    refused: str
    chars: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge said: ``yes``, ``no`` or ``unsure``, and which rule is broken (its text), if any."""

    on_task: str
    rule: str | None
    failed: bool
    usage: dict[str, Any] | None


def objects_of(state: RunState) -> list[str]:
    """Names that the user's own words hold: quoted texts, paths, addresses, identifiers, numbers of three digits."""
    found: dict[str, None] = {}
    for text in [task_words(state), *rules_of_people(state)]:
        for match in _OBJECT.finditer(text):
            found[next(g for g in match.groups() if g)] = None
    return list(found)[:_MAX_OBJECTS]


def task_words(state: RunState) -> str:
    """The task in the user's own words, without what was pasted."""
    return "\n".join(own_words(m) for m in state.plain[: state.head] if m.role == "user")


def rules_of_people(state: RunState) -> list[str]:
    """What people said to the run, in their own words."""
    said = (own_words(user(p.text)).strip() for p in state.people if p.kind == "said" and p.trusted)
    return [text for text in said if text]


def signals(state: RunState, steps: Sequence[tuple[int, Sequence[Traced]]]) -> list[str]:
    """What is odd about the last steps, by rules, in words for the model. `steps` are those since the last check."""
    calls = [call for _, made in steps for call in made]
    found: list[str] = []
    if len(calls) >= 10:
        failed = sum(c.failed for c in calls)
        if failed >= len(calls) * FAILED_SHARE:
            found.append(f"{failed} of the last {len(calls)} calls failed")
        different = len({(c.tool, json.dumps(dict(c.arguments), sort_keys=True, default=str)) for c in calls})
        if different <= len(calls) * DIFFERENT_SHARE:
            found.append(f"the last {len(calls)} calls were only {different} different ones")
        names = objects_of(state) if state.guard.mode != "clean" else []  # there they are handles
        if names and not any(touched(c.arguments, names) for c in calls):
            found.append(f"none of the last {len(calls)} calls mentions anything that the task names")
    work = [note for _, note in state.book.open() if note["kind"] == "todo"]
    allowed = state.limits.get("steps")
    if work and not state.book.done and allowed and state.step >= allowed * SPENT_SHARE:
        found.append(
            f"{state.step:,} of {allowed:,} steps are spent, and none of {len(work)} open pieces of work is done"
        )
    return found


def touched(arguments: Mapping[str, Any], names: Sequence[str]) -> list[int]:
    """Which of `names`, by number, the arguments of a call mention."""
    text = json.dumps(dict(arguments), ensure_ascii=False, default=str)[:20_000].casefold()
    return [number for number, name in enumerate(names, 1) if name.casefold() in text]


def reminder(state: RunState, window: int, odd: Sequence[str], broken: str | None = None) -> str:
    """The task, the people's words and the open notes again, for the end of the context; it asks for nothing new.

    Args:
        window: the model's context window in tokens.
        odd: what the rules have found.
        broken: what a judge found to be broken, or "" when it named no rule; None without a bad verdict.
    """
    room = min(MORE_CHARS, int(window * CHARS_PER_TOKEN * MORE_SHARE))
    task = "\n".join(m.text for m in state.plain[: state.head] if m.role == "user")
    if len(task) > room:
        task = task[:room] + " [... the whole task stands at the beginning]"
    sections = [f"Step {state.step:,}. A reminder of what this run is for.", f"The task:\n{task}"]
    said = [p for p in state.people if p.kind == "said"]
    shown_people = fitting_people(said, room)
    if shown_people:
        sections.append("What people said since, and still holds:\n" + "\n".join(f"- {p.text}" for p in shown_people))
    notes = fitting_notes(state.book, room)
    if notes:
        sections.append("Open notes:\n" + "\n".join(f"- {shown(n)}" for n in notes))
    left_out = len(said) - len(shown_people) + len(state.book) - len(notes)
    if left_out:
        sections.append(f"{left_out:,} more are open; they are not repeated here.")
    if odd:
        sections.append("Noticed: " + "; ".join(odd) + ".")
    if broken is not None:
        sections.append(f"A check says that the last steps do not serve the task. {broken}Return to it.")
    return "\n\n".join(sections)


def judge_messages(state: RunState, steps: Sequence[tuple[int, Sequence[Traced]]]) -> tuple[str, list[str]]:
    """What the judge is shown, and the rules that its answer may name by number."""
    orders = [m.text for m in state.plain[: state.head] if m.role == "system"]
    rules = [line.strip()[:300] for text in orders for line in text.splitlines() if line.strip()]
    rules = [*rules[: _MAX_RULES // 2], *(r[:1000] for r in rules_of_people(state)[-_MAX_RULES // 2 :])]
    names = objects_of(state)
    tools: Mapping[str, Any] = state.agent.get("tools", {})
    lines = []
    for step, made in steps:
        lines += [f"{step}: {_typed(call, tools, names)}" for call in made]
    sections = [
        f"The task:\n{task_words(state)[:8000]}",
        "Rules:\n" + "\n".join(f"{n}. {rule}" for n, rule in enumerate(rules, 1)) if rules else "There are no rules.",
        "Names of the task:\n" + "\n".join(f"{n}. {name}" for n, name in enumerate(names, 1)) if names else "",
        "The last steps:\n" + ("\n".join(lines[-KEPT_STEPS:]) or "no calls"),
    ]
    return "\n\n".join(s for s in sections if s), rules


def may_judge(state: RunState) -> bool:
    """False where the task itself may be an outsider's text: a judge would read it as an order."""
    return not state.guard.foreign and (not state.bounds.cause or state.task_trusted)


async def ask_judge(
    model: Model, state: RunState, steps: Sequence[tuple[int, Sequence[Traced]]], limit_s: float
) -> Verdict:
    """Ask the judge; whatever goes wrong there is no verdict against the run."""
    from mainspring.runtime.thinking import checked

    said, rules = judge_messages(state, steps)
    settings = ModelSettings(max_output_tokens=200, output_schema=dict(JUDGE_SCHEMA), run_id=state.run_id)
    try:
        async with asyncio.timeout(limit_s):
            answer = await model.respond([system(JUDGE_ORDERS), user(said)], [], settings)
        message = checked(answer, state, model_name(model))
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and interrupted():
            raise
        return Verdict("unsure", None, True, None)
    on_task, number = _parsed(message.text)
    rule = rules[number - 1] if number is not None and 1 <= number <= len(rules) else None
    usage = encode_usage(message.usage or Usage(calls=1, usd=None))
    return Verdict(on_task, rule if on_task == "no" else None, False, usage)


def _parsed(said: str) -> tuple[str, int | None]:
    match = re.search(r"\{[^{}]*\}", said)
    try:
        value = json.loads(match[0] if match is not None else said)
    except (ValueError, RecursionError):
        return "unsure", None
    if not isinstance(value, dict) or value.get("on_task") not in ("yes", "no"):
        return "unsure", None
    rule = value.get("rule")
    return value["on_task"], rule if isinstance(rule, int) and not isinstance(rule, bool) else None


def _typed(call: Traced, tools: Mapping[str, Any], names: Sequence[str]) -> str:
    """A call in fields that the runtime made; a name that a server or a model made up is not among them."""
    declared = tools.get(call.tool)
    if declared is None:
        name = call.tool if call.tool in _OURS else "a tool that does not exist"
    else:
        name = "a server's tool" if declared.get("server") else call.tool
    effect = f" ({declared['effect']})" if declared is not None else ""
    ended = f"refused: {call.refused}" if call.refused else "failed" if call.failed else "ok"
    size = len(str(call.chars)) if call.chars else 0
    mentions = touched(call.arguments, names)
    about = f", mentions {', '.join(map(str, mentions[:10]))}" if mentions else ""
    return f"{name}{effect} {ended}, answer of {size} digits' length{about}"


_OURS = frozenset({"note", "read_notes", "read_result", "ask_reader", "ask_person", "run_program"})
