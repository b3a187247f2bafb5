"""Writes journals that later versions must be able to read for ever, and what each of them means.

    uv run python tests/golden/make.py v1

Run once for a version of the format; the files are then kept as they are. It never overwrites one: a journal that was
written by a released version does not change. `view` says what a journal folds to, in terms that outlive the code.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mainspring import (
    Agent,
    DidNotHappen,
    Drift,
    FilePart,
    Happened,
    ImagePart,
    Label,
    Message,
    ModelError,
    NotYet,
    Policy,
    Run,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolContext,
    ToolError,
    Usage,
    points,
    tool,
)
from mainspring.guard import Grant
from mainspring.messages import encode, encode_usage, user
from mainspring.model import ModelSettings, ToolSpec
from mainspring.runtime import gate, pending
from mainspring.runtime.bounds import NO_BOUNDS, Bounds
from mainspring.runtime.context import Context
from mainspring.runtime.execution import begin, run_blocking
from mainspring.runtime.starting import Delegated, Start
from mainspring.runtime.state import RunState
from mainspring.store import open_store

FOLDER = Path(__file__).parent


class Lines:
    """A model that says its lines in order, whatever it is asked, and gives a summary when it is asked for one."""

    takes = frozenset({"image/"})

    def __init__(self, *lines: Any, window: int = 128_000, compares: bool = False) -> None:
        self.name = "lines"
        self.compares = compares  # whether it answers what the runtime asks at a fold
        self.lines = list(lines)
        self.context_window = window

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        if not tools and "Summarise the work" in messages[-1].text:
            return Message(
                "assistant", (TextPart("Pages were read."),), Usage(90, 9, calls=1, usd=0.01), "lines", "stop"
            )
        if self.compares and messages[-1].text.startswith("[mainspring] "):
            said = {"The conversation": "Pages were read.", "Here is the": '{"missing": ["page 3 has wörds"]}'}
            for begin, answer in said.items():
                if messages[-1].text.startswith(f"[mainspring] {begin}"):
                    return Message("assistant", (TextPart(answer),), Usage(90, 9, calls=1, usd=0.01), "lines", "stop")
        line = self.lines.pop(0)
        if isinstance(line, Exception):
            raise line
        parts = tuple(TextPart(p) if isinstance(p, str) else p for p in (line if isinstance(line, list) else [line]))
        calls = any(isinstance(p, ToolCallPart) for p in parts)
        usage = Usage(100, 10, 64, 8, 1, 0.002)
        return Message("assistant", parts, usage, self.name, "tool_calls" if calls else "stop")


def call(id: str, name: str, /, **arguments: Any) -> ToolCallPart:
    """A tool call of the model."""
    return ToolCallPart(id, name, arguments)


class Died(BaseException):
    """Stands for the death of the process."""


def dying_at(point: str, action: Callable[[], Any]) -> None:
    """Do something that is cut short at a point of the protocol, as by a kill: nothing more is written."""

    def die(name: str) -> None:
        if name == point:
            raise Died(name)

    points.hook = die
    try:
        action()
    except Died:
        return
    finally:
        points.hook = None
    raise AssertionError(f"{point} was never reached")


@tool(effect="read")
def page(number: int) -> str:
    """A page of the book."""
    return f"Page {number}: " + f"wörd-{number} " * 120


@tool(effect="read")
def scan(kind: str) -> object:
    """A long text, a picture, a file or nothing."""
    match kind:
        case "long":
            return "".join(f"line {n} of a long answer\n" for n in range(700))
        case "picture":
            return [TextPart("a cat"), ImagePart(b"\x89PNG\r\n", "image/png", "a cat on a mat")]
        case "file":
            return FilePart(b"a;b\n1;2\n", "text/csv", "t.csv")
    raise ToolError("there is nothing to scan")


@tool(effect="irreversible", authority=["to"], idempotency="key")
def mail(to: str, text: str, key: str) -> dict[str, str]:
    """Send a letter."""
    return {"sent to": to, "text": text}


@tool(effect="irreversible")
def pay(to: str, cents: int) -> str:
    """Pay somebody."""
    return f"paid {cents} to {to}"


def asked(id: str, context: object) -> Happened | DidNotHappen:
    """Whether an order was placed."""
    return Happened({"order": id}) if id == "placed" else DidNotHappen()


@tool(effect="irreversible", reconcile=asked, prepare=lambda id: {"number": len(id)})
def order(id: str) -> dict[str, str]:
    """Order something."""
    return {"order": id}


def make_tools(home: Path) -> None:
    """Answers of every shape, refusals, a failed model, notes, a rejected answer; and a fork of it."""
    complaints = ["say it in German"]
    model = Lines(
        [
            ThinkingPart("two pages at once", "sig-1"),
            "I read.",
            call("c1", "page", number=1),
            call("c2", "page", number=2),
        ],
        ModelError("overloaded", retryable=True, retry_after_s=0.01, status=529),
        [call("c3", "nothing", a=1), call("c4", "page", number="x"), ToolCallPart("c5", "page", {}, '{"number": ')],
        [call("c6", "scan", kind="long"), call("c7", "scan", kind="picture"), call("c8", "scan", kind="file")],
        [call("c9", "scan", kind="none"), call("c10", "mail", to="ann", text="grüße 🙂")],
        [call("c11", "note", kind="decision", text="ask ann first"), call("c12", "note", kind="todo", text="write")],
        [call("c13", "note", kind="done", text="write"), call("c14", "read_result", call_id="c6", offset=10_000)],
        [call("c15", "pay", to="bob", cents=5)],
        "finished",
        "fertig",
    )
    agent = Agent(
        "tools",
        model=model,
        instructions="Be brief.",
        tools=[page, scan, mail, pay],
        policy=Policy(allow="mail", deny="pay"),
        limits={"usd": 2, "steps": 50},
        check=lambda output, run: complaints.pop() if complaints else None,
    )
    task = [Message("user", (TextPart("Read the book "), ImagePart(b"GIF89a", "image/gif", "its cover")))]
    agent.run_sync(task, home=home, run_id="golden-tools")
    forked = Run.load("golden-tools", home).fork(2, run_id="golden-fork")
    forked.send("be quick", by="ann")
    model.lines = ["forked and done"]
    forked.resume_sync(agent)


def make_approvals(home: Path) -> None:
    """Approved, denied, run out; and one that still waits."""
    model = Lines([call("c1", "pay", to="ann", cents=1), call("c2", "pay", to="bob", cents=2)], "paid one")
    agent = Agent("approvals", model=model, tools=[pay])
    run = agent.run_sync("pay them", home=home, run_id="golden-approvals")
    first, second = run.pending()
    first.approve(by="ann", reason="it is due")
    second.deny(by="bob", reason="not yet")
    run.resume_sync(agent)

    kept, gate.APPROVAL_TTL_S = gate.APPROVAL_TTL_S, 1.2
    model.lines = [call("c1", "pay", to="cyd", cents=3), "paid late"]
    run = agent.run_sync("pay her", home=home, run_id="golden-expired")
    time.sleep(1.3)
    gate.APPROVAL_TTL_S = kept
    run.resume_sync(agent)
    run.pending()[0].approve(by="ann")
    run.resume_sync(agent)

    model.lines = [call("c1", "pay", to="dan", cents=4)]
    agent.run_sync("pay him", home=home, run_id="golden-waiting")


def make_doubts(home: Path) -> None:
    """Deaths in the middle of effects of each class, and each answer to a doubt."""
    agent = Agent("doubts", model=Lines(), tools=[page, pay, mail, order], policy=Policy(allow="*"))

    def begin(run_id: str, point: str, asks: ToolCallPart) -> Run:
        agent.models[0].lines = [asks, f"end of {run_id}"]  # type: ignore[union-attr]
        dying_at(point, lambda: agent.run_sync("do it", home=home, run_id=run_id))
        return Run.load(run_id, home).resume_sync(agent)

    begin("golden-reread", "effect.acted", call("c1", "page", number=3))
    begin("golden-keyed", "effect.acted", call("c1", "mail", to="ann", text="once"))
    begin("golden-adopted", "effect.acted", call("c1", "order", id="placed"))
    begin("golden-reordered", "effect.before_act", call("c1", "order", id="lost"))
    for answer in ("happened", "did_not", "abort"):
        run = begin(f"golden-{answer}", "effect.acted", call("c1", "pay", to="ann", cents=7))
        value = "paid 7, says the bank" if answer == "happened" else None
        run.pending()[0].settle(answer, by="ann", value=value, reason="I looked")  # type: ignore[arg-type]
        run.resume_sync(agent)
    begin("golden-in-doubt", "effect.acted", call("c1", "pay", to="ann", cents=8))
    agent.models[0].lines = ["never heard"]  # type: ignore[union-attr]
    dying_at("model.answered", lambda: agent.run_sync("think", home=home, run_id="golden-unanswered"))
    agent.models[0].lines = ["heard"]  # type: ignore[union-attr]
    Run.load("golden-unanswered", home).resume_sync(agent)


def make_people(home: Path) -> None:
    """A message, a pause, a limit that comes near, and a cancel; and a run whose models all fail."""
    agent = Agent("people", model=Lines(), tools=[page], limits={"steps": 10})
    run_id = "golden-people"

    def interfere(event: Any) -> None:
        if event.kind == "effect.intended" and event.payload["call_id"] == "c1":
            Run.load(run_id, home).send(["look at ", ImagePart(b"\xff\xd8", "image/jpeg", "this")], by="ann")
            Run.load(run_id, home).pause("lunch")

    agent.models[0].lines = [call(f"c{n}", "page", number=n) for n in range(1, 11)]  # type: ignore[union-attr]
    run = agent.run_sync("read on", home=home, run_id=run_id, on_event=interfere)

    def stop(event: Any) -> None:
        if event.kind == "limit.warned":
            run.cancel(by="bob", reason="enough")

    run.resume_sync(agent, on_event=stop)

    failing = Agent("failing", model=Lines(ModelError("no such model", status=404)))
    failing.run_sync("try", home=home, run_id="golden-failed")


def make_long(home: Path) -> None:
    """A context that is folded, given back, and folded again."""
    reads = [call(f"c{n}", "page", number=n) for n in range(1, 13)]
    model = Lines(*reads[:9], call("n1", "note", kind="decision", text="read to the end"), window=3000)
    model.lines.append(ModelError("gone", status=410))
    agent = Agent("long", model=model, tools=[page])
    run = agent.run_sync("read the long book", home=home, run_id="golden-long")
    run.undo_compaction(by="ann")
    model.lines = [*reads[9:], "the end"]
    model.context_window = 128_000
    run.resume_sync(agent)


@tool(effect="read", authority=(), fields={"[].id": "system", "[].size": "system", "[].sender": "attested"})
def files() -> list[dict[str, Any]]:
    """The files."""
    return [
        {"id": "a1", "size": 3, "sender": "bob@corp.example", "text": "a stranger's wörds"},
        {"id": "b2", "size": 9, "sender": "eve@evil.example", "text": "others"},
    ]


@tool(effect="irreversible", authority=["to"], fields={"id": "system"})
def tell(to: str, text: str) -> dict[str, int]:
    """Tell somebody."""
    return {"id": 5}


class Readers:
    """Answers the readers' questions in order."""

    name = "readers"

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        return Message(
            "assistant", (TextPart(self.answers.pop(0)),), Usage(50, 5, calls=1, usd=0.001), "readers", "stop"
        )


