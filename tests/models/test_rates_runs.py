"""Runs before a provider's gate: one refusal is learned by all, waiting is no failure and can be interrupted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mainspring import Agent, Message, ModelSettings, Run
from mainspring.config import RateSettings
from mainspring.errors import DeclarationError, ModelError
from mainspring.messages import assistant
from mainspring.model import ToolSpec
from mainspring.models.rates import gate_of
from mainspring.runtime import RunEvent, thinking
from mainspring.store import open_store


class Server:
    """Counts the calls it gets; each next entry of `script` is an error to raise, or a time to take."""

    context_window = 100_000

    def __init__(self, script: Sequence[ModelError | float] = (), name: str = "rated:model") -> None:
        self.name = name
        self.script = list(script)
        self.calls: list[float] = []
        self.at_once = self.most = 0

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        self.calls.append(time.monotonic())
        said = self.script.pop(0) if self.script else 0.0
        if isinstance(said, ModelError):
            raise said
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(said)
        finally:
            self.at_once -= 1
        return assistant("done")


def busy(retry_after_s: float | None) -> ModelError:
    return ModelError("busy", retryable=True, retry_after_s=retry_after_s, status=429)


def kinds(run: Run) -> list[str]:
    return [e.kind for e in run.events() if e.kind.startswith("model.")]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def configured(home: Path, text: str) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "mainspring.toml").write_text(text)


def test_what_one_run_was_told_holds_for_all(home: Path) -> None:
    server = Server([busy(0.6)])
    agent = Agent("r", model=server)

    async def both() -> list[Run]:
        first = asyncio.create_task(agent.run("one", home=home))
        await until(lambda: bool(server.calls))
        rest = [asyncio.create_task(agent.run(f"another {n}", home=home)) for n in range(5)]
        return [await task for task in [first, *rest]]

    runs = asyncio.run(both())
    assert [run.status for run in runs] == ["done"] * 6
    assert len(server.calls) == 7
    assert min(server.calls[1:]) - server.calls[0] >= 0.55
    assert kinds(runs[0]) == ["model.called", "model.failed", "model.called", "model.answered"]
    for run in runs[1:]:
        assert kinds(run) == ["model.called", "model.answered"]  # none found it out by itself, none failed


def test_refusals_with_a_time_named_are_no_failed_attempts(home: Path) -> None:
    server = Server([busy(0.01)] * 8)
    run = Agent("r", model=server, model_retries=2).run_sync("x", home=home)
    assert run.status == "done"
    assert len(server.calls) == 9


def test_but_they_end_at_last(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinking, "MAX_REFUSALS", 4)
    server = Server([busy(0.01)] * 50)
    run = Agent("r", model=server, model_retries=2).run_sync("x", home=home)
    assert run.status == "failed"
    assert len(server.calls) == 4


def test_with_another_model_to_try_they_are_failed_attempts(home: Path) -> None:
    first, second = Server([busy(0.01)] * 50, "first"), Server((), "second")
    run = Agent("r", model=[first, second], model_retries=2).run_sync("x", home=home)
    assert run.status == "done"
    assert (len(first.calls), len(second.calls)) == (2, 1)


def test_a_section_holds_for_all_runs_and_waiting_is_not_the_models_time(home: Path) -> None:
    configured(home, '[rates."rated:*"]\nat_once = 2\n')
    servers = [Server([0.15] * 4, f"rated:{n}") for n in range(2)]  # two models, one section
    agents = [Agent(f"r{n}", model=server, model_timeout_s=0.5) for n, server in enumerate(servers)]

    async def all_of_them() -> list[Run]:
        return list(await asyncio.gather(*(agent.run(f"{n}", home=home) for n in range(4) for agent in agents)))

    runs = asyncio.run(all_of_them())
    # The last have waited for 0.45 s before their 0.15 s: longer than the model's time, and none failed.
    assert [kinds(run) for run in runs] == [["model.called", "model.answered"]] * 8
    assert max(servers[0].most + servers[1].most, 2) <= 4
    assert all(server.most <= 2 for server in servers)


def test_a_higher_priority_goes_first(home: Path) -> None:
    configured(home, '[rates."rated:*"]\nat_once = 1\n')
    server = Server([0.2])
    agent = Agent("r", model=server)
    order: list[str] = []

    def watch(event: RunEvent) -> None:
        if event.kind == "model.called":
            order.append(event.run_id)

    async def in_line() -> None:
        holds = asyncio.create_task(agent.run("hold", run_id="holds", home=home))
        await until(lambda: bool(server.calls))
        store = open_store(home)
        queued = [agent.enqueue("x", run_id=f"p{p}", home=home, priority=p) for p in (0, 3)]
        tasks = [asyncio.create_task(run.resume(agent, on_event=watch)) for run in queued]
        await asyncio.gather(holds, *tasks)
        assert store.row("p3").status == "done"

    asyncio.run(in_line())
    assert order == ["p3", "p0"]


def test_waiting_can_be_cancelled_and_paused(home: Path) -> None:
    configured(home, '[rates."rated:*"]\nat_once = 1\n')
    server = Server([3.0])
    agent = Agent("r", model=server)
    gate = gate_of(server, {"rated:*": RateSettings(at_once=1)}, str(home / "mainspring.toml"))

    async def in_line() -> None:
        holds = asyncio.create_task(agent.run("hold", run_id="holds", home=home))
        await until(lambda: bool(server.calls))
        waits = [asyncio.create_task(agent.run("x", run_id=name, home=home)) for name in ("c", "p")]
        await until(lambda: gate.waiting == 2)
        Run.load("c", home=home).cancel()
        Run.load("p", home=home).pause()
        await asyncio.wait_for(asyncio.gather(*waits), 2.8)
        assert not holds.done()
        assert gate.waiting == 0
        holds.cancel()
        await asyncio.wait([holds])

    asyncio.run(in_line())
    assert Run.load("c", home=home).status == "cancelled"
    assert Run.load("p", home=home).status == "waiting"
    assert kinds(Run.load("p", home=home)) == []  # it was never asked, so nothing failed
    assert len(server.calls) == 1
    assert gate.in_flight == 0


def test_watchers_hear_of_a_wait(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinking, "TELL_AFTER_S", 0.05)
    server = Server([busy(0.2)])
    lines: list[str] = []

    def watch(event: RunEvent) -> None:
        if event.kind == "progress":
            lines.append(event.payload["line"])

    async def both() -> None:
        agent = Agent("r", model=server)
        first = asyncio.create_task(agent.run("one", home=home))
        await until(lambda: gate_of(server, {}).pause_left() > 0)
        await agent.run("two", home=home, on_event=watch)
        await first

    asyncio.run(both())
    (line,) = lines
    assert line.startswith("waiting for rated:model: it asked for a pause")


def test_a_long_pause_lets_the_other_runs_sleep_too(home: Path) -> None:
    server = Server([busy(3_600.0)])
    agent = Agent("r", model=server)
    first, second = agent.run_sync("one", home=home), agent.run_sync("two", home=home)
    for run in (first, second):
        assert run.status == "waiting"
        wake_at = open_store(home).row(run.id).wake_at
        assert wake_at is not None
        assert 3_500 < wake_at - time.time() < 3_700
    assert len(server.calls) == 1
    assert kinds(second) == []


def test_a_runs_own_limit_of_seconds_ends_its_wait(home: Path) -> None:
    server = Server([busy(60.0)])
    agent = Agent("r", model=server)

    async def both() -> Run:
        first = asyncio.create_task(agent.run("one", home=home))
        await until(lambda: gate_of(server, {}).pause_left() > 0)
        run = await asyncio.wait_for(agent.run("two", home=home, limits={"seconds": 0.3}), 20)
        first.cancel()
        await asyncio.wait([first])
        return run

    run = asyncio.run(both())
    assert run.status == "failed"
    assert "second" in run.reason


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[rates."openai:*"]\nrequests_per_minute = 0\n', "line 2: rates.openai:*.requests_per_minute is 0"),
        ('[rates."openai:*"]\nat_once = 1.5\n', "a whole number from 1"),
        ('[rates."openai:*"]\nper_minute = 5\n', "per_minute is no setting"),
    ],
)
def test_a_section_that_is_wrong_is_told(home: Path, text: str, complaint: str) -> None:
    configured(home, text)
    with pytest.raises(DeclarationError) as caught:
        Agent("r", model=Server()).run_sync("x", home=home)
    assert complaint in str(caught.value)
