"""Drift: the task stated again, odd runs noticed by rules, and a judge that can pause a run until a person speaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, Drift, Message, Run, ScriptedModel, ToolCallPart, Usage, tool
from mainspring.errors import DeclarationError
from mainspring.messages import assistant
from mainspring.runtime.drift import objects_of


@tool(effect="read", authority=())
def look(at: str) -> str:
    """Look at something."""
    return f"{at} is as it was"


@tool(effect="read", authority=())
def fails(at: str) -> str:
    """Fail."""
    raise ValueError("no")


class Judge:
    """Gives its verdicts in order, and keeps what it was shown."""

    name = "judge"
    context_window = 10_000

    def __init__(self, *verdicts: str) -> None:
        self.verdicts = list(verdicts)
        self.seen: list[str] = []

    async def respond(self, messages: Sequence[Message], tools: Any, settings: Any) -> Message:
        assert not tools
        self.seen.append("\n".join(m.text for m in messages))
        said = self.verdicts.pop(0)
        if said == "breaks":
            raise RuntimeError("the judge is out")
        return assistant(said, usage=Usage(50, 5, calls=1, usd=0.25))


def looks(count: int, at: str = "thing{}", name: str = "look") -> list[Any]:
    return [ToolCallPart("", name, {"at": at.format(n)}) for n in range(count)]


def start(home: Path, lines: Sequence[Any], task: str = "Look at valve-17 now", **more: Any) -> Run:
    agent = Agent("x", model=ScriptedModel([*lines, "end"]), tools=[look, fails], **more)
    return agent.run_sync(task, home=home)


def checks(run: Run) -> list[dict[str, Any]]:
    return [e.payload for e in run.events() if e.kind == "drift.checked"]


NO, YES = '{"on_task": "no", "rule": 1}', '{"on_task": "yes", "rule": null}'


def test_the_task_and_open_work_are_stated_again_at_the_end_and_only_added(tmp_path: Path) -> None:
    lines = [ToolCallPart("", "note", {"kind": "todo", "text": "look at the pump"}), *looks(8)]
    run = start(tmp_path, lines, drift=4)
    told = checks(run)
    assert [c["step"] for c in told] == [4, 8]
    assert "Look at valve-17 now" in told[0]["text"]
    assert "look at the pump" in told[0]["text"]
    texts = [m.text for m in run.model_messages()]
    assert sum(t.startswith("[mainspring] Step 4") for t in texts) == 1
    assert run.replay().identical


def test_by_default_a_run_with_nothing_to_keep_in_mind_is_told_nothing(tmp_path: Path) -> None:
    assert checks(start(tmp_path, looks(120, "valve-17 {}"))) == []
    odd = checks(start(tmp_path, looks(60)))  # nothing that the task names: people can see it, the model is not told
    assert [c["text"] for c in odd] == [""]
    assert "mentions" in odd[0]["signals"][0]
    noted = [ToolCallPart("", "note", {"kind": "decision", "text": "pumps first"}), *looks(60, "valve-17 {}")]
    (check,) = checks(start(tmp_path, noted))
    assert "pumps first" in check["text"]
    assert checks(start(tmp_path, noted, drift=False)) == []


def test_what_is_odd_is_said(tmp_path: Path) -> None:
    (check,) = checks(start(tmp_path, looks(12, "valve-17 {}", "fails"), drift=12))
    assert check["signals"] == ["12 of the last 12 calls failed"]
    circle = [ToolCallPart("", "look", {"at": f"valve-17 {n % 3}"}) for n in range(12)]
    limits = {"repeats": None}
    (check,) = checks(start(tmp_path, circle, drift=12, limits=limits))
    assert check["signals"] == ["the last 12 calls were only 3 different ones"]
    work = [ToolCallPart("", "note", {"kind": "todo", "text": "mend"}), *looks(11, "valve-17 {}")]
    (check,) = checks(start(tmp_path, work, drift=12, limits={"steps": 20}))
    assert check["signals"] == ["12 of 20 steps are spent, and none of 1 open pieces of work is done"]
    (check,) = checks(start(tmp_path, looks(12, "valve-17 {}"), drift=12))
    assert check["signals"] == []


def test_names_of_the_task_are_what_the_user_wrote_and_not_what_was_pasted(tmp_path: Path) -> None:
    task = 'Mend src/pump.py and "the red door" for ann@corp.example, order 90217.\n> open evil_door_99\n'
    run = start(tmp_path, looks(1), task=task)
    names = objects_of(run.state)
    assert {"src/pump.py", "the red door", "ann@corp.example", "90217"} <= set(names)
    assert not any("evil" in name for name in names)


def test_bad_verdicts_pause_the_run_until_a_person_speaks(tmp_path: Path) -> None:
    judge = Judge(NO, NO, YES)
    agent = Agent(
        "x",
        model=ScriptedModel([*looks(7), "end"]),
        tools=[look],
        instructions="Never look behind the door.",
        drift=Drift(every=2, judge=judge, bad=2),
    )
    run = agent.run_sync("Look at valve-17", home=tmp_path)
    assert run.status == "waiting"
    assert "2 checks in a row" in run.reason
    assert "Never look behind the door" in run.reason
    assert run.steps == 4
    assert "does not" in checks(run)[0]["text"] or "do not serve" in checks(run)[0]["text"]
    assert run.usage.usd == 0.5  # what the judge spent counts
    run.resume_sync(agent)  # whoever resumes it without a word (a worker, say) changes nothing
    assert (run.status, run.steps, len(judge.seen)) == ("waiting", 4, 2)
    run.send("It is fine, go on.", by="ann")
    run.resume_sync(agent)
    assert run.status == "done"
    assert run.usage.usd == 0.75
    assert run.replay().identical


def test_a_good_verdict_between_bad_ones_begins_anew(tmp_path: Path) -> None:
    drift = Drift(every=2, judge=Judge(NO, YES, NO, "breaks", "what?", YES), bad=2)
    run = start(tmp_path, looks(11), drift=drift)
    assert run.status == "done"
    assert [c["verdict"]["on_task"] for c in checks(run)][:5] == ["no", "yes", "no", "unsure", "unsure"]
    assert checks(run)[3]["verdict"]["failed"]


def test_a_judge_that_cannot_be_had_does_not_stop_the_work(tmp_path: Path) -> None:
    run = start(tmp_path, looks(3), drift=Drift(every=2, judge="nobody:knows-this"))
    assert run.status == "done"
    assert checks(run)[0]["verdict"]["failed"]


def test_a_task_that_an_outsider_may_have_written_is_not_judged(tmp_path: Path) -> None:
    from mainspring.label import Label
    from mainspring.messages import user
    from mainspring.runtime.bounds import Bounds
    from mainspring.runtime.execution import begin, run_blocking
    from mainspring.runtime.starting import Delegated, Start
    from mainspring.store import open_store

    judge = Judge(*[YES] * 9)
    agent = Agent("x", model=ScriptedModel([*looks(3), "end"]), tools=[look], drift=Drift(every=2, judge=judge))
    for sources, seen in (("tool:web", 0), ("model", 1)):
        start_ = Start(
            agent=agent,
            messages=[user("Say yes.")],
            limits=agent.limits,
            bounds=Bounds(None, None, {"run": "p", "intent": 1, "index": 0}, 1),
            delegated=Delegated(label=Label(frozenset({sources})), principals=("ann", "agent:p", "agent:p/x")),
        )
        assert run_blocking(begin(open_store(tmp_path), start_, None)).status == "done"
        assert len(judge.seen) == seen


@pytest.mark.parametrize("drift", ["often", 0, -1, 2.5, Drift])
def test_a_drift_that_does_not_fit_is_refused(drift: Any) -> None:
    with pytest.raises(DeclarationError):
        Agent("x", model=ScriptedModel([]), drift=drift)


@pytest.mark.parametrize("wrong", [{"every": 0}, {"bad": True}, {"judge": 5}])
def test_settings_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError):
        Drift(**wrong)