def make_guard(home: Path) -> None:
    """A clean run with handles, a paste, readers, a program, grants of each kind, an approval, and a label lowered."""
    source = "big = max(files(), key=lambda f: f.size)\ntell(big.sender, f'{big.text}!')\nprint(big.id)\nbig.size"
    model = Lines(
        call("c1", "files"),
        call("c2", "ask_reader", source="$v2[].text", question="Which is a stranger's?", answer="index"),
        call("c3", "ask_reader", source="$v2[0].text", question="What is it?", answer="text"),
        call("c4", "run_program", source=source),
        call("c5", "tell", to="$v1", text="Look: ${v4}"),
        call("c6", "tell", to="$v9.id", text="nobody"),
        call(
            "c7",
            "ask_person",
            question="May I?",
            reveal=["$v2[1].text"],
            plan=[{"tool": "tell", "arguments": {"to": "x"}}],
        ),
        [call("c8", "tell", to="x", text="as planned"), call("c9", "tell", to="zoe@corp.example", text="as given")],
        "It is ${v4}, and $v2[0].id.",
        "Again: ${v4}",
    )
    agent = Agent(
        "guard",
        model=model,
        reader=Readers('{"answer": 0}', '{"answer": "wörds"}'),
        tools=[files, tell],
        guard="clean",
    )
    task = 'Tell "eve@evil.example" of the files.\n> pasted@stranger.example\n'
    run = agent.run_sync(task, home=home, run_id="golden-guard", by="ann")
    run.grant(Grant("tell", {"to": ("zoe@corp.example",)}), by="ann", reason="she asked")
    run.vouch("v1", by="ann", reason="I pasted it")
    for _ in range(4):
        for asked in run.pending():
            asked.approve(by="ann")
        run.resume_sync(agent)
    run.doubt("v1", by="ann", reason="I am not sure")
    run.send("And again", by="ann")
    run.resume_sync(agent)

    lines = [call("c1", "files"), call("c2", "tell", to="bob", text="hi"), "not told"]
    tainted = Agent("tainted", model=Lines(*lines), tools=[files, tell], guard="tainted", grants=[])
    run = tainted.run_sync("look, then tell", home=home, run_id="golden-tainted")
    run.vouch("c1", by="ann", reason="all mine")
    run.pending()[0].deny(by="bob", reason="not him")
    run.resume_sync(tainted)


