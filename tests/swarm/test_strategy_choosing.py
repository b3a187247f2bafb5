"""Alone or split: from a task's words, and from what past runs took."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring import Agent, Run, ScriptedModel, tool
from mainspring.errors import DeclarationError, StoreError
from mainspring.messages import FilePart, Message, TextPart, Usage
from mainspring.store import open_store
from mainspring.swarm import history, spawn_tool
from mainspring.swarm.history import History, Side
from mainspring.swarm.shape import shape_of
from mainspring.swarm.strategy import Choice, bounds_of, choose, decide, run_sync, splitting

FIVE = "Look these up:\n1. Ann\n2. Bob\n3. Cid\n4. Dee\n5. Eve"


def side(runs: int, seconds: float, tokens: float, done: int | None = None) -> Side:
    made = Side()
    for number in range(runs):
        made = made.with_run(done is None or number < done, seconds, tokens)
    return made


@pytest.mark.parametrize(
    ("task", "kind", "parts", "clear"),
    [
        ("What is the capital of France?", "plain", 0, False),
        (FIVE, "enumerated", 5, True),
        ("Do:\n- one\n- two", "enumerated", 2, False),
        (FIVE + "\nand then sum up the result of step 3", "enumerated", 5, False),
        ("Review each of a.py, b/c.py, d.py and e.md", "listed", 4, True),
        ("Merge a.py, b/c.py, d.py and e.md", "listed", 4, False),
        ("For each of https://a.example/x https://b.example https://c.example https://d.example", "listed", 4, True),
        ("Say hello to each of my friends, e.g. at 5 p.m. or so", "each", 0, False),
        ("x" * 400_000, "large", 3, True),
    ],
)
def test_shapes(task: str, kind: str, parts: int, clear: bool) -> None:
    found = shape_of(task)
    assert (found.kind, found.parts, found.clear) == (kind, parts, clear)


def test_long_texts_that_are_almost_a_list_do_not_take_forever() -> None:
    texts = {"-" * 200_000: 0, "a." * 100_000: 0, "http://" * 30_000: 0, "1. " * 60_000: 0, "a/" * 100_000: 0}
    assert {text: shape_of(text, window=10**9).parts for text in texts} == texts


def test_alone_is_the_default_and_says_what_is_not_known() -> None:
    found = choose(shape_of("Say hello to each of my friends"), History())
    assert (found.strategy, found.kind) == ("alone", "each")
    assert found.reason.startswith("not enough is known: 0 past runs alone and 0 split")
    assert choose(shape_of("Hello"), History()) == Choice("alone", "plain", "its words name no parts")
    assert choose(shape_of("Do:\n1. a\n2. b"), History()).strategy == "alone"


def test_a_clear_shape_splits_with_its_reason() -> None:
    found = choose(shape_of(FIVE), History())
    assert found.strategy == "split"
    assert "it names 5 parts" in found.reason


def test_past_runs_overrule_the_shape_either_way() -> None:
    each, five = shape_of("Say hello to each of my friends"), shape_of(FIVE)
    pays = History(side(4, 100, 1000), side(4, 20, 1500))
    assert choose(each, pays).strategy == "split"
    assert "split was 5.0 times as fast for 1.5 times the tokens" in choose(each, pays).reason
    for bad in (
        History(side(4, 100, 1000), side(4, 90, 1000)),  # not faster
        History(side(4, 100, 1000), side(4, 20, 4000)),  # too dear
        History(side(4, 100, 1000), side(4, 20, 1000, done=1)),  # done less often
    ):
        assert choose(five, bad).strategy == "alone"
    better = History(side(4, 100, 1000, done=1), side(4, 200, 3000))
    assert choose(each, better).strategy == "split"


def test_a_few_runs_are_not_enough() -> None:
    for known in (History(side(2, 100, 1000), side(9, 1, 1)), History(side(9, 100, 1000), side(2, 1, 1))):
        assert choose(shape_of("Say hello to each of my friends"), known).strategy == "alone"
        assert choose(shape_of(FIVE), known).strategy == "split"
    assert choose(shape_of(FIVE), History(Side(), side(4, 1, 1, done=1))).strategy == "alone"


def test_newer_runs_weigh_more_and_one_run_does_not_decide() -> None:
    assert side(100, 10, 10).runs < 10.01
    changed = side(5, 100, 10)
    for _ in range(20):
        changed = changed.with_run(True, 1, 10)
    assert changed.seconds < 2
    one_long_night = side(5, 10, 10).with_run(True, 30_000, 10)
    assert one_long_night.seconds < 100


def worker(strategy_tokens: int = 10) -> Agent:
    answer = Message("assistant", (TextPart("done"),), usage=Usage(strategy_tokens, 0, calls=1, usd=0.0))
    return Agent("w", model=ScriptedModel([answer] * 20))


def test_a_decision_stands_in_the_journal_and_its_run_counts_once_it_has_ended(home: Path) -> None:
    run = run_sync(worker(), "Hello", home=home)
    first = run.events()[0].payload
    assert first["bounds"]["cause"]["strategy"] == {
        "strategy": "alone",
        "kind": "plain",
        "reason": "its words name no parts",
    }
    assert run.replay().identical
    store = open_store(home)
    for _ in range(3):  # however often one asks
        known = history.recall(store, "w", "plain")
        assert (known.alone.runs, known.alone.done, known.waiting) == (1.0, 1.0, {})
    assert known.alone.tokens == pytest.approx(10)
    assert history.recall(store, "w", "each") == History()


def test_what_was_asked_for_is_done(home: Path) -> None:
    found = decide(worker(), FIVE, strategy="alone", home=home)
    assert found == Choice("alone", "enumerated", "it was asked for")
    with pytest.raises(DeclarationError, match="strategy 'both' is unknown"):
        decide(worker(), FIVE, strategy="both", home=home)


def test_attachments_count_for_the_size_of_a_task(home: Path) -> None:
    book = FilePart(b"x" * 8_000_000, "text/plain", "book.txt")
    assert decide(worker(), ["Sum it up", book], home=home).strategy == "split"


def test_a_run_that_waits_counts_later_and_one_that_never_ends_not_at_all(home: Path) -> None:
    store = open_store(home)
    run = run_sync(worker(), "Hello", home=home)
    fork = run.fork()
    history.begun(store, "w", "plain", "alone", fork.id, clock=lambda: 1000.0)
    known = history.recall(store, "w", "plain", clock=lambda: 2000.0)
    assert list(known.waiting) == [fork.id]
    later = history.recall(store, "w", "plain", clock=lambda: 1000.0 + 40 * 86400)
    assert later.waiting == {}
    assert later.alone.runs == 1.0


def test_a_broken_store_is_told_and_a_busy_one_waited_for(home: Path) -> None:
    store = open_store(home)
    lost = [3]

    class Busy:
        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def keep(self, *args: object, **named: object) -> object:
            if lost[0]:
                lost[0] -= 1
                kept = store.kept("strategy", "plain:w")
                store.keep("strategy", "plain:w", History().encode(), version=0 if kept is None else kept.version)
            return store.keep(*args, **named)  # type: ignore[arg-type]

    assert history.begun(Busy(), "w", "plain", "alone", "r1")  # type: ignore[arg-type]

    class Full(Busy):
        def keep(self, *args: object, **named: object) -> object:
            raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="full"):
        history.begun(Full(), "w", "plain", "alone", "r2")  # type: ignore[arg-type]


@tool(effect="read", authority=[])
def look() -> str:
    """Look."""
    return ""


def test_alone_means_without_the_tool_that_starts_sub_agents() -> None:
    plain = Agent("plain", model=ScriptedModel(["x"]), tools=[look])
    assert bounds_of(plain, Choice("alone", "plain", "")).tools == ("look",)  # also when another declaration goes on
    agent = Agent("both", model=ScriptedModel(["x"]), tools=[spawn_tool([plain], name="ask_others"), look])
    assert bounds_of(agent, Choice("alone", "plain", "")).tools == ("look",)
    assert bounds_of(agent, Choice("split", "plain", "")).tools is None
    told = splitting(agent)
    assert list(told.tools) == ["ask_others", "look"]
    assert "one call of ask_others" in str(told.instructions)


def test_another_tool_of_the_name_is_not_taken_for_ours() -> None:
    @tool(effect="read", authority=[])
    def spawn() -> str:
        return ""

    with pytest.raises(DeclarationError, match="rename it, so that it can split"):
        splitting(Agent("fish", model=ScriptedModel(["x"]), tools=[spawn]))


def test_a_cancelled_run_says_nothing(home: Path) -> None:
    run = run_sync(worker(), "Hello", home=home)
    fork: Run = run.fork()
    history.begun(open_store(home), "w", "plain", "alone", fork.id)
    fork.cancel()
    assert history.recall(open_store(home), "w", "plain").alone.runs == 1.0
