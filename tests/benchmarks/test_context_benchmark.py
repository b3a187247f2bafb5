"""The context benchmark measures what it says: repeated prefixes, and facts that stand in the prompt word for word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.context import facts
from benchmarks.context.worker import Record, common_prefix
from mainspring.messages import Message, assistant, system, user

START = [system("rules"), user("task")]


def test_common_prefix() -> None:
    assert common_prefix(b"", b"abc") == 0
    assert common_prefix(b"abc", b"abd") == 2
    assert common_prefix(b"abc", b"abcdef") == 3
    assert common_prefix(b"xbc", b"abc") == 0


def test_a_context_that_only_grows_keeps_its_whole_prefix() -> None:
    record = Record()
    grown: list[Message] = list(START)
    for number in range(5):
        record.take(grown, [], summary=False)
        grown += [assistant(f"step {number}"), user("go on")]
    assert record.repeated == record.previous > 0


def test_a_changed_early_message_is_seen() -> None:
    record = Record()
    record.take([*START, assistant("one")], [], summary=False)
    record.take([system("other rules"), user("task"), assistant("one"), user("go on")], [], summary=False)
    assert record.repeated < record.previous / 2


def test_the_call_after_a_compaction_counts_only_overall() -> None:
    record = Record()
    record.take([*START, assistant("a long story")], [], summary=False)
    record.compacted()
    record.take([*START, user("in short")], [], summary=False)
    assert record.compared == 0
    assert record.compared_all > 0


def test_a_forgotten_fact_is_noticed() -> None:
    record = Record(known=["the rule", "the task"])
    record.take([system("the rule"), user("something else")], [], summary=False)
    assert record.forgotten == {"the task"}


def test_facts_are_distinct() -> None:
    everything = [fact for group in facts.planted().values() for fact in group]
    assert len(everything) == len(set(everything)) == 21
    assert facts.missing(everything, "\n".join(everything)) == []


@pytest.mark.slow
def test_quick_run_prints_the_fixed_fields(benchmark_object: Callable[..., dict[str, Any]]) -> None:
    result = benchmark_object("context")
    assert result["compactions"] > 1
    assert result["planted_facts"] == 21
    assert 0 <= result["kept_facts"] <= 21
    assert 0 < result["prefix_reuse"] <= 1
    assert result["fixed_prompt_tokens"] > 100