def view(run: Run) -> dict[str, Any]:
    """What a journal means, in plain JSON."""
    state = RunState.of(run.events())
    context = Context()  # a new one: it digests every byte itself
    context.extend(run.model_messages())
    return {
        "run": {
            "id": run.id,
            "status": run.status,
            "agent": run.agent_name,
            "task": run.task,
            "output": run.output,
            "reason": run.reason,
            "steps": run.steps,
            "usage": encode_usage(run.usage),
            "workspace": None if run.workspace is None else str(run.workspace),
        },
        "pending": [
            {"id": p.id, "kind": p.kind, "tool": p.tool, "arguments": p.arguments, "digest": p.digest}
            for p in run.pending()
        ],
        "label": state.label.encode(),
        "guard": {
            "mode": state.guard.mode,
            "principals": state.guard.principals,
            "grants": [g.encode() for g in state.guard.grants],
            "used": state.guard.used,
            "bits": round(state.guard.bits, 6),
            "steering_bits": state.guard.steering_bits,
            "lowered": {target: [by, label.encode()] for target, (by, label) in state.guard.lowered.items()},
            "handles": {
                name: [handle.data, {path: label.encode() for path, label in handle.labels.items()}]
                for name, handle in state.guard.handles.items()
            },
        },
        "limits": state.limits,
        **({} if state.bounds == NO_BOUNDS else {"bounds": state.bounds.encode()}),
        **({"drift": [state.drift_step, state.drift_bad, state.drift_pause]} if state.drift_step else {}),
        "calls": {id: [c.stage, c.intent, c.attempts, c.approval] for id, c in state.calls.items()},
        "results": state.results,
        "notes": state.notes,
        "persons": state.persons,
        "warned": sorted(state.warned),
        "unpriced_calls": state.unpriced_calls,
        "failures": state.failures,
        "boundaries": state.boundaries,
        "seconds": round(state.busy_seconds, 6),
        "context_digest": context.digest,
        "context": [encode(m) for m in context.messages],
    }


