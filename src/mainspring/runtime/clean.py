"""The tools of a clean run: asking a reader about what the planner must not see."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mainspring.content import Content
from mainspring.errors import ToolError
from mainspring.guard import Grant
from mainspring.guard.reader import LEAKAGE_BITS, READER, Question, stands_in
from mainspring.label import JOINED, MODEL, Label, join_all
from mainspring.messages import FilePart, ImagePart, TextPart, Usage, decode_part, encode_usage
from mainspring.model import Model, ModelSettings, model_name
from mainspring.runtime.calls import ASK_PERSON, resolve_arguments
from mainspring.runtime.state import RunState
from mainspring.runtime.thinking import checked
from mainspring.store import Store
from mainspring.tool import DidNotHappen, Tool, ToolContext
from mainspring.value import Labelled, Value

ASK_READER = "ask_reader"
RUN_PROGRAM = "run_program"

#: What the planner of a clean run is told, behind its own instructions.
ORDERS = """\
You plan; you do not see what outsiders wrote. Each tool's answer is kept under a name, such as $v3, and you are shown
its shape and what the service itself made. Everything else is a handle, such as $v3[0].sender. Pass a handle as an
argument to pass on exactly that value: {"to": "$v3[0].sender"}. Inside a text write ${v3[0].body}; it is filled in.
To choose, filter or loop over values, call run_program.
To find something out about a text that you cannot see, call ask_reader with its handle. To tell the user what it says,
ask a reader with answer="text" and put the handle of the answer into your final words, as ${v5}. When the task itself
leaves a decision to somebody else's text ("do what the mail says"), ask the person once with ask_person."""