def make_bounds(home: Path) -> None:
    """A sub-agent within bounds, whose tool waits for something and is woken."""

    @tool(effect="read", authority=[])
    def wait_for(what: str, context: ToolContext) -> str:
        """Wait."""
        raise NotYet(f"{what} is not there yet", wake_at=1_800_000_000.0)

    agent = Agent("golden", model=Lines(call("c1", "wait_for", what="rain")), tools=[wait_for])
    bounds = Bounds(("wait_for",), 1_900_000_000.0, {"run": "golden-parent", "intent": 4, "index": 0}, 1)
    told = Delegated(label=Label(frozenset({"model"})), principals=("ann", "agent:golden", "agent:golden/part"))
    start = Start(
        agent=agent,
        messages=[user("Wait for rain.")],
        limits=agent.limits,
        run_id="golden-bounds",
        bounds=bounds,
        delegated=told,
    )
    run_blocking(begin(open_store(home), start, None))


def make_held(home: Path) -> None:
    """A long run that is folded, compared with its summary, reminded, judged, and paused until a person speaks."""
    reads = [call(f"c{n}", "page", number=n) for n in range(1, 9)]
    notes = [call("n1", "note", kind="todo", text="read page 8"), call("n2", "note", kind="decision", text="by ann")]
    model = Lines(*notes, *reads[:7], window=2000, compares=True)
    drift = Drift(every=4, judge=Readers(*['{"on_task": "no", "rule": 1}'] * 2), handover=True)
    agent = Agent("held", model=model, instructions="Read in order.", tools=[page], drift=drift)
    run = agent.run_sync("Read page 8.", home=home, run_id="golden-held")
    run.send("Go on, it is all right.", by="ann")
    model.lines = [reads[7], call("n3", "note", kind="done", text="n1"), "the end"]
    run.resume_sync(Agent("held", model=model, instructions="Read in order.", tools=[page]))


def main(version: str) -> None:
    """Write what is missing of a version."""
    pending.this_channel = lambda kind: {"kind": kind, "user": "ann", "host": "desk"}  # and not this machine's
    folder = FOLDER / version
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        for make in (
            make_tools,
            make_approvals,
            make_doubts,
            make_people,
            make_long,
            make_guard,
            make_bounds,
            make_held,
        ):
            make(home)
        for run in Run.list(home):
            journal = folder / f"{run.id.removeprefix('golden-')}.jsonl"
            if journal.exists():
                print(f"{journal.name} is there already and stays as it is")
                continue
            assert run.replay().identical, run.id
            run.export(journal)
            meaning = json.dumps(view(run), ensure_ascii=False, indent=1, sort_keys=True)
            journal.with_suffix(".json").write_text(meaning + "\n", encoding="utf-8")
            print(f"{journal.name}: {run.status}, {len(run.events())} events {run.reason}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make.py VERSION, such as v1")
    main(sys.argv[1])