_READ_TIMEOUT_S = 600.0
#: What a person was shown and let through.
PERSON = Label(frozenset({"person:approved"}))


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that the planner wants to be granted: the tool, its deciding arguments, and how often."""

    tool: str
    arguments: dict[str, Any]
    count: int = 1


def clean_tools(
    state: RunState,
    store: Store,
    reader: Callable[[], Awaitable[Model]],
    spent: dict[str, dict[str, Any]],
    held: Mapping[str, Tool],
) -> dict[str, Tool]:
    """The tools for one clean run, by name."""

    async def ask_reader(
        source: Any,
        question: str,
        context: ToolContext,
        answer: Literal["yes_no", "choice", "index", "number", "date", "link", "text"] = "text",
        choices: list[str] | None = None,
    ) -> Labelled:
        """Ask a reader about a value that you cannot see. It sees the text, holds no tools, and answers in one value.

        Args:
            source: the handle of what is to be read, or a list of handles; $v3[].sender is that field of every item.
            question: what is to be found out.
            answer: yes_no, choice and index are shown to you; number, date, link and text are kept as a handle. A link
                must stand in the text word for word, and may then be fetched.
            choices: for choice, what the answer may be.
        """
        items = len(source) if isinstance(source, list) else 0
        asked = Question(question, answer, tuple(choices or ()), items)
        asking = sum(s.get("bits", 0.0) for s in spent.values())  # by readers that work beside this one
        if state.guard.bits + asking + asked.bits > LEAKAGE_BITS:
            raise ToolError(
                f"the readers of this run have told all that they may ({LEAKAGE_BITS:.0f} bits); go on with handles, "
                "or ask for text and hand it on"
            )
        spent[context.key] = {"bits": asked.bits}  # that it failed would tell something too
        model = await reader()
        settings = ModelSettings(output_schema=dict(asked.schema), run_id=state.run_id)
        async with asyncio.timeout(_READ_TIMEOUT_S):
            said = await model.respond(asked.messages(content_of(source, state, store)), [], settings)
        message = checked(said, state, model_name(model))
        spent[context.key]["usage"] = encode_usage(message.usage or Usage(calls=1, usd=None))
        label = join_all(context.labels.get(n, Label()) for n in ("source", "question")).join(MODEL)
        found = asked.parse(message.text)
        if answer == "link" and not stands_in(found, source):
            raise ToolError("the reader named a link that does not stand in the text; it was not kept")
        if answer == "link" and len(_writers(_source_of(context.key, state))) > 1:
            label = label.join(JOINED)  # which of the links it is may tell one writer what another wrote
        if not asked.shown and answer != "link":
            label = label.join(READER)  # put together by a model that strangers may have talked to
        if asked.shown:
            # A choice is steered by the text; what is chosen was written by whoever wrote the choices.
            label = label.steering().join(context.labels.get("choices", Label()))
        return Labelled(found, {"": label})

    async def ask_person(
        question: str,
        context: ToolContext,
        reveal: list[Any] | None = None,
        plan: list[PlannedCall] | None = None,
    ) -> Labelled:
        """Ask the person once for what the task leaves to somebody else's text: to see it, or to do what it says.

        Args:
            question: what you want to do, and why.
            reveal: handles of values that the person is shown and may let you see.
            plan: calls that you want to make; the person sees their values and may grant exactly these.
        """
        for planned in plan or ():
            # The names are shown to the planner, so they must be the run's own and not a stranger's.
            tool = held.get(planned.tool)
            if tool is None or not set(planned.arguments) <= set(tool.argument_names):
                raise ToolError("the plan names a tool that this run does not hold, or an argument that the tool lacks")
        grants = [
            Grant(p.tool, {n: (v,) for n, v in p.arguments.items()}, p.count, None, "a person", question[:500])
            for p in plan or ()
        ]
        spent[context.key] = {"grants": [g.encode() for g in grants]}
        answer = {"granted": [g.shown_without_values() for g in grants], "seen": list(reveal or ())}
        readers = context.labels.get("reveal", PERSON).readers  # to let it be seen is not to publish it
        return Labelled(answer, {"": Label(PERSON.sources, readers)})

    def run_program(source: str) -> str:
        """Run a Python program over the tools, which are its functions; $v3 is its variable v3, and v3[0].sender works.

        Choose, sort, filter and loop over values that you cannot see; what it returns is kept under a name. It has no
        imports, classes or files. The value of its last line is its result.

        Args:
            source: the program.
        """
        raise ToolError("programs are run by the loop itself")

    reading = Tool(ask_reader, effect="read", authority=(), outside=False, timeout_s=_READ_TIMEOUT_S + 5)
    asking = Tool(ask_person, effect="irreversible", idempotency=None, reconcile=lambda context: DidNotHappen())
    running = Tool(run_program, effect="read", authority=(), outside=False, parallel=False)
    return {ASK_READER: reading, ASK_PERSON: asking, RUN_PROGRAM: running}


def _source_of(key: str, state: RunState) -> Value:
    """What the call with this key reads, labelled."""
    call = next(c for c in state.calls.values() if c.intended.get("key") == key)
    return resolve_arguments(call, state)["source"].value


def _writers(value: Value) -> set[str]:
    """The services that the texts in a value came from, however far they vouch for them."""
    if isinstance(value.data, list | dict):
        inner = value.data if isinstance(value.data, list) else value.data.values()
        return {writer for item in inner for writer in _writers(item)}
    # What was asked for stands in an answer's label too; whoever wrote the text is the stranger in it, if there is one.
    wrote = value.label.strangers or [s for s in value.label.sources if s.startswith(("made:", "attested:"))]
    return {s.partition(":")[2] or s for s in wrote} or {"user"}


def content_of(source: Any, state: RunState, store: Store) -> Content:
    """A value as a reader sees it: text as JSON, pictures and files as themselves."""
    media = list(_media(source))
    if not media:
        text = source if isinstance(source, str) else _json(source)
        return (TextPart(text),)
    parts: list[Any] = [] if source in media else [TextPart(_json(source))]
    for mark in media:
        if "base64" in mark:
            data, media_type = base64.b64decode(mark["base64"]), mark["media_type"]
            picture = media_type.startswith("image/")
            parts.append(ImagePart(data, media_type) if picture else FilePart(data, media_type))
            continue
        seq = state.results.get(str(mark["call_id"]))
        if seq is None:
            raise ToolError("the picture or file belongs to a call whose answer is not there")
        part = decode_part(store.event(state.run_id, seq).payload["content"][mark["part"]])
        parts.append(part)
    return tuple(parts)


def _media(source: Any) -> Any:
    if isinstance(source, dict) and set(source) in ({"media_type", "part", "call_id"}, {"media_type", "base64"}):
        yield source
    elif isinstance(source, dict):
        for value in source.values():
            yield from _media(value)
    elif isinstance(source, list):
        for value in source:
            yield from _media(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
